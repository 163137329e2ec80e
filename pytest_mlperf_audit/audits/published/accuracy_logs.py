"""What the verifiers of accuracy logs share: where a log lies, reading it whole, and naming a sample."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from ...errors import RecordError
from ...loadgen.accuracy_log import AccuracyLog, Entry, is_truncated, read_hash
from ...loadgen.summary import Summary, read_summary
from ...loadgen.verify_files import VerifyRecord, read_verify_record
from ..verdict import Check
from .case import AuditDirectory

#: Below an audit's directory, and below a scenario's for the accuracy run.
ACCURACY_LOG: Final = Path("accuracy") / "mlperf_log_accuracy.json"
_ACCURACY_NOTES: Final = Path("accuracy") / "accuracy.txt"
SUMMARY: Final = Path("performance") / "run_1" / "mlperf_log_summary.txt"


class TruncatedLogError(RecordError):
    """The log was cut for publication, as MLPerf's rules have it, or is not in this copy of the submission."""


def take_whole(
    path: Path,
    take: Callable[[Entry], None],
    *,
    may_lack: bool = False,
    take_raw: Callable[[Entry, Any], None] | None = None,
) -> AccuracyLog:
    """Hand every entry of a log to `take`; return the log, whose sha256 is then known.

    `take_raw` gets each with the JSON value that it was read from, for who judges by that, so that one reading does.

    Raises TruncatedLogError for one cut for publication, and with `may_lack` for one that is not there; RecordError for
    one that is not whole.
    """
    if may_lack and not path.exists():
        raise TruncatedLogError(f"there is no {path}; judge the submitter's whole log")
    if is_truncated(path):
        raise TruncatedLogError(
            f"{path} was cut for publication to 4096 bytes of either end; judge the submitter's whole log"
        )
    log = AccuracyLog(path)
    if take_raw is None:
        for entry in log:
            take(entry)
        return log
    for entry, raw in log.with_raw():
        take(entry)
        take_raw(entry, raw)
    return log


def noted_hash(directory: Path) -> str | None:
    """Return the sha256 of the whole log that `accuracy/accuracy.txt` notes, None where it notes none."""
    return read_hash(directory / _ACCURACY_NOTES)


def hash_check(log: AccuracyLog, directory: Path) -> Check | None:
    """Require that a whole log is the one that accuracy.txt notes; None where it notes none."""
    noted = noted_hash(directory)
    if noted is None:
        return None
    same = noted == log.sha256
    reason = "the accuracy log is the one whose sha256 accuracy.txt notes"
    if not same:
        reason = f"the accuracy log has sha256 {log.sha256[:16]}..., accuracy.txt notes {noted[:16]}... of another log"
    return Check(name="log_hash", passed=same, observed=log.sha256, limit=noted, reason=reason)


def sample_name(entry: Entry) -> str:
    """Return a sample's name for a message."""
    return f"sample {entry.qsl_idx}" if entry.qsl_idx is not None else f"the sample of seq_id {entry.seq_id}"


def summary_of(directory: Path) -> Summary | None:
    """Return the summary of the run in a directory, None where there is none to be read."""
    try:
        return read_summary(directory / SUMMARY)
    except RecordError:
        return None


def record_of(directory: Path, name: str) -> VerifyRecord | None:
    """Return what the submitter's verify file says, None where there is none to be read."""
    try:
        return read_verify_record(directory / name)
    except RecordError:
        return None


def undecided(name: str, reason: str) -> Check:
    """Return a check that the files leave in doubt."""
    return Check(name=name, passed=None, observed=None, limit=None, reason=reason)


def recorded(found: AuditDirectory, name: str) -> str:
    """Return the verdict in the submitter's verify file: PASS, FAIL or ""."""
    record = record_of(found.path, name)
    return record.verdict if record else ""
