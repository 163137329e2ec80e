from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlperf_audit.audits.scored import SampleCount
from pytest_mlperf_audit.audits.test09 import mean_check, mean_within
from pytest_mlperf_audit.audits.verdict import Check


def counted(indices: list[int | None], expected: int, *, unique: bool = True) -> Check:
    seen = SampleCount()
    for index in indices:
        seen.add(index)
    return seen.check(expected, unique=unique)


@given(st.permutations(range(20)))
def test_every_sample_once_passes_in_any_order(order: list[int]) -> None:
    assert counted(list(order), 20).passed is True


@given(st.permutations(range(20)), st.integers(0, 19))
def test_one_missing_or_doubled_sample_fails(order: list[int], at: int) -> None:
    missing = [*order[:at], *order[at + 1 :]]
    assert counted(list(missing), 20).passed is False
    assert counted([*order, order[at]], 20).passed is False
    assert counted([*missing, missing[0]], 20).passed is False


def test_one_sample_too_many_fails() -> None:
    assert counted(list(range(21)), 20).passed is False


def test_samples_may_repeat_where_loadgen_may_repeat_them() -> None:
    assert counted([1] * 20, 20, unique=False).passed is True
    assert counted([1] * 19, 20, unique=False).passed is False


def test_an_entry_that_names_no_sample_is_in_doubt() -> None:
    assert counted([*range(19), None], 20).passed is None


@pytest.mark.parametrize(
    ("n_tokens", "passed", "limit"),
    [(1000, True, 110.0), (900, True, 110.0), (1100, True, 110.0), (899, False, 90.0), (1101, False, 110.0)],
)
def test_the_mean_may_reach_either_bound(n_tokens: int, passed: bool, limit: float) -> None:
    check = mean_within(n_tokens, 10, 90.0, 110.0)
    assert (check.passed, check.observed, check.limit) == (passed, n_tokens / 10, limit)


def test_no_output_has_no_mean() -> None:
    assert mean_within(0, 0, 90.0, 110.0).passed is None


def test_a_recorded_mean_is_judged_by_the_same_bounds() -> None:
    assert mean_check(1278.2, 6396, 1150.38, 1406.02).passed is True
    assert mean_check(1406.03, 6396, 1150.38, 1406.02).passed is False
