"""Submissions made to pass that should not: one run published as two, and outputs that say nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_mlperf_audit.audits.published.case import CaseOutcome, outcome
from pytest_mlperf_audit.audits.test01 import published as test01
from pytest_mlperf_audit.audits.test01 import published_accuracy as test01_accuracy
from pytest_mlperf_audit.audits.test04 import published as test04
from pytest_mlperf_audit.audits.test06 import published as test06
from pytest_mlperf_audit.loadgen.verify_files import read_scores
from tests.support.accuracy_logs import audit_directory, log_bytes, noted, sample, truncated
from tests.support.judged import DETAIL, check, detail, directory, judge, judged, pair, write
from tests.support.submission import summary

_LATENCIES = """\
Min latency (ns)                : 2886990545
Max latency (ns)                : 2851793802043
Mean latency (ns)               : 1429196294763
50.00 percentile latency (ns)   : {p50}
99.00 percentile latency (ns)   : 2837211433521
"""


def _of_a_run(p50: int = 1426148267531, **values: object) -> bytes:
    text = summary(**values)  # type: ignore[arg-type]
    start, end = text.index("Min latency"), text.index("\n\n", text.index("Max latency"))
    return (text[:start] + _LATENCIES.format(p50=p50) + text[end:]).encode()


def test_the_reference_run_edited_into_an_audit_run(tmp_path: Path) -> None:
    found = judge(tmp_path, (_of_a_run(), _of_a_run(p50=1426148267999, same=True)))
    assert check(found, "separate_runs") is False
    assert "4 of their latencies are the same to the nanosecond" in found.reason
    assert [(one.upstream, one.defect) for one in found.differences] == [("PASS", "one_run_twice")]


def test_latencies_of_a_coarse_clock_may_be_shared(tmp_path: Path) -> None:
    logs = _of_a_run(), _of_a_run(same=True)
    coarse = tuple(_rounded(log) for log in logs)
    assert judge(tmp_path, (coarse[0], coarse[1])).status == "PASS"


def _rounded(log: bytes) -> bytes:
    lines = log.split(b"\n")
    return b"\n".join(line[:-3] + b"000" if b"latency (ns)  " in line else line for line in lines)


def test_the_reference_runs_detail_log_edited_into_another(tmp_path: Path) -> None:
    latencies: dict[str, Any] = {f"result_{what}_latency_ns": 1234567 for what in ("min", "max", "mean")}
    latencies |= {f"result_{which}_latency_ns": 2345678 + at for at, which in enumerate(("mean", "max"))}
    logs = detail(**latencies), detail(test_datetime="later", **latencies)
    found = directory(tmp_path, test="TEST01")
    write(found, logs, DETAIL)
    came = judged(test01.performance, found)
    assert check(came, "performance_separate_runs") is False
    assert [(one.upstream, one.defect) for one in came.differences] == [("PASS", "one_run_twice")]


def test_another_systems_reference_is_noted(tmp_path: Path) -> None:
    reference = pair(sut="A big one")[0]
    found = judge(tmp_path, (reference, pair()[1]))
    assert [note for note in found.notes if "is of the SUT 'A big one', the audit run of 'PySUT'" in note]
    assert not [note for note in judge(tmp_path, pair()).notes if "SUT" in note]
    assert judged(test04.verify, directory(tmp_path)).status == "PASS"


_SAMPLES = [{"seq_id": at, "qsl_idx": at, "data": bytes([at, *range(60)]).hex()} for at in range(120)]


@pytest.mark.parametrize("cut", [lambda log: log, truncated], ids=["whole", "cut"])
def test_the_accuracy_runs_log_published_as_the_audits(tmp_path: Path, cut: Callable[[bytes], bytes]) -> None:
    whole = log_bytes(_SAMPLES)
    told = b"num_perf_log_qsl_idx_match = 120\nnum_perf_log_data_mismatch = 0\nTEST PASS\n"
    log = "accuracy/mlperf_log_accuracy.json"
    files = {log: cut(whole), f"results/{log}": cut(whole), "verify_accuracy.txt": told}
    files["accuracy/accuracy.txt"] = noted(whole).encode()
    found = audit_directory(tmp_path, "TEST01", files, benchmark="bert-99.9", scenario="Offline")
    came = outcome(found, test01_accuracy.accuracy(found))
    assert came.status == "FAIL"
    assert "one was published twice" in came.reason
    assert {one.upstream for one in came.differences} == {"PASS"}
    assert all(one.defect for one in came.differences)


def _tokens(tmp_path: Path, samples: list[dict[str, object]], **files: bytes) -> CaseOutcome:
    named = {name.replace("__", "/"): content for name, content in files.items()}
    log = {"accuracy/mlperf_log_accuracy.json": log_bytes(samples)}
    found = audit_directory(tmp_path, "TEST06", {**log, **named})
    return outcome(found, test06.verify(found))


def test_outputs_that_are_all_empty_test_nothing(tmp_path: Path) -> None:
    came = _tokens(tmp_path, [sample(at, [], first=False) for at in range(100)], **_OFFLINE)
    assert (came.status, came.reason) == (
        "NO_VERDICT",
        "100 samples are logged, and the output of each is empty, so nothing was tested",
    )
    assert [one.defect for one in came.differences] == ["empty_outputs_pass"]


def test_a_part_of_a_token_is_no_first_token(tmp_path: Path) -> None:
    samples = [sample(at, [5 + at, 6, 2]) for at in range(100)]
    for one in samples:
        one["token_data"] = one["token_data"][:2]
    came = _tokens(tmp_path, samples)
    assert check(came, "first_token") is False
    assert (came.upstream[0].verdict, came.differences) == ("FAIL", ())


_RUN = "performance/run_1/mlperf_log_summary.txt"
_OFFLINE = {f"results/{_RUN}": summary("Offline").encode()}


def test_a_reference_run_cannot_excuse_an_audit_run_from_first_tokens(tmp_path: Path) -> None:
    samples = [sample(at, [5 + at, 6, 2], first=False) for at in range(100)]
    assert _tokens(tmp_path / "offline", samples, **_OFFLINE).status == "PASS"
    came = _tokens(tmp_path / "server", samples, **_OFFLINE, **{_RUN: summary("Server").encode()})
    assert (came.status, came.log_scenario) == ("NO_VERDICT", "Server")


def test_a_line_made_to_keep_a_reader_busy_for_days(tmp_path: Path) -> None:
    path = tmp_path / "accuracy.txt"
    path.write_text(f"accuracy{' ' * (4 << 20)}\naccuracy=76.1%, good=38050\n")
    assert read_scores(path, ["acc"]) == {"acc": 76.1}
