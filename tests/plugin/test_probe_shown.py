"""A scripted phase: what the plan and the header say before it, the display meanwhile, and the summary after it."""

from __future__ import annotations

import io
import json

import pytest

from pytest_mlperf_audit.load.progress import Progress
from pytest_mlperf_audit.session import display
from pytest_mlperf_audit.session.display_lines import Lines
from pytest_mlperf_audit.session.schedule import Schedule

PROBE = {"test": "cache_probe", **dict.fromkeys(("samples", "sample_index", "threshold", "probe"))}
CHAT = {
    "type": "online",
    "settings": {"load_pattern": {"type": "concurrency", "target_concurrency": 8}},
    "endpoint_config": {"api_type": "openai"},
}


def test_plan_of_an_adaptive_probe(audit, sut):
    audit.config(sut, **CHAT, audit=PROBE)
    result = audit.run("--mlperf-plan")
    assert result.ret == 0
    sent = r"    cache_probe: \d+ to [\d,]+ queries, one after another, and in bursts of up to 64"
    cost = r"stops when the answer is clear; about \d min at 1 s a query for the least"
    result.stdout.re_match_lines([f"{sent}; {cost}", r"  in all \d+ to \d+ queries"])
    assert sut.received == 0


def test_plan_of_a_fixed_probe(audit, sut):
    audit.config(sut, audit={"probe": {"max_queries": 12}})
    result = audit.run("--mlperf-plan")
    result.stdout.fnmatch_lines(
        [
            "    cache_probe_trial: 1 query",
            "    reference: 8 queries, max_throughput",
            "    output_caching: 8 queries, max_throughput",
            "    cache_probe: 12 queries, one after another; about 12 s at 1 s a query, 12 min at 60 s",
            "  in all 29 queries, up to 489 if a check stays open",
        ]
    )


def test_header_of_an_adaptive_probe(audit, sut):
    audit.config(sut, **CHAT, audit=PROBE)
    result = audit.run("--collect-only")
    result.stdout.re_match_lines([r"mlperf-audit: wan22.yaml: cache_probe \(\d+\+ queries\)$"])


def test_header_of_test04_with_its_probe(audit, sut):
    audit.config(sut, audit={"probe": True})
    result = audit.run("--collect-only")
    result.stdout.fnmatch_lines(
        ["mlperf-audit: wan22.yaml: test04 (8 + 8 queries, max_throughput, limit 1.9x; cache probe 16+ queries)"]
    )


def test_summary_without_a_throughput_of_the_probe(audit, start_sut, lone_or_spread):
    # Service times are no longer than it takes for a busy machine to make no cache of them.
    audit.config(start_sut(service_ms=40, repeat_ms=0), audit={"probe": True})
    result = audit.run(*lone_or_spread)
    result.stdout.re_match_lines([r"PASS test04: ratio .*; cache probe CLEAN \(\d+ queries\); reference"])
    settings = audit.verdict()["audits"][0]["settings"]
    assert settings["probe.design"] == "auto"
    assert "probe" not in settings


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_bar_whose_end_moves():
    screen = Terminal()
    show = display._Bar(screen, Lines(screen, lambda: "", 0.0), Schedule(list, lambda: None)).shows
    for requested, done in ((110, 10), (110, 100), (246, 138), (350, 248)):
        show(Progress(phase="cache_probe", title="cache_probe", requested=requested, issued=done, completed=done))
    written = screen.getvalue()
    assert [text for text in ("10/110", "100/110", "138/246", "248/350") if text not in written] == []
    assert "cache_probe cache_probe" not in written


UNDECIDED = """
from typing import Literal

from pytest_mlperf_audit import Audit, AuditBlock, Check, Verdict
from pytest_mlperf_audit.runs.order import sequential


class NoisyBlock(AuditBlock):
    test: Literal["noisy"]


class Noisy(Audit[NoisyBlock]):
    id = "noisy"
    title = "Too noisy to tell"
    mlperf_name = "noisy_test"
    config = NoisyBlock

    def plan(self, cfg, samples, context):
        return [context.phase("once", 4, order=sequential())]

    def checks(self, cfg, phases):
        return ["quiet", "fast", "done"]

    def verify(self, cfg, runs):
        def check(name, passed, reason="counted"):
            return Check(name=name, passed=passed, observed=1, limit=2, reason=reason)

        doubt = "inconclusive: too noisy"
        checks = (check("quiet", None, doubt), check("fast", None, doubt), check("done", DONE))
        return Verdict(audit=self.id, checks=checks)


def pytest_mlperf_audits():
    return [Noisy()]
"""


@pytest.fixture
def noisy(audit, sut):
    """A directory with an audit that leaves two checks in doubt."""

    def write(*, done: bool):
        (audit.path / "conftest.py").write_text(UNDECIDED.replace("DONE", str(done)))
        audit.config(sut, audit={"test": "noisy", **dict.fromkeys(("samples", "sample_index", "threshold", "probe"))})
        return audit

    return write


def test_an_undecided_check_is_no_verdict_and_no_file(noisy, lone_or_spread):
    audit = noisy(done=True)
    result = audit.run(*lone_or_spread)
    assert result.ret == 6
    result.assert_outcomes(passed=1, errors=2)
    result.stdout.fnmatch_lines(
        ["NO VERDICT noisy: once *", "  inconclusive: too noisy", "  undecided quiet, fast: see ERRORS above"]
    )
    found = audit.verdict()["audits"][0]
    assert (found["status"], found["reason"]) == ("NO_VERDICT", "inconclusive: too noisy")
    shown = {check["name"]: (check["status"], check["passed"], check["undecided"]) for check in found["checks"]}
    assert shown == {"quiet": ("error", None, True), "fast": ("error", None, True), "done": ("passed", True, False)}
    assert not list(audit.report().glob("audit/*.json"))
    assert not list(audit.report().glob("audit/*.txt"))


def test_an_undecided_check_beside_a_failed_one_is_a_file_that_says_failed(noisy):
    audit = noisy(done=False)
    assert audit.run().ret == 1
    assert audit.verdict()["status"] == "FAIL"
    result = json.loads((audit.report() / "audit/audit_noisy_test.json").read_text())
    assert result["passed"] is False
    assert [check["passed"] for check in result["checks"]] == [None, None, False]
    assert "False" in (audit.report() / "audit/verify_NOISY_TEST.txt").read_text()


def test_an_undecided_check_that_was_not_run_leaves_the_audit_incomplete(noisy):
    audit = noisy(done=True)
    assert audit.run("wan22.yaml::noisy::done").ret == 0
    assert audit.verdict()["status"] == "INCOMPLETE"
    assert not list(audit.report().glob("audit/*.json"))
