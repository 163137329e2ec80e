"""TEST08: is the normalized entropy of requests that a performance run logged that of the accuracy run?

Rules: mlcommons/inference `compliance/TEST08/README.md`: every logged request matches one of the accuracy run by its
timestamp and query index, and the normalized entropies differ by 0.1 % at most. Submitters publish verify_accuracy.txt
alone, as the submission checker asks for no more, so the verdict rests on the numbers that it records.
"""

from __future__ import annotations

from ...loadgen.verify_files import VerifyRecord
from ..published.accuracy_logs import ACCURACY_LOG, record_of, summary_of, undecided
from ..published.case import AuditDirectory, Reverified
from ..verdict import Check
from . import SAMPLES, TOLERANCE_PERCENT, upstream

_VERIFY_FILE = "verify_accuracy.txt"
#: Below this share of the outputs that the audit's configuration asks for nothing is decided.
_FEW = 0.5


def verify(found: AuditDirectory) -> Reverified:
    """Check the record: that every logged request was matched, and that none of their entropies is too far apart."""
    record = record_of(found.path, _VERIFY_FILE)
    summary = summary_of(found.path) or summary_of(found.results)
    shown = Reverified(log_scenario=summary.scenario if summary else None, recorded=record.verdict if record else "")
    if record is None:
        shown.checks = [undecided("samples", f"there is no {found.path / _VERIFY_FILE} that can be read")]
        return shown
    shown.checks = [_samples(record), _entropy(record)]
    if record.verdict == "FAIL":
        reason = f"{_VERIFY_FILE} says TEST FAIL"
        shown.checks.append(Check(name="recorded", passed=False, observed="FAIL", limit="PASS", reason=reason))
    elif not record.verdict:
        shown.checks.append(undecided("recorded", f"{_VERIFY_FILE} has no line TEST PASS: it was cut short"))
    where = "are" if (found.path / ACCURACY_LOG).exists() else "were not published and are"
    shown.notes.append(f"the verdict rests on the submitter's record: the logs {where} not compared again here")
    shown.upstream, shown.defects = upstream.said(record, shown.checks)
    return shown


def _samples(record: VerifyRecord) -> Check:
    logged, matched, unmatched = (record.count(f"num_{name}") for name in ("perf_log_entries", "matched", "unmatched"))
    if logged is None or matched is None or unmatched is None:
        return undecided("samples", f"{_VERIFY_FILE} does not record how many requests were logged and matched")
    passed: bool | None = matched > 0 and not unmatched and matched == logged
    reason = f"as recorded, {matched} of {logged} logged requests are among the accuracy run's, {unmatched} are not"
    if passed and logged < SAMPLES * _FEW:
        passed, reason = None, f"{reason}; the audit's configuration aims at {SAMPLES}, so few tell little"
    return Check(name="samples", passed=passed, observed=matched, limit=logged, reason=reason)


def _entropy(record: VerifyRecord) -> Check:
    matched, apart = record.count("num_matched"), record.count("num_ne_mismatch")
    tolerance = record.number_of("tolerance", "%")
    if apart is None or matched is None or tolerance is None:
        return undecided("entropy", f"{_VERIFY_FILE} does not record how many entropies differ, by which tolerance")
    reason = f"as recorded, the entropies of {apart} of {matched} requests differ by more than {tolerance:g} %"
    if not apart and tolerance > TOLERANCE_PERCENT:
        return undecided("entropy", f"{reason}; MLPerf's tolerance is {TOLERANCE_PERCENT:g} %")
    return Check(name="entropy", passed=not apart, observed=apart, limit=0, reason=reason)
