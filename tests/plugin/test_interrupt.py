"""Exit status 2: Ctrl-C and SIGTERM in mid-phase leave whole records, no verdict, and no process."""

from __future__ import annotations

import json
import os
import shutil
import signal

import pytest


@pytest.mark.parametrize("args", [(), ("-n", "2")], ids=["plain", "n2"])
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(audit, start_sut, signum, args):
    sut = start_sut(service_ms=300)
    audit.config(sut, type="online", settings={"load_pattern": {"type": "concurrency", "target_concurrency": 2}})
    session = audit.start(*args)
    sut.wait_for(4)
    # Ctrl-C reaches every process of the terminal; SIGTERM is sent to the one process that was started.
    (os.killpg if signum == signal.SIGINT else os.kill)(session.pid, signum)
    output, _ = session.communicate()
    assert session.returncode == 2, output
    assert "INTERNALERROR" not in output
    assert not audit.leftovers()
    assert sut.received < 8
    phase = audit.phase("reference")
    assert phase["status"] == "interrupted"
    log = (audit.report() / "audit" / "reference" / "queries.jsonl").read_text()
    assert log.endswith("\n")
    assert len([json.loads(line) for line in log.splitlines()]) == phase["figures"]["n_issued"] == sut.received
    assert audit.verdict()["status"] == "NO_VERDICT"


def test_a_second_ctrl_c_neither_loses_the_verdict_nor_shows_a_traceback(audit, start_sut, until):
    sut = start_sut(service_ms=300)
    audit.config(sut, type="online", settings={"load_pattern": {"type": "concurrency", "target_concurrency": 2}})
    session = audit.start()
    sut.wait_for(4)
    os.kill(session.pid, signal.SIGINT)
    until((audit.report() / "audit" / "reference" / "phase.json").exists, "the end of the phase")
    os.kill(session.pid, signal.SIGINT)
    output, _ = session.communicate()
    assert session.returncode == 2, output
    assert "Traceback" not in output
    assert audit.verdict()["status"] == "NO_VERDICT"
    assert not audit.leftovers()


def test_the_simulated_endpoint_goes_too(audit, until):
    audit.config(None, endpoint_config={"simulated": {"service_time_ms": 500, "lanes": 1}})
    session = audit.start()
    until(lambda: list(audit.path.rglob("queries.jsonl")), "the first phase")
    assert len(audit.leftovers()) == 2
    os.kill(session.pid, signal.SIGINT)
    session.communicate()
    assert session.returncode == 2
    assert not audit.leftovers()
    assert audit.verdict()["simulated"] is True
    for name in ("verdict.json", "report.html"):
        text = (audit.report() / name).read_text()
        assert "(records: audit/" in text
        assert str(audit.path) not in text, "where it lay on this machine is of no use to a reader"


def test_the_simulated_endpoint_survives_no_killed_session(audit, until):
    audit.config(None, endpoint_config={"simulated": {"service_time_ms": 500, "lanes": 1}})
    session = audit.start()
    until(lambda: list(audit.path.rglob("queries.jsonl")), "the first phase")
    session.kill()
    session.communicate()
    until(lambda: not audit.leftovers(), "the end of the simulated endpoint")
    for left in (audit.path / "tmp").glob("mlperf-audit-*"):
        shutil.rmtree(left)
