"""Scripted phases: what to send next is decided from the replies so far, by a generator that knows no socket.

A phase whose RunSpec has the order `Scripted` is driven by a Script: it yields a Round, gets the records of that round,
in the order of its steps, and yields the next, until it returns. The load engine sends what it is told and never learns
why; the script sees records and never a connection, so that it is pure and a simulation can drive it as well.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TypeVar

import msgspec

from .query import QueryRecord

_Word = TypeVar("_Word")


class Edit(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the text of a row's prompt is changed before it is sent, so that no cache can know it, or not all of it.

    `lead` stands before everything, a system prompt included; `head` before the prompt's own text and `tail` behind it.
    `text` replaces the prompt's text. With `in_place`, lead, head and tail take the place of as many words as they
    have, so that the length stays, as far as the text has words to give (its middle word is always kept).
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
            own = " ".join(without_ends(own.split(), len(before.split()), len(self.tail.split())))
        return " ".join(filter(None, (before, own, self.tail)))

    def leading(self, text: str) -> str:
        """Return the text of an earlier message, such as a system prompt, which only `lead` changes."""
        if not self.lead:
            return text
        own = " ".join(without_ends(text.split(), len(self.lead.split()), 0)) if self.in_place else text
        return " ".join(filter(None, (self.lead, own)))


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


def without_ends(words: list[_Word], n_first: int, n_last: int) -> list[_Word]:
    """Return a prompt's words, or its token ids, without the first and the last; the middle one is always kept."""
    middle = len(words) // 2
    return words[min(n_first, middle) : max(len(words) - n_last, middle + 1)]
