"""Workers: each phase is sent once whatever --dist is, and a killed worker's phase is taken over."""

from __future__ import annotations

import contextlib
import shutil

import psutil
import pytest


@pytest.mark.parametrize("dist", ["each", "load", "loadscope", "loadfile", "loadgroup", "worksteal"])
def test_each_phase_is_sent_once(audit, sut, dist):
    audit.config(sut)
    result = audit.run("-n", "2", "--dist", dist)
    result.assert_outcomes(passed=10 if dist == "each" else 5)
    assert sut.received == 16
    verdict = audit.verdict()
    assert (verdict["status"], verdict["environment"]["xdist_workers"]) == ("PASS", 2)
    result.stdout.fnmatch_lines(["mlperf-audit: xdist: one worker measures; *"])


def test_another_worker_takes_over_from_a_killed_one(audit, start_sut, until):
    sut = start_sut(service_ms=60)
    audit.config(sut)
    session = audit.start("-n", "2")
    sut.wait_for(10)  # into the second phase
    until(lambda: worker_that_measures(audit), "a worker that writes records")
    worker_that_measures(audit).kill()
    output, _ = session.communicate()
    assert session.returncode == 6, output
    verdict = audit.verdict()
    assert verdict["status"] == "NO_VERDICT"
    phases = verdict["audits"][0]["phases"]
    assert [(phase["attempt"], phase["status"]) for phase in phases] == [(2, "complete")] * 2
    assert [phase["figures"]["n_issued"] for phase in phases] == [8, 8]
    first_attempt = audit.report() / "audit" / "reference" / "attempt-1" / "queries.jsonl"
    assert len(first_attempt.read_text().splitlines()) == 8
    assert sut.received == 32
    assert "crashed while running" in output
    reason = verdict["audits"][0]["reason"]
    assert reason.startswith("worker 'gw")
    assert "crashed, so that a test of this audit never ended; " in reason
    [ratio] = [check for check in verdict["audits"][0]["checks"] if check["name"] == "throughput_ratio"]
    assert ratio["passed"] is None


def test_a_worker_whose_controller_is_killed_stops_sending(audit, start_sut, until):
    sut = start_sut(service_ms=300)
    one_by_one = {"load_pattern": {"type": "concurrency", "target_concurrency": 1}}
    audit.config(sut, type="online", audit={"samples": 16}, settings=one_by_one)
    session = audit.start("-n", "2")
    sut.wait_for(2)
    session.kill()
    session.communicate()
    until(lambda: not audit.leftovers(), "the end of the workers")
    assert sut.received < 16
    assert audit.phase("reference")["status"] == "interrupted"
    for directory in (audit.path / "tmp").glob("mlperf-audit-*"):
        shutil.rmtree(directory)


def worker_that_measures(audit):
    return next(filter(writes_records, audit.leftovers()), None)


def writes_records(process):
    with contextlib.suppress(psutil.Error):
        return any(file.path.endswith("queries.jsonl") for file in process.open_files())
    return False
