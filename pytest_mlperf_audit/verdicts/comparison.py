"""A run against an earlier one: what of its speed changed, by how much, and whether more than is allowed.

Three values, as everywhere. A figure fails where its whole interval is slower than allowed. It passes where the figure
is within what is allowed, and its interval excludes that it is slower by 2.5 times as much. Otherwise it is undecided.

All figures of a comparison are one family: with no change, a chance of about 1 % that any of them is called slower or
faster, so far as queries of one run can tell; see `stats.estimates`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, log
from typing import Final, Literal

import msgspec

from ..stats.estimates import Change, Estimate, change

#: The share of comparisons without a change in which some figure is called changed.
FAMILY_ERROR: Final = 0.01
#: How much slower a run may be, where nobody says.
THRESHOLD: Final = 0.10
#: A pass excludes a slow-down of so many times what is allowed: 25 % where 10 % are.
EXCLUDED: Final = 2.5

Metric = Literal["throughput", "latency_p50", "latency_p90", "latency_p99", "ttft_p50", "ttft_p90", "ttft_p99"]

_TITLES: Final[Mapping[Metric, str]] = {
    "throughput": "throughput",
    "latency_p50": "median latency",
    "latency_p90": "90th percentile of latency",
    "latency_p99": "99th percentile of latency",
    "ttft_p50": "median time to first token",
    "ttft_p90": "90th percentile of time to first token",
    "ttft_p99": "99th percentile of time to first token",
}
_MOST_QUERIES = 1_000_000


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of two runs. `before` and `after` are queries a second for throughput, else seconds.

    `slower`, with its interval `slower_low` to `slower_high`, is a share: 0.12 is 12 % slower, -0.05 is 5 % faster. All
    of these are None where a run does not tell. `passed` is None where the figures do not decide.
    """

    metric: Metric
    title: str
    passed: bool | None
    sentence: str
    before: float | None = None
    after: float | None = None
    slower: float | None = None
    slower_low: float | None = None
    slower_high: float | None = None


class TrendPoint(msgspec.Struct, frozen=True, kw_only=True):
    """A run of a history: when it ended, and its queries a second, None where nothing was."""

    finished_at: str
    rate: float | None


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """A run against an earlier one, or several. `phase` is what was compared: test04 reference.

    `status` is the worst of its figures': FAIL, NO_VERDICT where one is undecided, PASS. `threshold` is how much slower
    a run may be, as a share. `notes` say what a reader must know.
    `trend` are the last runs of a history and this one, where a history was compared with.
    """

    status: Literal["PASS", "FAIL", "NO_VERDICT"]
    against: str
    phase: str
    threshold: float
    figures: tuple[Compared, ...]
    notes: tuple[str, ...] = ()
    trend: tuple[TrendPoint, ...] = ()


def metrics_of(*, n: int, paced: bool, at_once: bool, streamed: bool) -> tuple[Metric, ...]:
    """Return the figures that runs of `n` queries are compared by.

    A paced load has the throughput that it was asked for. Where all is sent at once, latencies are times of waiting,
    which throughput tells already. A percentile needs some queries beyond it.
    """
    shares = [name for name, least in (("p50", 24), ("p90", 200), ("p99", 2000)) if n >= least]
    timed = (
        [] if at_once else [f"{of}_{share}" for of in ("latency", *(["ttft"] if streamed else [])) for share in shares]
    )
    return tuple(metric for metric in _TITLES if metric in timed or (metric == "throughput" and not paced))


def confidence_of(metrics: Sequence[str]) -> float:
    """Return the confidence of each figure's interval, so that all together hold FAMILY_ERROR."""
    return 1 - FAMILY_ERROR / max(1, len(metrics))


def compared(metric: Metric, before: Estimate | None, after: Estimate | None, threshold: float) -> Compared:
    """Return what became of one figure; throughput is given as seconds per query."""
    title = _TITLES[metric]
    if before is None or after is None:
        which = "the earlier run" if before is None else "this run"
        why = f"{title}: undecided: {which} has too few completed queries; ask for more samples"
        return Compared(metric=metric, title=title, passed=None, sentence=why)
    found = change(before, after)
    scale = _rate_loss if metric == "throughput" else _time_gain
    slower, low, high = scale(found.factor), scale(found.low), scale(found.high)
    passed = decided(slower, low, high, threshold)
    values = (1 / before.value, 1 / after.value) if metric == "throughput" else (before.value, after.value)
    sentence = f"{title}: {_words(slower, low, high)}: {_shown(metric, *values)}"
    if passed is None:
        sentence = f"{title}: undecided: {_words(slower, low, high)}: {_shown(metric, *values)}"
        cure = _cure(metric, found, after.n, threshold)
        sentence += f"; {threshold:.0%} are allowed{cure}"
    elif passed:
        sentence += f"; slower by more than {_percent(max(high, 0.0))} % is excluded" if low <= 0 <= high else ""
    else:
        sentence += f"; more than the {threshold:.0%} that are allowed"
    return Compared(
        metric=metric,
        title=title,
        passed=passed,
        sentence=sentence,
        before=values[0],
        after=values[1],
        slower=slower,
        slower_low=low,
        slower_high=high,
    )


def decided(slower: float, low: float, high: float, threshold: float) -> bool | None:
    """Return whether a figure passes by its change, with its interval; None where that does not tell; shares."""
    if low > threshold:
        return False
    return True if slower <= threshold and high <= EXCLUDED * threshold else None


def status_of(figures: tuple[Compared, ...]) -> Literal["PASS", "FAIL", "NO_VERDICT"]:
    """Return the worst of the figures' states."""
    passed = [figure.passed for figure in figures]
    return "FAIL" if False in passed else "NO_VERDICT" if None in passed or not passed else "PASS"


def _time_gain(factor: float) -> float:
    return factor - 1


def _rate_loss(factor: float) -> float:
    """Return by what share a rate fell when the time per query grew by a factor."""
    return 1 - 1 / factor


def _words(slower: float, low: float, high: float) -> str:
    if low > 0:
        return f"slower by {_percent(slower)} % ({_percent(low)} to {_percent(high)})"
    if high < 0:
        return f"faster by {_percent(-slower)} % ({_percent(-high)} to {_percent(-low)})"
    return f"no change shown, from {_percent(-low)} % faster to {_percent(high)} % slower"


def _percent(share: float) -> str:
    return f"{share * 100:.2g}" if abs(share) < 0.1 else f"{share * 100:.0f}"


def _shown(metric: Metric, before: float, after: float) -> str:
    if metric == "throughput":
        return f"{before:.4g} before, {after:.4g} queries/s now"
    return f"{before * 1000:.4g} ms before, {after * 1000:.4g} ms now"


def _cure(metric: Metric, found: Change, n: int, threshold: float) -> str:
    """Return what would decide, so far as that can be said."""
    scale = _rate_loss if metric == "throughput" else _time_gain
    loose = f"allow {max(ceil(scale(found.high) / EXCLUDED * 100), ceil(scale(found.factor) * 100))} % by "
    loose += "--mlperf-compare-threshold"
    slower = scale(found.factor)
    bound = threshold if slower > threshold else min(EXCLUDED * threshold, 0.9)
    distance = abs(log(1 / (1 - bound) if metric == "throughput" else 1 + bound) - log(found.factor))
    half = max(log(found.high / found.factor), log(found.factor / found.low))
    if half**2 * n > _MOST_QUERIES * distance**2:
        return f"; {loose}"
    return f"; about {ceil(1.2 * n * (half / distance) ** 2 / 10) * 10} queries in both runs would decide, or {loose}"
