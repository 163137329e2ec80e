"""Which queries the probe sends, block by block, each drawn from one seed: pure, and the same for the same seed.

A block is kept together, since some servers keep only the last prompt. In a block of made-up prompts:

    prime.a .b  two fresh prompts, alike but for the last word
    R.a .b      their bytes again: only these can come from a response cache
    Y (3)       as the primes, with another last word: a near-duplicate cache answers them, a prefix cache helps
    X           as the primes, with a fresh tail: a prefix cache helps
    P, N        the same text and tail behind a fresh lead: only a semantic cache answers
    S           all fresh: another text
    T           all fresh as well, the null control: no cache can tell it from S
    U           as P, under another URL

U is of the blocks of before, which had no T, and N was the null control.
All have the same length, and each has its own last words or lead, so that without a cache those in one sub-block are
exchangeable even where each prompt has a cost of its own. In a block of the data set: a row as the benchmark sends it
(prime, R), three twins whose last words have changed places (Y), one whose first words have (P): these cost what the
row costs. A row of too few words gets fresh ones in their place.

An input that is no text has no beginning and no meaning, so X, P and N are left out. Inputs made from one text are
twins of each other: alike but for a small part. So primes, R and Y of a block are twins, S and T are other inputs.
All that is sent at once is made from one text, so that it costs the same, and so are the queries of size 1 before it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final, NamedTuple

from msgspec.structs import replace

from ....runs.script import NO_EDIT, Edit, Step
from ....runs.twins import WORDS
from .few import FewPrompts
from .prompts import fresh_words, nonce, query_string, twin_ahead

_N_NEAR: Final = 3
#: Bursts of each kind: with 6 + 6 no two-sided rank test falls below BURST_ALPHA, with 7 + 7 it can, with 10 + 10 even
#: if the machine stalls during one of them. Before there were seven.
N_BURSTS: Final = 10
N_BURSTS_BEFORE: Final = 7
#: Sizes tried for a burst before they grew beyond the benchmark's own concurrency.
BURST_SIZES: Final = (2, 4, 8, 16, 32)

#: What blocks of the second series have behind their name.
AGAIN: Final = "+"


MADE_UP: Final = "made_up"
DATASET: Final = "dataset"


class Parts(NamedTuple):
    """One block: primes, what shares a beginning with them, and what does not; fillers that nothing is made of.

    `rng` is that from which the block was drawn.
    """

    rng: random.Random
    first: list[Step]
    kin: list[Step]
    others: list[Step]
    fillers: Sequence[Step] = ()


class Designer(FewPrompts):
    """Makes the steps of a session."""

    def made_up(self, group: int) -> tuple[Step, ...]:
        """Return one block of made-up prompts, kept together."""
        return _arranged(self.parts(MADE_UP, group), self.n_primes)

    def of_dataset(self, group: int, row: int | None = None) -> tuple[Step, ...]:
        """Return one block of the data set, kept together; None: the row that the seed gives this group."""
        return _arranged(self._of_dataset(group, row), self.n_primes)

    def parts(self, source: str, group: int) -> Parts:
        """Return what a block of one kind of prompt is made of."""
        return self._made_up(group) if source == MADE_UP else self._of_dataset(group)

    def _made_up(self, group: int) -> Parts:
        block = f"m{group}"
        rng = self._rng(block)
        row = self._row(group)
        head, text, tail = nonce(rng), self._text(rng), self._tail(rng)
        primes = {"a": " ".join(tail)}
        primes["b"], *near = _other_last_words(rng, tail, 1 + _N_NEAR)

        def step(arm: str, edit: Edit, query: str = "") -> Step:
            return Step(f"{block}/{arm}", row, edit, query, group)

        def family(arm: str, end: str) -> Step:
            return step(arm, self._made(rng, head=head, text=text, tail=end))

        def apart(arm: str, query: str = "") -> Step:
            return step(arm, self._made(rng, lead=nonce(rng), text=text, tail=primes["a"]), query)

        def fresh(arm: str) -> Step:
            return step(arm, self._made(rng, lead=nonce(rng)))

        first = [family(f"prime.{name}", end) for name, end in primes.items()]
        kin = [family(f"R.{name}", end) for name, end in primes.items()]
        kin += [family("Y", end) for end in near]
        kin += [family("X", " ".join(self._tail(rng)))] if self._of_text else []
        others = [*([apart("P"), apart("N")] if self._of_text else []), fresh("S")]
        if self._apart:
            return Parts(rng, first, kin, [*others, fresh("T")], [fresh("F") for _ in range(self.n_primes)])
        return Parts(rng, first, kin, [*others, *([apart("U", query_string(rng))] if self.url else [])])

    def _of_dataset(self, group: int, row: int | None = None) -> Parts:
        block = f"d{group}"
        rng = self._rng(block)
        row = self._row(group) if row is None else row

        def step(arm: str, edit: Edit | None = None) -> Step:
            return Step(f"{block}/{arm}", row, edit or NO_EDIT, "", group)

        seed = nonce(rng) if self._moved else ""
        near = [replace(_twin_behind(rng), moved=seed, nth=number) for number in range(_N_NEAR)]
        ahead = [replace(twin_ahead(rng), moved=seed, nth=number) for number in range(1 + self._apart * self.n_primes)]
        kin = [step("R"), *(step("Y", edit) for edit in near)]
        others = [step("P", ahead[0])] if self._of_text else []
        return Parts(rng, [step("prime")], kin, others, [step("F", edit) for edit in ahead[1:]])

    def sizing(self, size: int, attempt: int) -> tuple[Step, ...]:
        """Return a burst of different prompts, to see whether so many have to queue."""
        rng = self._rng(f"k{size}.{attempt}")
        text = self._at_once()
        return tuple(
            Step(f"k{size}.{attempt}/size", self._row(0), self._made(rng, lead=nonce(rng), text=text), "", 0)
            for _ in range(size)
        )

    def _at_once(self) -> str | None:
        """Return what all inputs that are sent at once are made from; None for texts, which are drawn anew."""
        return None if self._of_text else self._text(self._rng("at once"))

    def identical(self, size: int, attempt: int) -> tuple[Step, ...]:
        """Return a burst of one prompt, to see whether its replies bear one id."""
        block = f"q{size}.{attempt}"
        made = self._made(self._rng(block), lead=nonce(self._rng(f"{block}.lead")), text=self._at_once())
        return tuple(Step(f"{block}/same", self._row(0), made, "", 0) for _ in range(size))

    def bursts(self, size: int, *, apart: bool = False) -> list[tuple[Step, ...]]:
        """Return the bursts in the order to send them: identical prompts, and twins with a common head.

        Those of each size have prompts of their own where they are `apart`, as there may be two sizes.
        """
        of, n_each = (f"{size}.", N_BURSTS) if apart else ("", N_BURSTS_BEFORE)
        kinds = self._rng(f"bursts{of}").sample(["same", "twins"] * n_each, 2 * n_each)
        return [self._burst(f"b{of}{number}", number, kind, size) for number, kind in enumerate(kinds)]

    def _burst(self, block: str, number: int, kind: str, size: int) -> tuple[Step, ...]:
        rng = self._rng(block)
        head, text, tail = nonce(rng), self._at_once() or self._text(rng), self._tail(rng)
        ends = _other_last_words(rng, tail, size) if kind == "twins" else [" ".join(tail)] * size
        row = self._row(number if self._of_text else 0)
        made = (self._made(rng, head=head, text=text, tail=end) for end in ends)
        return tuple(Step(f"{block}/{kind}", row, edit, "", 0) for edit in made)


def _twin_behind(rng: random.Random) -> Edit:
    return Edit(tail=fresh_words(rng), in_place=True)


def _arranged(parts: Parts, n_primes: int) -> tuple[Step, ...]:
    """Return primes and their shuffled kin, with the shuffled others before or after them by a fair coin."""
    rng = parts.rng
    family = [*parts.first * n_primes, *rng.sample(parts.kin, len(parts.kin))]
    apart = rng.sample(parts.others, len(parts.others))
    return tuple(family + apart if rng.random() < 0.5 else apart + family)


def _other_last_words(rng: random.Random, words: list[str], count: int) -> list[str]:
    """Return `count` versions of a tail that differ from it, and from each other, in the last word."""
    others = rng.sample([word for word in WORDS if word != words[-1]], count)
    return [" ".join([*words[:-1], word]) for word in others]
