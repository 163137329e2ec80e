"""TEST01 of a submission, re-verified: is the SUT as accurate in a performance run as in its accuracy run, and as fast?

Two questions, as upstream has them: the accuracy of what a performance run logged (published_accuracy.py), and whether
that run scored like the reference run, so that logging was not bought with speed. The second is judged by the two
detail logs, or by the summaries where those were not published.

Rule: mlcommons/inference `compliance/TEST01/verify_performance.py`: both runs valid, of one scenario, for Server with
one target latency, and the audit run's score within 10 % of the reference run's, both ways; 20 % for latencies so short
that noise is large (SingleStream up to 0.2 ms, MultiStream up to 1.6 ms).
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Final, NamedTuple

from ...errors import RecordError
from ...loadgen.detail import read_detail, read_regular
from ...loadgen.events import Events
from ...loadgen.summary import read_summary
from ...loadgen.text import read
from ...loadgen.verify_files import read_verify_performance
from ...loadgen.version import writer_of
from ..published import pair as runs
from ..published import pair_checks
from ..published.case import AuditDirectory, Reverified, together
from ..published.pair import DETAIL, RUN, SUMMARY, Pair, Run
from ..published.score import is_in_log, is_of_run, within
from . import published_accuracy, upstream

_WORDS: Final = pair_checks.Wording(
    test="TEST01",
    prefix="performance_",
    score="performance_score",
    logs="logs",
    cut="is cut short or is none",
    whole="both logs have what LoadGen writes last",
    nameless="the {first} run's log names no scenario",
    no_validity="the {run} run's log has no validity",
    latency=("the runs have the same target latency", "the runs have different target latencies"),
    may_lack_latency=False,
)
#: A larger log is judged all the same, in bounded memory; what upstream says of it is then not known.
_UPSTREAM_LIMIT_BYTES: Final = 64 * 1024 * 1024


class _Published(NamedTuple):
    """A run, and the detail log that it was read from, where that is as LoadGen writes one."""

    run: Run
    log: Events | None = None


def verify(found: AuditDirectory) -> Reverified:
    """Judge one TEST01 directory."""
    return together([performance(found), published_accuracy.accuracy(found)])


def performance(found: AuditDirectory) -> Reverified:
    """Judge whether the audit run scored like the reference run. Unreadable files leave no verdict, never raise."""
    directories = found.results / RUN, found.path / RUN
    try:
        shown = _performance(found, directories)
        recorded = read_verify_performance(found.path / "verify_performance.txt")
    except RecordError as error:
        return Reverified(checks=[pair_checks.not_readable(_WORDS, str(error))])
    if recorded and recorded.verdict:
        shown.recorded = f"performance {recorded.verdict}"
    for name, was in (
        ("reference", recorded and recorded.reference_score),
        ("audit", recorded and recorded.audit_score),
    ):
        now = shown.figures.get(f"{name}_score")
        where = directories[name == "audit"]
        if was and isinstance(now, float) and not _is_of_log(was, now, where, shown.log_scenario):
            shown.notes.append(
                f"verify_performance.txt has the {name} score {was:g}, the log {now:g}, and no line of it says the "
                f"former: it was written for another {name} run than the one that was published."
            )
    return shown


def _is_of_log(recorded: float, score: float, directory: Path, scenario: str | None) -> bool:
    """Return whether a recorded score is the run's, or another figure of its logs: scripts of older rounds took one.

    Of five runs of a scenario, as v0.7 had them, any may be meant.
    """
    if is_of_run(recorded, score, scenario):
        return True
    others = sorted(directory.parent.glob("run_*")) if directory.parent.is_dir() else []
    return any(
        is_in_log(recorded, _lines(path / name), scenario)
        for path in dict.fromkeys((directory, *others))
        for name in (SUMMARY, DETAIL)
    )


def _lines(path: Path) -> AbstractSet[float]:
    """Return the figures of a log that may have been taken for its score; none of one that cannot be read."""
    try:
        return read_summary(path).score_lines if path.name == SUMMARY else runs.of_detail("", read_detail(path)).lines
    except RecordError:
        return frozenset()


def _performance(found: AuditDirectory, directories: tuple[Path, Path]) -> Reverified:
    reference, audit = _run("reference", directories[0]), _run("audit", directories[1])
    if reference is None:
        return runs.unpublished(found, DETAIL)
    if audit is None:
        return Reverified(
            checks=[pair_checks.not_readable(_WORDS, f"the audit run has no {(RUN / DETAIL).as_posix()}")]
        )
    pair = Pair(reference.run, audit.run)
    logs = {DETAIL if run.log == "detail log" else SUMMARY for run in pair}
    checks = pair_checks.checks(
        pair,
        _WORDS,
        lambda before, after, tolerated, unit: within(before, after, tolerated, name=_WORDS.score, unit=unit),
        same_file=len(logs) == 1 and pair_checks.is_same_file(*(directory / max(logs) for directory in directories)),
    )
    shown = Reverified(
        checks=checks, log_scenario=pair.scenario, figures=runs.figures(pair, checks[-1]), notes=_notes(pair)
    )
    shown.runs = runs.prints(found, zip(pair, directories, strict=True))
    if logs == {DETAIL} and not any(run.is_scored_as_of_old for run in pair):  # today's script is for today's logs
        _ask_upstream(shown, directories, (reference.log, audit.log))
    return shown


def _run(name: str, directory: Path) -> _Published | None:
    """Return a run by its detail log, None without logs.

    By its summary where that was not published, and where it is of v0.7 or older: such a log holds text, no figures.
    """
    if regular := read_regular(directory / DETAIL):
        return _Published(runs.of_detail(name, regular[0]), regular[1])
    if (directory / DETAIL).exists() and not ((directory / SUMMARY).exists() and _is_text(directory / DETAIL)):
        return _Published(runs.of_detail(name, read_detail(directory / DETAIL)))
    if (directory / SUMMARY).exists():
        return _Published(runs.of_summary(name, read_summary(directory / SUMMARY), as_rate=False))
    return None


def _is_text(path: Path) -> bool:
    return writer_of(path).is_text


def _notes(pair: Pair) -> list[str]:
    """Return what a reviewer should know of the two runs beside the checks."""
    notes = runs.systems_note(pair)
    for run in pair:
        if run.log == "summary" and not run.is_text:
            notes.append(f"The {run.name} run was published without a detail log and is judged by its summary.")
        notes += run.errors() + run.oddities()
    return notes


def _ask_upstream(shown: Reverified, directories: tuple[Path, Path], logs: tuple[Events | None, Events | None]) -> None:
    try:
        reference, audit = (
            log.data if log else read(directory / DETAIL, _UPSTREAM_LIMIT_BYTES)
            for log, directory in zip(logs, directories, strict=True)
        )
    except RecordError as error:
        shown.notes.append(f"What upstream's script says was not worked out. {error}")
        return
    said, shown.defects = upstream.said(reference, audit, logs)
    separate = next(check for check in shown.checks if check.name == "performance_separate_runs")
    if not separate.passed and upstream.SAME_RUN not in shown.defects:  # one of the two logs was edited
        shown.defects.append(upstream.SAME_RUN)
    shown.upstream.append(said)
