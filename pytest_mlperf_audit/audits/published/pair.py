"""The two runs that TEST01 and TEST04 of a submission compare, by whichever of their logs was published."""

from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Final, NamedTuple

from ...loadgen.detail import SCORE_KEYS, Detail
from ...loadgen.summary import Summary
from ...loadgen.text import Quirks
from ...loadgen.version import Writer, version_has_early_stopping, writer_of
from ...text import plain, readable
from ..verdict import Check, Figure
from .case import AuditDirectory, Reverified, RunPrint
from .place import folded
from .required import AUDITED_DIVISIONS, known_rounds
from .score import (
    NS_PER_S,
    SCENARIOS,
    STREAMS,
    TOLERANCE,
    is_latency,
    rate_of,
    score_before_early_stopping,
    score_of,
    tolerance,
    why_none,
)

#: Below an audit's directory, and below a scenario's for the reference run.
RUN: Final = Path("performance/run_1")
SUMMARY: Final = "mlperf_log_summary.txt"
DETAIL: Final = "mlperf_log_detail.txt"

#: Of both kinds of log; with fewer latencies no run is known again.
_KNOWN_BY = re.compile(r"(?:result_)?(?:min|max|mean|50.00.percentile|90.00.percentile)(?:_latency_ns)?", re.IGNORECASE)
_FEWEST: Final = 3
#: What of a detail log one run is known by.
_LATENCIES: Final = tuple(
    f"result_{what}_latency_ns" for what in ("min", "max", "mean", "50.00_percentile", "90.00_percentile")
)

Latencies = AbstractSet[tuple[str, int]]


class Run(NamedTuple):
    """One run, by its detail log or its summary, which `log` says.

    `score` is in `unit`; `no_score` says why there is none. `latencies_ns` are those that the log is known by, `lines`
    every figure of it that some round took for the score. `is_text` is that its detail log is one of text, as of v0.7;
    `of_few` that it is scored by the median of queries that are too few for a percentile; `is_scored_as_of_old` that
    its LoadGen had no early stopping, by which its scenario is scored since.
    """

    name: str
    log: str
    empty: bool
    whole: bool
    scenario: str | None
    validity: str | None
    score: float | None
    unit: str
    no_score: str
    target_latency_ns: float | None
    n_errors: int
    quirks: Quirks
    problems: tuple[str, ...]
    sut_name: str | None
    latencies_ns: Latencies
    lines: AbstractSet[float] = frozenset()
    is_text: bool = False
    of_few: bool = False
    is_scored_as_of_old: bool = False

    @property
    def tolerance(self) -> float:
        """How far another run's score may lie from this one's, as a share of it."""
        return TOLERANCE if self.score is None or self.unit == STREAMS else tolerance(self.scenario or "", self.score)

    @property
    def unread(self) -> str:
        """What of the log could not be read, to stand behind a reason."""
        return f" ({'; '.join(self.problems[:3])})" if self.problems else ""

    def errors(self) -> list[str]:
        """Return a note on the errors that LoadGen counted."""
        if not self.n_errors:
            return []
        return [f"LoadGen reported {self.n_errors} errors in the {self.name} run; its detail log says which."]

    def oddities(self) -> list[str]:
        """Return notes on what is odd in a log that was read all the same."""
        notes = []
        if odd := str(self.quirks):
            notes.append(f"The {self.name} run's {self.log} was read in spite of {odd}.")
        if self.whole and self.problems:
            notes.append(f"Of the {self.name} run's {self.log} this was not read: {'; '.join(self.problems[:3])}.")
        return notes


class Pair(NamedTuple):
    """The two runs that are compared."""

    reference: Run
    audit: Run

    @property
    def scenario(self) -> str | None:
        """What the logs say, the audit run's first."""
        return self.audit.scenario or self.reference.scenario


def of_detail(name: str, log: Detail) -> Run:
    """Return the run that a detail log is of, scored as LoadGen has it."""
    scenario = log.text("effective_scenario")
    source = SCENARIOS.get(scenario or "")
    score, unit = log.number(source.key) if source else None, _unit(scenario, "ns")
    old = not version_has_early_stopping(log.text("loadgen_version"))
    if old and scenario == "SingleStream":
        score = log.number("result_90.00_percentile_latency_ns")
    elif old and scenario == "MultiStream":
        score, unit = log.number("effective_samples_per_query"), STREAMS
    return Run(
        name=name,
        log="detail log",
        empty=not log.marked and not log.n_bad_lines,
        whole=log.whole,
        scenario=scenario,
        validity=log.text("result_validity"),
        score=score,
        unit=unit,
        no_score="",
        target_latency_ns=log.number("effective_target_latency_ns"),
        n_errors=log.n_errors,
        quirks=log.quirks,
        problems=log.problems,
        sut_name=log.text("sut_name"),
        latencies_ns={(key, int(ns)) for key in _LATENCIES if (ns := log.number(key)) is not None},
        lines={number for key in SCORE_KEYS if (number := log.number(key)) is not None},
        is_scored_as_of_old=old and is_latency(scenario),
    )


