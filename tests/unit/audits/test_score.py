from __future__ import annotations

from math import inf, nan, nextafter

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pytest_mlperf_audit.audits.published.score import speed_up, tolerance, within

SCORES = st.floats(1e-6, 1e12)


@pytest.mark.parametrize(
    ("scenario", "score", "expected"),
    [
        ("Offline", 1.0, 0.10),
        ("Server", 1.0, 0.10),
        ("SingleStream", 200_000, 0.20),
        ("SingleStream", 200_001, 0.10),
        ("MultiStream", 1_600_000, 0.20),
        ("MultiStream", 1_600_001, 0.10),
        ("SingleStream", nan, 0.10),
        ("ConstantStream", 1.0, 0.10),
    ],
)
def test_the_tolerance_of_upstream(scenario: str, score: float, expected: float) -> None:
    assert tolerance(scenario, score) == expected


@pytest.mark.parametrize(
    ("reference", "audit", "passed"),
    [(10.0, nextafter(11.0, 0), True), (10.0, 11.0, False), (64.0, 70.4, False), (100.0, 1.0, True)],
)
def test_a_run_exactly_at_the_limit_is_too_fast(reference: float, audit: float, passed: bool) -> None:
    check = speed_up(reference, audit, 0.10)
    assert (check.name, check.passed, check.limit) == ("throughput_ratio", passed, 1.1)
    assert check.observed == audit / reference
    assert ("not below" in check.reason) != passed


@given(SCORES, SCORES, st.floats(0.01, 0.99))
def test_speed_up_is_the_rule(reference: float, audit: float, tolerated: float) -> None:
    rule = reference * (1 + tolerated)
    assume(abs(audit - rule) > 1e-9 * rule)
    assert speed_up(reference, audit, tolerated).passed == (audit < rule)


@pytest.mark.parametrize(
    ("reference", "audit", "passed"),
    [(100.0, 90.0, True), (100.0, nextafter(90.0, 0), False), (100.0, 110.00000000000001, True), (100.0, 110.1, False)],
)
def test_within_takes_both_limits(reference: float, audit: float, passed: bool) -> None:
    check = within(reference, audit, 0.10, name="score", unit="ns")
    assert (check.name, check.passed) == ("score", passed)
    assert check.limit == (1.1 if audit > reference else 0.9)
    assert "ns" in check.reason


@given(SCORES, SCORES, st.sampled_from([0.1, 0.2]))
def test_within_is_the_rule(reference: float, audit: float, tolerated: float) -> None:
    expected = reference * (1 - tolerated) <= audit <= reference * (1 + tolerated)
    assert within(reference, audit, tolerated, unit="ns").passed == expected


@pytest.mark.parametrize("odd", [0.0, -1.0, inf, nan])
@pytest.mark.parametrize("run", ["reference", "audit"])
def test_what_is_no_score_decides_nothing(odd: float, run: str) -> None:
    scores = (odd, 5.0) if run == "reference" else (5.0, odd)
    for check in (speed_up(*scores, 0.10), within(*scores, 0.10, unit="ns")):
        assert (check.passed, check.observed) == (None, None)
        assert f"the score of the {run} run is {odd:g}" in check.reason
