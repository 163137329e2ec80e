"""The confirmation: what is sent, block by block, where the first pair of phases does not settle the ratio.

Each pair of blocks has repeats of the row and fresh twins of it, which cost the same, in an order that a fair coin
draws (`stats.blocks`). A row that is faster than its twins may also be one that a balancer has placed on the fastest of
several servers. So where the row is faster, twins are sent again and again in its place, each new in its pair and known
to any cache by then: they land anywhere, and only a cache makes all of them faster than others.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Iterable, Sequence
from itertools import islice
from statistics import median
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from ...runs.order import Scripted
from ...runs.query import QueryRecord
from ...runs.script import NO_EDIT, Edit, Round, Step
from ...runs.spec import Concurrency, Load, MaxThroughput, RunSpec
from ...runs.twins import twins
from ...stats.blocks import BlockPlan, Judged, Outcome, block_plan, judged, judged_fresh, pace_s
from ...stats.ranks import Floats
from ..contract import AuditContext
from ..replayed import replayed

LABEL: Final = "confirmation"

#: Further queries at most, in phases of the first pair: so many, and so many where a query takes seconds.
_BUDGET: Final = 8
_BUDGET_OF_SECONDS: Final = 16
_SECONDS: Final = (1.0, 30.0)
#: How often a fresh prompt is sent before its block of repeats: some caches keep a reply at its second use.
_PRIMES: Final = 3
#: The most twins that are the row's own words in another order.
_MOST_MOVED: Final = 64
#: Pairs with a failed query are made up for by so many others; and of all queries so many, or this share, may fail.
_SPARE: Final = 0.25
_FEW_FAILURES: Final = 2
_FAILURE_SHARE: Final = 0.10

_Script = Generator[Round, Sequence[QueryRecord], "Confirmed"]
_Judge = Callable[[Floats, BlockPlan], Judged]


class Confirmation(msgspec.Struct, frozen=True, kw_only=True):
    """One confirmation as it is planned; as plain values it stands in its phase's record.

    `n` and `in_flight` are those of the first pair, `limit` is that of the ratio; `budget`, in phases of `n` queries,
    is what the YAML asks for, None for what the rule has.
    """

    row: int
    n: int
    in_flight: int
    limit: float
    budget: int | None = None

    def plan(self, query_s: float) -> BlockPlan:
        """Return the plan of blocks where a query takes `query_s` seconds."""
        slow = _SECONDS[0] <= query_s < _SECONDS[1]
        budget = (_BUDGET_OF_SECONDS if slow else _BUDGET) if self.budget is None else self.budget
        return block_plan(self.n, self.in_flight, self.limit, budget)

    def most(self) -> int:
        """Return the most queries there can be."""
        plan = self.plan(_SECONDS[0])
        return _with_spare(plan.most_pairs) * (4 * plan.size + _PRIMES)

    def least(self) -> int:
        """Return the queries up to the first look."""
        plan = self.plan(0.0)
        return plan.looks[0].pairs * 2 * plan.size


class Confirmed(NamedTuple):
    """What the blocks came to: `rows` of the row itself, `fresh` of fresh prompts in its place, None if not needed.

    `n_lost` pairs were left out, since a query of them failed.
    """

    rows: Judged
    fresh: Judged | None
    size: int
    n_queries: int
    n_failed: int
    n_lost: int = 0

    @property
    def outcome(self) -> Outcome:
        """FAIL only where the row is faster, and fresh prompts that are repeated are, too."""
        if self.rows.outcome != "FAIL":
            return self.rows.outcome
        return "FAIL" if self.fresh and self.fresh.outcome == "FAIL" else "UNDECIDED"

    @property
    def too_many_failed(self) -> bool:
        """Whether so many queries failed, or more pairs for it than are left: those left may be no fair sample."""
        n_pairs = self.rows.n_pairs + (self.fresh.n_pairs if self.fresh else 0)
        return _too_many(self.n_failed, self.n_queries) or self.n_lost > n_pairs


def phase(confirmation: Confirmation, label: str, context: AuditContext) -> RunSpec:
    """Return the phase of a confirmation, which is sent where the first pair does not settle the ratio."""
    parameters: dict[str, Any] = msgspec.to_builtins(confirmation)
    size = confirmation.plan(0.0).size
    return context.phase(
        label,
        confirmation.most(),
        order=Scripted(at_least=confirmation.least(), parameters=parameters),
        load=Concurrency(target=max(1, min(confirmation.in_flight, size))),
        min_duration_ms=0,
        max_duration_ms=0,
        drain_timeout_s=None,
        conditional=True,
    )


def in_flight(load: Load, n_samples: int) -> int:
    """Return how many of `n_samples` queries are in flight under a load, at most."""
    if isinstance(load, Concurrency):
        return load.target
    most = load.max_in_flight if isinstance(load, MaxThroughput) else 1
    return most if most > 0 else n_samples


def confirmation_of(spec: RunSpec) -> Confirmation:
    """Return the confirmation that a phase was planned with."""
    parameters = spec.order.parameters if isinstance(spec.order, Scripted) else {}
    return msgspec.convert(parameters, Confirmation)


def confirmed(spec: RunSpec, records: Iterable[QueryRecord]) -> Confirmed | None:
    """Return what a confirmation's records come to. Raises NoVerdictError when they are not what its seed plans."""
    return replayed(spec.label, script(confirmation_of(spec), spec.nonce_seed or 0), records)[1]


