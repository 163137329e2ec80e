"""Queries that a rate limit or an expired key refused: never completions, and never a FAIL of the system."""

from __future__ import annotations

import pytest

from pytest_mlperf_audit.audits.completion import completion, duration, unless_turned_away
from pytest_mlperf_audit.audits.main_run import Performance, PerformanceBlock
from pytest_mlperf_audit.audits.test04.live import Test04
from pytest_mlperf_audit.audits.verdict import Check


def of_test04(cfg, phase, reference=None, caching=None):
    runs = {
        "reference": phase("reference", n=cfg.samples, **(reference or {})),
        "output_caching": phase("output_caching", n=cfg.n_repeats, row=0, **(caching or {})),
    }
    return {check.name: check.passed for check in Test04().verify(cfg, runs).checks}


def refused(n, status=429, **keys):
    return {"failed": n, "outcome": f"http_{status}", **keys}


def test_what_a_proxy_refuses_or_ends_is_turned_away(phase):
    check = completion(phase("p", **refused(3, outcome="proxy", detail="it said 407")), 1.0, name="completion")
    assert check.passed is None
    assert check.reason.endswith(
        "proxy (it said 407); see the proxy's log, or audit from where the endpoint can be reached directly"
    )


@pytest.mark.parametrize("status", [401, 402, 403, 407, 429])
def test_completion_that_fails_by_them_alone_is_undecided_with_words_and_cure(phase, status):
    check = completion(phase("p", **refused(3, status, detail="quota is over")), 1.0, name="completion")
    assert (check.passed, check.observed, check.limit) == (None, 17, 20)
    assert check.reason.startswith(
        f"17 of 20 queries completed, at least 20 needed; failed: 3 http_{status}; "
        f"a refusal says nothing of the system: http_{status} (quota is over); "
    )


@pytest.mark.parametrize("status", [400, 404, 408, 422, 500, 502, 503])
def test_a_system_that_fails_under_load_fails(phase, status):
    assert completion(phase("p", **refused(3, status)), 0.9, name="completion").passed is False


def test_completion_that_would_have_failed_without_them_fails(phase):
    """Five of twenty were never sent; the two that were turned away do not excuse them."""
    assert completion(phase("p", issued=15, **refused(2)), 0.9, name="completion").passed is False
    assert completion(phase("p", issued=18, **refused(2)), 0.9, name="completion").passed is None


def test_enough_completions_are_enough(phase):
    assert completion(phase("p", **refused(2)), 0.9, name="completion").passed is True


def test_a_floor_that_was_not_reached_is_undecided(phase):
    assert duration(phase("p", floor_ms=11_000, **refused(1)), name="duration").passed is None
    assert duration(phase("p", floor_ms=11_000), name="duration").passed is False


def test_only_a_failure_is_taken_back(phase):
    good = Check(name="score", passed=True, observed=1, limit=1, reason="fine")
    bad = Check(name="score", passed=False, observed=0, limit=1, reason="wrong")
    assert unless_turned_away(good, phase("p", **refused(1))) == good
    assert unless_turned_away(bad, phase("p", **refused(1, 500))) == bad
    taken = unless_turned_away(bad, phase("p"), phase("q", **refused(2)))
    assert taken.passed is None
    assert taken.reason.startswith("wrong; undecided, for 2 queries were refused")


def test_the_main_run(phase):
    found = Performance().verify(PerformanceBlock(), {"performance": phase("performance", **refused(4))})
    assert [(check.name, check.passed) for check in found.checks] == [("completion", None), ("count", True)]
    assert not found.passed


@pytest.mark.parametrize("window_s", [1.0, 10.0, 100.0])
@pytest.mark.parametrize("broken", ["reference", "caching"])
def test_no_ratio_rests_on_a_phase_that_lacks_them(block, phase, broken, window_s):
    keys = {"reference": {}, "caching": {"window_s": window_s}}
    keys[broken] = {**keys[broken], **refused(5, 401)}
    checks = of_test04(block(), phase, **keys)
    assert checks["throughput_ratio"] is None
    assert False not in checks.values()


def test_no_ratio_without_a_completion_at_all(block, phase):
    assert of_test04(block(), phase, caching=refused(20))["throughput_ratio"] is None


@pytest.mark.parametrize(
    ("reference", "caching", "passed"),  # None: in doubt by what was refused; False: for blocks to decide
    [
        (refused(1), {}, True),
        (refused(1), {"window_s": 5.0}, False),  # twice as fast whatever the one had taken
        ({}, refused(2, window_s=9.0), None),  # 18 in 9 s against 2 /s; all 20 would be 1.11 times as fast
        (refused(1), {"window_s": 9.2}, None),  # 20 in 9.2 s against 1.9 /s: 1.14 times as fast, and 1.09 with all
        (refused(1, 500), {"window_s": 9.2}, False),
    ],
)
def test_a_few_leave_the_ratio_where_they_could_not_move_it(block, phase, reference, caching, passed):
    runs = {
        "reference": phase("reference", **(reference or {})),
        "output_caching": phase("output_caching", row=0, **(caching or {})),
    }
    check = Test04().verify(block(), runs).check("throughput_ratio")
    assert check.passed is (True if passed else None)
    if not passed:
        assert ("no blocks were sent" if passed is False else "were refused") in check.reason
