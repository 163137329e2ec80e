"""Prompts that nobody has sent before: made up from one seed, or a row with its words in another order."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import count
from typing import Final

from msgspec.structs import replace

from ....runs.script import NO_EDIT, Edit, Step
from ....runs.twins import WORDS

#: Words of a made-up prompt behind its nonce, at least: it is as long as the data set's.
FEWEST_WORDS: Final = 32
#: Its new ending is a fourth of them, as the constants of `beginning` take for granted.
_TAIL_SHARE: Final = 4
#: Words that are put in the place of a row's own, 64 bits.
TAIL_WORDS = 8
#: Words from one list grow alike to an embedding; a topic of a few words keeps texts apart.
_TOPIC_WORDS = 8


class Prompts:
    """Draws prompts of a session. Blocks are drawn independently of each other, so their order does not matter."""

    def __init__(
        self,
        seed: int,
        n_rows: int,
        *,
        max_tokens: int | None,
        primes: int = 1,
        url: bool = True,
        moved: bool = True,
        apart: bool = True,
        n_words: int = FEWEST_WORDS,
        of_text: bool = True,
    ) -> None:
        self._seed = seed
        self._max_tokens = max_tokens
        self.n_primes = primes
        self._moved = moved
        self._apart = apart
        self._of_text = of_text
        self._n_tail = n_words // _TAIL_SHARE
        self._n_text = n_words - self._n_tail
        self.url = url
        self._rows = self._rng("rows").sample(range(n_rows), n_rows)

    def rng(self, name: str) -> random.Random:
        """Return the random numbers of a part of the session."""
        return self._rng(name)

    def _text(self, rng: random.Random) -> str:
        """Return a fresh text, from a small vocabulary of its own."""
        return " ".join(of_one_topic(rng, self._n_text))

    def _tail(self, rng: random.Random) -> list[str]:
        """Return fresh words to stand behind a text."""
        return of_one_topic(rng, self._n_tail)

    def _rng(self, name: str) -> random.Random:
        return random.Random(f"{self._seed}/{name}")  # noqa: S311 - reproducible from the recorded seed

    def _row(self, group: int) -> int:
        return self._rows[group % len(self._rows)]

    def _made(
        self, rng: random.Random, *, lead: str = "", head: str = "", text: str | None = None, tail: str | None = None
    ) -> Edit:
        return Edit(
            lead=lead,
            head=head,
            text=self._text(rng) if text is None else text,
            tail=" ".join(self._tail(rng)) if tail is None else tail,
            max_tokens=self._max_tokens,
        )

    def _prompt_and_twins(self, rng: random.Random, *, made_up: bool) -> tuple[Edit, Callable[[], Edit]]:
        if not made_up:
            orders, places = nonce(rng) if self._moved else "", count()
            return NO_EDIT, lambda: self._twin_ahead(rng, orders, next(places))
        text, tail = self._text(rng), " ".join(self._tail(rng))

        def made() -> Edit:
            return self._made(rng, lead=nonce(rng), text=text, tail=tail)

        return made(), made

    def _twin_ahead(self, rng: random.Random, orders: str, nth: int) -> Edit:
        """Return a twin with other first words: the row's own in another order, where twins are made like that."""
        edit = twin_ahead(rng)
        return replace(edit, moved=orders, nth=nth) if self._moved else edit

    def warm_up(self, number: int, *, url: bool = False) -> Step:
        """Return a query of its own, to warm up with, or to see whether a changed URL is taken."""
        rng = self._rng(f"w{number}")
        edit = self._made(rng, lead=nonce(rng))
        return Step(f"w{number}/{'url' if url else 'fresh'}", self._row(number), edit, query_string(rng) if url else "")

    def twin_to_warm_up(self, row: int) -> Step:
        """Return a twin of a row of the data set, to warm up with."""
        return Step("w0/fresh", row, twin_ahead(self._rng("w0")))


def twin_ahead(rng: random.Random) -> Edit:
    """Return what gives a row fresh first words."""
    return Edit(lead=fresh_words(rng), in_place=True)


def query_string(rng: random.Random) -> str:
    """Return what changes a URL."""
    return f"n={nonce(rng)}"


def nonce(rng: random.Random) -> str:
    """Return 64 fresh bits as one word of 16 hex digits."""
    return f"{rng.getrandbits(64):016x}"


def fresh_words(rng: random.Random) -> str:
    """Return TAIL_WORDS words that hold 64 fresh bits together, to stand in the place of a row's own words."""
    return " ".join(rng.choice(WORDS) for _ in range(TAIL_WORDS))


def of_one_topic(rng: random.Random, count: int) -> list[str]:
    """Return words from a few that are drawn anew."""
    topic = rng.sample(WORDS, _TOPIC_WORDS)
    return [rng.choice(topic) for _ in range(count)]
