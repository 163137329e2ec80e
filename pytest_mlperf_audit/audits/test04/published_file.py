"""TEST04 in audit_output_caching_test.json: does the verdict follow from the figures beside it?

Rule: as in rule.py, of the throughputs that the file has; completion as in the endpoints tool (mlcommons/endpoints,
`compliance/audit_test/output_caching_test.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from ..published.case import AuditDirectory
from ..published.endpoints_audit import number_of, read_object
from ..published.score import TOLERANCE, speed_up, tolerance_of_rates
from ..verdict import Check, Figure

_PHASES: Final = (("reference", "ref"), ("output_caching", "audit"))


def judge(data: dict[str, Any], found: AuditDirectory) -> tuple[list[Check], dict[str, Figure]]:
    """Return the checks that the file's figures allow, and its scores. Raises RecordError."""
    checks = [*_completion(data, found.scenario), _ratio(data, found.scenario), *_successful(found.path.parent)]
    return checks, _scores(data)


def _completion(data: dict[str, Any], scenario: str) -> list[Check]:
    """Each phase completed its share of what it requested: 1 - threshold, as the endpoints tool has it.

    A threshold beyond MLPerf's would let a phase pass that completed next to nothing, so MLPerf's counts then.
    """
    checks = []
    tolerated = min(number_of(data, "threshold") or 0.0, tolerance_of_rates(scenario))
    for phase, prefix in _PHASES:
        completed, requested = number_of(data, f"{prefix}_completed"), number_of(data, f"{prefix}_requested")
        name = f"completion[{phase}]"
        if completed is None or requested is None or requested <= 0:
            reason = f"the file does not say how many queries of the {phase} phase were requested and completed"
            checks.append(Check(name=name, passed=None, observed=completed, limit=None, reason=reason))
            continue
        needed = requested * (1 - tolerated)
        reason = f"{completed:g} of {requested:g} queries completed, at least {needed:g} needed"
        checks.append(
            Check(name=name, passed=completed >= needed - 1e-6, observed=completed, limit=needed, reason=reason)
        )
    return checks


def _ratio(data: dict[str, Any], scenario: str) -> Check:
    reference, audit = number_of(data, "ref_qps"), number_of(data, "audit_qps")
    allowed = tolerance_of_rates(scenario)
    threshold = number_of(data, "threshold")
    tolerated = allowed if threshold is None else min(threshold, allowed)
    if reference is None or audit is None:
        reason = "the file has no ref_qps and audit_qps, so the ratio cannot be worked out again"
        return Check(name="throughput_ratio", passed=None, observed=None, limit=1 + tolerated, reason=reason)
    return speed_up(reference, audit, tolerated)


def _successful(audit_dir: Path) -> list[Check]:
    """Count failed queries where the phases' own summaries were published: the endpoints tool counts them as done."""
    checks = []
    places = ("*/result_summary.json", "*/performance/result_summary.json")  # the second is the tool's own
    found = {path.relative_to(audit_dir).parts[0]: path for place in places for path in audit_dir.glob(place)}
    for phase, summary in sorted(found.items()):
        data = read_object(summary)
        issued, failed = number_of(data, "n_samples_issued"), number_of(data, "n_samples_failed")
        if issued and failed is not None:
            checks.append(
                Check(
                    name=f"successful[{phase}]",
                    passed=failed <= issued * TOLERANCE,
                    observed=issued - failed,
                    limit=issued * (1 - TOLERANCE),
                    reason=f"{failed:g} of {issued:g} queries of the phase {phase} failed",
                )
            )
    return checks


def _scores(data: dict[str, Any]) -> dict[str, Figure]:
    reference, audit = number_of(data, "ref_qps"), number_of(data, "audit_qps")
    scores: dict[str, Figure] = {"reference_score": reference, "audit_score": audit}
    return scores | ({"ratio": audit / reference} if reference and audit is not None else {})
