"""Files of MLPerf's classic submission layout: the report directory is a scenario directory of a submission as well.

    TEST04/verify_performance.txt                  "TEST PASS" or "TEST FAIL", written last
    TEST04/performance/run_1/mlperf_log_*.txt      the first output_caching phase
    TEST04/reference/performance/run_1/...         the phase that it was compared with, for MLPerf's run_verification.py
    performance/run_1/mlperf_log_*.txt             the main run; the reference phase where there was none

Sources: mlcommons/inference `compliance/TEST04` and `tools/submission/submission_checker`, which fails a directory
`performance/run_1` that holds anything but its two logs. Nothing here is ever written for a simulated run, or without
a verdict.
"""

from __future__ import annotations

from pathlib import Path

from .._version import __version__
from ..audits.test04.live import REFERENCE, Test04
from ..audits.test04.rule import limit_ratio, score, script_passes
from ..audits.verdict import BlocksRatio
from ..loadgen.phase_log import Declared, phase_log
from ..loadgen.write import detail_text, summary_text
from ..records.files import write_atomic
from ..records.log import read_columns
from ..records.store import QUERIES_FILE, complete_phase
from ..runs.order import Single
from ..runs.phase import PhaseRecord
from ..verdicts.document import AuditEntry, PhaseEntry, VerdictDocument
from .endpoints import served_for_real

_RUN_1 = Path("performance") / "run_1"


def write_classic_files(run: VerdictDocument, declared: Declared, report_dir: Path) -> list[Path]:
    """Write what a run gives of the classic layout; return what was written, nothing for a run without a verdict.

    Raises ValueError for a simulated run, RecordError when the records cannot be read, and OSError.
    """
    phases = [phase for audit in run.audits for phase in audit.phases]
    if run.simulated or (phases and not served_for_real(phases, report_dir)):
        raise ValueError(f"{run.name}: a simulated run gives no submission file")
    main = next((audit for audit in run.audits if audit.kind == "performance" and audit.status != "NOT_RUN"), None)
    test04 = next((audit for audit in run.audits if audit.id == Test04.id), None)
    writer = _Writer(declared, report_dir)
    written = []
    if main is not None and _judged(main):
        written += writer.logs(main, _phases(main)[-1], report_dir / _RUN_1)
    if test04 is not None and _judged(test04):
        written += writer.test04(test04, with_performance=main is None)
    return written


class _Writer:
    def __init__(self, declared: Declared, report_dir: Path) -> None:
        self._declared = declared
        self._report_dir = report_dir

    def test04(self, audit: AuditEntry, *, with_performance: bool) -> list[Path]:
        reference, repeated = _compared(audit)
        place = self._report_dir / "TEST04"
        verify = place / "verify_performance.txt"
        verify.unlink(missing_ok=True)  # an old verdict must not stand beside new logs
        written = self.logs(audit, reference, place / REFERENCE / _RUN_1)
        if with_performance:
            written += self.logs(audit, reference, self._report_dir / _RUN_1)
        written += self.logs(audit, repeated, place / _RUN_1)
        write_atomic(verify, _verify_text(audit, *map(self._record, (reference, repeated))).encode())
        return [*written, verify]

    def logs(self, audit: AuditEntry, phase: PhaseEntry, directory: Path) -> list[Path]:
        log = phase_log(
            self._record(phase),
            read_columns(self._report_dir / phase.directory / QUERIES_FILE),
            self._declared,
            duration_met=_passed(audit, "duration", phase.label),
            queries_met=_passed(audit, "completion", phase.label),
        )
        detail, summary = directory / "mlperf_log_detail.txt", directory / "mlperf_log_summary.txt"
        write_atomic(detail, detail_text(log).encode())
        write_atomic(summary, summary_text(log).encode())
        return [detail, summary]

    def _record(self, phase: PhaseEntry) -> PhaseRecord:
        return complete_phase(self._report_dir / phase.directory)


def _verify_text(audit: AuditEntry, reference: PhaseRecord, repeated: PhaseRecord) -> str:
    """Return what verify_performance.txt says: TEST PASS only where our verdict and MLPerf's rule both pass.

    The rule is `audits.test04.rule`; where it says something else than our verdict, a note of the verdict tells.
    """
    before, after = score(reference), score(repeated)
    return (
        f"Verifying performance.\n"
        f"Written by pytest-mlperf-audit {__version__}\n"
        f"reference score = {before if before is not None else 'none'}\n"
        f"test score = {after if after is not None else 'none'}\n"
        f"{_beside_mlperf(audit)}{_by_blocks(audit)}"
        f"{_conclusion(audit, reference, repeated)}\n"
    )


def _conclusion(audit: AuditEntry, reference: PhaseRecord, repeated: PhaseRecord) -> str:
    if audit.status != "PASS":
        failed = [check.name for check in audit.checks if check.check and not check.check.passed]
        return f"TEST FAIL: {', '.join(failed)}; see verdict.json"
    blocks = _blocks(audit)
    passes = blocks.value < limit_ratio(reference) if blocks else script_passes(reference, repeated)
    if passes is None:
        return "TEST FAIL: too few queries for a score; see verdict.json"
    if not passes:
        limit = limit_ratio(reference)
        return f"TEST FAIL: the test score is not below {limit:g} times the reference score; see verdict.json"
    return "TEST PASS"


def _blocks(audit: AuditEntry) -> BlocksRatio | None:
    """Return the blocks that decided the first row's ratio in place of these two runs, None where none were needed."""
    return next((ratio.blocks for ratio in audit.ratios if ratio.blocks), None)


def _beside_mlperf(audit: AuditEntry) -> str:
    """Return a line on a reference that is not MLPerf's, "" where it is."""
    said = next((ratio.mlperf for ratio in audit.ratios if ratio.mlperf), "")
    return f"reference of fresh twins of the repeated row: {said}\n" if said else ""


def _by_blocks(audit: AuditEntry) -> str:
    """Return a line on the blocks, since the two scores above it then do not tell the verdict; "" without any."""
    if (blocks := _blocks(audit)) is None:
        return ""
    return (
        f"confirmed ratio = {blocks.value} over {blocks.n_pairs} pairs of blocks of {blocks.block_size} queries; "
        "the two scores are of one disturbed pair of runs\n"
    )


def _judged(audit: AuditEntry) -> bool:
    return audit.status in ("PASS", "FAIL")


def _phases(audit: AuditEntry) -> list[PhaseEntry]:
    return [phase for phase in audit.phases if phase.judged]


def _compared(audit: AuditEntry) -> tuple[PhaseEntry, PhaseEntry]:
    """Return TEST04's reference phase and the first that repeats a row."""
    phases = _phases(audit)
    reference = next(phase for phase in phases if phase.label == REFERENCE)
    return reference, next(phase for phase in phases if isinstance(phase.spec.order, Single))


def _passed(audit: AuditEntry, check: str, label: str) -> bool:
    """Whether a check of one phase passed; one that was not made asks nothing."""
    return all(entry.passed is True for entry in audit.checks if entry.name in (check, f"{check}[{label}]"))
