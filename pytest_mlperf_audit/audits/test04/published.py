"""TEST04 of a submission, re-verified: was the audit run, repeating one sample, no faster than the reference run?

Rule: as in live.py, of the scores that LoadGen's two summaries print. Beyond the rule, the logs must be such that it
says something (published/pair_checks.py), and the audit's of one sample repeated.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from ...errors import RecordError
from ...loadgen.detail import peek
from ...loadgen.summary import LIMIT_BYTES, Summary, parse_summary
from ...loadgen.text import read
from ...loadgen.verify_files import RecordedPerformance, read_verify_performance
from ..published import pair as runs
from ..published import pair_checks
from ..published.case import AuditDirectory, Reverified, status_of
from ..published.pair import DETAIL, RUN, SUMMARY, Pair
from ..published.score import speed_up
from ..verdict import Check, Figure
from . import exempt_model, upstream
from . import published_notes as notes

_WORDS: Final = pair_checks.Wording(
    test="TEST04",
    prefix="",
    score="throughput_ratio",
    logs="summaries",
    cut="is cut short: it has no closing line with the number of errors",
    whole="both summaries end with LoadGen's closing line",
    nameless="the summary of the {runs} run names no scenario",
    no_validity="the {run} run's summary does not say 'Result is : VALID'{unread}",
    latency=("both runs have the same target latency", "the runs do not have the same target latency"),
    may_lack_latency=True,
)
_SAME: Final = "effective_performance_issue_same"
_UNIQUE: Final = "effective_performance_issue_unique"


class _Summaries(NamedTuple):
    reference: Summary
    audit: Summary


def verify(found: AuditDirectory) -> Reverified:
    """Judge one TEST04 directory, or a pair TEST04-A and TEST04-B, by the two summaries.

    Unreadable files leave it without a verdict, never raise. A failure of a model that MLPerf exempts is none: the
    audit is skipped, and says what it came to.
    """
    paths = found.results / RUN / SUMMARY, found.path / RUN / SUMMARY
    recorded, unreadable = _recorded((found.results if _is_pair(found) else found.path) / "verify_performance.txt")
    try:
        reference, audit = (read(path, LIMIT_BYTES) for path in paths)
    except RecordError as error:
        checks = [pair_checks.not_readable(_WORDS, str(error))]
        return Reverified(checks=checks, recorded=recorded.verdict, notes=unreadable)
    if reference is None or audit is None:
        shown = _without(found, paths, reference, audit)
    else:
        shown = _judged(found, paths, reference, audit)
    shown.recorded = recorded.verdict
    if (model := exempt_model(found.benchmark)) and status_of(shown.checks) == "FAIL":
        _exempt(shown, model)
    shown.notes += unreadable
    shown.notes += notes.of_record(recorded, shown, (partial(_score_lines, reference), partial(_score_lines, audit)))
    return shown


def _is_pair(found: AuditDirectory) -> bool:
    """Whether an audit is TEST04-A with TEST04-B, of which the former is the reference and has the record."""
    return found.results.name.upper().startswith("TEST04")


def _exempt(shown: Reverified, model: str) -> None:
    """Take a failure for what it is of a model that is exempt: it says nothing about a cache."""
    told = "; ".join(check.reason for check in shown.checks if check.passed is False)
    shown.skipped = (
        f"MLPerf exempts {model} from TEST04, since what a query costs depends on its sample; here it came to: {told}"
    )
    shown.checks = [replace(check, passed=None) if check.passed is False else check for check in shown.checks]


def _score_lines(log: bytes | None) -> AbstractSet[float]:
    return parse_summary(log, "").score_lines if log else frozenset()


def _recorded(path: Path) -> tuple[RecordedPerformance, list[str]]:
    none = RecordedPerformance(verdict="", started=False)
    try:
        return read_verify_performance(path) or none, []
    except RecordError as error:
        return none, [str(error)]


def _without(
    found: AuditDirectory, paths: tuple[Path, Path], reference: bytes | None, audit: bytes | None
) -> Reverified:
    """Return what there is to say where one summary is missing."""
    if reference is None:
        shown = runs.unpublished(found, SUMMARY)
        if audit is not None:
            alone = parse_summary(audit, str(paths[1]))
            shown.log_scenario = alone.scenario
            shown.notes += notes.of_audit_alone(alone)
        return shown
    reason = f"the audit run has no {(RUN / SUMMARY).as_posix()}"
    shown = Reverified(checks=[pair_checks.not_readable(_WORDS, reason)])
    shown.upstream.append(upstream.said(reference, None)[0])
    return shown


def _judged(found: AuditDirectory, paths: tuple[Path, Path], reference: bytes, audit: bytes) -> Reverified:
    """Judge two summaries.

    The runs of a pair TEST04-A and TEST04-B are as short as they come, so that LoadGen calls them INVALID, and were
    compared all the same, in Server by the samples that were scheduled. A few queries' median accuses nobody. Today's
    script is for today's TEST04.
    """
    of_pair = _is_pair(found)
    summaries = _Summaries(parse_summary(reference, str(paths[0])), parse_summary(audit, str(paths[1])))
    pair = Pair(
        runs.of_summary("reference", summaries.reference, as_rate=True, of_pair=of_pair),
        runs.of_summary("audit", summaries.audit, as_rate=True, of_pair=of_pair),
    )
    checks = pair_checks.checks(
        pair,
        _WORDS,
        lambda before, after, tolerated, unit: speed_up(before, after, tolerated, name=_WORDS.score, unit=unit),
        same_file=_is_same(paths, reference, audit),
        own=[_repeated_one_sample(summaries)],
    )
    if pair.reference.of_few and checks[-1].passed is False:
        reason = (
            f"{checks[-1].reason}; by the median of queries too few for a percentile, and what one costs may differ"
        )
        checks[-1] = replace(checks[-1], passed=None, reason=reason)
    shown = Reverified(
        checks=[check for check in checks if not (of_pair and check.name == "valid")],
        log_scenario=pair.scenario,
        figures=_figures(pair, summaries, checks[-1]),
        runs=runs.prints(found, zip(pair, (path.parent for path in paths), strict=True)),
    )
    if not of_pair:
        said, shown.defects = upstream.said(reference, audit, summaries)
        shown.upstream.append(said)
    shown.notes += notes.of_runs(pair, summaries, checks[-1])
    if status_of(checks) == "PASS":
        shown.notes += notes.of_details(paths, pair)
    return shown


def _is_same(paths: tuple[Path, Path], reference: bytes, audit: bytes) -> bool:
    try:
        return bool(reference) and (reference == audit or paths[0].samefile(paths[1]))
    except OSError:
        return False


def _repeated_one_sample(summaries: _Summaries) -> Check:
    same, unique = _issue(summaries.audit)
    same_before, _ = _issue(summaries.reference)
    index = summaries.audit.performance_issue_same_index
    passed: bool | None = None
    if same is False:
        passed, reason = False, "the audit run never repeated one sample: performance_issue_same is 0"
    elif unique:
        passed, reason = False, "the audit run sent every sample once: performance_issue_unique is 1"
    elif same_before:
        passed, reason = False, "the reference run repeated one sample, too: its performance_issue_same is 1"
    elif same is None or same_before is None or unique is None:
        name = "audit" if same is None or unique is None else "reference"
        reason = f"neither summary nor detail log of the {name} run says whether one sample was repeated"
    else:
        passed, reason = True, f"the audit run repeated sample {index}, the reference run did not repeat one"
    return Check(name="repeated_one_sample", passed=passed, observed=same, limit=True, reason=reason)


def _issue(run: Summary) -> tuple[bool | None, bool | None]:
    """Return whether one sample was repeated, and whether each was sent once; from the detail log where need be."""
    same, unique = run.performance_issue_same, run.performance_issue_unique
    if same is not None and unique is not None:
        return same, unique
    detail = peek(Path(run.path).with_name(DETAIL), frozenset((_SAME, _UNIQUE)))
    return _flag(same, detail.get(_SAME)), _flag(unique, detail.get(_UNIQUE))


def _flag(of_summary: bool | None, of_detail: Any) -> bool | None:
    return of_detail if of_summary is None and isinstance(of_detail, bool) else of_summary


def _figures(pair: Pair, summaries: _Summaries, ratio: Check) -> dict[str, Figure]:
    reference, audit = summaries
    settings: dict[str, Figure] = {
        "sample_index": audit.performance_issue_same_index,
        "reference_min_query_count": reference.min_query_count,
        "audit_min_query_count": audit.min_query_count,
        "reference_target_qps": reference.target_qps,
        "audit_target_qps": audit.target_qps,
    }
    known = {name: value for name, value in settings.items() if value is not None}
    return {**runs.figures(pair, ratio), "limit_ratio": ratio.limit, **known}
