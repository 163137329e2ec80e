"""--mlperf-results: a submission tree as pytest tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.curve_tree import write_curve
from tests.support.submission import Submission, summary

GOOD = "closed/NVIDIA/H200x8/resnet50/Offline"
CACHING = "closed/NVIDIA/H200x8/resnet50/Server"
OTHER = "open/Dell EMC/R760/stable-diffusion-xl/SingleStream"
ALONE = "open/Dell EMC/R760/stable-diffusion-xl/Offline"
BROKEN = "open/Dell EMC/R760/resnet50/Offline"


@pytest.fixture
def tree(audit) -> Submission:
    """Five audits: two that pass, one that fails, one without a reference run, one whose log is cut short."""
    made = Submission(audit.path / "v3.1")
    made.test04(GOOD)
    made.test04(CACHING, ratio=1.5)
    made.test04(OTHER, ratio=1.15)
    made.audit(ALONE)
    made.test04(BROKEN)
    log = made.audit(BROKEN)
    log.write_text(log.read_text()[:300])
    return made


@pytest.fixture
def results(audit, tree: Submission):  # noqa: ARG001 - the tree must be there
    """Run a session over the tree."""

    def run(*args: str | Path):
        return audit.run("--mlperf-results=v3.1", *args, config=None)

    return run


def document(audit, name: str = "v3.1") -> dict[str, Any]:
    return dict(json.loads((audit.report(name) / "verdict.json").read_text()))


def test_each_audit_directory_is_a_test(results, audit, spread):
    result = results("-rA", *spread)
    assert result.ret == 1
    result.assert_outcomes(passed=2, failed=1, errors=1, skipped=1)
    result.stdout.fnmatch_lines_random(
        [
            f"PASSED {GOOD}::test04",
            f"PASSED {OTHER}::test04",
            f"FAILED {CACHING}::test04 - test04 150 *",
            f"ERROR {BROKEN}::test04 - test04 no verdict*",
            "SKIPPED *the reference run was not published*",
            "FAIL: 2 passed, 1 failed, 1 without a verdict, 1 skipped",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    found = document(audit)
    assert (found["kind"], found["status"], found["found"]) == ("round", "FAIL", 5)
    assert found["counts"] == {"PASS": 2, "FAIL": 1, "NO_VERDICT": 1, "SKIPPED": 1}
    assert {case["case"]: case["status"] for case in found["cases"]} == {
        GOOD: "PASS",
        CACHING: "FAIL",
        OTHER: "PASS",
        ALONE: "SKIPPED",
        BROKEN: "NO_VERDICT",
    }
    assert (audit.report("v3.1") / "report.html").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("choice", "chosen"),
    [
        (["-m", "test04"], 5),
        (["-m", "test06"], 0),
        (["-k", "NVIDIA"], 2),
        (["-k", "NVIDIA and Server"], 1),
        (["-k", "resnet50 and not open"], 2),
        ([f"--deselect={GOOD}::test04"], 4),
        ([f"{GOOD}::test04"], 1),
        ([GOOD], 1),
        (["closed"], 2),
        (["closed/NVIDIA/H200x8"], 2),
        (["open/Dell EMC", f"{CACHING}::test04"], 4),
        (["v3.1/closed"], 2),
        (["v3.1/closed/NVIDIA/results/H200x8/resnet50/Server"], 1),
        (["v3.1"], 5),
    ],
    ids=str,
)
def test_choosing(results, choice: list[str], chosen: int):
    result = results("--collect-only", "-q", *choice)
    assert sum("::test04" in line for line in result.outlines) == chosen


def test_ids_as_arguments_run_those_alone(results, audit, lone_or_spread):
    result = results(f"{GOOD}::test04", f"{OTHER}::test04", *lone_or_spread)
    assert result.ret == 0
    result.assert_outcomes(passed=2)
    found = document(audit)
    assert (found["status"], found["found"], len(found["cases"])) == ("INCOMPLETE", 5, 2)


def test_a_required_audit_that_is_absent_fails_and_others_are_counted(audit, lone_or_spread):
    made = Submission(audit.path / "inference_results_v5.1")
    made.test04(GOOD)
    for name in ("TEST05", "TEST99"):
        (made.compliance(GOOD) / name).mkdir()
    result = audit.run("--mlperf-results=inference_results_v5.1", "-rA", *lone_or_spread, config=None)
    assert result.ret == 1
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines_random(
        [
            f"FAILED {GOOD}::test01 - test01 MLPerf *",
            f"  FAIL {GOOD}::test01: MLPerf v5.1 requires TEST01 of resnet50 in the closed division, and there is no *",
            "2 directories were not judged: 1 TEST05, 1 TEST99.",
        ]
    )
    found = document(audit, "inference_results_v5.1")
    assert (found["round"], found["not_judged"], found["remark"]) == ("v5.1", {"TEST05": 1, "TEST99": 1}, "")
    assert (found["status"], found["found"]) == ("FAIL", 2)


def test_a_log_copied_from_another_submitter_fails_though_each_audit_passes(audit, lone_or_spread):
    made = Submission(audit.path / "v3.1")
    latencies = "Mean latency (ns)               : 1402310993711\n50.00 percentile latency (ns)   : 139800123211{}\n"
    for number, who in enumerate(("NVIDIA", "Other")):
        case = f"open/{who}/sys/resnet50/Offline"
        made.reference(case, text=summary() + latencies.format(number).replace("1402", f"150{number}"))
        made.audit(case, text=summary(score=101, same=True) + latencies.format(2))
    result = audit.run("--mlperf-results=v3.1", *lone_or_spread, config=None)
    result.assert_outcomes(passed=2)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "FAIL: 2 passed",
            "  FAIL 2 x one run for several submitters: the same runs stand for NVIDIA and Other: 2 results rest on *",
            "      open/NVIDIA/sys/resnet50/Offline::test04",
        ]
    )
    found = document(audit)
    assert (found["status"], found["findings"][0]["kind"]) == ("FAIL", "one run for several submitters")
    assert (audit.report("v3.1") / "findings.csv").read_text().count("one run for several submitters") == 2


def test_a_round_whose_requirements_are_not_known_is_said(results):
    results("-k", "NVIDIA").stdout.fnmatch_lines(["Which audits v3.1 requires is not known here (v5.0, *"])


def test_an_id_that_is_not_there(results):
    result = results(f"{GOOD}::test06")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*not found*"])


def test_the_last_failures_again(results):
    assert results().ret == 1
    result = results("--lf")
    result.assert_outcomes(failed=1, errors=1)
    assert result.ret == 1


def test_the_first_failure_ends_it(results, audit):
    result = results("-x")
    assert result.ret == 1
    assert document(audit)["status"] in {"FAIL", "NO_VERDICT"}


def test_doubt_alone_is_no_pass_and_no_fail(results):
    result = results("-k", "Dell and not SingleStream")
    result.assert_outcomes(errors=1, skipped=1, deselected=3)
    assert result.ret == 6


def test_without_the_terminal_plugin_the_files_are_there(results, audit):
    assert results("-p", "no:terminal").ret == 1
    assert document(audit)["status"] == "FAIL"


def test_junit_carries_the_figures(results, audit):
    results("--junitxml=out.xml", "-n", "2")
    text = (audit.path / "out.xml").read_text()
    assert 'name="mlperf_ratio" value="1.5"' in text
    assert "mlperf_case" not in text


def test_where_the_report_goes(results, audit):
    results("--mlperf-report-dir=elsewhere")
    assert (audit.path / "elsewhere/verdict.json").is_file()
    assert not audit.report("v3.1").exists()


def test_an_earlier_report_is_kept(results, audit):
    results()
    results()
    assert (audit.path / "mlperf-reports/v3.1.1/verdict.json").is_file()


def test_nothing_is_written_into_the_tree(results, tree: Submission):
    before = {path: path.stat().st_mtime_ns for path in tree.path.rglob("*")}
    results()
    assert {path: path.stat().st_mtime_ns for path in tree.path.rglob("*")} == before


@pytest.mark.parametrize("place", [".", "v3.1", "v3.1/closed"])
def test_from_any_directory(audit, tree, monkeypatch, place: str):
    monkeypatch.chdir(audit.path / place)
    result = audit.run(f"--mlperf-results={tree.path}", "-k", "Server", config=None)
    result.assert_outcomes(failed=1, deselected=4)


@pytest.mark.parametrize("name", ["build", ".hidden", "node_modules"])
def test_a_tree_in_a_directory_that_pytest_ignores(audit, name: str):
    Submission(audit.path / name / "round").test04(GOOD)
    result = audit.run(f"--mlperf-results={name}/round", config=None)
    result.assert_outcomes(passed=1)


@pytest.mark.usefixtures("tree")
def test_several_trees(audit):
    Submission(audit.path / "v4").test04("closed/AMD/MI300X/resnet50/Offline")
    result = audit.run("--mlperf-results=v3.1", "--mlperf-results=v4", "--mlperf-report-dir=both", config=None)
    result.assert_outcomes(passed=3, failed=1, errors=1, skipped=1)
    assert json.loads((audit.path / "both/v4/verdict.json").read_text())["status"] == "PASS"
    assert json.loads((audit.path / "both/v3.1/verdict.json").read_text())["status"] == "FAIL"


@pytest.mark.usefixtures("tree")
def test_the_ini_twin(audit):
    (audit.path / "pytest.ini").write_text("[pytest]\nmlperf_results = v3.1\n")
    audit.run(config=None).assert_outcomes(passed=2, failed=1, errors=1, skipped=1)
    (audit.path / "test_own.py").write_text("def test_own(): pass\n")
    audit.run("test_own.py", config=None).assert_outcomes(passed=1)


@pytest.mark.usefixtures("tree")
def test_beside_the_users_own_tests(audit):
    (audit.path / "test_own.py").write_text("def test_own(): pass\n")
    audit.run("--mlperf-results=v3.1", "test_own.py", config=None).assert_outcomes(
        passed=3, failed=1, errors=1, skipped=1
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [("nowhere", "*nowhere does not exist*"), (".", "*no audit was found in*"), ("prompts.jsonl", "*is a file*")],
)
def test_what_is_no_tree(audit, given: str, message: str):
    result = audit.run(f"--mlperf-results={given}", config=None)
    assert result.ret == 4
    result.stderr.fnmatch_lines([message])
    result.stderr.no_fnmatch_line("*Traceback*")


def test_a_report_directory_that_cannot_be_written(results, audit):
    (audit.path / "taken").write_text("")
    result = results("--mlperf-report-dir=taken")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*taken is a file*"])


@pytest.mark.usefixtures("tree")
def test_a_live_run_beside_it(audit, sut):
    audit.config(sut)
    result = audit.run("--mlperf-results=v3.1", "-k", "throughput_ratio or NVIDIA")
    result.assert_outcomes(passed=2, failed=1, deselected=7)
    assert document(audit)["counts"]["FAIL"] == 1


def test_upstreams_word_where_it_differs(results):
    result = results("-rA", "-k", "R760 and resnet50")
    result.stdout.fnmatch_lines(["*upstream: PASS because*", "*known defect:*"])


def test_a_job_summary(results, audit, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(audit.path / "summary.md"))
    results()
    text = (audit.path / "summary.md").read_text()
    assert "## FAIL: v3.1" in text
    assert text.count("\n| FAIL |") == 1
    assert text.count("\n| NO VERDICT |") == 1


def test_a_submission_to_endpoints_is_judged_rule_by_rule(pytester):
    def short(concurrency, files):
        if concurrency == 64:
            files["result_summary.json"]["duration_ns"] = 30 * 10**9

    write_curve(pytester.path, short)
    result = pytester.runpytest("--mlperf-results=acme", "-rA")
    result.assert_outcomes(passed=14, failed=2, skipped=1)  # so short a run has another throughput, too
    result.stdout.fnmatch_lines(
        ["  FAIL acme/sub-1/H200x8/gpt-oss-120b::duration: r64: measured for 30 s, 1200 are due*"],
    )
    assert "audits the round requires" not in result.stdout.str()
