"""TEST04 and TEST01 directories that tests write and have judged, and upstream's word on many of them."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pytest_mlperf_audit.audits.published.case import AuditDirectory, CaseOutcome, Reverified, outcome
from pytest_mlperf_audit.audits.test04 import published as test04

from .submission import summary

RUN = Path("performance/run_1")
SUMMARY = RUN / "mlperf_log_summary.txt"
DETAIL = RUN / "mlperf_log_detail.txt"
_DRIVER = Path(__file__).with_name("run_upstream.py")

Pair = tuple[bytes, bytes]


def pair(scenario: str = "Offline", ratio: float = 1.0, **changes: Any) -> Pair:
    """The summaries of a reference run and an audit run, `ratio` times as fast."""
    before = summary(scenario, 100.0, **changes)
    after = summary(scenario, 100.0 * ratio, same=True, **changes)
    return before.encode(), after.replace("2886990545", "2886990546").encode()


def directory(tree: Path, scenario: str = "Offline", test: str = "TEST04") -> AuditDirectory:
    """A directory in the layout of v5.1 and older."""
    below = Path("system/resnet50") / scenario
    return AuditDirectory(
        case=f"closed/Ours/{below}",
        test=test.lower(),
        division="closed",
        submitter="Ours",
        system="system",
        benchmark="resnet50",
        scenario=scenario,
        path=tree / "closed/Ours/compliance" / below / test,
        results=tree / "closed/Ours/results" / below,
        tree=tree,
    )


def write(found: AuditDirectory, logs: Pair, name: Path = SUMMARY) -> None:
    for root, data in zip((found.results, found.path), logs, strict=True):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)


def published_directory(tree: Path, case: dict[str, Any]) -> AuditDirectory:
    """A case of expected.jsonl."""
    return AuditDirectory(
        case=case["path"],
        test=case["test"].lower(),
        division=case["division"],
        submitter=case["submitter"],
        system=case["system"],
        benchmark=case["benchmark"],
        scenario=case["scenario_dir"],
        path=tree / case["path"],
        results=tree / case["reference_dir"],
        tree=tree,
    )


def judged(verify: Callable[[AuditDirectory], Reverified], found: AuditDirectory) -> CaseOutcome:
    return outcome(found, verify(found))


def judge(tmp_path: Path, logs: Pair, scenario: str = "Offline") -> CaseOutcome:
    """Judge the TEST04 of two summaries."""
    found = directory(tmp_path, scenario)
    write(found, logs)
    return judged(test04.verify, found)


def check(found: CaseOutcome, name: str) -> bool | None:
    return next(check.passed for check in found.checks if check.name == name)


def changed(logs: Pair, change: Callable[[bytes], bytes], which: str) -> Pair:
    reference, audit = logs
    return (change(reference) if which != "audit" else reference), (change(audit) if which != "reference" else audit)


#: The line of the score, and its number.
SCORE = re.compile(
    rb"^(.*(?:amples per second *|Early stopping 9[09]th percentile estimate): *)([0-9.e+]+)$", re.MULTILINE
)


def rescored(text: str) -> Callable[[bytes], bytes]:
    return lambda log: SCORE.sub(lambda line: line[1] + text.encode(), log)


def without_score(log: bytes) -> bytes:
    return SCORE.sub(b"", log)


def words(script: Path, options: Sequence[str], pairs: Sequence[tuple[Path, Path]]) -> list[dict[str, Any]]:
    """What upstream's script says of many pairs of files."""
    command = [sys.executable, str(_DRIVER), str(script), *options]
    asked = json.dumps([[str(one), str(other)] for one, other in pairs])
    ran = subprocess.run(command, input=asked, capture_output=True, text=True, check=True)
    return list(json.loads(ran.stdout))


_ODD = ["0", "0.0", "-5", "inf", "nan", "1,000", "1_000", "", " ", "1e3", "1e-300", "1e400", "0x10", "VALID", "9" * 60]
_SCENARIOS = ["Offline", "Server", "SingleStream", "MultiStream", "ConstantStream", "offline", ""]


def mutated(data: bytes, drawn: random.Random, *, edits: int = 2) -> bytes:
    """Return a log with a few things wrong that happen to published ones, and some that never did."""
    for _ in range(drawn.randint(0, edits)):
        data = drawn.choice(_MUTATIONS)(data, drawn)
    return data


