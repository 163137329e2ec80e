"""The classic layout of our own runs: MLCommons' scripts and checker accept it and reach our verdict."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from pytest_mlperf_audit.audits.published.case import verify
from pytest_mlperf_audit.audits.published.tree import find_audits
from pytest_mlperf_audit.audits.verdict import Check
from pytest_mlperf_audit.layouts.classic import write_classic_files
from pytest_mlperf_audit.loadgen.phase_log import Declared
from pytest_mlperf_audit.verdicts.document import CheckEntry

LOGS = ["mlperf_log_detail.txt", "mlperf_log_summary.txt"]
CLASSIC = [
    *(f"TEST04/performance/run_1/{name}" for name in LOGS),
    *(f"TEST04/reference/performance/run_1/{name}" for name in LOGS),
    "TEST04/verify_performance.txt",
]
#: The main run and the accuracy run, which are there both or neither.
RUNS = [
    *(f"performance/run_1/{name}" for name in LOGS),
    *(f"accuracy/{name}" for name in LOGS),
    "accuracy/accuracy.txt",
    "accuracy/mlperf_log_accuracy.json",
    "user.conf",
]
ENDPOINTS = ["audit/audit_output_caching_test.json", "audit/verify_OUTPUT_CACHING_TEST.txt"]
RUNTIME = {"qsl_rng_seed": 5, "dataloader_random_seed": 2**64 - 3, "scheduler_random_seed": 7}
#: WAN2.2's rules: 50 samples per query in Offline; 64 queries for SingleStream's estimate.
QUERIES, ROWS = 66, 70
DECLARED = Declared("wan at http://sut", "prompts", 248)


def scenario(session, sut, name, **blocks):
    """Write a YAML of TEST04 alone, as for WAN2.2-T2V-A14B but for its length, and return its report directory."""
    offline = name == "Offline"
    # Two at a time: of queries that are all in flight at once none finds an answer in a cache.
    client = {"client": {"max_connections": 2}}
    pattern = {"load_pattern": {"type": "concurrency", "target_concurrency": 1}}
    blocks = {
        "type": "offline" if offline else "online",
        "audit": {"samples": QUERIES, "threshold": 0.1 if offline else 0.2},
        "settings": {"runtime": RUNTIME, **(client if offline else pattern)},
        **blocks,
    }
    session.config(sut, f"{name}.yaml", **blocks)
    return session.report(name)


def files(directory):
    return sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file())


def last_line(path):
    return Path(path).read_text().splitlines()[-1]


def script(upstream, name, cwd, *args):
    command = [sys.executable, str(upstream / "compliance/TEST04" / name), *map(str, args)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)


def upstream_says(upstream, tmp_path, report):
    """Run MLPerf's run_verification.py as a submitter would, on exactly the two phases that we compared."""
    cwd, out = tmp_path / "cwd", tmp_path / "out"
    shutil.rmtree(cwd, ignore_errors=True)
    shutil.rmtree(out, ignore_errors=True)
    cwd.mkdir()
    test04 = report / "TEST04"
    ran = script(
        upstream, "run_verification.py", cwd, "-r", test04 / "reference", "-c", test04 / "performance/run_1", "-o", out
    )
    assert "TEST04 verification complete" in ran.stdout, ran.stderr
    assert files(out / "TEST04") == ["performance/run_1/" + name for name in LOGS] + ["verify_performance.txt"]
    return (out / "TEST04/verify_performance.txt").read_text().splitlines()


def as_published(root, reports):
    """Return a tree of these scenario directories, with TEST04's reference in the place of the main run."""
    for name, report in reports.items():
        place = root / "closed/Us/results/our_system/wan-2.2-t2v-a14b" / name
        shutil.copytree(report, place)
        shutil.copytree(report / "TEST04/reference/performance/run_1", place / "performance/run_1")
    return root


