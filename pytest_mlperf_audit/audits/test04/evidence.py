"""Evidence beside TEST04's rule: how sure the ratio is, and what else could have moved it. It decides nothing.

MLPerf's rule is a point: audit throughput below reference x (1 + tolerance). Noise, a warm-up, a drift, or a repeated
row that happens to be cheap move the point, so a reader is told how far the data pin it down, and by what else a
difference may have come.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from ...runs.cache_headers import says_hit
from ...runs.order import Single
from ...runs.phase import MeasuredPhase
from ...stats.percentiles import P90_FLOOR
from ...stats.ranks import stratified_u
from ...stats.ratio import Completions, NoInterval, RatioInterval, queries_to_decide, ratio_interval
from ..disturbed import always_in_flight
from ..verdict import BlocksRatio, Evidence, LimitOf, Ratio
from .reference import kind_of

Floats = NDArray[np.float64]
Phases = Mapping[str, MeasuredPhase]

#: Below this a phase is over before a busy machine's hiccups average out.
_SHORT_WINDOW_S: Final = 0.5
#: A trend or a difference is named when it is as sure as this and as large.
_SURE: Final = 0.01
_LARGE: Final = 1.05
#: The first queries in flight take this many times as long as later ones: a warm-up.
_WARM_UP: Final = 1.25
#: A repeated row whose own cost differs from the others' by this factor moves the ratio by itself.
_CHEAP: Final = 1.10
_WIDE_CV: Final = 0.3
#: Means that either end of a phase is split into to be compared for a drift: plenty for an exact test.
_BLOCKS: Final = 24
#: A phase of more queries is not read from disk once more for its ids.
_MOST_READ: Final = 100_000
#: A phase of fewer queries than this times those in flight is mostly ends.
_QUERIES_PER_LANE: Final = 4
#: Of fewer rows no median is worth comparing with.
_FEW_ROWS: Final = 10


def ratio(
    reference: MeasuredPhase,
    runs: list[MeasuredPhase],
    limit: float,
    limit_of: LimitOf,
    *,
    check: str | None = None,
    row: int | None = None,
    pace: float | None = None,
    blocks: BlocksRatio | None = None,
) -> Ratio | None:
    """Return the ratio of `runs` taken together, with its interval; None where a phase completed no query.

    Where `blocks` decide, their interval is the one that counts.
    """
    value = _pooled(reference, runs)
    if value is None:
        return None
    before, after, in_flight = _completions(reference), [_completions(run) for run in runs], always_in_flight(reference)
    found = Ratio(
        value=value,
        limit=limit,
        limit_of=limit_of,
        check=check,
        row=row,
        n_repeats=sum(run.figures.n_completed for run in runs),
        n_distinct=reference.figures.n_completed,
        over=kind_of(reference.spec),
        pace=pace,
        blocks=blocks,
    )
    if blocks or (row is not None and kind_of(reference.spec) == "twins"):
        return found  # blocks have their own interval; with twins of several rows, those of others were in flight
    interval = ratio_interval(before, after, in_flight)
    if isinstance(interval, NoInterval):
        return found
    evidence = _evidence(interval, limit)
    return msgspec.structs.replace(
        found,
        low=interval.low,
        high=interval.high,
        long_run=interval.middle,
        evidence=evidence,
        queries_to_decide=queries_to_decide(before, after, in_flight, limit) if evidence == "inconclusive" else None,
    )


def spread(run: MeasuredPhase) -> float | None:
    """Return the coefficient of variation of a phase's latencies, None where nothing completed."""
    return run.figures.latency.cv if run.figures.latency else None


def notes(reference: MeasuredPhase, repeats: Phases) -> tuple[str, ...]:
    """Return what a reader should know of the phases beside their ratio, a sentence each."""
    phases = [reference, *repeats.values()]
    told = [note for run in phases for note in (_cached_tokens(run), _first_queries(run), _drift(run))]
    told += [note for run in phases for note in _from_records(run)]
    for run in repeats.values():
        told += [_no_interval(reference, run), _all_in_flight(run), _own_cost(reference, run)]
    told += [_wide(reference), _short(phases), _few(phases)]
    return tuple(dict.fromkeys(note for note in told if note))


def _evidence(interval: RatioInterval, limit: float) -> Evidence:
    if interval.low >= limit:
        return "over the limit"
    if interval.high >= limit:
        return "inconclusive"
    return "suspicious" if interval.low > 1 else "clean"


def _pooled(reference: MeasuredPhase, runs: list[MeasuredPhase]) -> float | None:
    """Return the throughput of all audit phases, their queries over their time, against the reference's."""
    windows_s = [run.figures.window_s for run in runs]
    before, total_s = reference.figures.qps, sum(filter(None, windows_s))
    if before is None or None in windows_s or not total_s:
        return None
    return sum(run.figures.n_completed for run in runs) / total_s / before


def _completions(run: MeasuredPhase) -> Completions:
    queries = run.queries
    return Completions(queries.issued_ns / 1e9, queries.completed_ns / 1e9, queries.ok)


def _no_interval(reference: MeasuredPhase, run: MeasuredPhase) -> str | None:
    interval = ratio_interval(_completions(reference), _completions(run), always_in_flight(reference))
    return interval.reason if isinstance(interval, NoInterval) else None


def _cached_tokens(run: MeasuredPhase) -> str | None:
    if not run.figures.cached_tokens:
        return None
    return f"{run.label}: the endpoint says it reused {run.figures.cached_tokens} cached prompt tokens"


