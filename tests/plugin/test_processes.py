"""settings.client.num_workers and hosts: several processes send, and a user sees one run."""

from __future__ import annotations

import json
import os
import signal

import pytest

TWO = {"client": {"num_workers": 2}}


def _lines(audit, label):
    path = audit.report() / "audit" / label / "queries.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("spread", [(), ("-n", "2")], ids=["plain", "n2"])
def test_two_processes_send_what_one_would(audit, start_sut, spread):
    sut = start_sut(lanes=4)
    audit.config(sut, settings=TWO)
    result = audit.run(*spread)
    result.assert_outcomes(passed=5)
    result.stdout.fnmatch_lines(["mlperf-audit: sent by 2 processes: 2?popen"])
    assert (sut.received, sut.counts()["first"]) == (16, 1)
    for label in ("reference", "output_caching"):
        assert {line.get("worker", 0) for line in _lines(audit, label)} == {0, 1}
        assert [part["host"] for part in audit.phase(label)["workers"]] == ["popen", "popen"]
    verdict = audit.verdict()
    assert verdict["status"] == "PASS"
    assert [phase["sent_by"] for phase in verdict["audits"][0]["phases"]] == [["popen", "popen"]] * 2
    assert "2 processes (2 popen)" in (audit.report() / "report.html").read_text()


def test_one_process_is_one(audit, sut):
    audit.config(sut, settings={"client": {"hosts": ["popen"]}})
    result = audit.run("--mlperf-plan")
    result.stdout.fnmatch_lines(["*sent by 1 process: popen"])


def test_such_a_run_can_be_rechecked(audit, start_sut):
    audit.config(start_sut(lanes=4), settings=TWO)
    audit.run().assert_outcomes(passed=5)
    result = audit.run(f"--mlperf-recheck={audit.report()}", config=None)
    result.stdout.fnmatch_lines(["*CONFIRMED*"])
    assert result.ret == 0


def test_a_script_is_for_one_process(audit, start_sut):
    sut = start_sut(lanes=4, repeat_ms=0)
    audit.config(sut, settings=TWO, audit={"probe": {"design": "single"}})
    audit.run()
    assert audit.phase("cache_probe")["workers"] == []
    assert {line.get("worker", 0) for line in _lines(audit, "cache_probe")} == {0}
    assert len(audit.phase("reference")["workers"]) == 2


def test_one_in_flight_needs_one_process(audit, sut):
    one = {"load_pattern": {"type": "concurrency", "target_concurrency": 1}, "client": {"num_workers": -1}}
    audit.config(sut, type="online", settings=one)
    result = audit.run()
    result.assert_outcomes(passed=5)
    result.stdout.no_fnmatch_line("*sent by*")
    assert audit.phase("reference")["workers"] == []


@pytest.mark.parametrize(
    ("client", "words"),
    [
        ({"hosts": ["popen", "popen//python=/nowhere/python"]}, ": popen//python=/nowhere/python: no Python starts*"),
        ({"hosts": ["ssh=host//python=/nowhere/python"]}, ": ssh=host//python=/nowhere/python: ssh cannot*"),
        ({"hosts": ["shh=host"]}, "?0?: is not a place to start a process at*"),
        ({"hosts": ["popen//chdir=/nowhere/at/all"]}, ": popen//chdir=*FileNotFoundError: *//python=PATH*"),
        ({"hosts": ["1024*popen"]}, ": 1024 processes are too many here (CPU cores: *); use at most *"),
    ],
    ids=["python", "ssh", "syntax", "folder", "number"],
)
@pytest.mark.parametrize("spread", [(), ("-n", "2")], ids=["plain", "n2"])
def test_a_host_that_cannot_send_is_one_message(audit, sut, monkeypatch, spread, client, words):
    program = audit.path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'ssh: Could not resolve hostname' >&2\nexit 255\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    audit.config(sut, settings={"client": client})
    result = audit.run(*spread)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "Traceback" not in f"{result.stdout}\n{result.stderr}"
    result.stderr.fnmatch_lines([f"ERROR: wan22.yaml:*: settings.client.hosts{words}"])
    assert (sut.received, sut.counts()["first"]) == (0, 0)


@pytest.mark.own_process
def test_ctrl_c_ends_all_processes(audit, start_sut):
    """A terminal sends it to every process of the group: the workers leave it to the one that has the terminal."""
    sut = start_sut(lanes=8, service_ms=50)
    audit.rows(1000)
    audit.config(sut, settings=TWO, audit={"samples": 1000})
    session = audit.start()
    sut.wait_for(50)
    os.killpg(session.pid, signal.SIGINT)
    output, _ = session.communicate()
    assert session.returncode == 2, output
    assert "Traceback" not in output
    phase = audit.phase("reference")
    assert phase["status"] == "interrupted"
    lines = _lines(audit, "reference")
    assert phase["figures"]["n_issued"] == len(lines) >= 50
    assert {line.get("worker", 0) for line in lines} == {0, 1}
    assert audit.verdict()["status"] == "NO_VERDICT"


@pytest.mark.own_process
def test_ctrl_c_while_processes_start(audit, sut, monkeypatch, until):
    """An ssh that waits for a host does not hold the session up, and is gone with it."""
    program = audit.path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexec sleep 300\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    audit.config(sut, settings={"client": {"hosts": ["popen", "ssh=host"]}})
    session = audit.start()
    until(lambda: [one for one in audit.leftovers() if one.name() == "sleep"], "an ssh that waits")
    os.killpg(session.pid, signal.SIGINT)
    output, _ = session.communicate()
    assert session.returncode == 2, output
    assert sut.counts()["first"] == 0


@pytest.mark.own_process
def test_a_killed_process_leaves_no_verdict(audit, start_sut):
    sut = start_sut(lanes=8, service_ms=50)
    audit.rows(1000)
    audit.config(sut, settings=TWO, audit={"samples": 1000})
    session = audit.start()
    sut.wait_for(50)
    workers = [process for process in audit.leftovers() if "stdin.readline" in " ".join(process.cmdline())]
    assert len(workers) == 2
    workers[0].kill()
    output, _ = session.communicate()
    assert session.returncode == 6, output
    verdict = audit.verdict()
    assert verdict["status"] == "NO_VERDICT"
    assert "(popen): the connection to it ended" in verdict["audits"][0]["reason"]


ADAPTER = """
from pytest_mlperf_audit.endpoints.media.videogen import VideoGenAdapter

class Mine(VideoGenAdapter):
    api_type = "mine"

def pytest_mlperf_endpoint_adapters():
    return [Mine]
"""


@pytest.mark.own_process
def test_an_adapter_of_a_conftest_is_known_to_all_processes(audit, start_sut):
    (audit.path / "conftest.py").write_text(ADAPTER)
    sut = start_sut(lanes=4)
    audit.config(sut, settings=TWO, endpoint_config={"api_type": "mine"})
    audit.run().assert_outcomes(passed=5)
    assert len(audit.phase("reference")["workers"]) == 2
