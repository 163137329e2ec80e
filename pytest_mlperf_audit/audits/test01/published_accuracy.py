"""TEST01, accuracy: does performance mode give the answers of accuracy mode?

Rules: mlcommons/inference `compliance/TEST01/README.md`: sampled outputs of the audit run match those of the accuracy
run; where they do not, scores of baseline_accuracy.txt and compliance_accuracy.txt within the model's delta stand in.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from ...errors import RecordError
from ...loadgen.accuracy_log import AccuracyLog, read_truncated
from ...loadgen.verify_files import VerifyRecord, read_scores
from ..models import accuracy_delta_percent, find_model
from ..published.accuracy_logs import (
    ACCURACY_LOG,
    TruncatedLogError,
    hash_check,
    noted_hash,
    record_of,
    take_whole,
    undecided,
)
from ..published.case import AuditDirectory, Reverified
from ..published.pair_checks import is_same_file
from ..verdict import Check
from . import upstream_accuracy as upstream
from .rule import SampledOutputs, worst_delta

_VERIFY_FILE: Final = "verify_accuracy.txt"
_BASELINE: Final = Path("accuracy") / "baseline_accuracy.txt"
_COMPLIANCE: Final = Path("accuracy") / "compliance_accuracy.txt"


def accuracy(found: AuditDirectory) -> Reverified:
    """Check `accuracy`, and `log_hash` where accuracy.txt notes the hash of a log that is whole.

    Both logs whole: every sampled output is compared, all its bytes. Cut for publication, or the accuracy run's log not
    published: the submitter's record stands, when it is complete and accuracy.txt notes the hash of a cut audit log,
    unless an output still visible in both contradicts it. A log that cannot be read for another reason leaves it
    undecided.
    """
    record = record_of(found.path, _VERIFY_FILE)
    shown = Reverified(recorded=f"accuracy {record.verdict}" if record and record.verdict else "")
    audit_log, reference_log = found.path / ACCURACY_LOG, found.results / ACCURACY_LOG
    outputs = SampledOutputs()
    compared: SampledOutputs | None = None
    readable = True
    audit = None
    try:
        audit = take_whole(audit_log, lambda entry: outputs.add(entry.qsl_idx, entry.data))
        reference = (
            take_whole(reference_log, lambda entry: outputs.add_reference(entry.qsl_idx, entry.data))
            if reference_log.exists()
            else None
        )
    except TruncatedLogError:
        is_cut = audit is None
        shown.checks = [_as_recorded(found, record, shown.notes, is_cut=is_cut)]
    except RecordError as error:
        readable = False
        shown.checks = [undecided("accuracy", str(error))]
    else:
        compared = outputs if reference else None
        notes = shown.notes
        judged = _judge(found, compared, notes) if compared else _as_recorded(found, record, notes, is_cut=False)
        shown.checks = [judged, *_hashes(found, audit, reference)]
    if readable and is_same_file(reference_log, audit_log):
        shown.checks = [_one_log_twice()]
    shown.upstream, shown.defects = upstream.said(found, (reference_log, audit_log), compared, shown.checks)
    return shown


def _one_log_twice() -> Check:
    reason = "the accuracy run's log and the audit run's are the same file, byte for byte: one was published twice"
    return Check(name="accuracy", passed=False, observed=1, limit=2, reason=reason)


def _hashes(found: AuditDirectory, audit: AccuracyLog, reference: AccuracyLog | None) -> list[Check]:
    """Return the first of the two runs' hash checks that fails, else one that passed, else none."""
    checks = [hash_check(audit, found.path), hash_check(reference, found.results) if reference else None]
    made = sorted((check for check in checks if check), key=lambda check: bool(check.passed))
    return made[:1]


def _judge(found: AuditDirectory, outputs: SampledOutputs, notes: list[str]) -> Check:
    """Judge two whole logs."""
    if outputs.unsteady:
        told = _some(outputs.unsteady)
        notes.append(f"one run answered {len(outputs.unsteady)} samples more than once, and differently: {told}")
    n, differing = len(outputs.compared), outputs.differing
    if differing:
        why = f"{len(differing)} of {n} sampled outputs differ from the accuracy run's: {_some(differing)}"
        return _scores(found, why)
    if outputs.n_without or outputs.missing:
        lacking = f"{outputs.n_without} entries without index or output, {len(outputs.missing)} samples that the "
        reason = f"not every sampled output can be compared: {lacking}accuracy run did not answer"
        if n:
            return undecided("accuracy", reason)
        return Check(name="accuracy", passed=False, observed=0, limit=1, reason=reason)
    reason = f"{n} sampled outputs equal the accuracy run's, byte by byte" if n else "no output was sampled"
    return Check(name="accuracy", passed=n > 0, observed=n, limit=1, reason=reason)