def of_summary(name: str, log: Summary, *, as_rate: bool, of_pair: bool = False) -> Run:
    """Return the run that a summary is of, scored as LoadGen has it, or `as_rate`: by queries/s in every scenario.

    With `of_pair` it is one of TEST04-A and TEST04-B: Server is scored by the samples that were scheduled, as their
    script had it, and latencies by the median where so few queries allow no estimate of a percentile.

    A log without an early-stopping estimate is asked for its writer, by the detail log beside it.
    """
    score, unit = rate_of(log) if as_rate else score_of(log), _unit(log.scenario, "queries/s" if as_rate else "ns")
    writer = writer_of(Path(log.path).with_name(DETAIL)) if not log.early_stopping_ns else Writer()
    old = is_latency(log.scenario) and not writer.has_early_stopping
    of_few = of_pair and score is None and is_latency(log.scenario)
    if of_pair:
        score = _score_of_pair(log, score)
    if old and (score := score_before_early_stopping(log)):
        unit = STREAMS if log.scenario == "MultiStream" else unit
        score = NS_PER_S / score if as_rate and unit != STREAMS else score
    return Run(
        name=name,
        log="summary",
        empty=not log.size_bytes,
        whole=log.whole,
        scenario=log.scenario,
        validity=log.validity,
        score=score,
        unit=unit,
        no_score=f": {why_none(log)}" if as_rate and score is None else "",
        target_latency_ns=log.target_latency_ns,
        n_errors=log.n_errors or 0,
        quirks=log.quirks,
        problems=log.problems,
        sut_name=log.sut_name,
        latencies_ns=log.latencies_ns,
        lines=log.score_lines,
        is_text=writer.is_text,
        of_few=of_few and not old,
        is_scored_as_of_old=old,
    )


def _score_of_pair(log: Summary, score: float | None) -> float | None:
    """Return the score in queries/s of TEST04-A or TEST04-B, where `score` is that of today."""
    if log.scenario == "Server":
        return log.scheduled_samples_per_second
    ns = dict(log.latencies_ns).get("50.00 percentile") if is_latency(log.scenario) else None
    return NS_PER_S / ns if score is None and ns else score


def _unit(scenario: str | None, of_latency: str) -> str:
    return "" if scenario not in SCENARIOS else of_latency if is_latency(scenario) else "samples/s"


def unpublished(found: AuditDirectory, name: str) -> Reverified:
    """Return that an audit cannot be judged, since the log of its reference run is not there.

    It is skipped where its result was withdrawn. Of a result that is there, in a round that asks it for audits, the
    missing log leaves no verdict: else whoever takes it away is rid of the audit.
    """
    where = found.results / RUN / name
    where = where.relative_to(found.tree) if where.is_relative_to(found.tree) else where
    audited = found.round in known_rounds() and folded(found.division) in AUDITED_DIVISIONS
    if audited and found.results.is_dir():
        reason = f"the result is there, and its run has no {where.as_posix()} to compare with"
        return Reverified(checks=[Check(name="reference", passed=None, observed=None, limit=None, reason=reason)])
    return Reverified(skipped=f"the reference run was not published: there is no {where.as_posix()}")


def figures(pair: Pair, score: Check) -> dict[str, Figure]:
    """Return the figures that there are of two runs; `score` is the check of their scores."""
    before = pair.reference.score
    found: dict[str, Figure] = {
        "scenario": pair.audit.scenario,
        "unit": pair.audit.unit or None,
        "reference_score": before,
        "audit_score": pair.audit.score,
        "ratio": score.observed,
        "limit_ratio": 1 + pair.reference.tolerance if before else None,
    }
    return {name: value for name, value in found.items() if value is not None}


def prints(found: AuditDirectory, runs: Iterable[tuple[Run, Path]]) -> list[RunPrint]:
    """Return by what each run is known again, with the log that it was read from; nothing of one without latencies."""
    return [
        RunPrint(
            role="reference" if run.name == "reference" else "audit",
            log=readable((log.relative_to(found.base) if log.is_relative_to(found.base) else log).as_posix()),
            latencies_ns=latencies,
        )
        for run, log in runs
        if len(latencies := tuple(sorted({ns for name, ns in run.latencies_ns if _KNOWN_BY.fullmatch(name)})))
        >= _FEWEST
    ]


def prints_of(found: AuditDirectory, summary: Summary | None) -> list[RunPrint]:
    """Return by what an audit run alone is known again, by its summary; nothing without one."""
    if summary is None:
        return []
    return prints(found, [(of_summary("audit", summary, as_rate=False), found.path / RUN)])


def systems_note(pair: Pair) -> list[str]:
    """Return a note where two runs name different systems under test; in the sample of v4.1 none do."""
    reference, audit = (run.sut_name for run in pair)
    if not reference or not audit or reference == audit:
        return []
    names = f"{plain(reference, 60)!r}, the audit run of {plain(audit, 60)!r}"
    return [f"The reference run is of the SUT {names}: unless that is one system, they cannot be compared."]
