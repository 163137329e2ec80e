"""TEST09: are outputs as long as they should be? Judged from the accuracy log of the audit run.

Rules: mlcommons/inference `compliance/TEST09/README.md` and `compliance/TEST09/<model>/audit.config`.
"""

from __future__ import annotations

from ...errors import RecordError
from ...loadgen.accuracy_log import Entry
from ...loadgen.verify_files import VerifyRecord
from ..published.accuracy_logs import (
    ACCURACY_LOG,
    TruncatedLogError,
    hash_check,
    noted_hash,
    record_of,
    sample_name,
    summary_of,
    take_whole,
    undecided,
)
from ..published.case import AuditDirectory, Reverified
from ..published.pair import prints_of
from ..scored import SampleCount
from ..tokens import TokenRules
from ..verdict import Check
from . import LengthBounds, bounds_of, mean_check, mean_within, upstream

_VERIFY_FILE = "verify_output_len.txt"


def verify(found: AuditDirectory) -> Reverified:
    """Check that all samples are in the log, and that the mean output length is within the model's bounds.

    Samples must come once each where the model's audit.config has LoadGen issue them so, and be at least as many as it
    asks for otherwise. Where the log was cut for publication, both checks rest on the figures of verify_output_len.txt,
    provided that accuracy.txt notes the whole log's hash.
    """
    bounds = bounds_of(found.benchmark)
    record = record_of(found.path, _VERIFY_FILE)
    summary = summary_of(found.path)
    shown = Reverified(
        log_scenario=summary.scenario if summary else None,
        recorded=record.verdict if record else "",
        runs=prints_of(found, summary),
    )
    if bounds is None:
        shown.checks = [undecided("output_length", f"TEST09's bounds for {found.benchmark} are not known here")]
        return shown
    log = found.path / ACCURACY_LOG
    width: int | None = 4
    try:
        width = _judge(found, bounds, shown)
    except TruncatedLogError as error:  # the script was never meant to read what was cut
        width = None
        shown.checks = _as_recorded(found, bounds, record, str(error), shown.notes)
    except RecordError as error:
        shown.checks = [undecided(name, str(error)) for name in ("samples", "output_length")]
    if width and log.is_file() and (said := upstream.said(log, bounds, shown.checks, width=width)):
        shown.upstream, shown.defects = [said[0]], said[1]
    return shown


def _judge(found: AuditDirectory, bounds: LengthBounds, shown: Reverified) -> int:
    """Judge a whole log; return the width of its token ids in bytes."""
    rules, seen = TokenRules(None, first_token_needed=False), SampleCount()

    def take(entry: Entry) -> None:
        rules.add(sample_name(entry), entry.data, None, entry.token_count)
        seen.add(entry.qsl_idx)

    log = take_whole(found.path / ACCURACY_LOG, take, may_lack=True)
    hashed = hash_check(log, found.path)
    shown.checks = [
        seen.check(bounds.n_samples, unique=bounds.unique),
        *([hashed] if hashed else []),
        _mean(rules, bounds),
    ]
    shown.figures = rules.figures
    counted = next(check for check in rules.checks() if check.name == "token_count")
    if counted.passed is False:
        shown.notes.append(f"token counts: {counted.reason}")
    return rules.width


def _mean(rules: TokenRules, bounds: LengthBounds) -> Check:
    if rules.n_without_output:
        reason = f"{rules.n_without_output} of {rules.n_samples} entries have no output, so the mean is not that of all"
        return undecided("output_length", reason)
    return mean_within(rules.n_tokens, rules.n_samples, bounds.min_tokens, bounds.max_tokens)


def _as_recorded(
    found: AuditDirectory, bounds: LengthBounds, record: VerifyRecord | None, why: str, notes: list[str]
) -> list[Check]:
    n_samples = record.count("Total samples") if record else None
    mean = record.number("Mean output tokens") if record else None
    lacking = {
        "accuracy.txt notes no sha256 of the whole log": noted_hash(found.path) is None,
        f"{_VERIFY_FILE} records no number of samples": n_samples is None,
        f"{_VERIFY_FILE} records no mean": mean is None,
    }
    missing = [what for what, lacks in lacking.items() if lacks]
    if missing or n_samples is None or mean is None:
        reason = f"{why}; {', and '.join(missing)}"
        return [undecided(name, reason) for name in ("samples", "output_length")]
    notes.append("the whole log was not published, so number and length of the outputs rest on the submitter's record")
    passed = n_samples == bounds.n_samples if bounds.unique else n_samples >= bounds.n_samples
    reason = f"as recorded: {n_samples} outputs are logged, {bounds.n_samples} needed"
    counted = Check(name="samples", passed=passed, observed=n_samples, limit=bounds.n_samples, reason=reason)
    return [counted, mean_check(mean, n_samples, bounds.min_tokens, bounds.max_tokens)]
