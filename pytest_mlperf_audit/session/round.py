"""Round: one submission tree of this session, which of its audits the command line names, and what they came to."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec

from ..audits.published.case import AuditDirectory, CaseOutcome
from ..audits.published.tree import Survey, survey
from ..audits.verdict import Figure
from ..errors import ConfigError
from ..report.round import words
from ..runs.clock import Clock
from ..text import readable
from ..verdicts.document import encoded
from ..verdicts.round import RoundDocument, describe
from .account import Report, append_to_step_summary, unwritten
from .places import claim, require_collectable, shown

if TYPE_CHECKING:
    from .locks import Lock

#: The attribute of a report by which a case's outcome travels, under xdist from a worker; JSON, which execnet can send.
CASE = "mlperf_case"


@dataclass(frozen=True)
class Round:
    """A submission tree. `found` is what is in it, `named` are the audits that arguments name: all, without any."""

    tree: Path
    found: Survey
    named: tuple[AuditDirectory, ...]
    report_dir: Path

    @property
    def audits(self) -> list[AuditDirectory]:
        """All audits that were found, and those that the round requires and lacks."""
        return self.found.audits

    def groups(self) -> Iterator[tuple[str, list[AuditDirectory]]]:
        """Yield each scenario's audits, so that one node of the collection holds those of one directory."""
        cases: dict[str, list[AuditDirectory]] = {}
        for audit in self.named:
            cases.setdefault(audit.case, []).append(audit)
        yield from cases.items()


class RoundAccount:
    """The account of a tree: its cases, from the reports that carry them, to verdict.json and report.html."""

    def __init__(self, found: Round, environment: dict[str, Figure]) -> None:
        self.title = f"mlperf results: {found.tree.name}"
        self.problems: list[str] = []
        self._round = found
        self._ids = dict.fromkeys(f"{audit.case}::{audit.test}" for audit in found.audits)
        self._environment = environment
        self._clock = Clock.read()
        self._started_at = self._clock.now()
        self._cases = dict[str, CaseOutcome]()
        self._tests = set[str]()
        self._document: RoundDocument | None = None
        self._lock: Lock | None = None

    @property
    def statuses(self) -> Iterable[str]:
        """The statuses of the cases that were judged, and of what was found across them."""
        across = self._document.findings if self._document else ()
        return {case.status for case in self._cases.values()} | {finding.status for finding in across}

    @property
    def document(self) -> RoundDocument | None:
        """What the round came to, None before it is known."""
        return self._document

    def start(self) -> None:
        """Claim the report directory, so that nothing is judged in vain. Raises ReportDirError."""
        self._lock = claim(self._round.report_dir, len(self._round.named))

    def note(self, report: Report) -> bool:
        """Note the outcome that a report carries. A failure is the case's own only where it has come to something."""
        if carried := getattr(report, CASE, None):
            case = msgspec.json.decode(carried, type=CaseOutcome)
            if case.id in self._ids:
                self._cases[case.id] = case
                self._tests.add(report.nodeid)
        return report.nodeid in self._tests

    def finish(self) -> None:
        """Write what was found; on GitHub the step's summary, too."""
        from ..report import ci_summary
        from ..report.write import write_round_report

        found = self._round
        document = describe(
            [self._cases[node_id] for node_id in self._ids if node_id in self._cases],
            tree=str(found.tree),
            found=len(found.audits),
            survey=found.found,
            started_at=self._started_at,
            finished_at=self._clock.now(),
            environment=self._environment,
        )
        try:
            write_round_report(document, found.report_dir)
            append_to_step_summary(ci_summary.round_markdown(document))
        except OSError as error:
            self.problems.append(unwritten(found.report_dir, error))
        else:
            self._document = document
        if self._lock:
            self._lock.release()

    def lines(self) -> Iterator[tuple[str, str]]:
        """Yield what was found, and where the report lies."""
        if self._document:
            yield from words.terminal_lines(self._document)
            yield f"report: {shown(self._round.report_dir / 'report.html')}", "plain"


def carried(outcome: CaseOutcome) -> str:
    """Return a case's outcome as a report carries it."""
    return encoded(outcome).decode()


def find_rounds(
    trees: Sequence[Path], report_dir: Path, surveyed: Mapping[Path, Survey] = MappingProxyType({})
) -> list[Round]:
    """Return the trees with all their audits; with several, each reports into a directory of its own.

    `surveyed` is what was found already, by tree.

    Raises ConfigError for a tree without audits, and for two trees whose audits would have the same ids.
    """
    rounds = []
    seen: dict[str, Path] = {}
    for tree, place in zip(trees, _places(trees, report_dir), strict=True):
        require_collectable(tree, "--mlperf-results")
        found = surveyed.get(tree) or survey(tree)
        for audit in found.audits:
            if audit.case in seen:
                raise ConfigError(
                    f"--mlperf-results: {seen[audit.case]} and {tree} both hold {audit.case}, so their tests would "
                    "have the same ids; re-verify one after the other"
                )
        seen |= {audit.case: tree for audit in found.audits}
        rounds.append(Round(tree, found, tuple(found.audits), place))
    return rounds


def _places(trees: Sequence[Path], report_dir: Path) -> Iterator[Path]:
    """Yield where each tree's report goes; of two trees of one name, the second gets a number behind it."""
    taken: Counter[str] = Counter()
    for tree in trees:
        name = readable(tree.name)
        taken[name] += 1
        shown = name if taken[name] == 1 else f"{name}-{taken[name]}"
        yield report_dir / shown if len(trees) > 1 else report_dir


def choose(rounds: Sequence[Round], args: Sequence[str], cwd: Path, rootdir: Path) -> tuple[list[Round], list[str]]:
    """Return the rounds with only what arguments name, where any does, and the arguments that name none of it.

    An argument may be an id, as pytest prints it, the front part of one, or a path into a tree.
    """
    named: dict[Path, set[AuditDirectory]] = {}
    others = []
    for arg in args:
        found = {one.tree: audits for one in rounds if (audits := _named(one, arg, cwd, rootdir))}
        for tree, audits in found.items():
            named.setdefault(tree, set()).update(audits)
        if not found:
            others.append(arg)
    if not named:
        return list(rounds), others
    chosen = [
        replace(one, named=tuple(audit for audit in one.audits if audit in named[one.tree]))
        for one in rounds
        if one.tree in named
    ]
    return chosen, others


def _named(one: Round, arg: str, cwd: Path, rootdir: Path) -> list[AuditDirectory]:
    if arg in (whole := {f"{audit.case}::{audit.test}": audit for audit in one.audits}):
        return [whole[arg]]
    part, _, test = arg.partition("::")
    path = Path(os.path.normpath(cwd / part))
    if path.exists():
        return [] if test or not path.is_relative_to(one.tree) else [a for a in one.audits if _below(a, path)]
    shown = path.relative_to(rootdir).as_posix() if path.is_relative_to(rootdir) else part
    return [audit for audit in one.audits if any(_is_front(front, test, audit) for front in (part, shown))]


def _below(audit: AuditDirectory, path: Path) -> bool:
    return audit.path.is_relative_to(path) or audit.results.is_relative_to(path)


def _is_front(front: str, test: str, audit: AuditDirectory) -> bool:
    """Whether an id, or the front part of one, is that of an audit."""
    if test:
        return (front, test) == (audit.case, audit.test)
    return f"{audit.case}/".startswith(f"{front.rstrip('/')}/")
