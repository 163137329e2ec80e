"""The verdict follows from the plan, not from what ran."""

from __future__ import annotations

import pytest

from pytest_mlperf_audit.verdicts.document import audit_status, run_status
from tests.support.entries import an_audit


@pytest.mark.parametrize(
    ("checks", "no_verdict", "measured", "status"),
    [
        (["passed", "passed"], False, True, "PASS"),
        (["passed", "failed"], False, True, "FAIL"),
        (["failed", "error"], True, False, "FAIL"),
        (["passed", "error"], False, True, "NO_VERDICT"),
        (["not_run", "not_run"], True, False, "NO_VERDICT"),
        (["passed", "not_run"], False, True, "INCOMPLETE"),
        (["not_run", "not_run"], False, True, "INCOMPLETE"),
        (["not_run", "not_run"], False, False, "NOT_RUN"),
        ([], False, False, "NOT_RUN"),
    ],
)
def test_status_of_an_audit(checks, no_verdict, measured, status):
    assert audit_status(checks, no_verdict=no_verdict, measured=measured) == status


@pytest.mark.parametrize(
    ("audits", "main_run", "status"),
    [
        (["PASS"], "PASS", "PASS"),
        (["PASS"], "NOT_RUN", "PASS"),
        (["PASS"], "FAIL", "FAIL"),
        (["PASS", "NOT_RUN"], "PASS", "INCOMPLETE"),
        (["NOT_RUN"], "PASS", "INCOMPLETE"),
        (["NOT_RUN"], "NOT_RUN", "NOT_RUN"),
        (["NO_VERDICT", "FAIL"], "PASS", "FAIL"),
        (["PASS", "NO_VERDICT"], "PASS", "NO_VERDICT"),
    ],
)
def test_status_of_a_run(audits, main_run, status):
    outcomes = [an_audit(id="performance", title="", status=main_run, is_audit=False, checks=())]
    outcomes += [an_audit(id="t", title="", status=one, is_audit=True, checks=()) for one in audits]
    assert run_status(outcomes) == status