def script(confirmation: Confirmation, seed: int) -> _Script:
    """Send pairs of blocks until the answer is clear or the budget is spent; return what they came to."""
    session = _Session(confirmation, seed)
    rows = yield from session.pairs("p", judged, fresh=False)
    fresh = None
    if rows.outcome == "FAIL":
        fresh = yield from session.pairs("f", judged_fresh, fresh=True)
    return Confirmed(rows, fresh, session.plan.size, session.n_queries, session.n_failed, session.n_lost)


class _Session:
    def __init__(self, confirmation: Confirmation, seed: int) -> None:
        self._confirmation, self._seed = confirmation, seed
        self.plan = confirmation.plan(0.0)
        self.n_queries = self.n_failed = self.n_lost = self._n_moved = 0
        self._timed = False

    def pairs(self, name: str, judge: _Judge, *, fresh: bool) -> Generator[Round, Sequence[QueryRecord], Judged]:
        """Send pairs, of the row or of `fresh` prompts, until they are judged, and return the judgement."""
        log_ratios: list[float] = []
        number = 0
        while True:
            found = judge(np.array(log_ratios), self.plan)
            if found.clear or number >= _with_spare(self.plan.most_pairs) or _too_many(self.n_failed, self.n_queries):
                return found
            paces = yield from self._pair(f"{name}{number}", fresh=fresh)
            number += 1
            if all(paces.values()):
                log_ratios.append(float(np.log(paces["P"] / paces["R"])))
            else:
                self.n_lost += 1

    def _pair(self, tag: str, *, fresh: bool) -> Generator[Round, Sequence[QueryRecord], dict[str, float]]:
        """Send one pair; return the pace of either block in seconds a query, 0 where a query of it failed."""
        name, row, size = f"{self._seed}/{tag}", self._confirmation.row, self.plan.size
        again, *others = self._twins(name, size + 1)
        again = again if fresh else NO_EDIT
        blocks = {
            "P": [Step(f"{tag}/P", row, other) for other in others],
            "R": [Step(f"{tag}/R", row, again)] * size,
        }
        paces = {}
        for arm in random.Random(name).sample(sorted(blocks), len(blocks)):  # noqa: S311 - the recorded seed's
            if fresh and arm == "R":
                yield from self._send([Step(f"{tag}/prime", row, again)] * _PRIMES, in_flight=1)
            records = yield from self._send(blocks[arm], in_flight=min(self._confirmation.in_flight, size))
            paces[arm] = pace_s(np.array([_latency_s(one) for one in records])) if all(r.ok for r in records) else 0.0
        if not self._timed and all(paces.values()):
            self._timed, self.plan = True, self._confirmation.plan(median(paces.values()))
        return paces

    def _send(
        self, steps: Sequence[Step], *, in_flight: int
    ) -> Generator[Round, Sequence[QueryRecord], Sequence[QueryRecord]]:
        expected = max(self.n_queries + len(steps), self._confirmation.least())
        records = yield Round(tuple(steps), expected=expected, in_flight=in_flight)
        self.n_queries += len(records)
        self.n_failed += sum(not record.ok for record in records)
        return records

    def _twins(self, name: str, count: int) -> list[Edit]:
        """Return what makes the row so many other requests of the same cost, which no pair has sent before.

        Its first words change places, while there are orders left, so that even its tokens are the same; `name` draws
        fresh words for the others. Twins of large blocks have words of one token each.
        """
        made = islice(twins(random.Random(name).getrandbits(63)), count)  # noqa: S311 - the recorded seed's
        if count > _MOST_MOVED:
            return list(made)
        first, self._n_moved = self._n_moved, self._n_moved + count
        return [msgspec.structs.replace(twin, moved=f"{self._seed}", nth=first + at) for at, twin in enumerate(made)]


def _too_many(n_failed: int, n_queries: int) -> bool:
    return n_failed > max(_FEW_FAILURES, _FAILURE_SHARE * n_queries)


def _latency_s(record: QueryRecord) -> float:
    return max(record.completed_ns - record.issued_ns, 1) / 1e9


def _with_spare(pairs: int) -> int:
    return pairs + max(2, int(pairs * _SPARE))
