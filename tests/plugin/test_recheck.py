"""--mlperf-recheck: the checks of a finished run as tests again, from its records; nothing is sent or written."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest

TEST04 = [
    "test04::completion[reference]",
    "test04::completion[output_caching]",
    "test04::requests_distinct[reference]",
    "test04::requests_identical[output_caching]",
    "test04::throughput_ratio",
    "test04::cache_probe",
]
PERFORMANCE = ["performance::completion", "performance::count"]
IDS = [
    "records::verdict",
    "records::artifacts",
    "records::audit[test04]",
    "records::audit[performance]",
    *TEST04,
    *PERFORMANCE,
]


def recheck(audit, directory, *args):
    return audit.run(f"--mlperf-recheck={directory}", *args, config=None)


@pytest.fixture
def run(audit, finished_run):
    """A finished run below the directory of the session."""
    return finished_run.rename(audit.path / "run")


def contents(directory):
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_every_check_is_a_test_again(audit, run, spread):
    before = contents(run)
    result = recheck(audit, run, "-v", "--strict-markers", *spread)
    result.assert_outcomes(passed=len(IDS))
    assert result.ret == 0
    shown = [f"*run/verdict.json::{node_id.replace('[', '[[]')}*" for node_id in IDS]
    result.stdout.fnmatch_lines_random([*shown, f"CONFIRMED: stored PASS; {len(IDS)} tests: {len(IDS)} confirmed"])
    assert contents(run) == before


def test_a_simulated_run_says_so(audit, finished_simulation):
    result = recheck(audit, finished_simulation)
    result.assert_outcomes(passed=len(IDS))
    result.stdout.fnmatch_lines(
        ["mlperf-audit: recheck *simulated: PASS (SIMULATED): *", "SIMULATED: *", "CONFIRMED (SIMULATED): *"]
    )


def test_collect_only(audit, run):
    result = recheck(audit, run, "--collect-only", "-q")
    assert result.outlines[: len(IDS)] == [f"run/verdict.json::{node_id}" for node_id in IDS]


@pytest.mark.parametrize(
    ("args", "chosen"),
    [
        (("-m", "test04"), ["records::audit[test04]", *TEST04]),
        (("-m", "performance"), ["records::audit[performance]", *PERFORMANCE]),
        (("-m", "mlperf and not test04 and not performance"), IDS[:2]),
        (("-k", "ratio"), ["test04::throughput_ratio"]),
        (("run/verdict.json::records",), IDS[:4]),
        (("run/verdict.json::test04::completion[reference]", "-n", "2"), ["test04::completion[reference]"]),
    ],
    ids=["marker", "main_run", "records", "k", "group", "id"],
)
def test_choosing(audit, run, args, chosen):
    result = recheck(audit, run, "-v", *args)
    assert (result.ret, result.parseoutcomes()["passed"]) == (0, len(chosen))
    told = [line.split(" PASSED")[0].split()[-1] for line in result.outlines if " PASSED" in line or "PASSED " in line]
    if "-n" not in args:
        assert told == [f"run/verdict.json::{node_id}" for node_id in chosen]


def test_last_failed(audit, run):
    (run / "audit" / "verify_OUTPUT_CACHING_TEST.txt").write_text("Performance check pass: False\n")
    recheck(audit, run).assert_outcomes(passed=len(IDS) - 2, failed=2)
    result = recheck(audit, run, "--lf", "-v")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines_random(["*records::artifacts FAILED*", "*records::audit[[]test04] FAILED*"])


def test_junit_carries_the_figures(audit, run):
    recheck(audit, run, "--junitxml=junit.xml", "-k", "throughput_ratio")
    (case,) = ET.parse(audit.path / "junit.xml").iter("testcase")
    properties = {one.get("name"): one.get("value") for one in case.iter("property")}
    stored = json.loads((run / "verdict.json").read_text())["audits"][0]["figures"]
    assert properties["mlperf_recheck"] == "confirmed"
    assert float(properties["mlperf_ratio"] or 0) == stored["ratio"]


def test_two_runs_and_a_users_own_tests(audit, run, finished_simulation):
    finished_simulation.rename(audit.path / "other")
    (audit.path / "test_own.py").write_text("def test_own(mlperf_config): raise AssertionError\n")
    result = recheck(audit, run, "--mlperf-recheck=other", "--mlperf-recheck=run/../run", "test_own.py")
    result.assert_outcomes(passed=2 * len(IDS), skipped=1)


def test_outside_the_rootdir(audit, finished_run):
    result = recheck(audit, finished_run, "-v")
    result.assert_outcomes(passed=len(IDS))
    result.stdout.fnmatch_lines([f"*{finished_run}/verdict.json::test04::throughput_ratio PASSED*"])


@pytest.mark.parametrize("args", [(), ("-p", "no:cacheprovider"), ("-n", "2")], ids=["plain", "no_cache", "n2"])
def test_from_within_the_directory_nothing_is_written_there(audit, run, monkeypatch, args):
    before = contents(run)
    monkeypatch.chdir(run)
    recheck(audit, ".", f"--rootdir={run}", *args).assert_outcomes(passed=len(IDS))
    assert contents(run) == before


def test_a_directory_that_pytest_would_ignore(audit, run):
    (audit.path / "build").mkdir()
    run.rename(audit.path / "build" / ".hidden")
    recheck(audit, "build/.hidden").assert_outcomes(passed=len(IDS))


def test_a_directory_behind_a_link(audit, run):
    (audit.path / "latest").symlink_to(run)
    result = recheck(audit, "latest", "-v")
    result.assert_outcomes(passed=len(IDS))
    result.stdout.fnmatch_lines(["latest/verdict.json::records::verdict PASSED*"])


@pytest.mark.usefixtures("run")
def test_the_ini_twin(audit):
    audit.pytester.makeini("[pytest]\nmlperf_recheck = run\n")
    audit.run(config=None).assert_outcomes(passed=len(IDS))


def test_an_option_leaves_the_others_ini_twin_out(audit, run, sut):
    audit.config(sut)
    audit.pytester.makeini("[pytest]\nmlperf_config = wan22.yaml\n")
    recheck(audit, run).assert_outcomes(passed=len(IDS))
    assert sut.received == 0
    audit.pytester.makeini("[pytest]\nmlperf_recheck = run\n")
    audit.run().assert_outcomes(passed=5)


@pytest.mark.parametrize("ini", [False, True], ids=["options", "ini"])
def test_a_recheck_beside_an_audit_is_refused(audit, run, sut, ini):
    audit.config(sut)
    if ini:
        audit.pytester.makeini("[pytest]\nmlperf_config = wan22.yaml\nmlperf_recheck = run\n")
    result = audit.run(config=None) if ini else recheck(audit, run, "--mlperf-config=wan22.yaml")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: --mlperf-recheck sends nothing and --mlperf-config runs audits; *"])
    assert sut.received == 0


@pytest.fixture
def measured(audit, start_sut):
    """Run an audit of a server with the options given, and take its directory as a finished run."""

    def measure(*args, **options):
        audit.config(start_sut(**options), audit={"min_completion": 1.0})
        result = audit.run(*args)
        return result, audit.report()

    return measure


def test_a_verdict_of_fail_stands(audit, measured):
    first, directory = measured(fault="500", fault_after=9)
    assert first.ret == 1
    result = recheck(audit, directory)
    assert result.ret == 1
    result.assert_outcomes(passed=3 + 4, failed=1)
    result.stdout.fnmatch_lines(["1 of 8 queries completed*", "CONFIRMED: *FAIL*"])


def test_a_run_without_a_verdict_stays_without(audit, measured):
    first, directory = measured(fault="die", fault_after=12)
    assert first.ret == 6
    result = recheck(audit, directory)
    assert result.ret == 6
    result.assert_outcomes(passed=3, errors=5)
    result.stdout.fnmatch_lines(["CONFIRMED: stored NO_VERDICT; *5 without a verdict*"])


def test_checks_that_were_not_run_then_are_recomputed(audit, measured):
    _, directory = measured("-k", "throughput_ratio")
    result = recheck(audit, directory)
    result.assert_outcomes(passed=8)
    result.stdout.fnmatch_lines(["CONFIRMED: stored INCOMPLETE; *"])


def test_an_audit_that_was_not_run_is_skipped(audit, sut):
    audit.config(sut, audit={"only": False})
    audit.run("-m", "test04")
    result = recheck(audit, audit.report(), "-rs")
    result.assert_outcomes(passed=4 + 5, skipped=2)
    result.stdout.fnmatch_lines(["*performance completion: was not run then*"])
