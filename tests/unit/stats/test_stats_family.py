"""Holm's correction by hand, and by counting false alarms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlperf_audit.stats.ranks import holm


def test_values_worked_out_by_hand():
    """0.01 x 4, 0.02 x 3, then 0.03 x 2 and 0.04 x 1, which cannot fall below those before."""
    adjusted = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.02})
    assert adjusted == pytest.approx({"a": 0.04, "d": 0.06, "c": 0.06, "b": 0.06})


def test_a_second_finding_is_cheaper_than_the_first():
    assert holm({"a": 0.001, "b": 0.006, "c": 0.9}) == pytest.approx({"a": 0.003, "b": 0.012, "c": 0.9})


def test_one_test_needs_no_correction_and_none_gives_none():
    assert holm({"a": 0.03}) == {"a": 0.03}
    assert holm({}) == {}


@given(st.dictionaries(st.text(max_size=3), st.floats(0, 1), max_size=9))
def test_adjusted_values_are_probabilities_no_smaller_and_in_the_same_order(p):
    adjusted = holm(p)
    assert adjusted.keys() == p.keys()
    assert all(p[name] <= adjusted[name] <= 1 for name in p)
    assert sorted(adjusted.values()) == [adjusted[name] for name in sorted(p, key=p.__getitem__)]


@pytest.mark.parametrize("dependent", [False, True])
def test_any_false_alarm_is_as_rare_as_alpha(dependent):
    rng = np.random.default_rng(2)
    alarms = 0
    for _ in range(4000):
        p = np.repeat(rng.random(), 5) if dependent else rng.random(5)
        alarms += min(holm(dict(zip("abcde", p.tolist(), strict=True))).values()) <= 0.05
    assert alarms / 4000 <= 0.05 + 3 * 0.0035
