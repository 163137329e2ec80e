"""--lf and --sw go on where a run left off; each session sends its phases anew, and an earlier report is kept."""

from __future__ import annotations

import pytest


@pytest.fixture
def failing(start_sut):
    """Answers the reference phase well, and all but the first of the audit phase with errors."""
    return start_sut(fault="500", fault_after=9)


def test_last_failed(audit, failing, sut):
    audit.config(failing, audit={"min_completion": 1.0})
    audit.run().assert_outcomes(passed=4, failed=1)
    audit.config(sut)
    result = audit.run("--lf", "-v")
    result.assert_outcomes(passed=1, deselected=4)
    result.stdout.fnmatch_lines(["*completion[[]output_caching] PASSED*"])
    assert sut.received == 16
    assert audit.verdict()["status"] == "INCOMPLETE"


def test_stepwise(audit, failing, sut):
    audit.config(failing, audit={"min_completion": 1.0})
    audit.run("--sw").assert_outcomes(passed=1, failed=1)
    assert audit.verdict()["status"] == "FAIL"
    audit.config(sut)
    audit.run("--sw").assert_outcomes(passed=4, deselected=1)
    assert (sut.received, audit.verdict()["status"]) == (16, "INCOMPLETE")


def test_without_cache_provider(audit, sut):
    audit.config(sut)
    assert audit.run("-p", "no:cacheprovider").ret == 0
    assert not (audit.path / ".pytest_cache").exists()
    assert audit.verdict()["status"] == "PASS"
