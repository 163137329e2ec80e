"""Scripted phases: what to send next is decided from the replies so far, by a generator that knows no socket.

A phase whose RunSpec has the order `Scripted` is driven by a Script: it yields a Round, gets the records of that round,
in the order of its steps, and yields the next, until it returns. The load engine sends what it is told and never learns
why; the script sees records and never a connection, so that it is pure and a simulation can drive it as well.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Final, TypeVar

import msgspec

from .query import QueryRecord

_Word = TypeVar("_Word")


class Edit(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the text of a row's prompt is changed before it is sent, so that no cache can know it, or not all of it.

    `lead` stands before everything, a system prompt included; `head` before the prompt's own text and `tail` behind it.
    `text` replaces the prompt's text. With `in_place`, lead, head and tail take the place of as many words as they
    have, and are cut to what the text has to give, so that the length stays: see `in_place_of`.
    `max_tokens` lowers the limit on output tokens, where the wire format has one.
    """

    lead: str = ""
    head: str = ""
    text: str | None = None
    tail: str = ""
    in_place: bool = False
    max_tokens: int | None = None

    def apply(self, prompt: str, *, lead: bool = True) -> str:
        """Return the changed text of a prompt; `lead` false where an earlier message has taken the lead."""
        before = " ".join(filter(None, (self.lead if lead else "", self.head)))
        own = prompt if self.text is None else self.text
        if self.in_place:
            return " ".join(in_place_of(own.split(), before.split(), self.tail.split()))
        return " ".join(filter(None, (before, own, self.tail)))

    def leading(self, text: str) -> str:
        """Return the text of an earlier message, such as a system prompt, which only `lead` changes."""
        if not self.lead:
            return text
        if self.in_place:
            return " ".join(in_place_of(text.split(), self.lead.split(), []))
        return " ".join(filter(None, (self.lead, text)))


NO_EDIT = Edit()


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """One query of a script: the row, how it is changed, and `tag`, by which its record is known again.

    `query` is added to the URL as its query string. `route` picks one of several endpoint URLs; None takes turns.
    """

    tag: str
    row: int
    edit: Edit = NO_EDIT
    query: str = ""
    route: int | None = None


class Round(msgspec.Struct, frozen=True):
    """Steps to send one after another, or all at once. `expected`: queries in the whole phase, as it looks now."""

    steps: tuple[Step, ...]
    at_once: bool = False
    expected: int = 0


Script = Generator[Round, Sequence[QueryRecord], None]


#: Of an edit in place so many words are put in at each end, however short the text: three of twins' words are 24 bits.
_FEWEST: Final = 3


def in_place_of(own: list[_Word], before: list[_Word], behind: list[_Word]) -> list[_Word]:
    """Return a prompt's words, or its token ids, with others in place of its first and its last.

    The middle one is always kept. What does not fit is cut, the last of `before` and the first of `behind`, but for
    three at each end: only a text of fewer than six words becomes longer by an edit at one end.
    """
    middle = len(own) // 2
    before = before[: max(_FEWEST, middle)]
    behind = behind[max(0, len(behind) - max(_FEWEST, len(own) - middle - 1)) :]
    return [*before, *own[min(len(before), middle) : max(len(own) - len(behind), middle + 1)], *behind]
