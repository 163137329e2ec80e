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
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from itertools import count
from typing import Final, NamedTuple

from msgspec.structs import replace

from ...runs.script import NO_EDIT, Edit, Step
from ...runs.twins import WORDS

#: Words of a made-up prompt behind its nonce, at least: it is as long as the data set's.
FEWEST_WORDS: Final = 32
#: Its new ending is a fourth of them, as the constants of `beginning` take for granted.
_TAIL_SHARE: Final = 4
#: Words that are put in the place of a row's own, 64 bits.
TAIL_WORDS = 8
#: Words from one list grow alike to an embedding; a topic of a few words keeps texts apart.
_TOPIC_WORDS = 8
_N_NEAR: Final = 3
#: Bursts of each kind: with 6 + 6 no two-sided rank test falls below BURST_ALPHA, with 7 + 7 it can, with 10 + 10 even
#: if the machine stalls during one of them. Before there were seven.
N_BURSTS: Final = 10
N_BURSTS_BEFORE: Final = 7
#: Sizes tried for a burst before they grew beyond the benchmark's own concurrency.
BURST_SIZES: Final = (2, 4, 8, 16, 32)
#: Repeats, and twins, of a stratum of the single design, and the prompts that it begins with.
N_SINGLE: Final = 5
#: Twins of each repeat in the anytime design.
N_RIVALS: Final = 3

#: What blocks of the second series have behind their name.
AGAIN: Final = "+"

#: Where the twin of the pair stands in the order of strata: behind all of them.
_PAIR: Final = 1000

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


