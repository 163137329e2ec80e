"""TEST01, TEST04, TEST06, TEST07 and TEST09 in the classic layout: the verify files that the checker reads, and logs.

Sources: mlcommons/inference `compliance/TEST0x` (run_verification.py), whose files and words these are, and
`tools/submission/submission_checker/checks/compliance_check.py`, which looks for them. Each verify file says TEST PASS
only where our verdict and MLPerf's own figures pass; where the verdict is a FAIL, its failed checks are named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from .._version import __version__
from ..audits.models import find_model
from ..audits.published.score import TOLERANCE
from ..audits.test01.live import ACCURACY as TEST01_ACCURACY
from ..audits.test01.live import PERFORMANCE as TEST01_PERFORMANCE
from ..audits.test01.live import REFERENCE as TEST01_REFERENCE
from ..audits.test01.live import Test01
from ..audits.test04.live import REFERENCE, Test04
from ..audits.test04.rule import limit_ratio, score, script_passes
from ..audits.test06.live import Test06
from ..audits.test07 import threshold_of
from ..audits.test07.live import Test07
from ..audits.test09 import bounds_of
from ..audits.test09.live import Test09
from ..audits.verdict import BlocksRatio
from ..records.files import write_atomic
from ..runs.order import Single
from ..runs.phase import PhaseRecord
from ..verdicts.document import AuditEntry, PhaseEntry
from .accuracy_text import accuracy_text
from .classic_logs import RUN_1, Writer

_RULE: Final = "=" * 80
_WRITTEN_BY: Final = f"Written by pytest-mlperf-audit {__version__}"


def write_test(audit: AuditEntry, writer: Writer) -> list[Path]:
    """Write what an audit gives of the classic layout, its verify files last; nothing for one without a place there.

    Raises RecordError and OSError.
    """
    write = _WRITERS.get(audit.test)
    if write is None:
        return []
    place = writer.report_dir / (audit.test.upper() + audit.id.removeprefix(audit.test))
    for name in ("verify_accuracy.txt", "verify_performance.txt", "verify_output_len.txt"):
        (place / name).unlink(missing_ok=True)  # an old verdict must not stand beside new logs
    return list(write(audit, writer, place))


def _verify(path: Path, *lines: str) -> Path:
    write_atomic(path, ("\n".join(lines) + "\n").encode())
    return path


def _failed(audit: AuditEntry) -> str:
    """Return the failed checks, "" where the audit passed."""
    if audit.status == "PASS":
        return ""
    return ", ".join(check.name for check in audit.checks if check.passed is False) or audit.status


def _conclusion(audit: AuditEntry, problem: str) -> str:
    """Return the line of a verify file; `problem` is what MLPerf's own figures have against a pass of ours, or ""."""
    if failed := _failed(audit):
        return f"TEST FAIL: {failed}; see verdict.json"
    return f"TEST FAIL: {problem}; see verdict.json" if problem else "TEST PASS"


def _phases(audit: AuditEntry) -> list[PhaseEntry]:
    return [phase for phase in audit.phases if phase.judged]


def _phase(audit: AuditEntry, label: str) -> PhaseEntry:
    return next(phase for phase in _phases(audit) if phase.label == label)


def _test04(audit: AuditEntry, writer: Writer, place: Path) -> Iterator[Path]:
    reference = _phase(audit, REFERENCE)
    repeated = next(phase for phase in _phases(audit) if isinstance(phase.spec.order, Single))
    yield from writer.logs(audit, reference, place / REFERENCE / RUN_1)
    yield from writer.logs(audit, repeated, place / RUN_1)
    before, after = writer.record(reference), writer.record(repeated)
    blocks = next((ratio.blocks for ratio in audit.ratios if ratio.blocks), None)
    problem = _too_fast(before, after, blocks)
    said = next((ratio.mlperf for ratio in audit.ratios if ratio.mlperf), "")
    beside = [f"reference of fresh twins of the repeated row: {said}"] if said else []
    yield _verify(
        place / "verify_performance.txt",
        *_scores(before, after),
        *beside,
        *_by_blocks(blocks),
        _conclusion(audit, problem),
    )


