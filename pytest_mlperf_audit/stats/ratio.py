"""A 95 % interval for the ratio of two phases' long-run throughputs, from when queries were issued and completed.

What is estimated. A phase's queries per second depend on its ends too: lanes drain one by one before the last
completion. The interval is for the ratio of the rates that would be seen if both phases went on, without those ends.
Little's law gives such a rate as lanes / mean service time, where a *lane* is one query in service, and a *service
time* runs from the moment a lane is free to the completion or failure (so it holds the client's gaps too).

Service times. With L lanes served in order of issue, query k starts when the (k - L)th completion frees a lane, so L
and the phase's times give every service time, those of the drain included, as independent draws. L is the number of
lanes that makes them likeliest under a lognormal law, at most the queries in flight; fewer lanes mean that queries
queued at the server, and latencies were waiting times.

The interval. On the log scale, the jackknife variance of each log mean service time, Student's t with Welch's degrees
of freedom (Welch 1947), and the variance's next order, since a log mean spreads more than its first-order term says.
`tests/benchmarks/ratio_coverage.py` measures what it covers: 93 to 97 % in every cell of 20 to 500 queries, 1 to 72 in
flight and CV 2 % to 100 %, for lognormal service times. These are taken as independent: where they plainly are not,
there is no interval, but a weak drift makes it too narrow unseen.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, exp, log, sqrt
from statistics import NormalDist

import msgspec
import numpy as np
from numpy.typing import NDArray

_CONFIDENCE = 0.95

#: Below this many completed queries in a phase there is no interval.
_FEWEST_QUERIES = 20

#: A phase of fewer queries than this times its lanes is mostly ends; there is no interval.
_QUERIES_PER_LANE = 4

#: Sample CV of service times above which there is no interval; with a true CV of 100 %, one phase in 200 to 300
#: exceeds it.
_WIDEST_CV = 2.0

#: The same when all queries are issued at once: a wider spread cannot be told from queries served out of order.
_WIDEST_CV_AT_ONCE = 0.2

#: More queries than this are not worth naming as a cure.
_MOST_QUERIES = 1_000_000

#: Standard errors of neighbours' rank correlation from which service times are not independent; chance 1 in 4,000.
_ALIKE = 3.5

#: Next-order term of the variance of a log mean. A normal law's series has 2.5; 4 was measured to cover skewed laws.
_SECOND_ORDER = 4.0

#: Lanes are counted on the first queries of a phase, which is plenty and keeps a long phase cheap.
_LANES_FROM = 2000

#: Keeps equal service times from an infinite likelihood; a relative spread, below any clock's.
_LEAST_SPREAD = 1e-7


class Completions(msgspec.Struct, frozen=True, eq=False):
    """The queries of one phase, in any order: shape (n,), seconds on the phase's clock.

    Give failed queries too, with when they failed and False in `ok`: they took a lane's time. None: all completed.
    """

    issued_s: NDArray[np.float64]
    completed_s: NDArray[np.float64]
    ok: NDArray[np.bool_] | None = None


class RatioInterval(msgspec.Struct, frozen=True):
    """Bounds on audit over reference long-run throughput; a ratio above 1 means that the audit was faster."""

    low: float
    high: float

    @property
    def middle(self) -> float:
        """The long-run ratio's estimate, which lies midway on the log scale; the ends of short phases are not in it."""
        return sqrt(self.low * self.high)


class NoInterval(msgspec.Struct, frozen=True):
    """Why no interval is given, as a sentence for the reader."""

    reason: str


class _Pace(msgspec.Struct, frozen=True):
    """A phase's time per completed query (1 / long-run rate, seconds), its relative variance, completed queries."""

    n: int
    time_s: float
    variance: float


class _Comparison(msgspec.Struct, frozen=True):
    """The log ratio, its half-width, and what one query in every phase would leave of the variance."""

    log_ratio: float
    half_width: float
    quantile: float
    variance_per_query: float


def ratio_interval(
    reference: Completions, audit: Completions | Sequence[Completions], in_flight: int | None
) -> RatioInterval | NoInterval:
    """Return the 95 % interval of audit over reference throughput; several audit phases are pooled.

    `in_flight` is how many queries were always in flight, None when all were issued at once. Pooled means all their
    queries over all their time.
    """
    compared = _compare(reference, audit, in_flight)
    if isinstance(compared, NoInterval):
        return compared
    centre, half = compared.log_ratio, compared.half_width
    return RatioInterval(low=exp(centre - half), high=exp(centre + half))