class Designer:
    """Makes the steps of a session. Blocks are drawn independently of each other, so their order does not matter."""

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
    ) -> None:
        self._seed = seed
        self._max_tokens = max_tokens
        self.n_primes = primes
        self._moved = moved
        self._apart = apart
        self._n_tail = n_words // _TAIL_SHARE
        self._n_text = n_words - self._n_tail
        self.url = url
        self._rows = self._rng("rows").sample(range(n_rows), n_rows)

    def warm_up(self, number: int, *, url: bool = False) -> Step:
        """Return a query of its own, to warm up with, or to see whether a changed URL is taken."""
        rng = self._rng(f"w{number}")
        edit = self._made(rng, lead=_nonce(rng))
        return Step(f"w{number}/{'url' if url else 'fresh'}", self._row(number), edit, _query(rng) if url else "")

    def twin_to_warm_up(self, row: int) -> Step:
        """Return a twin of a row of the data set, to warm up with."""
        return Step("w0/fresh", row, _twin_ahead(self._rng("w0")))

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
        head, text, tail = _nonce(rng), self._text(rng), self._tail(rng)
        primes = {"a": " ".join(tail)}
        primes["b"], *near = _other_last_words(rng, tail, 1 + _N_NEAR)

        def step(arm: str, edit: Edit, query: str = "") -> Step:
            return Step(f"{block}/{arm}", row, edit, query, group)

        def family(arm: str, end: str) -> Step:
            return step(arm, self._made(rng, head=head, text=text, tail=end))

        def apart(arm: str, query: str = "") -> Step:
            return step(arm, self._made(rng, lead=_nonce(rng), text=text, tail=primes["a"]), query)

        def fresh(arm: str) -> Step:
            return step(arm, self._made(rng, lead=_nonce(rng)))

        first = [family(f"prime.{name}", end) for name, end in primes.items()]
        kin = [family(f"R.{name}", end) for name, end in primes.items()]
        kin += [family("Y", end) for end in near]
        kin.append(family("X", " ".join(self._tail(rng))))
        others = [apart("P"), apart("N"), fresh("S")]
        if self._apart:
            return Parts(rng, first, kin, [*others, fresh("T")], [fresh("F") for _ in range(self.n_primes)])
        return Parts(rng, first, kin, [*others, *([apart("U", _query(rng))] if self.url else [])])

    def _of_dataset(self, group: int, row: int | None = None) -> Parts:
        block = f"d{group}"
        rng = self._rng(block)
        row = self._row(group) if row is None else row

        def step(arm: str, edit: Edit | None = None) -> Step:
            return Step(f"{block}/{arm}", row, edit or NO_EDIT, "", group)

        seed = _nonce(rng) if self._moved else ""
        near = [replace(_twin_behind(rng), moved=seed, nth=number) for number in range(_N_NEAR)]
        ahead = [replace(_twin_ahead(rng), moved=seed, nth=number) for number in range(1 + self._apart * self.n_primes)]
        kin = [step("R"), *(step("Y", edit) for edit in near)]
        return Parts(rng, [step("prime")], kin, [step("P", ahead[0])], [step("F", edit) for edit in ahead[1:]])

    def primes(self, row: int, n_primes: int, *, made_up: bool) -> tuple[Step, ...]:
        """Return the prompts that the single design begins with, fresh ones if rows are too few.

        That is `row` alone where there is one, else rows that the seed draws.
        """
        rows = self._few_rows(row, n_primes)
        known = range(0 if made_up else min(n_primes, len(rows)))
        prompts = [(rows[at], NO_EDIT) for at in known]
        prompts += self._twins(0, rows, made_up=made_up)[len(known) : n_primes]
        return tuple(Step("s0/prime", row, edit, "", 0) for row, edit in prompts)

    def stratum(self, number: int, row: int, n_primes: int, *, made_up: bool) -> tuple[Step, ...]:
        """Return repeats and twins, N_SINGLE each, in random order; `number` is from 1.

        Odd ones repeat the primes, even ones the twins of the stratum before. No two repeats are of one prompt, but for
        fewer primes than N_SINGLE: so a prompt that has a cost, or a server, of its own moves one repeat as it does one
        twin.
        """
        rows = self._few_rows(row, n_primes)
        if number % 2:
            primes = self.primes(row, n_primes, made_up=made_up)
            again = [(primes[at % n_primes].row, primes[at % n_primes].edit) for at in range(N_SINGLE)]
        else:
            again = self._twins(number - 1, rows, made_up=made_up)
        return self._stratum(number, again, rows, made_up=made_up)

    def _stratum(
        self, number: int, again: Sequence[tuple[int, Edit]], rows: list[int], *, made_up: bool
    ) -> tuple[Step, ...]:
        sent = [Step(f"s{number}/R", row, edit, "", 0) for row, edit in again]
        sent += [Step(f"s{number}/P", row, edit, "", 0) for row, edit in self._twins(number, rows, made_up=made_up)]
        return tuple(self._rng(f"s{number}").sample(sent, len(sent)))

    def strata_again(self, count: int, *, uses: int, twins: bool, made_up: bool) -> list[tuple[Step, ...]]:
        """Return so many strata that repeat N_SINGLE prompts, behind these, which are sent `uses` times each.

        They are rows where there are so many, or `twins` of them.
        """
        rows = self._few_rows(0, N_SINGLE)
        again = [(step.row, step.edit) for step in self.primes(0, N_SINGLE, made_up=made_up)]
        again = self._twins(0, rows, made_up=made_up) if twins else again
        primes = tuple(Step("s0/prime", row, edit, "", 0) for row, edit in again)
        strata = [self._stratum(number, again, rows, made_up=made_up) for number in range(1, count + 1)]
        return [primes * uses, *strata]

    def pair(self, row: int, *, made_up: bool) -> tuple[Step, ...]:
        """Return two identical queries, of a twin that was not sent before."""
        of_row, edit = self._twins(_PAIR, [row], made_up=made_up)[0]
        return (Step("p0/pair", of_row, edit, "", 0),) * 2

    def _few_rows(self, row: int, n_primes: int) -> list[int]:
        """Return N_SINGLE rows, as far as there are so many: `row` first where fewer are repeated than that.

        One of several servers behind a balancer has `row` in every run: else its speed would count for more.
        """
        first = [row] if n_primes < N_SINGLE else []
        return [*first, *(other for other in self._rows if other not in first)][:N_SINGLE]

    def _twins(self, stratum: int, rows: list[int], *, made_up: bool) -> list[tuple[int, Edit]]:
        rng, orders = self._rng(f"s{stratum}.twins"), _nonce(self._rng("orders"))
        twins = []
        for at in range(N_SINGLE):
            edit = (
                self._made(rng, lead=_nonce(rng)) if made_up else self._twin_ahead(rng, orders, N_SINGLE * stratum + at)
            )
            twins.append((rows[at % len(rows)], edit))
        return twins

    def _twin_ahead(self, rng: random.Random, orders: str, nth: int) -> Edit:
        """Return a twin with other first words: the row's own in another order, where twins are made like that."""
        edit = _twin_ahead(rng)
        return replace(edit, moved=orders, nth=nth) if self._moved else edit

    def single(self, row: int, *, made_up: bool) -> tuple[Step, ...]:
        """Return the prime of one prompt, then repeats and twins in random order: the single design of before."""
        rng = self._rng("single")
        prime, twin = self._prompt_and_twins(rng, made_up=made_up)
        sent = [Step("s0/R", row, prime, "", 0) for _ in range(N_SINGLE)]
        sent += [Step("s0/P", row, twin(), "", 0) for _ in range(N_SINGLE)]
        return (Step("s0/prime", row, prime, "", 0), *rng.sample(sent, len(sent)))

    def bet(self, group: int, *, made_up: bool) -> tuple[Step, ...]:
        """Return one group of the anytime design: a prime, then its repeat among twins."""
        rng = self._rng(f"e{group}")
        row = self._row(group)
        prime, twin = self._prompt_and_twins(rng, made_up=made_up)
        sent = [Step(f"e{group}/R", row, prime, "", group)]
        sent += [Step(f"e{group}/P", row, twin(), "", group) for _ in range(N_RIVALS)]
        return (Step(f"e{group}/prime", row, prime, "", group), *rng.sample(sent, len(sent)))

    def sizing(self, size: int, attempt: int) -> tuple[Step, ...]:
        """Return a burst of different prompts, to see whether so many have to queue."""
        rng = self._rng(f"k{size}.{attempt}")
        return tuple(
            Step(f"k{size}.{attempt}/size", self._row(0), self._made(rng, lead=_nonce(rng)), "", 0) for _ in range(size)
        )

    def identical(self, size: int, attempt: int) -> tuple[Step, ...]:
        """Return a burst of one prompt, to see whether its replies bear one id."""
        block = f"q{size}.{attempt}"
        made = self._made(self._rng(block), lead=_nonce(self._rng(f"{block}.lead")))
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
        head, text, tail = _nonce(rng), self._text(rng), self._tail(rng)
        ends = _other_last_words(rng, tail, size) if kind == "twins" else [" ".join(tail)] * size
        row = self._row(number)
        made = (self._made(rng, head=head, text=text, tail=end) for end in ends)
        return tuple(Step(f"{block}/{kind}", row, edit, "", 0) for edit in made)

    def rng(self, name: str) -> random.Random:
        """Return the random numbers of a part of the session."""
        return self._rng(name)

    def _text(self, rng: random.Random) -> str:
        """Return a fresh text, from a small vocabulary of its own."""
        return " ".join(_some(rng, self._n_text))

    def _tail(self, rng: random.Random) -> list[str]:
        """Return fresh words to stand behind a text."""
        return _some(rng, self._n_tail)

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
            orders, places = _nonce(rng) if self._moved else "", count()
            return NO_EDIT, lambda: self._twin_ahead(rng, orders, next(places))
        text, tail = self._text(rng), " ".join(self._tail(rng))

        def made() -> Edit:
            return self._made(rng, lead=_nonce(rng), text=text, tail=tail)

        return made(), made


