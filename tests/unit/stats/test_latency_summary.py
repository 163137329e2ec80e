from __future__ import annotations

import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlperf_audit.stats.percentiles import summarize

latencies = st.lists(st.floats(1e-6, 1e4), min_size=1, max_size=200)


@given(latencies)
def test_it_agrees_with_the_standard_library(values):
    summary = summarize(np.array(values))
    assert summary.n == len(values)
    assert summary.mean_s == pytest.approx(statistics.fmean(values))
    assert (summary.min_s, summary.max_s) == (min(values), max(values))
    assert summary.p50_s == pytest.approx(statistics.median(values))
    if len(values) > 1:
        cuts = statistics.quantiles(values, n=100, method="inclusive")
        assert summary.p90_s == pytest.approx(cuts[89])
        assert summary.p99_s == pytest.approx(cuts[98])
        assert summary.cv == pytest.approx(statistics.stdev(values) / statistics.fmean(values), abs=1e-6)
    else:
        assert summary.cv is None


@given(latencies)
def test_its_percentiles_are_in_order(values):
    summary = summarize(np.array(values))
    ordered = [summary.min_s, summary.p50_s, summary.p90_s, summary.p99_s, summary.max_s]
    assert ordered == sorted(ordered)


def test_latencies_of_zero_have_no_cv():
    assert summarize(np.zeros(3)).cv is None


def test_nothing_can_be_said_of_nothing():
    with pytest.raises(ValueError, match="no latencies"):
        summarize(np.array([]))
