"""The machine's clock is set while a phase lasts, as NTP does: nothing is disturbed, and a recheck confirms the run."""

from __future__ import annotations

import json
from datetime import datetime
from itertools import pairwise

import pytest

from tests.conftest import QUERIES

pytestmark = pytest.mark.own_process

#: Sets the clock of every process of the session as soon as the reference phase has written a record.
_CONFTEST = """
import time
from pathlib import Path

LOG = Path({log!r})
real, real_ns = time.time, time.time_ns

def step_s():
    return {step_s} if LOG.exists() and LOG.stat().st_size else 0

time.time = lambda: real() + step_s()
time.time_ns = lambda: real_ns() + step_s() * 10**9
"""


@pytest.fixture(params=[-3600, 3600], ids=["back", "ahead"])
def step_s(request, audit):
    log = audit.path / "mlperf-reports/wan22/audit/reference/queries.jsonl"
    (audit.path / "conftest.py").write_text(_CONFTEST.format(log=str(log), step_s=request.param))
    return request.param


def moments(audit):
    """When the run began, when each phase began and ended, and when the run ended, in seconds."""
    verdict = audit.verdict()
    yield datetime.fromisoformat(verdict["started_at"]).timestamp()
    for phase in sorted(
        (phase for entry in verdict["audits"] for phase in entry["phases"]), key=lambda phase: phase["started_at"]
    ):
        start = datetime.fromisoformat(phase["started_at"]).timestamp()
        yield from (start, start + phase["duration_s"])
    yield datetime.fromisoformat(verdict["finished_at"]).timestamp() + 1  # it is told to the second


def test_the_run_is_not_disturbed(audit, sut, step_s, lone_or_spread):
    audit.config(sut, audit={"only": False})
    result = audit.run(*lone_or_spread, "--mlperf-layout=both")
    assert result.ret == 0
    told = list(moments(audit))
    assert all(later > earlier - 0.001 for earlier, later in pairwise(told)), "stamps are told to the millisecond"
    assert told[-1] - told[0] < 1800
    result.stdout.fnmatch_lines([f"*the machine's clock was set by {step_s:+} s while the run lasted*"])
    again = audit.run("--mlperf-recheck=mlperf-reports/wan22", config=None)
    assert again.ret == 0
    again.stdout.fnmatch_lines(["CONFIRMED: stored PASS;*"])


@pytest.mark.usefixtures("step_s")
def test_the_files_for_mlperf_have_times_in_order(audit, sut):
    audit.config(sut, audit={"only": False})
    assert audit.run("--mlperf-layout=both").ret == 0
    assert sut.received >= QUERIES
    began = datetime.fromisoformat(audit.verdict()["started_at"]).timestamp()
    report = audit.path / "mlperf-reports/wan22"
    summary = json.loads((report / "performance/result_summary.json").read_text())
    assert 0 <= summary["test_started_at"] / 1e9 - began < 1800
    assert summary["duration_ns"] > 0
    logs = sorted(report.rglob("mlperf_log_detail.txt"))
    assert logs
    for log in logs:
        entries = [json.loads(line.removeprefix(":::MLLOG ")) for line in log.read_text().splitlines()]
        [told] = [entry["value"] for entry in entries if entry["key"] == "test_datetime"]
        assert 0 <= datetime.fromisoformat(told.replace("Z", "+00:00")).timestamp() + 1 - began < 1800
        assert all(entry["time_ms"] >= 0 for entry in entries)