def _scores(before: PhaseRecord, after: PhaseRecord) -> list[str]:
    scores = [score(before), score(after)]
    reference, test = ("none" if figure is None else str(figure) for figure in scores)
    return ["Verifying performance.", _WRITTEN_BY, f"reference score = {reference}", f"test score = {test}"]


def _too_fast(before: PhaseRecord, after: PhaseRecord, blocks: BlocksRatio | None) -> str:
    """Return what TEST04's rule has against a pass; where blocks confirmed the ratio, it is theirs."""
    passes = blocks.value < limit_ratio(before) if blocks else script_passes(before, after)
    if passes is None:
        return "too few queries for a score"
    return "" if passes else f"the test score is not below {limit_ratio(before):g} times the reference score"


def _by_blocks(blocks: BlocksRatio | None) -> list[str]:
    """Return a line on the blocks, since the two scores above it then do not tell the verdict; none without any."""
    if blocks is None:
        return []
    said = (
        f"confirmed ratio = {blocks.value} over {blocks.n_pairs} pairs of blocks of {blocks.block_size} queries; "
        "the two scores are of one disturbed pair of runs"
    )
    return [said]


def _test01(audit: AuditEntry, writer: Writer, place: Path) -> Iterator[Path]:
    accuracy, run = _phase(audit, TEST01_ACCURACY), _phase(audit, TEST01_PERFORMANCE)
    reference = _phase(audit, TEST01_REFERENCE)
    yield from writer.logs(audit, reference, place / REFERENCE / RUN_1)
    yield from writer.logs(audit, run, place / RUN_1)
    written, sha256 = writer.accuracy_log(run, place / "accuracy")
    yield from written
    by_score = audit.check("score_delta") is not None
    if by_score:
        yield from _score_files(audit, writer, place / "accuracy", sha256)
    else:
        whole, _ = writer.accuracy_log(accuracy, place / REFERENCE / "accuracy")
        yield from whole
    before, after = writer.record(reference), writer.record(run)
    yield _verify(place / "verify_performance.txt", *_scores(before, after), _conclusion(audit, _apart(before, after)))
    said = "the outputs' scores are compared, see accuracy/" if by_score else _conclusion(audit, "")
    yield _verify(place / "verify_accuracy.txt", "Verifying accuracy.", _WRITTEN_BY, *_outputs(audit), said)


def _outputs(audit: AuditEntry) -> list[str]:
    names = ("outputs_sampled", "outputs_compared", "outputs_matching", "outputs_differing")
    return [f"{name} = {audit.figures[name]}" for name in names if name in audit.figures]


def _apart(before: PhaseRecord, after: PhaseRecord) -> str:
    """Return what TEST01's rule has against a pass: rates, or SingleStream's latencies, more than 10 % apart."""
    reference, test = score(before), score(after)
    if reference is None or test is None:
        return "too few queries for a score"
    if before.spec.load.scenario == "SingleStream":  # its score is the latency
        reference, test = 1 / reference, 1 / test
    if reference * (1 - TOLERANCE) <= test <= reference * (1 + TOLERANCE):
        return ""
    return f"the test score is not within {TOLERANCE:.0%} of the reference score"


def _score_files(audit: AuditEntry, writer: Writer, place: Path, sha256: str) -> Iterator[Path]:
    """Write the scores of both runs, by which MLPerf judges a system that is not deterministic.

    The checker compares them without a look at our verdict, so that a FAIL leaves the scores out, and is refused so.
    """
    model = find_model(writer.declared.benchmark)
    types = model.accuracy_types if model else ()
    failed = _failed(audit)
    for name, prefix in (("baseline_accuracy.txt", "accuracy_"), ("compliance_accuracy.txt", "performance_")):
        figures = _figures(audit, prefix)
        text = accuracy_text(types, figures.pop("score", 0.0), figures, sha256=sha256)
        yield _verify(place / name, f"TEST FAIL: {failed}; see verdict.json" if failed else text.rstrip("\n"))
    yield _verify(place / "accuracy.txt", f"hash={sha256}")