def _as_recorded(found: AuditDirectory, record: VerifyRecord | None, notes: list[str], *, is_cut: bool) -> Check:
    """Judge by the submitter's record, and by what is visible of both logs.

    `is_cut` is that the audit run's log was cut; the whole one must be known by its hash then. A record without a
    verdict leaves it to two scores, as MLPerf's checker has it.
    """
    if is_cut and noted_hash(found.path) is None:
        reason = "the logs were cut for publication, and accuracy.txt notes no sha256 of the whole audit log"
        return undecided("accuracy", reason)
    if record is None or not record.verdict:
        if (found.path / _BASELINE).exists() and (found.path / _COMPLIANCE).exists():
            return _scores(found, f"{_VERIFY_FILE} records no verdict")
        return undecided("accuracy", f"the logs are not whole, and {found.path / _VERIFY_FILE} records no verdict")
    n, differing = _recorded_counts(record)
    if n is None or differing is None:
        return undecided("accuracy", f"the logs are not whole, and {_VERIFY_FILE} does not record what was compared")
    visible = _visible(found)
    seen = len(visible.compared)
    notes.append(
        f"the logs are not whole, so the verdict rests on the submitter's record; {seen} "
        f"{'output is' if seen == 1 else 'outputs are'} visible in both runs"
    )
    if record.verdict == "FAIL" or differing:
        return _scores(found, f"as recorded, {differing} of {n} sampled outputs differ from the accuracy run's")
    if visible.differing:
        why = f"{_VERIFY_FILE} records no differing output, but both runs' outputs of {_some(visible.differing)} differ"
        return _scores(found, why)
    if not n:
        reason = "as recorded, no output was compared"
        return Check(name="accuracy", passed=False, observed=0, limit=1, reason=reason)
    reason = f"as recorded, {n} sampled outputs match the accuracy run's; the whole log's sha256 is noted"
    return Check(name="accuracy", passed=True, observed=n, limit=1, reason=reason)


def _recorded_counts(record: VerifyRecord) -> tuple[int | None, int | None]:
    """Return how many outputs were compared, and how many of them differed.

    The script's mode without JSON libraries (--unixmode) does not record how many samples both runs answered: where
    none differed, that was all of them.
    """
    compared = record.count("num_perf_log_qsl_idx_match")
    if compared is None:
        compared = record.count("num_perf_log_entries")
    return compared, record.count("num_perf_log_data_mismatch")


def _visible(found: AuditDirectory) -> SampledOutputs:
    """Return what is visible of both runs' outputs."""
    outputs = SampledOutputs()
    _take_visible(found.path / ACCURACY_LOG, outputs.add)
    _take_visible(found.results / ACCURACY_LOG, outputs.add_reference)
    return outputs


def _take_visible(path: Path, take: Callable[[int | None, bytes | None], None]) -> None:
    """Take in what can be read of a log; nothing of one that is not there."""
    try:
        truncated = read_truncated(path)
        for entry in truncated.visible if truncated else AccuracyLog(path):
            take(entry.qsl_idx, entry.data)
    except RecordError:
        return


def _scores(found: AuditDirectory, why: str) -> Check:
    """Judge outputs that differ by the legal way out for non-determinism: two scores within the model's delta."""
    model = find_model(found.benchmark)
    names = model.accuracy_types if model else ()
    baseline = read_scores(found.path / _BASELINE, names)
    compliance = read_scores(found.path / _COMPLIANCE, names)
    if not (found.path / _BASELINE).exists() and not (found.path / _COMPLIANCE).exists():
        reason = f"{why}, and there is no {_BASELINE.name} with {_COMPLIANCE.name} to show that accuracy held"
        return Check(name="accuracy", passed=False, observed=None, limit=None, reason=reason)
    if lacking := [name for name in names if not baseline.get(name) or not compliance.get(name)]:
        told = ", ".join(lacking)
        return undecided("accuracy", f"{why}, and {_BASELINE.name} with {_COMPLIANCE.name} do not both have {told}")
    if not names:
        return undecided("accuracy", f"{why}, and the scores of {found.benchmark} are not known here")
    worst = worst_delta(baseline, compliance, {name: accuracy_delta_percent(found.benchmark, name) for name in names})
    reason = (
        f"{why}; {worst.metric} is {compliance[worst.metric]:.6g}, that of the accuracy run's same samples "
        f"{baseline[worst.metric]:.6g}: {worst.percent:.4f} % apart, {worst.limit:g} % allowed"
    )
    passed = worst.percent <= worst.limit
    return Check(name="accuracy", passed=passed, observed=worst.percent, limit=worst.limit, reason=reason)


def _some(indices: list[int]) -> str:
    told = ", ".join(str(index) for index in indices[:3])
    return f"sample {told}{', ...' if len(indices) > 3 else ''}"