@pytest.mark.parametrize("cached", [False, True], ids=["honest", "caching"])
def test_mlcommons_scripts_reach_our_verdict(audit, start_sut, upstream, tmp_path, cached):
    # Repeats are slower than the first time, or not computed at all, by more than noise can hide.
    sut = start_sut(service_ms=8, lanes=2, repeat_ms=6, cache="exact" if cached else "none")
    reports = {name: scenario(audit, sut, name) for name in ("Offline", "SingleStream")}
    configs = [f"--mlperf-config={name}.yaml" for name in reports]
    # A server that has answered a prompt knows it in the other scenario's reference as well: ask for other prompts.
    other = audit.path / "other.jsonl"
    other.write_text("".join(json.dumps({"prompt": f"another scene {row}"}) + "\n" for row in range(ROWS)))
    audit.rows(ROWS)
    scenario(audit, sut, "SingleStream", datasets=[{"path": "other.jsonl"}])
    result = audit.run(*configs, "--mlperf-layout=classic", config=None)
    assert result.ret == int(cached)
    ours = "TEST FAIL: throughput_ratio; see verdict.json" if cached else "TEST PASS"
    for name, report in reports.items():
        verdict = json.loads((report / "verdict.json").read_text())
        assert verdict["status"] == ("FAIL" if cached else "PASS")
        assert set(CLASSIC) <= set(verdict["artifacts"])
        assert not set(ENDPOINTS) & set(verdict["artifacts"])
        assert last_line(report / "TEST04/verify_performance.txt") == ours
        said = upstream_says(upstream, tmp_path, report)
        assert said[-1] == ("TEST FAIL: Test score invalid" if cached else "TEST PASS")
        figures = verdict["audits"][0]["figures"]
        before, after = (float(said[line].rpartition("= ")[2]) for line in (-3, -2))
        if name == "Offline":
            assert (before, after) == (figures["ref_qps"], figures["audit_qps"])
        else:
            assert before == pytest.approx(1 / figures["ref_early_stopping_p90_s"], rel=1e-12)
            assert after == pytest.approx(1 / figures["output_caching_early_stopping_p90_s"], rel=1e-12)
    # Read back as a published submission: the verdict again, and no difference from upstream's.
    tree = as_published(tmp_path / "tree", reports)
    again = {found.scenario: verify(found) for found in find_audits(tree) if found.layout == "classic"}
    assert set(again) == set(reports)
    for name, case in again.items():
        assert (case.status, case.differences) == ("FAIL" if cached else "PASS", ()), f"{name}: {case.reason}"


def with_accuracy(**blocks):
    """Blocks of a run of both, the score printed by a program."""
    scorer = {"ground_truth": "prompt", "command": ["echo", "vbench_score: 70.48"]}
    accuracy = {"name": "vbench", "path": "prompts.jsonl", "type": "accuracy", "accuracy_config": scorer}
    datasets = [{"name": "perf", "path": "prompts.jsonl"}, accuracy]
    return {"datasets": datasets, "audit": {"only": False, "samples": 8, "threshold": 0.9}, **blocks}


def test_the_main_and_the_accuracy_run_are_the_submissions(audit, sut):
    report = scenario(audit, sut, "Offline", **with_accuracy(model_params={"name": "wan-2.2-t2v-a14b"}))
    audit.run("--mlperf-layout=both", config="Offline.yaml").assert_outcomes(passed=9)
    assert set(CLASSIC + RUNS + ENDPOINTS) <= set(audit.verdict("Offline")["artifacts"])
    assert (report / "performance/result_summary.json").exists()
    main = (report / "performance/run_1/mlperf_log_summary.txt").read_text()
    assert "samples_per_query : 16\n" in main
    assert "performance_issue_unique : 0\n" in main
    assert "samples_per_query : 8\n" in (report / "TEST04/reference/performance/run_1" / LOGS[1]).read_text()
    assert files(report / "performance/run_1") == LOGS
    # What the checker reads of an accuracy run: LoadGen's keys, the score in its words, and the whole log's digest.
    detail = (report / "accuracy" / LOGS[0]).read_text()
    for said in ('"effective_test_mode", "value": "AccuracyOnly"', '"effective_accuracy_sample_count", "value": 16'):
        assert said in detail
    assert "result_validity" not in detail
    whole = (report / "accuracy/vbench/mlperf_log_accuracy.json").read_bytes()
    hashed = f"\nhash={hashlib.sha256(whole).hexdigest()}\n"
    assert (report / "accuracy/accuracy.txt").read_text() == "{'vbench_score': 70.48}\n" + hashed
    assert (report / "accuracy/mlperf_log_accuracy.json").read_bytes() == whole
    assert "*.Offline.performance_sample_count_override = 16\n" in (report / "user.conf").read_text()
    assert not any("classic layout" in warning for warning in audit.verdict("Offline")["warnings"])