def _from_records(run: MeasuredPhase) -> list[str]:
    """Return what reply ids and headers tell, for a phase small enough to be read once more."""
    if run.figures.n_issued > _MOST_READ:
        return []
    ids: set[str] = set()
    n_ids = n_hits = 0
    for record in run.read():
        n_hits += says_hit(record.cache_header)
        if record.reply_id:
            n_ids += 1
            ids.add(record.reply_id)
    told = []
    if n_ids > len(ids):
        told.append(
            f"{run.label}: {n_ids - len(ids)} of {n_ids} replies bear the id of an earlier one: they are replays, "
            "unless the endpoint derives ids from the request"
        )
    if n_hits:
        told.append(f"{run.label}: {n_hits} replies say in their headers that they come from a cache")
    return told


def _latencies_in_order_s(run: MeasuredPhase) -> tuple[Floats, int] | None:
    """Return latencies in the order of issue, and how many of them were the first in flight.

    None where everything was issued at once: latencies are waiting times then.
    """
    in_flight = always_in_flight(run)
    if in_flight is None:
        return None
    queries = run.queries
    ok = queries.ok
    issued_ns = queries.issued_ns[ok]
    latencies_s = ((queries.completed_ns[ok] - issued_ns) / 1e9)[np.argsort(issued_ns, kind="stable")]
    return (latencies_s, in_flight) if len(latencies_s) >= _QUERIES_PER_LANE * in_flight else None


def _first_queries(run: MeasuredPhase) -> str | None:
    if (ordered := _latencies_in_order_s(run)) is None:
        return None
    latencies_s, in_flight = ordered
    first, later = latencies_s[:in_flight], latencies_s[in_flight:]
    factor = float(np.median(first) / np.median(later))
    if factor < _WARM_UP or np.median(first) <= np.percentile(later, 95):
        return None
    return (
        f"{run.label}: the first {in_flight} queries took {factor:.3g} times as long as later ones: a warm-up, or a "
        "cache that was being filled"
    )


def _drift(run: MeasuredPhase) -> str | None:
    if (ordered := _latencies_in_order_s(run)) is None:
        return None
    latencies_s, in_flight = ordered
    settled = latencies_s[in_flight:]
    third = len(settled) // 3
    start, end = _block_means(settled[:third]), _block_means(settled[len(settled) - third :])
    factor = float(np.median(end) / np.median(start))
    if max(factor, 1 / factor) < _LARGE or 2 * min(stratified_u(start, end), stratified_u(end, start)) > _SURE:
        return None
    return (
        f"{run.label}: queries at the end took {factor:.3g} times as long as at the start; the endpoint's speed "
        "drifted, which moves the ratio of two phases sent one after the other"
    )


def _block_means(latencies_s: Floats) -> Floats:
    """Return means of consecutive latencies, shape (1, blocks)."""
    blocks = np.array_split(latencies_s, min(_BLOCKS, len(latencies_s)))
    return np.array([[block.mean() for block in blocks]])


def _all_in_flight(run: MeasuredPhase) -> str | None:
    queries = run.queries
    if len(queries) < 2 or not queries.ok.any() or queries.issued_ns.max() >= queries.completed_ns[queries.ok].min():
        return None
    return (
        f"{run.label}: every repeat was in flight before the first reply came, so a cache that is looked up on "
        "arrival could not show in the ratio; the cache probe's repeats come one after another"
    )


def _own_cost(reference: MeasuredPhase, run: MeasuredPhase) -> str | None:
    """Name a repeated row that is cheap, or dear, by itself: as the reference phase has measured it."""
    order = run.spec.order
    of_rows = isinstance(order, Single) and kind_of(reference.spec) == "rows"
    if not isinstance(order, Single) or not of_rows or always_in_flight(reference) is None:
        return None
    queries = reference.queries
    latencies_s = queries.latencies_s()
    of_row = latencies_s[queries.samples[queries.ok] == order.index]
    if not len(of_row) or len(latencies_s) < _FEW_ROWS:
        return None
    relative = float(of_row[0] / np.median(latencies_s))
    low, high = np.percentile(latencies_s, [10, 90])
    if of_row[0] < low and relative < 1 / _CHEAP:
        return (
            f"row {order.index} took only {relative:.2g} times the median in the reference phase, where nothing was "
            "repeated: a part of the ratio may be its own low cost, so repeat another row (sample_index) as well"
        )
    if of_row[0] > high and relative > _CHEAP:
        return (
            f"row {order.index} took {relative:.2g} times the median in the reference phase, where nothing was "
            "repeated: its own cost lowers the ratio, so repeat another row (sample_index) as well"
        )
    return None


def _wide(reference: MeasuredPhase) -> str | None:
    # With everything in flight at once latencies are waiting times, and spread however steady the service is.
    cv = spread(reference)
    if always_in_flight(reference) is None or cv is None or cv <= _WIDE_CV:
        return None
    return (
        f"latencies of the reference phase spread widely (CV {cv:.0%}); the ratio moves by chance the more, the fewer "
        "the samples"
    )


def _short(phases: list[MeasuredPhase]) -> str | None:
    shortest_s = min(run.figures.window_s or 0.0 for run in phases)
    if shortest_s >= _SHORT_WINDOW_S:
        return None
    return (
        f"the shortest phase lasted {shortest_s * 1000:.0f} ms, so a disturbance of a few milliseconds moves the "
        "ratio; raise the number of samples before you rely on it"
    )


def _few(phases: list[MeasuredPhase]) -> str | None:
    fewest = min(run.figures.n_completed for run in phases)
    if always_in_flight(phases[0]) != 1 or fewest >= P90_FLOOR:
        return None
    return (
        f"SingleStream: MLPerf's own scripts compare LoadGen's early-stopping 90th percentile, which needs {P90_FLOOR} "
        f"queries; with {fewest} there is none, and the verdict compares throughput alone"
    )
