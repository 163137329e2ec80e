"""`--mlperf-csv`: what a run, a finished run or a round came to, as CSV files in a directory of their own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..audits.verdict import Figure
from ..errors import RecordError, ReportDirError
from ..records.files import write_pieces
from ..records.log import read_queries
from ..records.store import QUERIES_FILE
from ..report import sheets
from ..report.csv_text import csv_pieces
from ..verdicts.document import AuditEntry, PhaseEntry
from ..verdicts.round import RoundDocument
from .account import Account, Report
from .places import shown
from .recheck import Recheck
from .round import RoundAccount
from .run_account import RunAccount

_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")
_Rows = Iterable[Sequence[Figure]]


@dataclass(frozen=True)
class _Found:
    """What there is to write: a round, or audits and where a phase's records lie."""

    audits: Sequence[AuditEntry] = ()
    place: Callable[[PhaseEntry], Path] = lambda phase: Path(phase.directory)
    round: RoundDocument | None = None
    problems: Sequence[str] = ()


class CsvAccount:
    """Writes the files when the accounts before it have come to their verdicts. It judges nothing."""

    title = "mlperf csv"
    statuses: Iterable[str] = ()

    def __init__(self, directory: Path, judged: Path, found: Callable[[], _Found | None]) -> None:
        self.problems: list[str] = []
        self.directory = directory
        self._judged, self._found = judged, found
        self._written = False

    def start(self) -> None:
        """Refuse a directory among what is judged, whose files would change, or one that cannot be made."""
        own, judged = self.directory.resolve(), self._judged.resolve()
        if own.is_relative_to(judged):
            raise ReportDirError(
                f"--mlperf-csv: {own} lies in {judged}, whose files are what the verdict rests on; give a directory "
                "beside it"
            )
        try:
            own.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ReportDirError(f"--mlperf-csv: {own} cannot be made ({error.strerror}); give another") from error

    def note(self, report: Report) -> bool:  # noqa: ARG002 - no test is its own
        """Take nothing."""
        return False

    def finish(self) -> None:
        """Write the files."""
        found = self._found()
        if found is None:
            return
        self.problems += found.problems
        for name, rows in _tables(found):
            if problem := self._problem(name, rows):
                self.problems.append(problem)

    def _problem(self, name: str, rows: _Rows) -> str:
        """Write a file, and return why it is not there, "" where it is."""
        try:
            write_pieces(self.directory / name, csv_pieces(rows))
        except OSError as error:
            return f"{self.directory / name}: could not be written ({error.strerror or error})"
        except RecordError as error:
            return f"csv: {name} is left out: {error}"
        self._written = True
        return ""

    def lines(self) -> Iterator[tuple[str, str]]:
        """Say where the files lie."""
        if self._written:
            yield f"csv: {shown(self.directory)}", "plain"


def of_run(account: RunAccount, report_dir: Path, directory: Path) -> CsvAccount:
    """Return the account that writes a run of this session."""

    def found() -> _Found | None:
        verdict = account.verdict
        return None if verdict is None else _Found(verdict.audits, lambda phase: report_dir / phase.directory)

    return CsvAccount(directory / file_name(report_dir.name), report_dir, found)


def of_recheck(recheck: Recheck, directory: Path) -> CsvAccount:
    """Return the account that writes a finished run, as it is recomputed."""

    def found() -> _Found | None:
        try:
            now = [recheck.recomputed(entry.id) for entry in recheck.stored.audits]
        except RecordError as error:
            return _Found(problems=[f"csv: nothing was written: {error}"])
        lost = [f"csv: {one.stored.id} is left out: {one.damage}" for one in now if one.damage]
        entries = [one.entry for one in now if one.entry and not one.damage]
        return _Found(entries, lambda phase: recheck.run.phase_directory(phase.directory), problems=lost)

    return CsvAccount(directory / file_name(recheck.directory.name), recheck.directory, found)


def of_round(account: RoundAccount, tree: Path, directory: Path) -> CsvAccount:
    """Return the account that writes a round."""

    def found() -> _Found | None:
        return None if account.document is None else _Found(round=account.document)

    return CsvAccount(directory / file_name(tree.name), tree, found)


def apart(*accounts: CsvAccount) -> list[Account]:
    """Return the accounts, with a number behind the name of a directory that an earlier account has."""
    taken = set[Path]()
    for account in accounts:
        named, number = account.directory, 1
        while account.directory in taken:
            number += 1
            account.directory = named.with_name(f"{named.name}-{number}")
        taken.add(account.directory)
    return list(accounts)


def file_name(text: str) -> str:
    """Return a name as a file's."""
    return _UNSAFE.sub("-", text).strip(".-")[:100] or "unnamed"


def _tables(found: _Found) -> Iterator[tuple[str, _Rows]]:
    """Yield the name and the rows of each file."""
    if found.round is not None:
        yield "cases.csv", sheets.cases(found.round)
        return
    if not found.audits:
        return
    yield "phases.csv", sheets.phases(found.audits)
    yield "checks.csv", sheets.checks(found.audits)
    yield "figures.csv", sheets.audit_figures(found.audits)
    for audit in found.audits:
        for phase in audit.phases:
            yield f"queries-{file_name(audit.id)}-{file_name(phase.label)}.csv", _queries(found, phase)


def _queries(found: _Found, phase: PhaseEntry) -> _Rows:
    yield from sheets.queries(read_queries(found.place(phase) / QUERIES_FILE))
