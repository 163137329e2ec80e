"""Few prompts, repeated: the steps of the single design, of its second series, and of the anytime design."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

from ....runs.script import NO_EDIT, Edit, Step
from .prompts import Prompts, nonce

#: Repeats, and twins, of a stratum of the single design, and the prompts that it begins with.
N_SINGLE: Final = 5
#: Twins of each repeat in the anytime design.
N_RIVALS: Final = 3
#: Where the twin of the pair stands in the order of strata: behind all of them.
_PAIR: Final = 1000


class FewPrompts(Prompts):
    """Makes the steps of the designs that compare exact repeats with twins, and nothing else."""

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
        rng, orders = self._rng(f"s{stratum}.twins"), nonce(self._rng("orders"))
        twins = []
        for at in range(N_SINGLE):
            edit = self._made_twin(rng, at) if made_up else self._twin_ahead(rng, orders, N_SINGLE * stratum + at)
            twins.append((rows[at % len(rows)], edit))
        return twins

    def _made_twin(self, rng: random.Random, at: int) -> Edit:
        """Return a made-up prompt: a fresh text, or a twin of the made-up input `at`, which has a cost of its own."""
        text = None if self._of_text else self._text(self._rng(f"input{at}"))
        return self._made(rng, lead=nonce(rng), text=text)

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
