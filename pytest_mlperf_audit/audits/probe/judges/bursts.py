"""Queries at once: how many have to queue, and whether equal ones are then computed once, or in one another's wake.

A server with as many lanes as queries hides coalescing: identical ones then take as long as different ones. So bursts
grow until different queries queue, whatever the benchmark's own concurrency, and the first size at which they do ends
it. Nothing is said of coalescing but where twins in the very bursts that are compared had to queue as well, so that it
would have shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Sequence
from statistics import median
from typing import Final, Protocol

import numpy as np

from ....runs.query import QueryRecord
from ....runs.script import Round, Step
from ....stats.ranks import excluded_p
from ..seen import contrasts
from ..seen.evidence import Block, Evidence, makespan_s, total_s
from ..seen.naming import reaches_floors
from ..seen.outputs import shared_ids
from ..sent.design import BURST_SIZES, MADE_UP, N_BURSTS, N_BURSTS_BEFORE, Designer
from ..settings import ALPHA, BURST_ALPHA, Excluded, Kind

#: Sizes that are tried, as far as the plan allows, and how often each.
SIZES: Final = (4, 8, 16, 32, 64, 128)
TRIES: Final = 2
#: Bursts of one prompt, of the least size, that are sent for their ids; more than half of which have to tell.
_IDENTICAL: Final = 3
#: Queries, one after another, that show what an input of no text costs that is then sent at once.
N_ALONE: Final = 5
#: One id is on a burst where it is on this share of the replies.
_MOST_OF_THEM = 0.75
#: Different queries at once that take this many times as long as one alone, on average, had to queue.
_QUEUES: Final = 1.7
#: Seconds that a query at once may wait for the client, for each other one in the burst.
_CLIENT_S: Final = 0.0001
#: Sizes at which identical queries are compared with twins: a second one where the first turns out not to queue.
MOST_LOOKS: Final = 2
#: The bursts end early when, after so many of each kind, they do not differ by the floor, and a difference is excluded.
#: That can only lose a finding. Before, fewer were enough, and no test.
_FEW_BURSTS, _FEW_BEFORE = 4, 3
#: Excluded: that identical queries are done so many times as fast as different ones. The error is that of four bursts
#: of each kind, 1 / 70 at least.
_TIMES, _ERROR = 1.5, 0.015
#: Tries of each size before today's measure.
_TRIES_OF_BEFORE = 2

_Ask = Generator[Round, Sequence[QueryRecord], None]


class Sender(Protocol):
    """Sends steps and adds their records to the evidence."""

    def __call__(self, steps: Sequence[Step], *, at_once: bool = False) -> _Ask:
        """Send a round."""


def sizes(at_once: int, max_burst: int) -> tuple[int, ...]:
    """Return the sizes to try: up to `max_burst`; where that is 0, as before, up to the benchmark's own `at_once`."""
    if max_burst:
        return tuple(size for size in SIZES if size <= max_burst)
    return tuple(size for size in BURST_SIZES if size <= at_once)


def most_queries(at_once: int, max_burst: int) -> int:
    """Return the most queries that sizing and bursts can take."""
    tried = sizes(at_once, max_burst)
    if not max_burst:
        return _TRIES_OF_BEFORE * sum(tried) + 2 * N_BURSTS_BEFORE * max(tried, default=0)
    return TRIES * sum(tried) + _IDENTICAL * tried[0] + 2 * N_BURSTS * sum(tried[-MOST_LOOKS:])


def script(
    tried: Sequence[int], designer: Designer, evidence: Evidence, send: Sender, may_spend: Callable[[int], bool]
) -> _Ask:
    """Send bursts that grow until different queries queue, then identical ones and twins of that size."""
    n_looks = 0
    for attempt in range(N_ALONE if evidence.twins and may_spend(N_ALONE) else 0):
        yield from send(designer.sizing(1, attempt))
    for size in tried if _alone_s(evidence) else ():
        if not may_spend((TRIES + _IDENTICAL + 2 * N_BURSTS) * size):
            return
        yield from _try(size, designer, evidence, send, is_first=size == tried[0])
        if evidence.burst_refused or proof(evidence):
            return
        if not queues(evidence, evidence.sizing[size]):
            continue
        for steps in designer.bursts(size, apart=True):
            yield from send(steps, at_once=True)
            if evidence.burst_refused or is_clear(evidence) or proof(evidence):
                break
        n_looks += 1
        if evidence.burst_refused or _is_found(evidence) or would_show(evidence) or n_looks == MOST_LOOKS:
            return


def _try(size: int, designer: Designer, evidence: Evidence, send: Sender, *, is_first: bool) -> _Ask:
    """Send different queries at once, to see whether they queue, and first of all identical ones, for their ids."""
    sent = [designer.sizing(size, attempt) for attempt in range(TRIES)]
    sent += [designer.identical(size, attempt) for attempt in range(_IDENTICAL if is_first else 0)]
    for steps in sent:
        yield from send(steps, at_once=True)
        if evidence.burst_refused:
            return


def script_of_before(
    tried: Sequence[int], designer: Designer, evidence: Evidence, send: Sender, may_spend: Callable[[int], bool]
) -> _Ask:
    """Send bursts as they were planned when two tries, and the benchmark's concurrency, set their size."""
    alone_s = _alone_s(evidence)
    for size in tried if alone_s else ():
        if not may_spend((_TRIES_OF_BEFORE + 2 * N_BURSTS_BEFORE) * size):
            return
        for attempt in range(_TRIES_OF_BEFORE):
            yield from send(designer.sizing(size, attempt), at_once=True)
        sent = evidence.sizing.get(size, [])
        if sent and min(map(makespan_s, sent)) >= _QUEUES * alone_s:
            break
    else:
        return
    for steps in designer.bursts(size):
        yield from send(steps, at_once=True)
        if is_clear(evidence):
            return


