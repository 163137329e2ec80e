"""Every TEST01 of the sample of MLPerf Inference v4.1: its performance part, against what upstream's script says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_mlperf_audit.audits.test01.published import performance
from tests.support.judged import DETAIL, SUMMARY, judged, published_directory


@pytest.fixture(scope="module")
def cases(expected: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = [case for case in expected if case["test"] == "TEST01"]
    assert len(found) == 41
    return found


def test_verdicts_and_scores_are_upstreams(published: Path, cases: list[dict[str, Any]]) -> None:
    for case in cases:
        ours = judged(performance, published_directory(published, case))
        upstream = case["upstream_now"]["performance"]
        if upstream["verdict"] == "MISSING_INPUT":
            assert ours.status == "SKIPPED"
            assert f"{case['reference_dir']}/{DETAIL.as_posix()}" in ours.reason
            continue
        scores = [float(upstream["reference_score"]), float(upstream["test_score"])]
        assert ours.status == upstream["verdict"] == ours.upstream[0].verdict
        assert [ours.figures["reference_score"], ours.figures["audit_score"]] == scores
        assert [ours.upstream[0].reference_score, ours.upstream[0].audit_score] == scores
        assert ours.differences == ()
        assert ours.recorded == f"performance {case['recorded']['performance']}"


def test_a_record_of_another_run_is_noted(published: Path, cases: list[dict[str, Any]]) -> None:
    """Of four that the sample's makers marked, three differ by rounding alone: 2.20 is 2.1963."""
    noted = {
        case["path"]: case["recorded"]["performance_scores"]
        for case in cases
        if any(
            "it was written for another" in note
            for note in judged(performance, published_directory(published, case)).notes
        )
    }
    marked = [case["path"] for case in cases if "recorded_scores_are_of_another_run" in case["quirks"]]
    assert set(noted) <= set(marked)
    assert list(noted.values()) == [["17200.99", "15826.67"]]


def test_without_detail_logs_the_summaries_are_judged(published: Path, cases: list[dict[str, Any]]) -> None:
    """Six digits are printed in both, so verdicts are the same."""
    compared = 0
    for case in cases:
        found = published_directory(published, case)
        if not (found.results / SUMMARY).exists() or case["upstream_now"]["performance"]["verdict"] == "MISSING_INPUT":
            continue
        hidden = [root / DETAIL for root in (found.results, found.path)]
        with_details = judged(performance, found)
        for path in hidden:
            path.rename(path.with_suffix(".hidden"))
        try:
            ours = judged(performance, found)
        finally:
            for path in hidden:
                path.with_suffix(".hidden").rename(path)
        assert ours.status == with_details.status
        assert ours.figures["audit_score"] == pytest.approx(with_details.figures["audit_score"], rel=5e-3)
        assert sum("without a detail log" in note for note in ours.notes) == 2
        assert ours.upstream == ()
        compared += 1
    assert compared >= 30
