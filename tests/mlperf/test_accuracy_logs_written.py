"""mlperf_log_accuracy.json as we write it: LoadGen's bytes, and what upstream's scripts and our verifiers make of it.

The replies come from the simulated endpoint, honest or not, over real sockets; a live verdict, upstream's script and
our own verifier of the log must agree on each, but for the script's documented defects.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from pytest_mlperf_audit.audits.test06 import published as log_test06
from pytest_mlperf_audit.audits.test06.live import Test06
from pytest_mlperf_audit.audits.test09 import LengthBounds
from pytest_mlperf_audit.audits.test09 import published as log_test09
from pytest_mlperf_audit.audits.test09.live import Test09
from pytest_mlperf_audit.config.dataset import DatasetConfig
from pytest_mlperf_audit.config.endpoint import SimulatedConfig
from pytest_mlperf_audit.config.model_params import ModelParams
from pytest_mlperf_audit.datasets import load_dataset
from pytest_mlperf_audit.endpoints.simulated import process
from pytest_mlperf_audit.endpoints.source import RequestSource
from pytest_mlperf_audit.endpoints.text.openai import OpenAIChatAdapter
from pytest_mlperf_audit.endpoints.text.sglang import SGLangAdapter
from pytest_mlperf_audit.errors import RecordError
from pytest_mlperf_audit.load.group import PlannedPhase, run_group
from pytest_mlperf_audit.load.target import Target
from pytest_mlperf_audit.loadgen.accuracy_log import AccuracyLog, write_accuracy_log
from pytest_mlperf_audit.records.log import read_queries
from pytest_mlperf_audit.runs.spec import Keep
from tests.support.accuracy_logs import audit_directory, upstream_test06, upstream_test09
from tests.support.token_phase import answered, context, failed, judged, planned, results

SUT = Path(__file__).parents[1] / "support/loadgen_tokens.py"
LOG = "mlperf_log_accuracy.json"
ROWS, TOKENS = 24, 20
BOUNDS: dict[str, Any] = {"min_output_tokens": 18.0, "max_output_tokens": 22.0}
SCORER = """
import json, sys
entries = json.load(open(sys.argv[1]))
right = sum(bytes.fromhex(entry["data"]).decode().endswith("(B).") for entry in entries)
print({"exact_match": 100 * right / len(entries)})
"""


@pytest.fixture
def phase(tmp_path):
    """Plan an audit, drive its phase against a simulated endpoint, and return (spec, records)."""
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"prompt": f"question {at}", "answer": "B"}) + "\n" for at in range(ROWS)))
    dataset = load_dataset(DatasetConfig(path=rows), [])

    def drive(spec, kind=SGLangAdapter, *, streaming=True, **simulated):
        config = SimulatedConfig(**{"service_time_ms": 1.0, "output_tokens": TOKENS, "eos_id": 2, **simulated})
        source = RequestSource(dataset, kind(ModelParams(name="m"), streaming=streaming))
        with process.start(config, watch_pid=os.getpid()) as running:
            planned_phase = PlannedPhase(spec, tmp_path / "phase" / spec.label)
            run_group([planned_phase], source, Target(urls=(running.url,)))
        return list(read_queries(planned_phase.directory / "queries.jsonl"))

    return drive


def written(tmp_path, records):
    path = tmp_path / "log" / LOG
    assert write_accuracy_log(path, iter(records)) == len(list(AccuracyLog(path)))
    return path


@pytest.mark.skipif(importlib.util.find_spec("mlperf_loadgen") is None, reason="pip install mlcommons-loadgen")
@pytest.mark.parametrize("scenario", ["Offline", "Server", "SingleStream"])
@pytest.mark.parametrize("with_tokens", [True, False])
def test_the_bytes_are_those_of_loadgen(tmp_path, scenario, with_tokens):
    outputs = [[5, 6, 255], [7, 8], [2**31 - 1, 0, 128009, 2]]
    asked = json.dumps({"scenario": scenario, "outputs": outputs, "tokens": with_tokens})
    subprocess.run([sys.executable, "-W", "ignore", SUT, asked], cwd=tmp_path, check=True, capture_output=True)
    theirs = (tmp_path / LOG).read_bytes()
    records = []
    for entry in AccuracyLog(tmp_path / LOG):
        assert entry.qsl_idx is not None
        assert entry.seq_id is not None
        record = answered(entry.qsl_idx, outputs[entry.qsl_idx])
        record.query = entry.seq_id
        if not with_tokens:
            record.tokens = record.first_ids = None
        elif scenario == "Offline":
            record.first_ids = None
        records.append(record)
    assert len(records) == 3
    assert written(tmp_path, records).read_bytes() == theirs


def test_a_text_without_token_ids_is_logged_as_its_bytes(tmp_path):
    texts = ["sécret", "", "two\nlines\x00"]
    records = [answered(at, None, output=text, tokens=9) for at, text in enumerate(texts)]
    entries = list(AccuracyLog(written(tmp_path, records)))
    assert [(entry.data or b"").decode() for entry in entries] == texts
    assert all(entry.token_count is None and entry.token_data is None for entry in entries)
    assert '"data" : "73C3A963726574" }' in (tmp_path / "log" / LOG).read_text()


def test_what_was_not_answered_or_not_kept_has_no_entry(tmp_path):
    records = [answered(0, [5]), failed(1), answered(2, None), answered(3, [6]), failed(4, "cancelled")]
    assert [entry.qsl_idx for entry in AccuracyLog(written(tmp_path, records))] == [0, 3]
    assert written(tmp_path, []).read_text() == "[\n]\n"


def test_a_log_that_cannot_be_written_whole_leaves_the_one_before(tmp_path):
    path = written(tmp_path, [answered(0, [5])])
    before = path.read_bytes()

    def cut_short():
        yield answered(1, [6])
        raise RecordError("queries.jsonl:2: the last record is cut short")

    with pytest.raises(RecordError):
        write_accuracy_log(path, cut_short())
    assert path.read_bytes() == before
    assert [left.name for left in path.parent.iterdir()] == [LOG]
    with pytest.raises(RecordError):
        write_accuracy_log(tmp_path / "new" / LOG, cut_short())
    assert list((tmp_path / "new").iterdir()) == []


def test_outputs_are_not_held_in_memory(tmp_path):
    tracemalloc.start()
    try:
        write_accuracy_log(tmp_path / LOG, (answered(at, [5] * 2000) for at in range(2000)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (tmp_path / LOG).stat().st_size > 30 * 2**20
    assert peak < 2 * 2**20


#: The check that must fail, None for none: how long outputs are is TEST09's question.
TEST06_MODES = {
    "none": None,
    "double_eos": "eos",
    "wrong_usage": "token_count",
    "wrong_first_token": "first_token",
    "truncated": None,
    "padded": None,
}


@pytest.mark.parametrize("mode", TEST06_MODES)
@pytest.mark.parametrize("streaming", [True, False])
def test_upstreams_test06_agrees(tmp_path, upstream, phase, mode, streaming):
    wrong = TEST06_MODES[mode] if streaming or mode != "wrong_first_token" else None
    spec = planned(Test06(), rows=ROWS, samples=ROWS, keys={"streaming": streaming})
    records = phase(spec, streaming=streaming, dishonest=mode)
    live = judged(Test06(), spec, records, samples=ROWS)
    assert [name for name, passed in results(live).items() if passed is not True] == ([wrong] if wrong else [])
    log = written(tmp_path, records)
    scenario = "Server" if streaming else "Offline"
    assert upstream_test06(upstream, log, tmp_path / "upstream", scenario) == ("FAIL" if wrong else "PASS")
    files = {f"accuracy/{LOG}": log.read_bytes()}
    found = log_test06.verify(audit_directory(tmp_path / "tree", "TEST06", files, scenario=scenario))
    ours = {check.name: check.passed for check in found.checks}
    assert ours == {name: passed for name, passed in results(live).items() if name != "completion[test06]"}
    assert found.figures["output_tokens"] == live.figures["output_tokens"]


def test_a_text_ahead_of_the_tokens_is_nothing_to_upstream(tmp_path, upstream, phase):
    """Chat streams have no token for it. Upstream compares an empty first token with nothing, and passes."""
    spec = planned(Test06(), rows=ROWS, samples=ROWS)
    records = phase(spec, OpenAIChatAdapter, dishonest="wrong_first_token")
    live = judged(Test06(), spec, records, samples=ROWS)
    assert [name for name, passed in results(live).items() if not passed] == ["first_token"]
    log = written(tmp_path, records)
    assert upstream_test06(upstream, log, tmp_path / "upstream", "Server") == "PASS"
    found = log_test06.verify(audit_directory(tmp_path / "tree", "TEST06", {f"accuracy/{LOG}": log.read_bytes()}))
    assert {check.name: check.passed for check in found.checks}["first_token"] is None


@pytest.mark.parametrize("kind", [SGLangAdapter, OpenAIChatAdapter])
@pytest.mark.parametrize(("mode", "passes"), [("none", True), ("truncated", False), ("padded", False)])
def test_upstreams_test09_agrees(tmp_path, upstream, phase, monkeypatch, kind, mode, passes):
    spec = planned(Test09(), rows=ROWS, **BOUNDS)
    records = phase(spec, kind, dishonest=mode)
    live = judged(Test09(), spec, records, **BOUNDS)
    assert results(live) == {**dict.fromkeys(results(live), True), "output_length": passes}
    log = written(tmp_path, records)
    low, high = BOUNDS.values()
    (tmp_path / "upstream").mkdir()
    assert upstream_test09(upstream, log, tmp_path / "upstream", low, high) == ("PASS" if passes else "FAIL")
    said = (tmp_path / "upstream/TEST09/verify_output_len.txt").read_text()
    assert f"Total samples: {ROWS}\nMean output tokens: {live.figures['mean_output_tokens']:.2f}\n" in said
    bounds = LengthBounds(min_tokens=low, max_tokens=high, n_samples=ROWS, unique=True)
    monkeypatch.setattr(log_test09, "bounds_of", lambda _: bounds)
    directory = audit_directory(tmp_path / "tree", "TEST09", {f"accuracy/{LOG}": log.read_bytes()})
    found = {check.name: check.passed for check in log_test09.verify(directory).checks}
    assert found == {"samples": True, "output_length": passes}


def test_a_skipped_sample_is_nothing_to_upstreams_test09(tmp_path, upstream, phase):
    """It counts no samples: a documented defect."""
    spec = planned(Test09(), rows=ROWS, **BOUNDS)
    records = phase(spec, dishonest="skipped_error", dishonest_after=5)
    live = judged(Test09(), spec, records, **BOUNDS)
    assert [name for name, passed in results(live).items() if not passed] == ["completion[test09]", "samples"]
    log = written(tmp_path, records)
    (tmp_path / "upstream").mkdir()
    assert upstream_test09(upstream, log, tmp_path / "upstream", *BOUNDS.values()) == "PASS"


@pytest.mark.parametrize(("accuracy", "passes"), [(1.0, True), (0.3, False)])
def test_upstreams_test07_reads_the_texts(tmp_path, upstream, phase, accuracy, passes):
    spec = context().phase("test07", ROWS, order=planned(Test09(), rows=ROWS, **BOUNDS).order, keep=Keep(outputs=True))
    records = phase(spec, known_prompts=tmp_path / "rows.jsonl", answer_column="answer", accuracy=accuracy)
    log = written(tmp_path, records)
    (tmp_path / "score.py").write_text(SCORER)
    script = upstream / "compliance/TEST07/run_verification.py"
    command = [sys.executable, str(script), "-c", str(log.parent), "-o", str(tmp_path / "out")]
    command += ["--accuracy-script", f"{sys.executable} score.py {{accuracy_log}}", "--accuracy-threshold", "60.698"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    said = (tmp_path / "out/TEST07/verify_accuracy.txt").read_text()
    assert ("TEST PASS" in said, "TEST FAIL" in said) == (passes, not passes)
    right = sum((record.output or "").endswith("(B).") for record in records)
    assert f"Accuracy score: {100 * right / ROWS}" in said
