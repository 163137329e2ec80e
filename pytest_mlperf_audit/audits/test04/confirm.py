"""The confirmation: what is sent, block by block, where the first pair of phases does not settle the ratio.

Each pair of blocks has repeats of the row and fresh twins of it, which cost the same, in an order that a fair coin
draws (`stats.blocks`). A row that is faster than its twins may also be one that a balancer has placed on the fastest of
several servers. So where the row is faster, twins are sent again and again in its place, each new in its pair and known
to any cache by then: they land anywhere, and only a cache makes all of them faster than others.

Blocks are small, so that they have fewer queries in flight than the phases had. A server that computes identical
queries once may have a lane for each of so few: then nothing is shared, and nothing seen. So where blocks would pass,
some pairs are sent as large as the phases' load, of the row at once and of twins at once; repeats that are faster there
are no pass.
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

#: Pairs at the phases' own load: two below the limit settle it, of so many; and the most queries in flight.
_LOADED_PAIRS: Final = 5
_LOADED_ENOUGH: Final = 2
_MOST_LOADED: Final = 128

_Script = Generator[Round, Sequence[QueryRecord], "Confirmed"]
_Judge = Callable[[Floats, BlockPlan], Judged]


class Confirmation(msgspec.Struct, frozen=True, kw_only=True):
    """One confirmation as it is planned; as plain values it stands in its phase's record.

    `n` and `in_flight` are those of the first pair, `limit` is that of the ratio; `budget`, in phases of `n` queries,
    is what the YAML asks for, None for what the rule has. `loaded`: pairs at the phases' load follow where blocks pass;
    in records of before they did not.
    """

    row: int
    n: int
    in_flight: int
    limit: float
    budget: int | None = None
    loaded: bool = False

    def plan(self, query_s: float) -> BlockPlan:
        """Return the plan of blocks where a query takes `query_s` seconds."""
        slow = _SECONDS[0] <= query_s < _SECONDS[1]
        budget = (_BUDGET_OF_SECONDS if slow else _BUDGET) if self.budget is None else self.budget
        return block_plan(self.n, self.in_flight, self.limit, budget)

    def most(self) -> int:
        """Return the most queries there can be."""
        plan = self.plan(_SECONDS[0])
        return _with_spare(plan.most_pairs) * (4 * plan.size + _PRIMES) + 2 * _LOADED_PAIRS * self.load(plan.size)

    def load(self, size: int) -> int:
        """Return how many queries a pair at the phases' load has in flight, 0 where blocks of `size` have as many."""
        load = min(self.in_flight, self.n, _MOST_LOADED)
        return load if self.loaded and load > size else 0

    def least(self) -> int:
        """Return the queries up to the first look."""
        plan = self.plan(0.0)
        return plan.looks[0].pairs * 2 * plan.size


class Confirmed(NamedTuple):
    """What the blocks came to: `rows` of the row itself, `fresh` of fresh prompts in its place, None if not needed.

    `n_lost` pairs were left out, since a query of them failed. `loaded` are the ratios of the pairs of `load` queries
    in flight.
    """

    rows: Judged
    fresh: Judged | None
    size: int
    n_queries: int
    n_failed: int
    n_lost: int = 0
    load: int = 0
    loaded: tuple[float, ...] = ()
    limit: float = 1.0

    @property
    def under_load(self) -> bool:
        """Whether repeats were faster at the phases' load, though blocks pass: then they do not."""
        return bool(self.load) and sum(ratio < self.limit for ratio in self.loaded) < _LOADED_ENOUGH

    @property
    def outcome(self) -> Outcome:
        """FAIL only where the row is faster, and fresh prompts that are repeated are, too; PASS at any load alone."""
        if self.rows.outcome == "PASS" and self.under_load:
            return "UNDECIDED"
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
    at_once = max(min(confirmation.in_flight, size), confirmation.load(size))
    return context.phase(
        label,
        confirmation.most(),
        order=Scripted(at_least=confirmation.least(), parameters=parameters),
        load=Concurrency(target=max(1, at_once)),
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
    load = confirmation.load(session.plan.size) if rows.outcome == "PASS" else 0
    loaded = (yield from session.loaded(load)) if load else ()
    return Confirmed(
        rows=rows,
        fresh=fresh,
        size=session.plan.size,
        n_queries=session.n_queries,
        n_failed=session.n_failed,
        n_lost=session.n_lost,
        load=load,
        loaded=loaded,
        limit=confirmation.limit,
    )


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

    def loaded(self, load: int) -> Generator[Round, Sequence[QueryRecord], tuple[float, ...]]:
        """Send pairs of `load` queries at once until enough of them are below the limit; return all their ratios."""
        ratios: list[float] = []
        for number in range(_LOADED_PAIRS):
            paces = yield from self._pair(f"l{number}", fresh=False, size=load)
            ratios += [paces["P"] / paces["R"]] if all(paces.values()) else []
            if sum(ratio < self._confirmation.limit for ratio in ratios) >= _LOADED_ENOUGH:
                break
        return tuple(ratios)

    def _pair(
        self, tag: str, *, fresh: bool, size: int = 0
    ) -> Generator[Round, Sequence[QueryRecord], dict[str, float]]:
        """Send one pair; return the pace of either block in seconds a query, 0 where a query of it failed."""
        name, row, size = f"{self._seed}/{tag}", self._confirmation.row, size or self.plan.size
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
