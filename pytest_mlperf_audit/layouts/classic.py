"""Files of MLPerf's classic submission layout: the report directory is a scenario directory of a submission as well.

    performance/run_1/mlperf_log_*.txt             the main run
    accuracy/                                      the accuracy run: LoadGen's logs, its outputs, and accuracy.txt
    user.conf                                      the run's settings in LoadGen's words
    TEST0x/                                        an audit: the verify files that its checker reads, and logs

The checker takes a directory with a performance log for LoadGen's, and ends in a traceback, for every submission of the
tree, where there is no accuracy log beside it. So the main run and the accuracy run are written both or neither.

Sources: mlcommons/inference `compliance/TEST0x`, `tools/submission/submission_checker` (loader.py, constants.py), which
fails a directory `performance/run_1` that holds anything but its two logs. Nothing here is ever written for a simulated
run, or without a verdict.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .._version import __version__
from ..audits.models import find_model
from ..loadgen.phase_log import Declared, phase_log
from ..records.files import write_atomic
from ..records.log import read_columns, read_queries
from ..records.store import QUERIES_FILE, read_score
from ..verdicts.document import AuditEntry, PhaseEntry, VerdictDocument
from .accuracy_text import accuracy_text
from .classic_logs import RUN_1, Writer
from .classic_tests import write_test
from .endpoints import served_for_real

#: What user.conf says of a run, where it is not 0, by the names of `loadgen.fields` and of LoadGen.
_CONF = {
    "target_qps": "target_qps",
    "min_duration_ms": "min_duration",
    "max_duration_ms": "max_duration",
    "min_query_count": "min_query_count",
    "performance_sample_count": "performance_sample_count_override",
}


def write_classic_files(run: VerdictDocument, declared: Declared, report_dir: Path) -> list[Path]:
    """Write what a run gives of the classic layout; return what was written, nothing for a run without a verdict.

    Raises ValueError for a simulated run, RecordError when the records cannot be read, and OSError.
    """
    phases = [phase for audit in run.audits for phase in audit.phases]
    if run.simulated or (phases and not served_for_real(phases, report_dir)):
        raise ValueError(f"{run.name}: a simulated run gives no submission file")
    writer = Writer(declared, report_dir)
    written: list[Path] = []
    if not unwritten_runs(run):
        main, accuracy = _run(run, "performance"), _run(run, "accuracy")
        if main and accuracy:
            written += [*_main_run(main, writer), *_accuracy_run(accuracy, writer)]
    for audit in run.audits:
        if audit.is_audit and _judged(audit):
            written += write_test(audit, writer)
    return written


def unwritten_runs(run: VerdictDocument) -> str:
    """Return why the main and the accuracy run are not written in this layout, with the cure; "" where they are."""
    main, accuracy = _run(run, "performance"), _run(run, "accuracy")
    if main is None or not _judged(main):
        why = "no main performance run that reached a verdict"
    elif accuracy is None or not _judged(accuracy):
        why = "no accuracy run that reached a verdict; add an accuracy data set, and select both"
    elif len(_phases(accuracy)) != 1:
        why = "several accuracy data sets, and LoadGen logs one accuracy run; use the endpoints layout"
    elif not _whole(accuracy):
        why = "an accuracy run that was not sent whole, or has no score"
    else:
        return ""
    return (
        f"classic layout: performance/run_1 and accuracy/ are not written, since there is {why}. MLPerf's checker ends "
        "in a traceback on one without the other"
    )


def _run(run: VerdictDocument, kind: str) -> AuditEntry | None:
    return next((audit for audit in run.audits if audit.kind == kind and audit.status != "NOT_RUN"), None)


def _judged(audit: AuditEntry) -> bool:
    return audit.status in ("PASS", "FAIL")


def _phases(audit: AuditEntry) -> list[PhaseEntry]:
    return [phase for phase in audit.phases if phase.judged]


def _whole(accuracy: AuditEntry) -> bool:
    (phase,) = _phases(accuracy)
    return phase.complete and isinstance(accuracy.figures.get(f"score_{phase.label}"), (int, float))


def _main_run(main: AuditEntry, writer: Writer) -> Iterator[Path]:
    phase = _phases(main)[-1]
    yield from writer.logs(main, phase, writer.report_dir / RUN_1)
    path = writer.report_dir / "user.conf"
    write_atomic(path, _user_conf(phase, writer).encode())
    yield path


def _user_conf(phase: PhaseEntry, writer: Writer) -> str:
    queries = read_columns(writer.report_dir / phase.directory / QUERIES_FILE)
    log = phase_log(writer.record(phase), queries, writer.declared, duration_met=True, queries_met=True)
    settings = log.settings()
    lines = [f"*.{log.scenario}.{theirs} = {settings[ours]}" for ours, theirs in _CONF.items() if settings[ours]]
    head = f"# This run's settings in LoadGen's words, by pytest-mlperf-audit {__version__}; config.yaml has them all."
    return "\n".join([head, *lines]) + "\n"


def _accuracy_run(accuracy: AuditEntry, writer: Writer) -> Iterator[Path]:
    (phase,) = _phases(accuracy)
    place = writer.report_dir / "accuracy"
    yield from writer.logs(accuracy, phase, place, "AccuracyOnly")
    written, sha256 = writer.accuracy_log(phase, place)
    yield from written
    path = place / "accuracy.txt"
    write_atomic(path, _accuracy_text(accuracy, phase, writer, sha256).encode())
    yield path


def _accuracy_text(accuracy: AuditEntry, phase: PhaseEntry, writer: Writer, sha256: str) -> str:
    suffix, directory = f"_{phase.label}", writer.report_dir / phase.directory
    figures = {name.removesuffix(suffix): value for name, value in accuracy.figures.items() if name.endswith(suffix)}
    metrics = {name: float(value) for name, value in figures.items() if isinstance(value, (int, float))}
    model = find_model(writer.declared.benchmark)
    types = model.accuracy_types if model else ()
    scored = read_score(directory)
    printed = scored.output_tail if scored else ""
    if "TOKENS_PER_SAMPLE" in types and "tokens_per_sample" not in printed and phase.figures.output_tokens:
        metrics.setdefault("tokens_per_sample", phase.figures.output_tokens / max(1, phase.figures.n_completed))
    if "GEN_LEN" in types and "gen_len" not in metrics and "gen_len" not in printed:
        outputs = (query.output or "" for query in read_queries(directory / QUERIES_FILE))
        metrics["gen_len"] = float(sum(len(output.strip()) for output in outputs))
    score = metrics.pop("score")
    return accuracy_text(types, score, metrics, printed=printed, sha256=sha256)
