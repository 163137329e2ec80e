"""The phase that confirms a ratio is sent where the two phases leave it open, and only there."""

from __future__ import annotations

import json
import os
import signal

import pytest

from tests.plugin.test_recheck_differences import edit, wrong

LOAD = {"load_pattern": {"type": "concurrency", "target_concurrency": 8}}
#: A server that takes thirty times as long for the reference phase, whatever the machine does.
SLOW_AT_FIRST = {"service_ms": 10, "repeat_ms": 0, "lanes": 8, "slow": [2, 33, 30.0]}


@pytest.fixture
def disturbed(audit, start_sut):
    """Write the YAML of an audit whose reference phase is disturbed, and return its server."""

    def config(**changes):
        audit.rows(32)
        sut = start_sut(**SLOW_AT_FIRST)
        blocks = {"type": "online", "settings": {**LOAD, **changes}, "audit": {"samples": 32}}
        audit.config(sut, **blocks)
        return sut

    return config


def labels(audit):
    return [phase["label"] for phase in audit.verdict()["audits"][-1]["phases"]]


def test_it_is_sent_once_whichever_process_needs_it(audit, disturbed, lone_or_spread):
    sut = disturbed()
    result = audit.run(*lone_or_spread)
    assert result.ret == 0
    assert labels(audit) == ["reference", "output_caching", "confirmation"]
    n_issued = audit.phase("confirmation")["figures"]["n_issued"]
    assert (n_issued - 64) % 16 == 0, "up to one of the looks, and pairs of eight at once behind it"
    assert sut.received == 32 + 32 + n_issued
    told = " ".join(line.strip() for line in result.outlines)
    assert "pairs of blocks, limit 1.90; the first pair did not settle it: " in told


def test_it_is_not_sent_where_the_phases_settle_the_ratio(audit, start_sut, lone_or_spread):
    sut = start_sut(service_ms=10, repeat_ms=60, lanes=8)
    audit.rows(32)
    audit.config(sut, type="online", settings=LOAD, audit={"samples": 32})
    assert audit.run(*lone_or_spread).ret == 0
    assert labels(audit) == ["reference", "output_caching"]
    assert sut.received == 64
    assert not (audit.report() / "audit" / "confirmation").exists()


def test_what_is_done_between_two_phases_is_done_before_it(audit, disturbed):
    disturbed(between_phases={"command": ["sh", "-c", "echo $0 $1 >> between.txt", "{before}", "{after}"]})
    assert audit.run().ret == 0
    assert (audit.path / "between.txt").read_text().splitlines() == [
        "reference output_caching",
        "output_caching confirmation",
    ]


def test_an_interrupt_in_it_leaves_no_verdict_and_its_records(audit, disturbed, until):
    sut = disturbed()
    session = audit.start()
    until(lambda: sut.received > 70, "the confirmation")
    os.killpg(session.pid, signal.SIGINT)
    output, _ = session.communicate()
    assert session.returncode == 2, output
    assert audit.phase("confirmation")["status"] == "interrupted"
    assert audit.verdict()["status"] == "NO_VERDICT"
    log = (audit.report() / "audit" / "confirmation" / "queries.jsonl").read_text()
    assert len(log.splitlines()) == audit.phase("confirmation")["figures"]["n_issued"]


def test_a_recheck_without_its_records_never_passes(audit, disturbed):
    disturbed()
    assert audit.run().ret == 0
    assert wrong(audit.report()) == {}

    def without(content):
        content["audits"][0]["phases"] = [
            phase for phase in content["audits"][0]["phases"] if phase["label"] != "confirmation"
        ]

    edit(audit.report() / "verdict.json", without)
    found = wrong(audit.report())
    assert "test04::throughput_ratio" in found
    assert "passed then, undecided now" in found["test04::throughput_ratio"]


def test_records_of_it_that_its_seed_does_not_plan_leave_no_verdict(audit, disturbed):
    disturbed()
    assert audit.run().ret == 0
    edit(audit.report() / "audit/confirmation/phase.json", lambda phase: phase["spec"].update(nonce_seed=1))
    assert any("not those that its seed plans" in why for why in wrong(audit.report()).values())


def test_the_plan_says_when_it_would_be_sent(audit, disturbed):
    sut = disturbed()
    result = audit.run("--mlperf-plan")
    result.stdout.fnmatch_lines(["*confirmation: only if the phases before it leave a check open; at most * queries"])
    result.stdout.fnmatch_lines(["  in all 64 queries, up to 1664 if a check stays open"])
    assert sut.received == 0


def test_the_file_for_mlperf_follows_the_blocks_and_names_the_first_pair(audit, disturbed):
    disturbed()
    assert audit.run("--mlperf-layout=both").ret == 0
    told = json.loads(next(audit.report().rglob("audit_output_caching_test.json")).read_text())
    assert told["passed"] is True
    assert told["ratio"] < told["ratio_first_pair"]
    text = next(audit.report().rglob("verify_performance.txt")).read_text()
    assert f"confirmed ratio = {told['ratio']} over " in text
    assert ("TEST PASS" in text) is (told["ratio"] < 1.1), "MLPerf's own limit, whatever the YAML's"
