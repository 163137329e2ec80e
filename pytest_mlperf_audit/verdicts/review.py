"""A round as a review committee reads it: one run that stands for several results, and what went wrong, by kind.

Two logs are of one run when they share three latencies to the nanosecond, or all of them, or three gaps between them,
as a copy does whose figures were all moved alike. Some results may rest on one
run (`_may_share`); any others do not: one of them is an audit of something other than it says.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final, Literal, NamedTuple

import msgspec

from ..audits.published.case import CaseOutcome, CaseStatus, RunPrint
from ..text import plain

#: Latencies to the nanosecond that two logs of one run share; multiples of this may be a clock's ticks.
_ENOUGH: Final = 3
_COARSE_NS: Final = 1000
#: Narrower gaps may be alike by chance.
_WIDE_NS: Final = 1_000_000
#: Ends of names: a model's accuracy target in per cent, the suite that a system was submitted to.
_TARGET = re.compile(r"-(?:99\.9|99|95)$")
_SUITE = re.compile(r"[-_.](?:datacenter|edge|dc)(?=$|[-_.])")
_SCENARIOS: Final = {"interactive": "server", "multistreeam": "multistream"}
#: From the scenario of a run to that of a result.
_INFERRED: Final = {("singlestream", "multistream"), ("multistream", "offline"), ("singlestream", "offline")}
#: What differs between sentences of one kind: figures, names and paths.
_SPECIFIC = re.compile(r"(?<!\S)(?!\(?(?:TEST[0-9]{2}|v[0-9]+\.[0-9]+)\b)\S*[0-9/]\S*")
_BAD: Final[tuple[CaseStatus, ...]] = ("FAIL", "NO_VERDICT")
_PLACES: Final = ("submitter", "system", "benchmark", "scenario")


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something to act on. `cases` are ids; `sentence` holds for all of them, `kind` is what such findings are called.

    `whole` says that `sentence` is the reason of each case, word for word; figures and names are left out of it
    otherwise. `logs` are those that are of one run, relative to the round.
    """

    status: Literal["FAIL", "NO_VERDICT"]
    kind: str
    sentence: str
    cases: tuple[str, ...]
    whole: bool = True
    logs: tuple[str, ...] = ()


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """How many audits of one submitter and one benchmark came to what, by status."""

    division: str
    submitter: str
    benchmark: str
    counts: dict[str, int]


class _Log(NamedTuple):
    case: CaseOutcome
    run: RunPrint


def findings(cases: Sequence[CaseOutcome]) -> tuple[Finding, ...]:
    """Return what is to be acted on: runs that stand for several results, then failures by kind, then doubts."""
    return (*_shared_runs(cases), *_by_kind(cases))


def matrix(cases: Iterable[CaseOutcome]) -> tuple[Cell, ...]:
    """Return what the audits came to by submitter and benchmark, in the order of their names."""

    def place(case: CaseOutcome) -> tuple[str, str, str]:
        return case.division, case.submitter, case.benchmark

    return tuple(
        Cell(
            division=division,
            submitter=submitter,
            benchmark=benchmark,
            counts=dict(sorted(Counter(case.status for case in mine).items())),
        )
        for (division, submitter, benchmark), mine in groupby(sorted(cases, key=place), key=place)
    )


def _by_kind(cases: Sequence[CaseOutcome]) -> Iterator[Finding]:
    grouped: dict[tuple[CaseStatus, str, str], list[CaseOutcome]] = defaultdict(list)
    for case in cases:
        if case.status in _BAD:
            grouped[case.status, case.test, _SPECIFIC.sub("…", case.reason)].append(case)

    def urgency(group: tuple[CaseStatus, str, str]) -> tuple[int, int, str, str]:
        status, test, sentence = group
        return _BAD.index(status), -len(grouped[group]), test, sentence

    for key in sorted(grouped, key=urgency):
        status, test, general = key
        reasons = {case.reason for case in grouped[key]}
        yield Finding(
            status="FAIL" if status == "FAIL" else "NO_VERDICT",
            kind=test,
            sentence=reasons.pop() if len(reasons) == 1 else general,
            cases=tuple(case.id for case in grouped[key]),
            whole=len({case.reason for case in grouped[key]}) == 1,
        )


