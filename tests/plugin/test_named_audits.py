"""The same audit more than once, with settings and data sets of its own: ids, markers and files apart."""

from __future__ import annotations

import json

import pytest

SHORT = {"test": "test04", "name": "short", "samples": 8, "sample_index": 3, "threshold": 0.9, "probe": False}
LONG = {**SHORT, "name": "long", "samples": 10, "dataset": "other", "sample_index": 1}
DATASETS = [{"name": "perf", "path": "prompts.jsonl"}, {"name": "other", "path": "other.jsonl"}]


@pytest.fixture
def twice(audit, start_sut):
    """Write a YAML that asks for TEST04 twice, of two performance data sets."""
    audit.rows(12, "other.jsonl")
    (audit.path / "other.jsonl").write_text(
        "".join(json.dumps({"prompt": f"another scene {row}"}) + "\n" for row in range(12))
    )
    sut = start_sut(service_ms=10, lanes=2, repeat_ms=6)

    def write(*blocks, **others):
        audit.config(sut, audit=None, datasets=DATASETS, **others)
        text = json.loads(json.dumps({"audit": list(blocks or (SHORT, LONG))}))
        path = audit.path / "wan22.yaml"
        path.write_text(path.read_text().replace("audit: null\n", "") + json.dumps(text)[1:-1] + "\n")
        return sut

    return write


def rows_of(audit, phase: str) -> set[int]:
    lines = (audit.report() / "audit" / phase / "queries.jsonl").read_text().splitlines()
    return {json.loads(line)["sample"] for line in lines}


def test_both_are_sent_judged_and_recorded_apart(audit, twice):
    sut = twice()
    result = audit.run("-v")
    assert result.ret == 0, str(result.stdout)
    for entry in ("test04-short", "test04-long"):
        result.stdout.fnmatch_lines([f"*wan22.yaml::{entry}::throughput_ratio*PASSED*"])
    verdict = audit.verdict()
    assert [(one["id"], one["name"], one["status"]) for one in verdict["audits"]] == [
        ("test04-short", "short", "PASS"),
        ("test04-long", "long", "PASS"),
        ("performance", "", "PASS"),
    ]
    assert (rows_of(audit, "test04-short.output_caching"), rows_of(audit, "test04-long.output_caching")) == ({3}, {1})
    assert len(rows_of(audit, "test04-long.reference")) == 10
    for entry in ("test04-short", "test04-long"):
        told = json.loads((audit.report() / f"audit/{entry}/audit_output_caching_test.json").read_text())
        assert (told["test"], told["passed"]) == ("output_caching_test", True)
        assert (audit.report() / f"audit/{entry}/verify_OUTPUT_CACHING_TEST.txt").exists()
    assert not (audit.report() / "audit/audit_output_caching_test.json").exists()
    assert sut.received == 8 + 8 + 10 + 10 + 16
    assert "warning" not in str(result.stdout)


def test_a_finished_run_is_judged_again(audit, twice):
    twice()
    assert audit.run("--mlperf-layout=both").ret == 0
    assert (audit.report() / "TEST04-short/verify_performance.txt").exists()
    assert (audit.report() / "TEST04-long/verify_performance.txt").exists()
    result = audit.run(f"--mlperf-recheck={audit.report()}", config=None)
    assert result.ret == 0, str(result.stdout)


@pytest.mark.parametrize(
    ("selected", "n_sent"), [("short", 16), ("long", 20), ("test04", 36), ("test04 and not long", 16)]
)
def test_markers(audit, twice, selected, n_sent):
    sut = twice()
    assert audit.run("-m", selected, "--strict-markers").ret == 0
    assert sut.received == n_sent


def test_one_id_under_several_workers(audit, twice):
    twice()
    result = audit.run("wan22.yaml::test04-long", "-n", "2")
    assert result.ret == 0
    assert (audit.report() / "audit/test04-long.reference/phase.json").exists()
    assert not (audit.report() / "audit/test04-short.reference").exists()


def test_an_entry_without_a_name_keeps_its_id_and_its_files(audit, twice):
    twice({key: value for key, value in SHORT.items() if key != "name"}, LONG)
    assert audit.run().ret == 0
    assert [one["id"] for one in audit.verdict()["audits"]] == ["test04", "test04-long", "performance"]
    assert (audit.report() / "audit/audit_output_caching_test.json").exists()
    assert (audit.report() / "audit/test04-long/audit_output_caching_test.json").exists()


def test_rows_that_were_sent_before_are_named(audit, twice):
    twice(SHORT, {**SHORT, "name": "again"})
    result = audit.run("--mlperf-plan")
    assert result.ret == 4  # nobody uses the second data set
    twice(SHORT, {**SHORT, "name": "again"}, LONG)
    result = audit.run("--mlperf-plan")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*test04-again sends rows of the data set that test04-short sends before it*"])


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ((SHORT, SHORT), "*audit[[]1].name: a second audit called 'short'; rename one*"),
        ((SHORT, {**SHORT, "name": "Short"}), "*audit[[]1].name: a second audit called 'Short'; rename one*"),
        (({**SHORT, "name": "a b"},), "*name: is a marker, and part of test ids and file names; use letters*"),
        (({**SHORT, "name": "skip"},), "*name: is a marker, and part of test ids and file names; use letters*"),
        (({**SHORT, "name": None}, {**SHORT, "name": None}), "*test04 is asked for twice; give each a name*"),
        ((SHORT,), "*datasets[[]1].type: a second performance data set*name it in an audit's dataset*"),
    ],
)
def test_what_cannot_be_told_apart_is_a_fault(audit, twice, blocks, message):
    twice(*blocks)
    result = audit.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])
