"""TEST07: is the answer of performance mode as accurate as it must be? Judged from the audit run's log and its record.

Rules: mlcommons/inference `compliance/TEST07/README.md`: every sample is issued and logged once, and the accuracy
score of what was logged is at least the model's threshold.
"""

from __future__ import annotations

import re
from typing import Final

from ...errors import RecordError
from ...loadgen.detail import finite, peek
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
from ..published.pair import RUN, prints_of
from ..scored import SampleCount
from ..verdict import Check
from . import Threshold, threshold_of, upstream

_VERIFY_FILE = "verify_accuracy.txt"
DETAIL: Final = RUN / "mlperf_log_detail.txt"
#: What the accuracy script of gpt-oss-120b prints of each data set, behind a time and "INFO".
_OF_DATA_SET = re.compile(r"\s([a-z][\w.-]{1,60}): ([0-9]{1,9}) entries$", re.MULTILINE)
_QUERIES, _PER_QUERY = "result_query_count", "effective_samples_per_query"
_V6_0: Final = "v6.0"
#: Its qsl_rng_seed (submission_checker/constants.py, seeds).
_V6_0_SEED: Final = 2465351861681999779
_NOT_RECOMPUTED = (
    "the score is the submitter's: to compute it again needs the benchmark's accuracy script and its reference data"
)


def verify(found: AuditDirectory) -> Reverified:
    """Check that every sample is in the log once, and that the recorded score reaches the model's threshold.

    The numbers of verify_accuracy.txt count, not its words. Where the log was cut for publication, `samples` passes as
    recorded: when accuracy.txt notes the whole log's hash, the score is recorded, and LoadGen's summary says that each
    sample was issued once; of v6.0, which did not ask for that, when the numbers of samples issued and of entries are
    TEST07's.
    """
    wanted = threshold_of(found.benchmark)
    record = record_of(found.path, _VERIFY_FILE)
    summary = summary_of(found.path)
    shown = Reverified(
        log_scenario=summary.scenario if summary else None,
        recorded=record.verdict if record else "",
        notes=[_NOT_RECOMPUTED],
        runs=prints_of(found, summary),
    )
    shown.checks = [*_samples(found, wanted, record, shown.notes), _accuracy(found, wanted, record, shown.notes)]
    if record:
        shown.upstream, shown.defects = upstream.said(record, wanted, shown.checks)
        shown.defects += [upstream.ANY_DATA] if wanted and _other_data(record, wanted) else []
    return shown


def _samples(
    found: AuditDirectory, wanted: Threshold | None, record: VerifyRecord | None, notes: list[str]
) -> list[Check]:
    seen = SampleCount()
    try:
        log = take_whole(found.path / ACCURACY_LOG, lambda entry: seen.add(entry.qsl_idx), may_lack=True)
    except TruncatedLogError as error:
        return [_samples_as_recorded(found, wanted, record, str(error), notes)]
    except RecordError as error:
        return [undecided("samples", str(error))]
    if wanted is None:
        counted = undecided("samples", f"how many samples TEST07 takes of {found.benchmark} is not known here")
    else:
        counted = seen.check(wanted.n_samples, unique=is_issued_once(found))
    hashed = hash_check(log, found.path)
    return [counted, hashed] if hashed else [counted]


