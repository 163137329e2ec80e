"""TEST06 on published results: our verdict is upstream's, or one of its known defects is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytest_mlperf_audit.audits.published.case import AuditDirectory, outcome
from pytest_mlperf_audit.audits.published.tree import find_audits
from pytest_mlperf_audit.audits.test06 import published as test06


def _cases(published: Path, expected: list[dict[str, Any]]) -> list[tuple[AuditDirectory, dict[str, Any]]]:
    by_path = {row["path"]: row for row in expected if row["test"] == "TEST06"}
    found = [audit for audit in find_audits(published) if audit.test == "test06"]
    assert len(found) == len(by_path) == 24
    return [(audit, by_path[audit.path.relative_to(published).as_posix()]) for audit in found]


def test_every_verdict_is_upstreams_or_the_defect_is_named(published: Path, expected: list[dict[str, Any]]) -> None:
    for audit, row in _cases(published, expected):
        came = outcome(audit, test06.verify(audit))
        assert [said.verdict for said in came.upstream] == [row["upstream_now"]["verdict"]], audit.case
        assert came.recorded == row["recorded"]["verdict"]
        if "empty_accuracy_log_vacuous_pass" in row["quirks"]:
            assert came.status == "FAIL"
            assert [difference.defect for difference in came.differences] == ["empty_log_passes"]
        else:
            assert (came.status, came.differences) == (row["upstream_now"]["verdict"], ()), came.reason


def test_the_first_token_is_checked_unless_offline(published: Path, expected: list[dict[str, Any]]) -> None:
    for audit, _ in _cases(published, expected):
        names = [check.name for check in test06.verify(audit).checks]
        assert ("first_token" in names) == (audit.scenario.lower() != "offline"), audit.case


def test_figures_are_those_of_the_log(published: Path, expected: list[dict[str, Any]]) -> None:
    for audit, row in _cases(published, expected):
        figures, facts = test06.verify(audit).figures, row["facts"]
        assert figures["samples"] == facts["samples"]
        assert figures["token_dtype"] == "int32"
        if facts["samples"]:
            mean = figures["mean_output_tokens"]
            assert isinstance(mean, float)
            assert round(mean, 2) == float(row["test09_statistics_of_same_log"]["mean_2f"])
        else:
            assert figures["mean_output_tokens"] is None
