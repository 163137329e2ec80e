"""Records that are judged: LoadGen's logs, MLPerf's verify files, the endpoints tool's JSON, and our own files.

Oracle: a verdict, or RecordError; a verdict that is no PASS has a reason, and every difference from upstream's script
is explained; a log that was cut never passes, nor does a failing TEST04 from which a line or a member was taken.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pytest_mlperf_audit.audits.published.case import AuditDirectory, verify
from pytest_mlperf_audit.errors import RecordError
from pytest_mlperf_audit.records.log import read_columns
from pytest_mlperf_audit.records.store import QUERIES_FILE, read_phase
from pytest_mlperf_audit.runs.phase import figures
from pytest_mlperf_audit.runs.spec import MaxThroughput
from pytest_mlperf_audit.text import plain
from pytest_mlperf_audit.verdicts.files import VERDICT_FILE, read_verdict
from tests.benchmarks.bench_recheck import write_run
from tests.support.accuracy_logs import audit_directory, log_bytes, noted, sample, truncated
from tests.support.judged import DETAIL, SUMMARY, detail, directory, pair, write
from tests.support.judged import mutated as mutated_log

from .kind import require, scratch
from .mutate import mutated, mutated_json

_LOG, _NOTES = "accuracy/mlperf_log_accuracy.json", "accuracy/accuracy.txt"
_SCENARIOS = ("Offline", "Server", "SingleStream", "MultiStream")
_UNIQUE = b"Scenario : Offline\nResult is : VALID\nperformance_issue_unique : 1\nNo errors encountered during test.\n"
_RECORD07 = b"""'exact_match': 62.15
TEST07 Verification Summary
Accuracy score: 62.15
Accuracy threshold: 60.698
TEST PASS
"""
_RECORD09 = b"Total samples: 824\nMean output tokens: 274.00\nMin output tokens: 3\n\nTEST PASS\n"
_PERFORMED = b"reference score = 1000000.0\ntest score = 1000000.0\nTEST PASS\n"
_COMPARED = b"num_perf_log_qsl_idx_match = 120\nnum_perf_log_data_mismatch = 0\nTEST PASS\n"


class Case(NamedTuple):
    """An audit directory: the files of it that are mutated, and those of which no part passes (`logs`)."""

    found: AuditDirectory
    files: Mapping[Path, bytes]
    logs: frozenset[Path]
    fails: bool = False


class Logs:
    """Files of a submission, and of a run of ours."""

    name = "logs"

    def __init__(self) -> None:
        self._scratch = scratch()
        root = Path(self._scratch.name)
        self._cases = [
            *(_test04(root / f"{name}-{ratio}", name, ratio) for name in _SCENARIOS for ratio in (1.0, 1.5)),
            *(_endpoints(root / f"endpoints-{qps}", qps) for qps in (10.1, 13.0)),
            *(_test01(root / "test01"), _test06(root / "test06")),
            *(_long(root / test, test, record, cut=cut) for test, record, cut in _LONG),
        ]
        self._own = root / "own"
        self._own.mkdir()
        write_run(self._own, 32)
        names = (VERDICT_FILE, "audit/reference/phase.json", f"audit/reference/{QUERIES_FILE}")
        self._records = {self._own / name: (self._own / name).read_bytes() for name in names}

    def try_one(self, drawn: random.Random) -> None:
        """Mutate one file of one case, and judge it."""
        if drawn.random() < 0.3:
            self._try_own(drawn)
        else:
            _try_case(drawn.choice(self._cases), drawn)

    def close(self) -> None:
        """Remove the files."""
        self._scratch.cleanup()

    def _try_own(self, drawn: random.Random) -> None:
        path, whole = drawn.choice(tuple(self._records.items()))
        path.write_bytes(_changed(whole, drawn))
        try:
            if path.name == QUERIES_FILE:
                figures(read_columns(path), MaxThroughput())
            elif path.name == VERDICT_FILE:
                read_verdict(path)
            else:
                read_phase(path.parent)
        except RecordError as error:
            require(str(error), "an error without a message")
        finally:
            path.write_bytes(whole)


def _try_case(case: Case, drawn: random.Random) -> None:
    path, whole = drawn.choice(tuple(case.files.items()))
    raw, is_less = _altered(case, path, whole, drawn)
    path.write_bytes(raw)
    try:
        came = verify(case.found)
    finally:
        path.write_bytes(whole)
    said = f"{path.relative_to(case.found.tree)}: {came.status} ({came.reason})"
    require(came.status in ("PASS", "FAIL", "NO_VERDICT", "SKIPPED"), said)
    require(came.status == "PASS" or came.reason, f"no reason is given: {said}")
    require(len(plain(came.reason, 10_000)) < 9_000, f"a reason of {len(came.reason)} characters")
    require(all(one.defect for one in came.differences), f"unexplained: {said}: {came.differences}")
    require(not (is_less and came.status == "PASS"), f"less than was judged passes: {said}: {raw[-300:]!r}")


def _altered(case: Case, path: Path, whole: bytes, drawn: random.Random) -> tuple[bytes, bool]:
    """Return a file's new content, and whether it holds less than before, so that it cannot pass."""
    if path in case.logs and drawn.random() < 0.15:
        return whole[: drawn.randrange(len(whole.rstrip()) - 1)], True
    if case.fails and drawn.random() < 0.3:
        return _without_one(whole, drawn), True
    return _changed(whole, drawn), False