@pytest.mark.parametrize(
    ("blocks", "choice", "why"),
    [
        ({"datasets": [{"path": "prompts.jsonl"}]}, [], "no accuracy run that reached a verdict"),
        ({}, ["-m", "not accuracy"], "no accuracy run that reached a verdict"),
        ({}, ["-m", "not performance"], "no main performance run that reached a verdict"),
    ],
    ids=["none", "not_selected", "accuracy_alone"],
)
def test_a_main_run_without_its_accuracy_run_is_not_written(audit, sut, blocks, choice, why):
    """MLPerf's checker ends in a traceback on one log without the other, for every submission of the tree."""
    report = scenario(audit, sut, "Offline", **with_accuracy(**blocks))
    assert audit.run("--mlperf-layout=both", *choice, config="Offline.yaml").ret == 0
    assert not set(RUNS) & set(files(report))
    assert set(CLASSIC + ENDPOINTS) <= set(files(report))
    (warning,) = (warning for warning in audit.verdict("Offline")["warnings"] if "classic layout" in warning)
    assert why in warning


def test_nothing_classic_unless_asked_for(audit, sut):
    audit.config(sut)
    audit.run()
    assert set(ENDPOINTS) <= set(files(audit.report()))
    assert not set(CLASSIC) & set(files(audit.report()))


def test_the_ini_file_may_ask(audit, sut):
    audit.config(sut)
    (audit.path / "pytest.ini").write_text("[pytest]\nmlperf_layout = classic\n")
    audit.run()
    assert set(CLASSIC) <= set(files(audit.report()))
    assert not set(ENDPOINTS) & set(files(audit.report()))


def test_a_layout_that_is_none_is_an_error_before_anything_is_sent(audit, sut):
    audit.config(sut)
    (audit.path / "pytest.ini").write_text("[pytest]\nmlperf_layout = clasic\n")
    result = audit.run()
    assert result.ret == 4
    result.stderr.fnmatch_lines(
        "*mlperf_layout in *pytest.ini: 'clasic' is no layout; give one of endpoints, classic, both"
    )
    assert audit.run("--mlperf-layout=new").ret == 4
    assert sut.received == 0


def test_a_simulated_run_gives_no_submission_file(audit):
    audit.config()
    audit.run("--mlperf-layout=both").assert_outcomes(passed=5)
    assert not set(CLASSIC + ENDPOINTS) & set(files(audit.report()))


def test_no_verdict_no_file(audit, start_sut):
    sut = start_sut(fault="die", fault_after=4)
    audit.config(sut)
    assert audit.run("--mlperf-layout=classic").ret == 6
    assert not set(CLASSIC) & set(files(audit.report()))


CUT = """
import pathlib, pytest
path = pathlib.Path("mlperf-reports/Offline/performance/queries.jsonl")

@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish():
    path.write_bytes(path.read_bytes()[:-20])
"""


def test_a_main_run_whose_records_were_cut_gives_no_file(audit, sut):
    report = scenario(audit, sut, "Offline", audit={"only": False, "samples": 8, "threshold": 0.9})
    (audit.path / "conftest.py").write_text(CUT)
    result = audit.run("--mlperf-layout=both", config="Offline.yaml")
    assert result.ret == 6
    assert "INTERNALERROR" not in str(result.stdout)
    assert [entry["status"] for entry in audit.verdict("Offline")["audits"]] == ["PASS", "NO_VERDICT"]
    assert not (report / "performance/result_summary.json").exists()
    # TEST04's own reference is not passed off as the main run.
    assert not (report / "performance/run_1").exists()
    assert last_line(report / "TEST04/verify_performance.txt") == "TEST PASS"


def test_fewer_than_64_single_stream_queries_have_no_score_in_any_file(audit, sut, upstream, tmp_path):
    report = scenario(audit, sut, "SingleStream", audit={"samples": 8, "threshold": 0.2})
    result = audit.run("--mlperf-layout=classic", config="SingleStream.yaml")
    assert result.ret == 0
    verify = (report / "TEST04/verify_performance.txt").read_text()
    assert "reference score = none\ntest score = none\nTEST FAIL: too few queries for a score" in verify
    summary = (report / "TEST04/performance/run_1" / LOGS[1]).read_text()
    assert "Result is : INVALID" in summary
    assert "estimate" not in summary
    assert upstream_says(upstream, tmp_path, report)[-1] == "TEST FAIL: Reference results are invalid"
    assert any("which needs 64" in note for note in audit.verdict("SingleStream")["audits"][0]["notes"])


