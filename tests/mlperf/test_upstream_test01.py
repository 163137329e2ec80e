"""Our model of TEST01's verify_performance.py, and of the log parser that it reads with, against the script itself."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from pytest_mlperf_audit.audits.test01.published import performance
from pytest_mlperf_audit.audits.test01.upstream import said
from tests.support.judged import DETAIL, Pair, detail, directory, event, judged, words, write

SCENARIOS = ("Offline", "Server", "SingleStream", "MultiStream")
OPTIONS = ("-r", "-t")


def changed(drawn: random.Random) -> dict[str, object]:
    """Values that are odd, or none."""
    score = drawn.choice(["result_samples_per_second", "early_stopping_latency_ss", "early_stopping_latency_ms"])
    odd: list[object] = [None, 0, -1, True, "12", "x", [1], {}, float("inf"), float("nan"), 10**400, 1e-320]
    changes: list[tuple[str, object]] = [
        ("result_validity", drawn.choice([None, "INVALID", "valid", 1])),
        ("effective_scenario", drawn.choice([None, "ConstantStream", "Server", ["Offline"], 3])),
        ("effective_target_latency_ns", drawn.choice([None, 15000001, 15000000.0, "15000000"])),
        ("num_errors", drawn.choice([None, 3, "0", False])),
        (score, drawn.choice(odd)),
        (score, drawn.choice(odd)),
        ("sut_name", "Zürich \N{SNOWMAN}\x85"),
        ("result_99.90_percentile_latency_ns", None),
    ]
    return dict(drawn.sample(changes, drawn.choice((0, 0, 1, 1, 2))))


def mutated(data: bytes, drawn: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    at = drawn.randrange(len(lines))
    return drawn.choice(
        [
            lambda: data,
            lambda: data,
            lambda: data,
            lambda: data[: drawn.randrange(len(data))],
            lambda: b"".join(lines[: drawn.choice((at, -2))]),
            lambda: b"".join([*lines[:at], b'{"key": "no marker"}\n', *lines[at:]]),
            lambda: b"".join([*lines[:at], b":::MLLOG {broken}\n", *lines[at:]]),
            lambda: b"".join([*lines[:at], event("error_runtime", "it broke", is_error=True), *lines[at:]]),
            lambda: b"".join([*lines[:at], event("result_validity", "INVALID"), *lines[at:]]),
            lambda: b"".join([*lines[:at], b':::MLLOG {"key": "x", "value": NaN}\n', *lines[at:]]),
            lambda: b"".join([*lines[:at], b':::MLLOG {"value": 1}\n', *lines[at:]]),
            lambda: b"".join([*lines[:at], b':::MLLOG ["key"]\n', b":::MLLOG " + b"[" * 100_000 + b"\n"]),
            lambda: data.replace(b"\n", b"\r\n"),
            lambda: data.replace(b"\n", b"\r"),
            lambda: data.replace(b"PySUT", b"Py\xffSUT"),
            lambda: data + b"\0" * 100,
            lambda: b"\n" + data,
            lambda: b"\xef\xbb\xbf" + data,
            lambda: b"",
        ]
    )()


def pairs(count: int, seed: int) -> list[Pair]:
    drawn = random.Random(seed)
    found = []
    for _ in range(count):
        scenario = drawn.choice(SCENARIOS)
        score = drawn.choice((1e5, 2e5, 1e6, 1.6e6, 1e7))
        ratio = drawn.choice((0.79, 0.81, 0.89, 0.9, 1.0, 1.1, 1.11, 1.19, 1.2, 1.21))
        reference = detail(scenario, score, **changed(drawn))
        audit = detail(scenario, score * ratio, **changed(drawn))
        found.append((mutated(reference, drawn), mutated(audit, drawn)))
    return found


@pytest.fixture(scope="module")
def script(upstream: Path) -> Path:
    return upstream / "compliance/TEST01/verify_performance.py"


def test_the_model_says_what_the_script_says_and_every_difference_from_us_is_explained(
    script: Path, tmp_path: Path
) -> None:
    logs = pairs(700, seed=1)
    found = [directory(tmp_path / str(at), test="TEST01") for at in range(len(logs))]
    for one, both in zip(found, logs, strict=True):
        write(one, both, DETAIL)
    words_said = words(script, OPTIONS, [(one.results / DETAIL, one.path / DETAIL) for one in found])
    seen = set()
    for one, both, word in zip(found, logs, words_said, strict=True):
        ours = judged(performance, one)
        model = ours.upstream[0]
        told = (model.verdict, str(model.reference_score), str(model.audit_score))
        assert told == (word["verdict"], str(word["reference"]), str(word["audit"])), (both, model)
        assert all(difference.defect for difference in ours.differences), (both, ours)
        seen |= {(ours.status, word["verdict"]), *(difference.defect for difference in ours.differences)}
    assert {("PASS", "PASS"), ("FAIL", "FAIL"), ("NO_VERDICT", "CRASH"), ("PASS", "CRASH")} <= seen
    assert {"no_validity_is_invalid", "cut_log_unseen", "traceback_on_errors", "traceback_on_line"} <= seen


def test_a_log_that_is_not_there_is_a_traceback() -> None:
    assert said(detail(), None)[0].verdict == said(None, detail())[0].verdict == "CRASH"