def _at_line(change: Callable[[list[bytes], int, random.Random], None]) -> Callable[[bytes, random.Random], bytes]:
    def apply(data: bytes, drawn: random.Random) -> bytes:
        lines = data.split(b"\n")
        telling = [
            at
            for at, line in enumerate(lines)
            if any(
                word in line for word in (b"amples per second", b"Early stopping 9", b"Scenario", b"Result", b"same")
            )
        ]
        at = drawn.choice(telling) if telling and drawn.random() < 0.8 else drawn.randrange(len(lines))
        change(lines, at, drawn)
        return b"\n".join(lines)

    return apply


def _odd_value(lines: list[bytes], at: int, drawn: random.Random) -> None:
    key, colon, _ = lines[at].rpartition(b": ")
    odd = drawn.choice(_SCENARIOS if b"Scenario" in key else ["INVALID", "valid"] if b"Result" in key else _ODD)
    lines[at] = key + colon + odd.encode()


def _drop(lines: list[bytes], at: int, _: random.Random) -> None:
    del lines[at]


def _repeat(lines: list[bytes], at: int, drawn: random.Random) -> None:
    lines.insert(drawn.randrange(len(lines)), lines[at])
    if drawn.random() < 0.7:
        _odd_value(lines, at, drawn)


def _swap(lines: list[bytes], at: int, drawn: random.Random) -> None:
    other = drawn.randrange(len(lines))
    lines[at], lines[other] = lines[other], lines[at]


def _before(lines: list[bytes], at: int, drawn: random.Random) -> None:
    lines[at] = drawn.choice([b" ", b"\t", b"\0\0", b"# ", b"\xef\xbb\xbf", b"x"]) + lines[at]


def _behind(lines: list[bytes], at: int, drawn: random.Random) -> None:
    lines[at] += drawn.choice([b" ", b"\0", b"\r", b"\xff", b" samples", b"\x0b", b"\xc2\xa0", b": 7"])


def _colon(lines: list[bytes], at: int, drawn: random.Random) -> None:
    lines[at] = lines[at].replace(b": ", drawn.choice([b":", b" = ", b" : ", b":  "]))


def _flip(lines: list[bytes], _at: int, _: random.Random) -> None:
    lines[:] = [line.replace(b"same : 1", b"same : 0") for line in lines]


_MUTATIONS: list[Callable[[bytes, random.Random], bytes]] = [
    *map(_at_line, (_odd_value, _odd_value, _drop, _drop, _repeat, _swap, _before, _behind, _colon, _flip)),
    lambda data, drawn: data[: drawn.randint(0, len(data))],
    lambda data, drawn: data.replace(b"\n", drawn.choice([b"\r\n", b"\r"])),
    lambda data, _: data.replace(b"PySUT", b"Py\xe9SUT"),
    lambda data, drawn: data + b"\0" * drawn.randint(1, 600),
    lambda data, _: data + data,
]


_SCORES = {
    "Offline": "result_samples_per_second",
    "SingleStream": "early_stopping_latency_ss",
    "MultiStream": "early_stopping_latency_ms",
    "Server": "result_completed_samples_per_sec",
}


def detail(scenario: str = "Offline", score: float = 1e6, **changes: Any) -> bytes:
    """A detail log as of v5.1; `changes` replace values, None leaves the event out."""
    values: dict[str, Any] = {
        "loadgen_version": "5.1.2 @ 0123456789",
        "loadgen_file_sha1": {"/README.md": "20a55bb946c2c0bbb564ced2af1e48efd096b3a8"},
        "sut_name": "PySUT",
        "effective_scenario": scenario,
        "effective_target_latency_ns": 15000000,
        "loaded_qsl_set": list(range(100)),
        "result_validity": "VALID",
        _SCORES.get(scenario, "score"): score,
        "result_99.90_percentile_latency_ns": 2851793802043,
        "num_errors": 0,
        **changes,
    }
    return b"".join(event(key, value) for key, value in values.items() if value is not None)


def event(key: str, value: Any, *, is_error: bool = False, is_warning: bool = False) -> bytes:
    """One line of a detail log."""
    metadata = {"is_error": is_error, "is_warning": is_warning, "file": "results.cc", "line_no": 655}
    rest = {"time_ms": 604019.268808, "namespace": "mlperf::logging", "event_type": "POINT_IN_TIME"}
    return b":::MLLOG " + json.dumps({"key": key, "value": value, **rest, "metadata": metadata}).encode() + b"\n"