def _without_one(whole: bytes, drawn: random.Random) -> bytes:
    if whole.startswith(b"{"):
        members = json.loads(whole)
        del members[drawn.choice(sorted(members))]
        return json.dumps(members).encode()
    lines = whole.split(b"\n")
    del lines[drawn.randrange(len(lines))]
    return b"\n".join(lines)


def _changed(whole: bytes, drawn: random.Random) -> bytes:
    kind = drawn.random()
    if kind < 0.35:
        return mutated(whole, drawn)
    if kind < 0.7 and not whole.startswith((b"{", b"[")):
        return mutated_log(whole, drawn, edits=3)
    return mutated_json(whole, drawn, lambda document, _line: _dumped(document, drawn))


def _dumped(document: Any, drawn: random.Random) -> bytes:
    return json.dumps(document, ensure_ascii=drawn.random() < 0.7).encode("utf-8", "surrogatepass")


def _test04(tree: Path, scenario: str, ratio: float) -> Case:
    found, logs = directory(tree, scenario), pair(scenario, ratio)
    write(found, logs)
    files = {root / SUMMARY: log for root, log in zip((found.results, found.path), logs, strict=True)}
    return Case(found, files, frozenset(files), fails=ratio > 1.2)


def _endpoints(tree: Path, qps: float) -> Case:
    content = {"test": "output_caching_test", "passed": True, "ref_qps": 10.0, "audit_qps": qps, "threshold": 0.1}
    counts = dict.fromkeys(("ref_completed", "ref_requested", "audit_completed", "audit_requested"), 64)
    path = tree / "closed/Us/results/sys/wan/Offline/audit/audit_output_caching_test.json"
    marker = path.with_name("verify_OUTPUT_CACHING_TEST.txt")
    path.parent.mkdir(parents=True)
    files = {path: json.dumps(content | counts, indent=2).encode(), marker: b"Performance check pass: True\n"}
    for name, raw in files.items():
        name.write_bytes(raw)
    return Case(_endpoints_directory(tree, path), files, frozenset({path}), fails=qps > 11)


def _endpoints_directory(tree: Path, path: Path) -> AuditDirectory:
    return AuditDirectory(
        case="closed/Us/sys/wan/Offline",
        test="test04",
        division="closed",
        submitter="Us",
        system="sys",
        benchmark="wan",
        scenario="Offline",
        path=path,
        results=path.parent.parent,
        tree=tree,
        layout="endpoints",
    )


def _test01(tree: Path) -> Case:
    log = log_bytes({"seq_id": at, "qsl_idx": at, "data": bytes([at, *range(20)]).hex()} for at in range(40))
    part = log_bytes({"seq_id": at, "qsl_idx": at * 3, "data": bytes([at * 3, *range(20)]).hex()} for at in range(12))
    run = DETAIL.as_posix()
    files = {
        f"results/{run}": detail("Offline", 1e6),
        run: detail("Offline", 1.01e6, test_datetime="later"),
        f"results/{_LOG}": log,
        _LOG: part,
        "verify_accuracy.txt": _COMPARED,
        "verify_performance.txt": _PERFORMED,
    }
    found = audit_directory(tree, "TEST01", files, benchmark="bert-99.9", scenario="Offline")
    return _case(found, files, [f"results/{run}", run, _LOG])


def _test06(tree: Path) -> Case:
    log = log_bytes(sample(at, [100 + at, *range(3, 3 + at % 7), 2]) for at in range(60))
    files = {_LOG: log, "verify_accuracy.txt": b"First token check pass: True\nEOS check pass: True\nTEST PASS\n"}
    return _case(audit_directory(tree, "TEST06", files), files, [_LOG])


_LONG = (
    *(("TEST07", _RECORD07, cut) for cut in (False, True)),
    *(("TEST09", _RECORD09, cut) for cut in (False, True)),
)


def _long(tree: Path, test: str, record: bytes, *, cut: bool) -> Case:
    """Tests of all samples of a data set; `cut`: the log is published as its first and last 4096 bytes."""
    is_07 = test == "TEST07"
    n_samples, length = (990, 3) if is_07 else (824, 274)
    log = log_bytes(sample(at, range(3, 3 + length), first=False) for at in range(n_samples))
    name, benchmark = ("verify_accuracy.txt", "gpt-oss-120b") if is_07 else ("verify_output_len.txt", "e2e-rag-qna")
    files = {_LOG: truncated(log) if cut else log, name: record, _NOTES: noted(log).encode()}
    files |= {SUMMARY.as_posix(): _UNIQUE}
    found = audit_directory(tree / str(cut), test, files, benchmark=benchmark, scenario="Offline")
    return _case(found, files, [] if cut else [_LOG])


def _case(found: AuditDirectory, files: Mapping[str, bytes], logs: Sequence[str]) -> Case:
    def place(name: str) -> Path:
        return found.results / name.removeprefix("results/") if name.startswith("results/") else found.path / name

    return Case(found, {place(name): raw for name, raw in files.items()}, frozenset(map(place, logs)))


MAKE: Callable[[], Logs] = Logs