def _figures(audit: AuditEntry, prefix: str) -> dict[str, float]:
    found = {key.removeprefix(prefix): value for key, value in audit.figures.items() if key.startswith(prefix)}
    return {key: float(value) for key, value in found.items() if isinstance(value, (int, float))}


_TEST06_CHECKS: Final = (("First token", "first_token"), ("EOS", "eos"), ("Sample length", "token_count"))


def _test06(audit: AuditEntry, writer: Writer, place: Path) -> Iterator[Path]:
    (phase,) = _phases(audit)
    written, _ = writer.accuracy_log(phase, place / "accuracy", cut=False)
    yield from written
    yield _verify(place / "verify_accuracy.txt", *_test06_lines(audit))


def _test06_lines(audit: AuditEntry) -> Iterator[str]:
    """Yield the three lines of the script; a FAIL of ours by another check leaves none of them a pass."""
    own = {name for _, name in _TEST06_CHECKS}
    other = [check.name for check in audit.checks if check.passed is False and check.name not in own]
    for title, name in _TEST06_CHECKS:
        check = audit.check(name)
        said = "Skipped" if check is None else str(check.passed is True)
        yield f"{title} check pass: {said}" + (f", and {', '.join(other)} failed" if other else "")
    if failed := _failed(audit):
        yield f"TEST FAIL: {failed}; see verdict.json"


def _test07(audit: AuditEntry, writer: Writer, place: Path) -> Iterator[Path]:
    yield from _whole_run(audit, writer, place)
    found, official = audit.figures.get("score"), threshold_of(writer.declared.benchmark)
    problem = ""
    if official and isinstance(found, (int, float)) and found < official.score:
        problem = f"the score is below MLPerf's {official.score:g}"
    lines = ["TEST07 Verification Summary", _RULE, f"Accuracy score: {found}"]
    lines += [f"Accuracy threshold: {audit.figures.get('threshold')}"]
    conclusion = _conclusion(audit, problem)
    lines += [f"Accuracy check pass: {conclusion == 'TEST PASS'}", conclusion]
    yield _verify(place / "verify_accuracy.txt", _WRITTEN_BY, *lines)


def _test09(audit: AuditEntry, writer: Writer, place: Path) -> Iterator[Path]:
    yield from _whole_run(audit, writer, place)
    check, official = audit.check("output_length"), bounds_of(writer.declared.benchmark)
    mean = check.observed if check else None
    problem = ""
    if official and isinstance(mean, (int, float)) and not official.min_tokens <= mean <= official.max_tokens:
        problem = f"the mean is not within MLPerf's {official.min_tokens:g} to {official.max_tokens:g}"
    lines = [
        f"Total samples: {_phases(audit)[0].figures.n_completed}",
        f"Mean output tokens: {mean}",
        f"Min threshold: {audit.figures.get('min_output_tokens')}",
        f"Max threshold: {audit.figures.get('max_output_tokens')}",
    ]
    yield _verify(
        place / "verify_output_len.txt",
        "TEST09: Verify Output Token Length in Performance Mode",
        _WRITTEN_BY,
        *lines,
        _conclusion(audit, problem),
    )


def _whole_run(audit: AuditEntry, writer: Writer, place: Path) -> Iterator[Path]:
    """Write the logs of TEST07 and TEST09, whose one phase sends every sample once."""
    (phase,) = _phases(audit)
    yield from writer.logs(audit, phase, place / RUN_1)
    written, sha256 = writer.accuracy_log(phase, place / "accuracy")
    yield from written
    yield _verify(place / "accuracy" / "accuracy.txt", f"hash={sha256}")


_WRITERS: Final[Mapping[str, Callable[[AuditEntry, Writer, Path], Iterator[Path]]]] = {
    Test01.id: _test01,
    Test04.id: _test04,
    Test06.id: _test06,
    Test07.id: _test07,
    Test09.id: _test09,
}
