"""Rounds that tests show: outcomes as verifiers give them, made by number."""

from __future__ import annotations

from typing import Any

from pytest_mlperf_audit.audits.published.case import CaseOutcome, CaseStatus, Difference, Upstream
from pytest_mlperf_audit.audits.verdict import Check
from pytest_mlperf_audit.verdicts.round import RoundDocument, describe

SCRIPT = "TEST04/verify_performance.py"
STATUSES: tuple[CaseStatus, ...] = ("PASS", "FAIL", "NO_VERDICT", "SKIPPED")
SCENARIOS = ("Offline", "Server", "SingleStream", "MultiStream")


def case(number: int = 0, status: CaseStatus = "PASS", **changes: Any) -> CaseOutcome:
    """A TEST04 case; upstream says PASS of what has no verdict."""
    ratio = {"PASS": 1.0 + number % 7 / 100, "FAIL": 1.31}.get(status)
    passed = {"PASS": True, "FAIL": False}.get(status)
    reason = {
        "PASS": "102 queries/s repeating one sample against 100 with distinct samples, ratio 1.02, below the limit 1.1",
        "FAIL": "131 queries/s repeating one sample against 100 with distinct samples, ratio 1.31, not below 1.1",
        "NO_VERDICT": "the summary of the audit run is cut short; its last line is missing",
        "SKIPPED": "the reference run was not published; looked for results/x/performance/run_1/mlperf_log_summary.txt",
    }[status]
    submitter, system = f"Company {number % 9}", f"H200-SXM-141GBx8_TRT_{number // 36}"
    benchmark, scenario = ("resnet50", "stable-diffusion-xl")[number // 9 % 2], SCENARIOS[number // 18 % 4]
    fields: dict[str, Any] = {
        "case": f"closed/{submitter}/{system}/{benchmark}/{scenario}",
        "test": "test04",
        "division": "closed",
        "submitter": submitter,
        "system": system,
        "benchmark": benchmark,
        "scenario": scenario,
        "directory": f"closed/{submitter}/compliance/{system}/{benchmark}/{scenario}/TEST04",
        "status": status,
        "reason": reason,
        "checks": ()
        if status == "SKIPPED"
        else (Check(name="throughput_ratio", passed=passed, observed=ratio, limit=1.1, reason=reason),),
        "figures": {} if ratio is None else {"ratio": ratio, "limit_ratio": 1.1, "reference_score": 100.0},
    }
    if status == "NO_VERDICT":
        fields["upstream"] = (
            Upstream(
                script=SCRIPT, verdict="PASS", reason="it found no score, and counts 0", checks=("throughput_ratio",)
            ),
        )
        fields["differences"] = (
            Difference(
                script=SCRIPT,
                ours=status,
                upstream="PASS",
                defect="missing_score",
                sentence="a log without a score line counts as a score of 0",
            ),
        )
    return CaseOutcome(**{**fields, **changes})


def a_round(cases: list[CaseOutcome], found: int | None = None) -> RoundDocument:
    """The document of some cases."""
    return describe(
        cases,
        tree="/data/inference_results_v4.1",
        found=len(cases) if found is None else found,
        started_at="2026-11-23T12:00:00+00:00",
        finished_at="2026-11-23T12:00:07+00:00",
        environment={"python": "3.11.7"},
    )


def mixed(count: int) -> RoundDocument:
    """A round in which most cases pass, and every status is there."""
    return a_round([case(n, "PASS" if n % 10 else STATUSES[n // 10 % 4]) for n in range(count)])