def service_times_s(phase: Completions, in_flight: int | None) -> NDArray[np.float64] | None:
    """Return how long each query was in service, in order of issue, (n,); None where no number of lanes fits."""
    if not phase.completed_s.size:
        return None
    order = np.argsort(phase.issued_s, kind="stable")
    issued_s, completed_s = phase.issued_s[order], phase.completed_s[order]
    if (completed_s <= issued_s).any() or isinstance(lanes := _lanes(issued_s, completed_s, in_flight), str):
        return None
    return _service_times_s(issued_s, completed_s, lanes)


def queries_to_decide(
    reference: Completions, audit: Completions | Sequence[Completions], in_flight: int | None, limit: float
) -> int | None:
    """Return about how many queries each phase needs for an interval clear of `limit`, the ratio staying as it is.

    None when there is no interval, when it is clear of `limit` already, or when a million would not do.
    """
    compared = _compare(reference, audit, in_flight)
    if isinstance(compared, NoInterval):
        return None
    distance = abs(compared.log_ratio - log(limit))
    if distance >= compared.half_width:
        return None
    wanted = compared.variance_per_query * compared.quantile**2
    return ceil(wanted / distance**2) if wanted <= _MOST_QUERIES * distance**2 else None


def _compare(
    reference: Completions, audit: Completions | Sequence[Completions], in_flight: int | None
) -> _Comparison | NoInterval:
    audits = [audit] if isinstance(audit, Completions) else list(audit)
    paces: list[_Pace] = []
    for name, phase in [("reference", reference), *(("audit", phase) for phase in audits)]:
        pace = _pace(phase, in_flight)
        if isinstance(pace, str):
            return NoInterval(reason=f"no interval for the ratio: in the {name} phase {pace}")
        paces.append(pace)
    queries = sum(pace.n for pace in paces[1:])
    shares = [1.0, *(pace.n * pace.time_s / _total_s(paces[1:]) for pace in paces[1:])]
    parts = [share**2 * pace.variance for share, pace in zip(shares, paces, strict=True)]
    variance = sum(parts)
    freedom = variance**2 / sum(part**2 / (pace.n - 1) for part, pace in zip(parts, paces, strict=True))
    quantile = _student_quantile(freedom)
    return _Comparison(
        log_ratio=log(paces[0].time_s * queries / _total_s(paces[1:])),
        half_width=quantile * sqrt(variance),
        quantile=quantile,
        variance_per_query=sum(part * pace.n for part, pace in zip(parts, paces, strict=True)),
    )


def _student_quantile(freedom: float) -> float:
    """Return Student's two-sided 95 % quantile, within 2e-5 from 19 on (Abramowitz and Stegun 26.7.5)."""
    z = NormalDist().inv_cdf((1 + _CONFIDENCE) / 2)
    return (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
    )


def _total_s(paces: Sequence[_Pace]) -> float:
    return sum(pace.n * pace.time_s for pace in paces)


def _pace(phase: Completions, in_flight: int | None) -> _Pace | str:
    """Return a phase's pace, or what about the phase forbids an interval."""
    n = phase.completed_s.size if phase.ok is None else int(phase.ok.sum())
    if n < _FEWEST_QUERIES:
        return f"{n} queries completed, and below {_FEWEST_QUERIES} its coverage is not known"
    if in_flight is not None and n < _QUERIES_PER_LANE * in_flight:
        return (
            f"{n} queries completed with {in_flight} in flight, and a steady rate needs "
            f"{_QUERIES_PER_LANE} times as many as are in flight, {_QUERIES_PER_LANE * in_flight}"
        )
    order = np.argsort(phase.issued_s, kind="stable")
    issued_s, completed_s = phase.issued_s[order], phase.completed_s[order]
    if (completed_s <= issued_s).any():
        return "a query completed no later than it was issued, so its clock is not to be trusted"
    lanes = _lanes(issued_s, completed_s, in_flight)
    if isinstance(lanes, str):
        return lanes
    service_s = _service_times_s(issued_s, completed_s, lanes)
    if no_interval := _spread_forbids(service_s, in_flight) or _order_forbids(service_s):
        return no_interval
    counts = np.ones(service_s.size) if phase.ok is None else phase.ok[order].astype(np.float64)
    first_order = _jackknife(service_s, counts)
    return _Pace(
        n=n,
        time_s=float(service_s.sum()) / n / lanes,
        variance=first_order * (1 + _SECOND_ORDER * first_order),
    )


