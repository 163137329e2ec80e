"""Scripted phases: what to send next is decided from the replies so far, by a generator that knows no socket.

A phase whose RunSpec has the order `Scripted` is driven by a Script: it yields a Round, gets the records of that round,
in the order of its steps, and yields the next, until it returns. The load engine sends what it is told and never learns
why; the script sees records and never a connection, so that it is pure and a simulation can drive it as well.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections import Counter
from collections.abc import Generator, Sequence
from functools import lru_cache
from math import factorial, prod
from typing import Any, Final, TypeVar

import msgspec

from .query import QueryRecord

_Word = TypeVar("_Word")
_BLANKS = re.compile(r"(\s+)")
#: So many words change places, if the text has one more; of a long text as many as half of it, up to the most.
FEWEST_MOVED, _MOST_MOVED = 6, 8
#: Fewer orders than this would soon all have been sent before.
_FEWEST_ORDERS = 120


class Edit(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the text of a row's prompt is changed before it is sent, so that no cache can know it, or not all of it.

    `lead` stands before everything, a system prompt included; `head` before the prompt's own text and `tail` behind it.
    `text` replaces the prompt's text. With `in_place`, lead, head and tail take the place of as many words as they
    have, and are cut to what the text has to give, so that the length stays: see `in_place_of`.
    With `moved`, a seed, words of the text's own change places instead: its first ones where there is a lead, its last
    ones where there is a tail, into the order number `nth` of those that the seed draws. The bytes and, but for a token
    or so, the tokens stay the same. Lead and tail are for a text that has too few words, or too many equal ones.
    `max_tokens` lowers the limit on output tokens, where the wire format has one. `image`, a seed, changes one pixel in
    each image of a prompt that has some.

    An input that is no text, such as a tensor or a sound, has no words to change: it is changed by two seeds that these
    words come to. Where there is a `made_up_seed`, another input is drawn in the row's place; where there is a
    `twin_seed`, a small part of the input is changed. Inputs made by one of the first are near each other.
    """

    lead: str = ""
    head: str = ""
    text: str | None = None
    tail: str = ""
    in_place: bool = False
    moved: str = ""
    nth: int = 0
    max_tokens: int | None = None
    image: str = ""

    @property
    def made_up_seed(self) -> int | None:
        """64 bits by which an input of no text is made up in the row's place; None where it is the row's own."""
        return None if self.text is None else _seed(self.text)

    @property
    def twin_seed(self) -> int | None:
        """64 bits by which a small part of an input of no text is changed; None where nothing is."""
        words = (self.lead, self.head, self.tail, self.moved)
        return _seed("\0".join((*words, str(self.nth)))) if any(words) else None

    def apply(self, prompt: str, *, lead: bool = True) -> str:
        """Return the changed text of a prompt; `lead` false where an earlier message has taken the lead."""
        before = " ".join(filter(None, (self.lead if lead else "", self.head)))
        if self.moved and (rearranged := self._rearranged(prompt, first=lead)) is not None:
            return rearranged
        own = prompt if self.text is None else self.text
        if self.in_place:
            return " ".join(in_place_of(own.split(), before.split(), self.tail.split()))
        return " ".join(filter(None, (before, own, self.tail)))

    def leading(self, text: str) -> str:
        """Return the text of an earlier message, such as a system prompt, which only `lead` changes."""
        if not self.lead:
            return text
        if self.moved and (rearranged := self._rearranged(text, first=True)) is not None:
            return rearranged
        if self.in_place:
            return " ".join(in_place_of(text.split(), self.lead.split(), []))
        return " ".join(filter(None, (self.lead, text)))

    def rearrange(self, words: list[_Word], *, first: bool = True) -> list[_Word] | None:
        """Return a prompt's words, or its token ids, in another order; `first` false leaves the first ones alone.

        None where they are too few for it.
        """
        if self.lead:
            return moved(words, f"{self.moved}/lead", self.nth) if first else words
        if not self.tail:
            return words
        changed = moved(words[::-1], f"{self.moved}/tail", self.nth)
        return None if changed is None else changed[::-1]

    def _rearranged(self, text: str, *, first: bool) -> str | None:
        """Return a text with its words in another order and its white space as it is."""
        parts = _BLANKS.split(text)
        places = [at for at in range(0, len(parts), 2) if parts[at]]
        words = self.rearrange([parts[at] for at in places], first=first)
        if words is None:
            return None
        for at, word in zip(places, words, strict=True):
            parts[at] = word
        return "".join(parts)


NO_EDIT = Edit()


def _seed(words: str) -> int:
    """Return 64 bits that stand for words, the same in every process."""
    return int.from_bytes(hashlib.blake2b(words.encode(), digest_size=8).digest(), "big")


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
    """Steps to send one after another, or all at once. `expected`: queries in the whole phase, as it looks now.

    `in_flight`, where it is not 0, has so many in flight, and the next one issued as one of them ends.
    """

    steps: tuple[Step, ...]
    at_once: bool = False
    expected: int = 0
    in_flight: int = 0

    @property
    def most_in_flight(self) -> int:
        """How many of its steps are in flight together, at most."""
        return min(len(self.steps), self.in_flight or (len(self.steps) if self.at_once else 1))


#: Yields rounds and is sent the records of each. What it returns is for those who run it once more, on records.
Script = Generator[Round, Sequence[QueryRecord], Any]


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


def moved(words: list[_Word], seed: str, nth: int) -> list[_Word] | None:
    """Return words of which the first ones have changed places, in the order number `nth` that a seed draws.

    Another word than before comes first, and every number gives another order. None where there are too few orders,
    or not so many.
    """
    count = max(FEWEST_MOVED, min(_MOST_MOVED, len(words) // 2))
    first = words[:count]
    n_orders = _n_orders(first) if len(words) > count else 0
    if n_orders < _FEWEST_ORDERS or nth >= n_orders * (count - first.count(first[0])) // count:
        return None
    return [*_orders(tuple(first), seed).number(nth), *words[count:]]


class _Orders:
    """Orders of words that begin with another word than before, drawn by a seed as far as they were asked for."""

    def __init__(self, first: tuple[Any, ...], seed: str) -> None:
        self._first = first
        self._rng = random.Random(seed)  # noqa: S311 - reproducible from the recorded seed
        self._known: set[tuple[Any, ...]] = set()
        self._drawn: list[tuple[Any, ...]] = []

    def number(self, nth: int) -> tuple[Any, ...]:
        """Return one of them; there have to be so many."""
        while len(self._drawn) <= nth:
            order = tuple(self._rng.sample(self._first, len(self._first)))
            if order[0] != self._first[0] and order not in self._known:
                self._known.add(order)
                self._drawn.append(order)
        return self._drawn[nth]


_orders = lru_cache(maxsize=64)(_Orders)


def _n_orders(words: list[_Word]) -> int:
    """Return in how many orders these words can stand."""
    return factorial(len(words)) // prod(map(factorial, Counter(words).values()))
