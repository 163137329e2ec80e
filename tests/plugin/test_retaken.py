"""A group of phases that is sent again: with seeds of its own."""

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
    audit.run()
    return audit


def specs(directory):
    return json.loads((directory / "phase.json").read_text())["spec"]


def test_every_attempt_draws_new_seeds(retaken):
    trial = retaken.report() / "audit" / "cache_probe_trial"
    seeds = {specs(trial)["nonce_seed"], specs(trial / "attempt-1")["nonce_seed"]}
    assert len(seeds) == 2
    first, second = ((place / "queries.jsonl").read_text() for place in (trial / "attempt-1", trial))
    assert json.loads(first)["request"] != json.loads(second)["request"]