def test_failed_queries_within_the_tolerance_are_errors_in_the_log(audit, start_sut, upstream, tmp_path):
    sut = start_sut(fault="500", fault_every=10)
    report = scenario(audit, sut, "Offline", audit={"samples": 16, "threshold": 0.5})
    assert audit.run("--mlperf-layout=classic", config="Offline.yaml").ret == 0
    for place, failed in (("TEST04/reference/performance/run_1", 1), ("TEST04/performance/run_1", 2)):
        summary = (report / place / LOGS[1]).read_text()
        assert summary.endswith("\n1 ERROR encountered. See detailed log.\n")
        assert "Result is : VALID" in summary
        detail = (report / place / LOGS[0]).read_text()
        assert f'"key": "error_runtime", "value": "{failed} of 16 queries failed: http_500"' in detail
        assert detail.count('"is_error": true') == 1
    said = upstream_says(upstream, tmp_path, report)
    assert "WARNING: 1 ERROR reported in reference results" in said
    assert said[-1] == "TEST PASS"


def test_our_fail_is_never_their_pass(make_run, tmp_path, upstream):
    """Another row's ratio, the cache probe, requests that were not identical: what MLPerf's rule does not look at."""
    run = make_run()
    test04 = run.audits[0]
    failed = Check(name="cache_probe", passed=False, observed=None, limit=None, reason="TEST PASS")
    entry = CheckEntry.of("cache_probe", failed, "n", "failed")
    judged = msgspec.structs.replace(test04, status="FAIL", checks=(*test04.checks, entry))
    written = write_classic_files(msgspec.structs.replace(run, audits=(judged,)), DECLARED, tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in written][-1] == "TEST04/verify_performance.txt"
    assert last_line(written[-1]) == "TEST FAIL: cache_probe; see verdict.json"
    assert "TEST PASS" not in written[-1].read_text()
    assert upstream_says(upstream, tmp_path, tmp_path)[-1] == "TEST PASS"


def test_their_fail_is_not_our_pass_by_a_wider_threshold(make_run, tmp_path, upstream):
    run = make_run(repeat_s=0.04, threshold=0.5)
    assert run.audits[0].status == "PASS"
    *_, verify = write_classic_files(run, DECLARED, tmp_path)
    assert last_line(verify) == (
        "TEST FAIL: the test score is not below 1.1 times the reference score; see verdict.json"
    )
    assert upstream_says(upstream, tmp_path, tmp_path)[-1] == "TEST FAIL: Test score invalid"
    (note,) = [note for note in run.audits[0].notes if "MLPerf's own script" in note]
    assert "TEST FAIL" in note


def test_completion_below_the_floor_is_invalid(make_run, tmp_path, upstream):
    run = make_run(failed=20)
    assert run.audits[0].status == "FAIL"
    write_classic_files(run, DECLARED, tmp_path)
    summary = (tmp_path / "TEST04/reference/performance/run_1" / LOGS[1]).read_text()
    assert "Result is : INVALID" in summary
    assert "  Min queries satisfied : NO" in summary
    assert "2 ERRORS encountered. See detailed log." in summary
    assert upstream_says(upstream, tmp_path, tmp_path)[-1] == "TEST FAIL: Reference results are invalid"


def test_the_first_of_several_rows_is_the_submissions(make_run, tmp_path):
    write_classic_files(make_run(rows=[5, 3]), DECLARED, tmp_path)
    assert "performance_issue_same_index : 5\n" in (tmp_path / "TEST04/performance/run_1" / LOGS[1]).read_text()


def test_a_simulated_outcome_is_refused(make_run, tmp_path):
    with pytest.raises(ValueError, match="no submission file"):
        write_classic_files(make_run(simulated=True), DECLARED, tmp_path)
    with pytest.raises(ValueError, match="no submission file"):
        write_classic_files(msgspec.structs.replace(make_run(), simulated=True), DECLARED, tmp_path)
    assert not (tmp_path / "TEST04").exists()


def test_an_old_verdict_never_stands_beside_new_logs(make_run, tmp_path, monkeypatch):
    run = make_run()
    *_, verify = write_classic_files(run, DECLARED, tmp_path)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pytest_mlperf_audit.layouts.classic_logs.write_atomic", full)
    with pytest.raises(OSError, match="No space"):
        write_classic_files(run, DECLARED, tmp_path)
    assert not verify.exists()