def _shared_runs(cases: Sequence[CaseOutcome]) -> Iterator[Finding]:
    """Yield the runs that stand for several results, those of several submitters first; alike ones together."""
    found: dict[tuple[str, ...], list[_Log]] = defaultdict(list)
    for logs in _same_runs(cases):
        differing = _differing(logs)
        if differing and not _may_share(logs, differing):
            what = differing[0]
            names = sorted({str(getattr(log.case, what)) for log in logs})
            above = _PLACES[: _PLACES.index(what)]
            shared = [str(getattr(logs[0].case, name)) for name in above]
            key = (str(_PLACES.index(what)), *shared, *names)
            found[key] += logs
    for key, logs in sorted(found.items()):
        what = _PLACES[int(key[0])]
        names = [plain(name, 80) for name in key[1 + _PLACES.index(what) :]]
        n_results = len({log.case.case for log in logs})
        yield Finding(
            status="FAIL",
            kind=f"one run for several {what}s",
            sentence=f"the same runs stand for {_listed(names)}: {n_results} results rest on logs that share their "
            "latencies, or the gaps between them, to the nanosecond, where each needs runs of its own",
            cases=tuple(sorted({log.case.id for log in logs})),
            logs=tuple(sorted({log.run.log for log in logs})),
        )


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _differing(logs: Sequence[_Log]) -> list[str]:
    return [name for name in _PLACES if len({_spelt(name, log) for log in logs}) > 1]


def _spelt(name: str, log: _Log) -> str:
    return str(getattr(log.case, name)).lower().replace("_", ".").replace("-", ".")


def _may_share(logs: Sequence[_Log], differing: Sequence[str]) -> bool:
    """Whether one run may stand for all of these results.

    One model with two accuracy targets may, one system in both suites, and what the rules infer from SingleStream or
    MultiStream. Source: `submission_checker/checks/performance_check.py` (inferred_check).
    """
    if "submitter" in differing:
        return False
    systems = {_SUITE.sub("", log.case.system.lower()) for log in logs}
    models = {_TARGET.sub("", log.case.benchmark.lower().replace("_", ".")) for log in logs}
    return len(systems) == len(models) == 1 and all(_may_be_inferred(log) for log in logs)


def _may_be_inferred(log: _Log) -> bool:
    of_log = (log.case.log_scenario or "").lower()
    named = re.sub("[-_]", "", log.case.scenario.lower())
    named = _SCENARIOS.get(named, named)
    return not of_log or named == of_log or (of_log, named) in _INFERRED


def _same_runs(cases: Sequence[CaseOutcome]) -> Iterator[list[_Log]]:
    """Yield the logs of each run that lies in several places of the tree."""
    logs = list({run.log: _Log(case, run) for case in cases for run in case.runs}.values())
    parents = list(range(len(logs)))

    def root(at: int) -> int:
        while parents[at] != at:
            parents[at] = parents[parents[at]]
            at = parents[at]
        return at

    for one, other in _alike(logs):
        parents[root(one)] = root(other)
    groups: dict[int, list[_Log]] = defaultdict(list)
    for at, log in enumerate(logs):
        groups[root(at)].append(log)
    yield from (group for group in groups.values() if len(group) > 1)


def _alike(logs: Sequence[_Log]) -> Iterator[tuple[int, int]]:
    """Yield pairs of logs that are of one run."""
    whole: dict[tuple[int, ...], int] = {}
    holding: dict[tuple[str, int], list[int]] = defaultdict(list)
    for at, log in enumerate(logs):
        latencies = log.run.latencies_ns
        if len(latencies) >= _ENOUGH and (first := whole.setdefault(latencies, at)) != at:
            yield at, first
            continue
        marks = _marks(latencies)
        shared = Counter((other, mark[0]) for mark in marks for other in holding[mark])
        yield from dict.fromkeys((at, other) for (other, _), count in shared.items() if count >= _ENOUGH)
        for mark in marks:
            holding[mark].append(at)


def _marks(latencies_ns: Sequence[int]) -> list[tuple[str, int]]:
    """Return by what a run is known again, with its kind: latencies, and how far they lie above the lowest."""
    low = min(latencies_ns, default=0)
    gaps = [ns - low for ns in latencies_ns if ns - low >= _WIDE_NS]
    marks = [*(("latency", ns) for ns in latencies_ns), *(("gap", gap) for gap in gaps)]
    return [mark for mark in marks if mark[1] % _COARSE_NS]
