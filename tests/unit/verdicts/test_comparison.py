"""What a change between two runs comes to: pass, fail or undecided; noise is not called a change."""

from __future__ import annotations

import pytest

from pytest_mlperf_audit.stats.estimates import Estimate
from pytest_mlperf_audit.verdicts.comparison import compared, metrics_of, status_of
from tests.benchmarks.simulate_compare import Cell, pair


def _estimate(value: float, half: float = 0.01) -> Estimate:
    return Estimate(value=value, low=value / (1 + half), high=value * (1 + half), n=250)


@pytest.mark.parametrize(
    ("after", "half", "passed", "words"),
    [
        (1.00, 0.01, True, "no change shown, from 1.4 % faster to 1.4 % slower"),
        (1.12, 0.01, None, "slower by 12 % (10 to 14)"),  # the interval begins below 10.5
        (1.15, 0.01, False, "slower by 15 % (13 to 17)"),
        (0.80, 0.01, True, "faster by 20 % (19 to 21)"),
        (1.05, 0.01, True, "slower by 5 % (3.5 to 6.5)"),
        (1.00, 0.40, None, "no change shown"),
    ],
)
def test_three_values(after: float, half: float, passed: bool | None, words: str):
    found = compared("latency_p50", _estimate(1.0, half), _estimate(after, half), 0.105)
    assert found.passed is passed
    assert words in found.sentence


def test_throughput_is_told_in_queries_a_second():
    found = compared("throughput", _estimate(0.10), _estimate(0.125), 0.10)
    assert found.passed is False
    assert found.slower == pytest.approx(0.2)
    assert "10 before, 8 queries/s now" in found.sentence


def test_an_undecided_figure_says_what_would_decide():
    found = compared("latency_p50", _estimate(1.0, 0.2), _estimate(1.0, 0.2), 0.10)
    assert found.passed is None
    assert "queries in both runs would decide, or allow 12 % by --mlperf-compare-threshold" in found.sentence


def test_a_run_that_tells_nothing_is_undecided():
    found = compared("latency_p50", None, _estimate(1.0), 0.10)
    assert found.passed is None
    assert "the earlier run has too few completed queries" in found.sentence


def test_the_worst_figure_decides():
    good, open_, bad = (
        compared("latency_p50", _estimate(1.0, half), _estimate(after, half), 0.10)
        for after, half in ((1.0, 0.01), (1.0, 0.4), (2.0, 0.01))
    )
    assert status_of((good,)) == "PASS"
    assert status_of((good, open_)) == "NO_VERDICT"
    assert status_of((good, open_, bad)) == "FAIL"
    assert status_of(()) == "NO_VERDICT"


def test_a_load_says_which_figures_mean_something():
    assert metrics_of(n=64, paced=False, at_once=True, streamed=True) == ("throughput",)
    assert metrics_of(n=64, paced=True, at_once=False, streamed=False) == ("latency_p50",)
    assert metrics_of(n=250, paced=False, at_once=False, streamed=True) == (
        "throughput",
        "latency_p50",
        "latency_p90",
        "ttft_p50",
        "ttft_p90",
    )


def test_noise_is_not_called_a_change():
    came = [pair(Cell(250, 8, 0.3), seed) for seed in range(200)]
    assert sum(called for called, _, _ in came) <= 2
    assert not any(failed for _, failed, _ in came)


def test_15_percent_slower_is_found():
    came = [pair(Cell(250, 8, 0.1, slower=0.15), seed) for seed in range(200)]
    assert sum(called for called, _, _ in came) >= 198
