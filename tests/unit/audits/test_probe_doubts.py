"""Comparisons that are suspicious and not proven leave the probe undecided, where their kind is forbidden."""

from __future__ import annotations

import pytest

from pytest_mlperf_audit.audits.probe.judges.doubts import SUSPECT_P, doubt_of
from pytest_mlperf_audit.audits.probe.judges.judgement import Judged
from pytest_mlperf_audit.audits.probe.seen.contrast import Contrast
from pytest_mlperf_audit.audits.probe.seen.contrasts import URLS
from pytest_mlperf_audit.audits.probe.settings import KINDS, URLS_ALPHAS
from pytest_mlperf_audit.stats.ranks import Effect


def urls(p: float, factor: float = 3.0) -> Judged:
    effect = Effect(factor=factor, low=1.0, high=9.0)
    contrast = Contrast(
        kind="url_keyed", of=URLS, p=p, least_p=1e-4, estimate=lambda: effect, fast_s=0.1, slow_s=0.1 * factor, n=16
    )
    return Judged(contrast, p, found=False)


@pytest.mark.parametrize(("p", "doubted"), [(SUSPECT_P, True), (SUSPECT_P * 1.01, False), (URLS_ALPHAS[0] * 2, True)])
def test_changed_urls_that_are_slower_by_a_suspicious_chance_leave_a_doubt(p, doubted):
    assert bool(doubt_of([urls(p)], "", KINDS, last=True)) == doubted


def test_a_difference_below_the_floor_or_a_kind_that_is_allowed_leaves_none():
    assert doubt_of([urls(0.001, factor=1.05)], "", KINDS, last=True) == ""
    assert doubt_of([urls(0.001)], "", [kind for kind in KINDS if kind != "url_keyed"], last=True) == ""