def is_clear(evidence: Evidence) -> bool:
    """Whether the bursts so far are so alike that coalescing, a matter of 1.7 times by their size, is not there."""
    sent = [len(evidence.bursts.get(kind, ())) for kind in ("same", "twins")]
    enough = min(sent) >= (_FEW_BURSTS if evidence.by_mean else _FEW_BEFORE)
    contrast = contrasts.coalescing(evidence) if enough else None
    if contrast is None or reaches_floors(contrast):
        return False
    return not evidence.by_mean or bool(excluded(evidence))


def alpha(evidence: Evidence) -> float:
    """Return the limit of one look at the bursts: as many as there may be share the error; before, there was one."""
    return BURST_ALPHA / (MOST_LOOKS if evidence.by_mean else 1)


def _is_found(evidence: Evidence) -> bool:
    contrast = contrasts.coalescing(evidence)
    by_time = contrast is not None and contrast.p <= alpha(evidence) and reaches_floors(contrast)
    return by_time or bool(proof(evidence))


def proof(evidence: Evidence) -> str:
    """Return that identical queries at once come back under one id that is drawn anew for each reply, "" if not so.

    Ids that an endpoint draws from few numbers, or from the clock, stand on different queries at once as well. Those
    that it draws from the request, or from it and the second, stand on repeats that are sent one after another within
    a second; where there are too few of these to tell, identical queries must surely be faster, too.
    """
    same, twins = (evidence.bursts.get(kind, ()) for kind in ("same", "twins"))
    alike, different = (
        [*evidence.identical, *same],
        [*twins, *(one for sent in evidence.sizing.values() for one in sent)],
    )
    n_shared = sum(map(_has_one_id, alike))
    if not evidence.by_mean or n_shared < _IDENTICAL or 2 * n_shared <= len(alike):
        return ""
    if not different or any(len(set(ids)) < len(ids) for ids in map(_ids, different)):
        return ""
    by_clock = _chance_of_a_clock(evidence.groups[MADE_UP])
    if by_clock is None or (by_clock > ALPHA and not _gains(evidence)):
        return ""
    return f"in {n_shared} of {len(alike)} bursts identical queries came back under one id"


def _gains(evidence: Evidence) -> bool:
    """Whether identical queries at once are surely faster."""
    contrast = contrasts.coalescing(evidence)
    return contrast is not None and contrast.p <= ALPHA and reaches_floors(contrast) and contrast.effect.factor > 1


def _ids(burst: Sequence[QueryRecord]) -> list[str]:
    return [record.reply_id for record in burst if record.reply_id]


def _has_one_id(burst: Sequence[QueryRecord]) -> bool:
    ids = _ids(burst)
    return bool(ids) and max(Counter(ids).values()) >= _MOST_OF_THEM * len(burst)


def _chance_of_a_clock(blocks: Sequence[Block]) -> float | None:
    """Return how likely no repeat has its prime's id where ids are made from the request and the second.

    None where ids are not drawn for each reply: one stands on different requests, or on a repeat and its prime.
    """
    if shared_ids(blocks):
        return None
    chance = 1.0
    for block in blocks:
        first = {record.request: record for record in block["prime"]}
        for again in block["R"]:
            prime = first[again.request]
            if not again.reply_id or again.reply_id == prime.reply_id:
                return None
            apart_ns = max(again.issued_ns - prime.issued_ns, again.completed_ns - prime.completed_ns)
            chance *= min(1.0, apart_ns / 1e9)
    return chance


def excluded(evidence: Evidence) -> dict[Kind, Excluded]:
    """Return that identical queries at once are faster, if the data exclude it."""
    if not all(evidence.bursts.get(kind) for kind in ("same", "twins")):
        return {}
    same, twins = (np.log([list(map(evidence.burst_s, evidence.bursts[kind]))]) for kind in ("same", "twins"))
    if excluded_p(same, twins, _TIMES, 1.0) > _ERROR:
        return {}
    return {"coalescing": Excluded(_TIMES, 1.0, "identical queries at once")}


def would_show(evidence: Evidence) -> bool:
    """Whether twins at once had to queue, so that identical queries that are computed once would have been faster.

    And whether the data exclude that they were, which a record of before need not.
    """
    queued = queues(evidence, evidence.bursts.get("twins", ()))
    return queued and (not evidence.by_mean or bool(excluded(evidence)))


def queues(evidence: Evidence, bursts: Sequence[Sequence[QueryRecord]]) -> bool:
    """Whether different queries at once took so much longer than one alone that some had to wait at the server."""
    if not bursts or not (alone_s := _alone_s(evidence)):
        return False
    client_s = _CLIENT_S * len(bursts[0]) if evidence.by_mean else 0.0
    return median(map(evidence.burst_s, bursts)) >= _QUEUES * alone_s + client_s


def _alone_s(evidence: Evidence) -> float:
    """Return the latency of one query that no cache knows, 0 where none was sent."""
    arms = ("S", "P", "N") if evidence.by_mean else ("S",)
    blocks = evidence.groups[MADE_UP]
    sent = [record for block in blocks for arm in arms for record in block.get(arm, ())]
    alone = sorted(map(total_s, [one for (one,) in evidence.sizing.get(1, ())] if evidence.twins else sent))
    return alone[len(alone) // 2] if alone else 0.0