def _samples_as_recorded(
    found: AuditDirectory, wanted: Threshold | None, record: VerifyRecord | None, why: str, notes: list[str]
) -> Check:
    once = is_issued_once(found)
    summary = summary_of(found.path)
    n_loaded, n_issued = _n_loaded(record), _n_issued(found)
    lacking = {
        "accuracy.txt notes no sha256 of the whole log": noted_hash(found.path) is None,
        f"{_VERIFY_FILE} records no score": record is None or record.number("Accuracy score") is None,
        f"how many samples TEST07 takes of {found.benchmark} is not known here": wanted is None,
    }
    if once:
        told = bool(summary and summary.performance_issue_unique)
        lacking["LoadGen's summary does not say that each sample was issued once"] = not told
    else:
        lacking[f"{_VERIFY_FILE} does not record how many entries the log has"] = n_loaded is None
        lacking["LoadGen's detail log does not say how many samples were issued"] = n_issued is None
    if missing := [what for what, lacks in lacking.items() if lacks]:
        return undecided("samples", f"{why}; {', and '.join(missing)}")
    assert wanted is not None
    counts = {"entries were logged": n_loaded, "samples were issued": n_issued}
    told_counts = [f"{n} {what}" for what, n in counts.items() if n is not None]
    wrong = [n for n in counts.values() if n not in (None, wanted.n_samples)]
    notes.append("the whole log was not published, so that every sample is in it rests on the submitter's record")
    by = "LoadGen issued each sample once" if once else " and ".join(told_counts)
    reason = f"as recorded: {by}, and the whole log's sha256 is noted"
    if wrong:
        reason = f"{' and '.join(told_counts)}, TEST07 has {wanted.n_samples} samples: the files are of another run"
    return Check(
        name="samples",
        passed=not wrong,
        observed=wrong[0] if wrong else n_issued,
        limit=wanted.n_samples,
        reason=reason,
    )


def _n_loaded(record: VerifyRecord | None) -> int | None:
    """Return how many entries the accuracy script says that it loaded, None where it does not say."""
    loaded = re.search(r"\bLoaded ([0-9]{1,9}) log entries", record.text) if record else None
    return int(loaded[1]) if loaded else None


def _other_data(record: VerifyRecord, wanted: Threshold) -> dict[str, int]:
    """Return how many entries the accuracy script says are of data sets that TEST07's threshold is not for."""
    grouped = record.text.partition("Grouped entries by dataset")[2].partition("Processing")[0]
    found = {match[1]: int(match[2]) for match in _OF_DATA_SET.finditer(grouped)}
    return {name: n for name, n in found.items() if name != wanted.dataset}


def _n_issued(found: AuditDirectory) -> int | None:
    """Return how many samples LoadGen's detail log says that the run issued, None where it does not say."""
    said = peek(found.path / DETAIL, frozenset((_QUERIES, _PER_QUERY)))
    queries, per_query = finite(said.get(_QUERIES)), finite(said.get(_PER_QUERY))
    return None if queries is None or per_query is None else round(queries * per_query)


def is_issued_once(found: AuditDirectory) -> bool:
    """Return whether the round asks LoadGen to issue each sample once: those after v6.0 do.

    Source: mlcommons/inference d8230cdd, `performance_issue_unique` in TEST07's audit.config. A run in a tree that
    names no round is known for one of v6.0 by the seeds that round had.
    """
    if found.round:
        return found.round != _V6_0
    summary = summary_of(found.path)
    return summary is None or summary.qsl_rng_seed != _V6_0_SEED


def _accuracy(found: AuditDirectory, wanted: Threshold | None, record: VerifyRecord | None, notes: list[str]) -> Check:
    score = record.number("Accuracy score") if record else None
    if record is None or score is None:
        return undecided("accuracy", f"{found.path / _VERIFY_FILE} records no accuracy score; run the accuracy script")
    used = record.number("Accuracy threshold")
    if wanted is None:
        return undecided("accuracy", f"the threshold of TEST07 for {found.benchmark} is not known here")
    if others := _other_data(record, wanted):
        told = ", ".join(f"{n} of {name}" for name, n in others.items())
        reason = (
            f"the recorded score {score:g} is of other data, too ({told}): MLPerf's threshold is for {wanted.dataset}"
        )
        return undecided("accuracy", f"{reason}; run the audit on that data set")
    if used is not None and used < wanted.score:
        notes.append(f"the submitter's script was run with the threshold {used:g}, MLPerf's is {wanted.score:g}")
    printed = upstream.printed_score(record)
    if printed is not None and printed != score:
        notes.append(f"the accuracy script printed {printed:g}, the summary below it says {score:g}; the former counts")
        score = printed
    reason = f"the recorded accuracy score is {score:g}, at least {wanted.score:g} needed"
    return Check(name="accuracy", passed=score >= wanted.score, observed=score, limit=wanted.score, reason=reason)