def _spread_forbids(service_s: NDArray[np.float64], in_flight: int | None) -> str | None:
    cv = float(service_s.std(ddof=1) / service_s.mean())
    if in_flight is None and cv > _WIDEST_CV_AT_ONCE:
        return (
            f"all queries were issued at once and service times spread by {cv:.0%}; above {_WIDEST_CV_AT_ONCE:.0%} "
            "that cannot be told from queries served out of order, so run it with a fixed concurrency for an interval"
        )
    if cv > _WIDEST_CV:
        return f"service times spread by {cv:.0%}, and above {_WIDEST_CV:.0%} a few slow queries decide the throughput"
    if cv < _LEAST_SPREAD:
        return "all queries took equally long, so nothing shows how much the ratio moves by chance"
    return None


def _order_forbids(service_s: NDArray[np.float64]) -> str | None:
    """Return a reason when neighbours are alike, by the correlation of their ranks, normal with variance 1 / n."""
    ranks = np.unique(service_s, return_inverse=True)[1] * 1.0
    ranks -= ranks.mean()
    correlation = float(ranks[1:] @ ranks[:-1] / (ranks @ ranks))
    if correlation * sqrt(service_s.size) > _ALIKE:
        return (
            f"the service times of successive queries are alike (rank correlation {correlation:.2f}), as under a drift "
            "or a disturbance, and an interval would be too narrow"
        )
    return None


def _service_times_s(
    issued_s: NDArray[np.float64], completed_s: NDArray[np.float64], lanes: int
) -> NDArray[np.float64]:
    """Return when each query completed less when a lane was free for it; both arrays in order of issue, (n,)."""
    freed_s = np.sort(completed_s)[: completed_s.size - lanes]
    return completed_s - np.concatenate((issued_s[:lanes], freed_s))


def _lanes(issued_s: NDArray[np.float64], completed_s: NDArray[np.float64], in_flight: int | None) -> int | str:
    """Return the number of lanes that makes the service times likeliest, or why none fits."""
    head = max(_LANES_FROM, _QUERIES_PER_LANE * (in_flight or 0))
    issued_s, completed_s = issued_s[:head], completed_s[:head]
    n = completed_s.size
    # A query cannot complete before the lane it needs is free, so overtaking bounds the lanes from below.
    overtaken = np.arange(n) - np.argsort(np.argsort(completed_s, kind="stable"), kind="stable")
    lanes = _likeliest_lanes(issued_s, completed_s, range(int(overtaken.max()) + 1, (in_flight or n // 2) + 1))
    if in_flight is None and (not lanes or n < _QUERIES_PER_LANE * lanes):
        return (
            f"all queries were issued at once, and the server worked on more than one in {_QUERIES_PER_LANE} of them "
            "at a time or not in the order of issue, so no steady rate was seen"
        )
    return lanes or f"more queries were in flight than the {in_flight} asked for"


def _likeliest_lanes(issued_s: NDArray[np.float64], completed_s: NDArray[np.float64], candidates: range) -> int:
    """Return the candidate that makes the service times likeliest, 0 when each gives a negative one."""
    n, unit_s = completed_s.size, float((completed_s - issued_s).mean())
    first = np.log((completed_s - issued_s) / unit_s)
    first_sum, first_squares = np.cumsum(first), np.cumsum(first**2)
    freed_s = np.sort(completed_s)
    likeliest, chosen = -np.inf, 0
    for lanes in candidates:
        rest = (completed_s[lanes:] - freed_s[: n - lanes]) / unit_s
        if rest.min() <= 0.0:
            continue
        logs = np.log(rest, out=rest)
        total = float(first_sum[lanes - 1] + logs.sum())
        spread = float(first_squares[lanes - 1] + logs @ logs) / n - (total / n) ** 2
        likelihood = -total - n / 2 * log(max(spread, _LEAST_SPREAD**2))
        if likelihood >= likeliest:
            likeliest, chosen = likelihood, lanes
    return chosen


def _jackknife(service_s: NDArray[np.float64], counts: NDArray[np.float64]) -> float:
    """Return the delete-one jackknife variance of log(service time per completed query); `counts` is 1 or 0, (n,)."""
    left_out = np.log((service_s.sum() - service_s) / (counts.sum() - counts))
    return float((service_s.size - 1) * left_out.var())
