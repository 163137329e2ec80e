"""TEST07: is the answer of performance mode as accurate as it must be? Judged from the audit run's log and its record.

Rules: mlcommons/inference `compliance/TEST07/README.md`: every sample is issued and logged once, and the accuracy
score of what was logged is at least the model's threshold.
"""

from __future__ import annotations

from ...errors import RecordError
from ...loadgen.verify_files import VerifyRecord
from ..published.accuracy_logs import (
    ACCURACY_LOG,
    TruncatedLogError,
    hash_check,
    noted_hash,
    record_of,
    summary_of,
    take_whole,
    undecided,
)
from ..published.case import AuditDirectory, Reverified
from ..scored import SampleCount
from ..verdict import Check
from . import Threshold, threshold_of, upstream

_VERIFY_FILE = "verify_accuracy.txt"
_NOT_RECOMPUTED = (
    "the score is the submitter's: to compute it again needs the benchmark's accuracy script and its reference data"
)


def verify(found: AuditDirectory) -> Reverified:
    """Check that every sample is in the log once, and that the recorded score reaches the model's threshold.

    The numbers of verify_accuracy.txt count, not its words. Where the log was cut for publication, `samples` passes as
    recorded: when accuracy.txt notes the whole log's hash, the score is recorded, and LoadGen's summary says that each
    sample was issued once.
    """
    wanted = threshold_of(found.benchmark)
    record = record_of(found.path, _VERIFY_FILE)
    summary = summary_of(found.path)
    shown = Reverified(
        log_scenario=summary.scenario if summary else None,
        recorded=record.verdict if record else "",
        notes=[_NOT_RECOMPUTED],
    )
    shown.checks = [*_samples(found, wanted, record, shown.notes), _accuracy(found, wanted, record, shown.notes)]
    if record:
        shown.upstream, shown.defects = upstream.said(record, wanted, shown.checks)
    return shown


def _samples(
    found: AuditDirectory, wanted: Threshold | None, record: VerifyRecord | None, notes: list[str]
) -> list[Check]:
    seen = SampleCount()
    try:
        log = take_whole(found.path / ACCURACY_LOG, lambda entry: seen.add(entry.qsl_idx))
    except TruncatedLogError as error:
        return [_samples_as_recorded(found, wanted, record, str(error), notes)]
    except RecordError as error:
        return [undecided("samples", str(error))]
    if wanted is None:
        counted = undecided("samples", f"how many samples TEST07 takes of {found.benchmark} is not known here")
    else:
        counted = seen.check(wanted.n_samples, unique=True)
    hashed = hash_check(log, found.path)
    return [counted, hashed] if hashed else [counted]


def _samples_as_recorded(
    found: AuditDirectory, wanted: Threshold | None, record: VerifyRecord | None, why: str, notes: list[str]
) -> Check:
    summary = summary_of(found.path)
    lacking = {
        "accuracy.txt notes no sha256 of the whole log": noted_hash(found.path) is None,
        f"{_VERIFY_FILE} records no score": record is None or record.number("Accuracy score") is None,
        "LoadGen's summary does not say that each sample was issued once": not (
            summary and summary.performance_issue_unique
        ),
        f"how many samples TEST07 takes of {found.benchmark} is not known here": wanted is None,
    }
    if missing := [what for what, lacks in lacking.items() if lacks]:
        return undecided("samples", f"{why}; {', and '.join(missing)}")
    assert wanted is not None
    notes.append("the log was cut for publication, so that every sample is in it rests on the submitter's record")
    return Check(
        name="samples",
        passed=True,
        observed=None,
        limit=wanted.n_samples,
        reason="as recorded: LoadGen issued each sample once, and the whole log's sha256 is noted",
    )


def _accuracy(found: AuditDirectory, wanted: Threshold | None, record: VerifyRecord | None, notes: list[str]) -> Check:
    score = record.number("Accuracy score") if record else None
    if record is None or score is None:
        return undecided("accuracy", f"{found.path / _VERIFY_FILE} records no accuracy score; run the accuracy script")
    used = record.number("Accuracy threshold")
    if wanted is None:
        return undecided("accuracy", f"the threshold of TEST07 for {found.benchmark} is not known here")
    if used is not None and used < wanted.score:
        notes.append(f"the submitter's script was run with the threshold {used:g}, MLPerf's is {wanted.score:g}")
    printed = upstream.printed_score(record)
    if printed is not None and printed != score:
        notes.append(f"the accuracy script printed {printed:g}, the summary below it says {score:g}; the former counts")
        score = printed
    reason = f"the recorded accuracy score is {score:g}, at least {wanted.score:g} needed"
    return Check(name="accuracy", passed=score >= wanted.score, observed=score, limit=wanted.score, reason=reason)
