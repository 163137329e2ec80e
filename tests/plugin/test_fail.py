"""Exit status 1: an audit that found something, with an account a person can use."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest


@pytest.fixture
def caching(start_sut):
    return start_sut(service_ms=15, repeat_ms=0, lanes=2, cache="exact")


CONCURRENCY = {"type": "online", "settings": {"load_pattern": {"type": "concurrency", "target_concurrency": 2}}}


def test_a_cache_fails(audit, caching, lone_or_spread):
    audit.config(caching, audit={"samples": 16, "threshold": 0.1}, **CONCURRENCY)
    result = audit.run("--junitxml=junit.xml", *lone_or_spread)
    assert result.ret == 1
    result.assert_outcomes(passed=4, failed=1)
    blocks, fresh = 8 * 2 * 4, 8 * (2 * 4 + 3)
    assert caching.received == 32 + blocks + fresh
    assert audit.verdict()["status"] == "FAIL"
    result.stdout.fnmatch_lines(
        [
            "*throughput_ratio*",
            "ratio *.?? >= 1.10: ratio * over 8 pairs of blocks of 4 queries *, not below the limit 1.1*",
            "*observed: *",
            "*limit: * 1.1",
            "*records:*mlperf-reports/wan22*",
            "*= mlperf audit: wan22.yaml =*",
            "FAIL test04: *",
            "  FAIL throughput_ratio: see FAILURES above",
            "report: mlperf-reports/wan22/report.html",
            "FAILED wan22.yaml::test04::throughput_ratio - ratio *.?? >= 1.10:*",
        ]
    )
    assert_no_traceback(result)
    assert_junit(audit, "throughput_ratio")


def assert_junit(audit, failed):
    cases = {case.attrib["name"]: case for case in ET.parse(audit.path / "junit.xml").iter("testcase")}
    figures = audit.verdict()["audits"][0]["figures"]
    properties = {item.attrib["name"]: item.attrib["value"] for item in cases[failed].iter("property")}
    assert float(properties["mlperf_ratio"]) == figures["ratio"] == float(properties["mlperf_observed"])
    assert float(properties["mlperf_limit"]) == 1.1
    failure = cases[failed].find("failure")
    assert failure is not None
    first_line = failure.attrib["message"].splitlines()[0]
    assert first_line.startswith("ratio ")
    assert " >= 1.10: " in first_line
    assert "Failed:" not in first_line
    assert all(case.find("failure") is None for name, case in cases.items() if name != failed)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("500", "http_500"),
        ("hang", "timeout"),
        ("truncated", "truncated"),
        ("malformed", "malformed"),
    ],
)
def test_failed_queries_fail_completion_with_their_reason(audit, start_sut, fault, reason):
    sut = start_sut(fault=fault, fault_after=8, fault_every=2)
    audit.config(sut, audit={"min_completion": 1.0}, settings={"client": {"query_timeout_s": 2}})
    result = audit.run("--tb=short")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["4 of 8 queries completed*", f"*failed: 4 {reason}*"])
    assert_no_traceback(result)
    figures = audit.phase("output_caching")["figures"]
    assert (figures["n_completed"], figures["failures"]) == (4, {reason: 4})
    lines = (audit.report() / "audit" / "output_caching" / "queries.jsonl").read_text().splitlines()
    assert sum(json.loads(line).get("outcome", "completed") == reason for line in lines) == 4
    assert sut.received == 16


def test_job_summary(audit, start_sut, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(audit.path / "summary.md"))
    (audit.path / "summary.md").write_text("# Before\n")
    audit.config(start_sut(fault="500", fault_after=9), audit={"min_completion": 1.0})
    audit.run("-n", "2")
    summary = (audit.path / "summary.md").read_text()
    assert summary.startswith("# Before\n")
    assert summary.count("## FAIL") == 1
    assert "completion" in summary


def assert_no_traceback(result):
    for text in ("*Traceback*", "*INTERNALERROR*", "*site-packages*", "*def of_*", "*_mlperf_check*"):
        result.stdout.no_fnmatch_line(text)
