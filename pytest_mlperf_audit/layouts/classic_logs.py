"""A phase of a run as LoadGen's files: its two logs, and its accuracy log as it is published.

Sources: mlcommons/inference `loadgen`, and `tools/submission/truncate_accuracy_log.py`, which leaves 4096 bytes of
either end of an accuracy log. The whole log stays in the phase's own directory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from ..loadgen.accuracy_log import write_accuracy_log
from ..loadgen.phase_log import Declared, Mode, phase_log
from ..loadgen.write import detail_text, summary_text
from ..records.files import sha256_file, write_atomic
from ..records.log import read_columns, read_queries
from ..records.store import QUERIES_FILE, complete_phase
from ..runs.phase import PhaseRecord
from ..verdicts.document import AuditEntry, PhaseEntry

RUN_1: Final = Path("performance") / "run_1"
ACCURACY_LOG: Final = "mlperf_log_accuracy.json"
_DETAIL, _SUMMARY = "mlperf_log_detail.txt", "mlperf_log_summary.txt"
_KEPT_BYTES: Final = 4096
_CUT: Final = b"\n\n...\n\n"


class Writer:
    """Writes what phases of one run give of the classic layout. Every method raises RecordError and OSError."""

    def __init__(self, declared: Declared, report_dir: Path) -> None:
        self.declared = declared
        self.report_dir = report_dir

    def record(self, phase: PhaseEntry) -> PhaseRecord:
        """Return a phase's record."""
        return complete_phase(self.report_dir / phase.directory)

    def logs(
        self, audit: AuditEntry, phase: PhaseEntry, directory: Path, mode: Mode = "PerformanceOnly"
    ) -> Iterator[Path]:
        """Write a phase's detail log and summary into `directory`."""
        of_phase = self.declared
        if mode == "AccuracyOnly":
            name = phase.spec.dataset or of_phase.qsl_name
            of_phase = replace(of_phase, qsl_name=name, qsl_size=phase.figures.n_issued)
        log = phase_log(
            self.record(phase),
            read_columns(self.report_dir / phase.directory / QUERIES_FILE),
            of_phase,
            duration_met=_passed(audit, "duration", phase.label),
            queries_met=_passed(audit, "completion", phase.label),
            mode=mode,
        )
        yield _written(directory / _DETAIL, detail_text(log))
        yield _written(directory / _SUMMARY, summary_text(log))

    def accuracy_log(self, phase: PhaseEntry, directory: Path, *, cut: bool = True) -> tuple[list[Path], str]:
        """Write a phase's accuracy log into `directory`, both ends of it where `cut`; return what was written.

        The digest that comes with it is the whole log's, in hex.
        """
        whole = self.report_dir / phase.directory / ACCURACY_LOG
        written = []
        if not whole.is_file():
            write_accuracy_log(whole, read_queries(self.report_dir / phase.directory / QUERIES_FILE))
            written.append(whole)
        published = directory / ACCURACY_LOG
        write_atomic(published, _both_ends(whole) if cut else whole.read_bytes())
        return [*written, published], sha256_file(whole)


def _passed(audit: AuditEntry, check: str, label: str) -> bool:
    """Whether a check of one phase passed; one that was not made asks nothing."""
    return all(entry.passed is True for entry in audit.checks if entry.name in (check, f"{check}[{label}]"))


def _written(path: Path, text: str) -> Path:
    write_atomic(path, text.encode())
    return path


def _both_ends(whole: Path) -> bytes:
    """Return an accuracy log as MLPerf's tool cuts it: a shorter one is whole."""
    with whole.open("rb") as file:
        start = file.read(_KEPT_BYTES)
        if len(start) < _KEPT_BYTES:
            return start
        file.seek(-_KEPT_BYTES, 2)
        return start + _CUT + file.read(_KEPT_BYTES)
