"""A group of phases that is sent again: with seeds of its own, and what it cannot show is undecided."""

from __future__ import annotations

import json

import pytest

#: Breaks off the first attempt behind its reference phase, as a plugin's time limit does.
BROKEN_OFF = """
import pytest

calls = []

def pytest_mlperf_between_phases(before, after):
    calls.append(after)
    if calls.count("output_caching") == 1 and after == "output_caching":
        pytest.fail("time is up")
"""
HONEST = {"service_ms": 15, "repeat_ms": 20}


@pytest.fixture
def retaken(audit, start_sut):
    (audit.path / "conftest.py").write_text(BROKEN_OFF)
    audit.config(start_sut(**HONEST), audit={"probe": True})
    assert audit.run().ret == 6
    return audit


def specs(directory):
    return json.loads((directory / "phase.json").read_text())["spec"]


def test_every_attempt_draws_new_seeds(retaken):
    trial = retaken.report() / "audit" / "cache_probe_trial"
    seeds = {specs(trial)["nonce_seed"], specs(trial / "attempt-1")["nonce_seed"]}
    assert len(seeds) == 2
    first, second = ((place / "queries.jsonl").read_text() for place in (trial / "attempt-1", trial))
    assert json.loads(first)["request"] != json.loads(second)["request"]


def test_a_ratio_on_a_reference_that_was_sent_before_is_undecided(retaken):
    verdict = retaken.verdict()
    assert verdict["status"] == "NO_VERDICT"
    [audit] = verdict["audits"]
    undecided = [check["name"] for check in audit["checks"] if check["passed"] is None]
    assert undecided == ["throughput_ratio"]
    assert "sent again after an attempt that was cut short: cache_probe_trial, reference" in audit["reason"]
    assert any("sent again after an attempt that was cut short" in note for note in audit["notes"])
    recheck = retaken.run(f"--mlperf-recheck={retaken.report()}", config=None)
    assert recheck.ret == 6
    recheck.stdout.fnmatch_lines(["CONFIRMED: stored NO_VERDICT*"])