def _twin_ahead(rng: random.Random) -> Edit:
    return Edit(lead=_fresh_words(rng), in_place=True)


def _twin_behind(rng: random.Random) -> Edit:
    return Edit(tail=_fresh_words(rng), in_place=True)


def _query(rng: random.Random) -> str:
    return f"n={_nonce(rng)}"


def _arranged(parts: Parts, n_primes: int) -> tuple[Step, ...]:
    """Return primes and their shuffled kin, with the shuffled others before or after them by a fair coin."""
    rng = parts.rng
    family = [*parts.first * n_primes, *rng.sample(parts.kin, len(parts.kin))]
    apart = rng.sample(parts.others, len(parts.others))
    return tuple(family + apart if rng.random() < 0.5 else apart + family)


def _nonce(rng: random.Random) -> str:
    """Return 64 fresh bits as one word of 16 hex digits."""
    return f"{rng.getrandbits(64):016x}"


def _fresh_words(rng: random.Random) -> str:
    """Return TAIL_WORDS words that hold 64 fresh bits together, to stand in the place of a row's own words."""
    return " ".join(rng.choice(WORDS) for _ in range(TAIL_WORDS))


def _other_last_words(rng: random.Random, words: list[str], count: int) -> list[str]:
    """Return `count` versions of a tail that differ from it, and from each other, in the last word."""
    others = rng.sample([word for word in WORDS if word != words[-1]], count)
    return [" ".join([*words[:-1], word]) for word in others]


def _some(rng: random.Random, count: int) -> list[str]:
    topic = rng.sample(WORDS, _TOPIC_WORDS)
    return [rng.choice(topic) for _ in range(count)]
