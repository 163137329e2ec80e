"""Ids, markers and -k choose checks as they do ordinary tests; the phases behind them are sent once, or not at all."""

from __future__ import annotations

import pytest

IDS = [
    "wan22.yaml::test04::completion[reference]",
    "wan22.yaml::test04::completion[output_caching]",
    "wan22.yaml::test04::requests_distinct[reference]",
    "wan22.yaml::test04::requests_identical[output_caching]",
    "wan22.yaml::test04::throughput_ratio",
]
QUERIES = 16


def test_every_check_is_a_test_and_each_phase_is_sent_once(audit, sut, spread):
    audit.config(sut)
    result = audit.run_with_pictures("-m", "test04", "-v", "--strict-markers", *spread)
    result.assert_outcomes(passed=5)
    assert result.ret == 0
    result.stdout.fnmatch_lines_random([f"*{node_id.replace('[', '[[]')}*" for node_id in IDS])
    assert sut.received == QUERIES
    verdict = audit.verdict()
    assert verdict["status"] == "PASS"
    assert [check["node_id"] for check in verdict["audits"][0]["checks"]] == IDS
    assert audit.phase("reference")["attempt"] == 1
    assert "<svg" in (audit.report() / "report.html").read_text()


@pytest.mark.parametrize("node_id", [IDS[0], IDS[4], "wan22.yaml::test04"])
def test_ids_as_arguments(audit, sut, node_id):
    audit.config(sut)
    result = audit.run(node_id)
    complete = node_id.endswith("test04")
    result.assert_outcomes(passed=5 if complete else 1)
    assert result.ret == 0
    assert sut.received == QUERIES
    assert audit.verdict()["status"] == ("PASS" if complete else "INCOMPLETE")


def test_an_id_as_argument_on_workers(audit, sut):
    audit.config(sut)
    audit.run(IDS[0], IDS[4], "-n", "2").assert_outcomes(passed=2)
    assert sut.received == QUERIES
    assert audit.verdict()["status"] == "INCOMPLETE"


@pytest.mark.parametrize(
    ("args", "passed"),
    [
        (("-k", "ratio"), 1),
        (("-k", "wan22 and reference"), 2),
        (("-k", "test04 and not completion"), 3),
        (("--deselect", IDS[4]), 4),
        (("-m", "mlperf"), 5),
    ],
    ids=["k", "k_parameter", "k_audit", "deselect", "m_mlperf"],
)
def test_a_part_of_the_checks_is_never_a_pass(audit, sut, args, passed):
    audit.config(sut)
    result = audit.run(*args)
    assert (result.ret, result.parseoutcomes()["passed"]) == (0, passed)
    assert sut.received == QUERIES
    verdict = audit.verdict()
    assert verdict["status"] == ("PASS" if passed == 5 else "INCOMPLETE")
    assert [check["status"] for check in verdict["audits"][0]["checks"]].count("passed") == passed


@pytest.mark.parametrize("args", [(), ("-n", "2"), ("-p", "no:xdist")], ids=["plain", "n2", "no_xdist"])
def test_collect_only_touches_nothing(audit, sut, args):
    audit.config(sut)
    result = audit.run("--collect-only", "-q", "-p", "no:cacheprovider", *args)
    assert result.ret == 0
    assert result.outlines[:6] == [*IDS, ""]
    assert sut.received == 0
    assert not (audit.path / "mlperf-reports").exists()


@pytest.mark.parametrize("option", ["--setup-plan", "--setup-only"])
def test_setup_plan_touches_nothing(audit, sut, option):
    audit.config(sut)
    result = audit.run(option)
    result.stdout.fnmatch_lines(["*wan22.yaml::test04::throughput_ratio*"])
    assert sut.received == 0
    assert not audit.report().exists()


def test_a_deselected_audit_sends_nothing(audit, sut):
    audit.config(sut)
    assert audit.run("-m", "not test04").ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert sut.received == 0
    assert not audit.report().exists()


def test_quiet(audit, sut):
    audit.config(sut)
    result = audit.run("-q")
    assert result.ret == 0
    assert result.outlines[0].startswith(".....")
    result.stdout.fnmatch_lines(["PASS test04: *", "5 passed in *"])


def test_exitfirst_stops_at_the_first_failing_check(audit, start_sut):
    sut = start_sut(fault="500", fault_every=8)
    audit.config(sut, audit={"min_completion": 1.0})
    result = audit.run("-x")
    assert result.ret == 1
    result.assert_outcomes(failed=1)
    assert sut.received == QUERIES
    verdict = audit.verdict()
    assert verdict["status"] == "FAIL"
    assert [check["status"] for check in verdict["audits"][0]["checks"]] == ["failed", *["not_run"] * 4]
