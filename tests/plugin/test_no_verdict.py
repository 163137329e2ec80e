"""Exit status 6: a phase that crashed or was cut short gives no verdict, and keeps its records."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest


def assert_no_verdict(audit, result, reason):
    assert result.ret == 6, str(result.stdout)
    verdict = audit.verdict()
    assert verdict["status"] == "NO_VERDICT"
    assert reason in verdict["audits"][-1]["reason"]
    assert not any(check["status"] == "passed" for check in verdict["audits"][-1]["checks"])
    result.stdout.fnmatch_lines(["NO VERDICT test04*"])
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*site-packages*")


def records(path):
    return [json.loads(line) for line in (path / "queries.jsonl").read_text().splitlines()]


def test_server_dies(audit, start_sut, lone_or_spread):
    sut = start_sut(fault="die", fault_after=12)
    audit.config(sut)
    result = audit.run(*lone_or_spread)
    assert_no_verdict(audit, result, "the endpoint was lost")
    assert audit.phase("output_caching")["status"] == "endpoint_lost"
    assert audit.phase("reference")["status"] == "complete"
    assert len(records(audit.report() / "audit" / "reference")) == 8
    assert len(records(audit.report() / "audit" / "output_caching")) == 8
    assert not list(audit.report().rglob("attempt-*"))


def test_server_dies_in_the_warm_up(audit, start_sut):
    sut = start_sut(fault="die", fault_after=2)
    audit.config(sut, settings={"warmup": {"enabled": True, "n_requests": 6}})
    assert_no_verdict(audit, audit.run(), "phase warmup: the endpoint was lost")
    assert not list(audit.report().rglob("attempt-*"))


def test_queries_in_flight_at_the_end(audit, start_sut):
    sut = start_sut(fault="hang", fault_after=15)
    audit.config(sut, settings={"drain": {"performance_timeout_s": 2}})
    assert_no_verdict(audit, audit.run(), "1 queries were still in flight")
    assert audit.phase("output_caching")["status"] == "undrained"
    assert sut.received == 16


def assert_rechecked(audit):
    """The records come to the same, and there is no file that could be submitted."""
    result = audit.run(f"--mlperf-recheck={audit.report()}", config=None)
    result.stdout.no_fnmatch_line("*DIFFER*")
    result.stdout.fnmatch_lines(["CONFIRMED: stored NO_VERDICT; *"])
    assert result.ret == 6
    assert not list(audit.report().rglob("verify_*.txt"))


def test_a_quota_that_is_over_in_mid_phase(audit, start_sut, lone_or_spread):
    """Fewer refusals than end a phase: its completion is undecided, and so is the ratio."""
    sut = start_sut(fault="429", fault_after=12)
    audit.config(sut, audit={"min_completion": 0.9})
    result = audit.run(*lone_or_spread)
    assert result.ret == 6
    (found,) = audit.verdict()["audits"]
    undecided = [check["name"] for check in found["checks"] if check["status"] == "error"]
    assert undecided == ["completion[output_caching]", "throughput_ratio"]
    assert "failed: 4 http_429; a refusal says nothing of the system: http_429 ({" in found["reason"]
    assert audit.phase("output_caching")["status"] == "complete"
    assert_rechecked(audit)


def test_a_key_that_expires_in_mid_phase_ends_it(audit, start_sut):
    load = {"type": "concurrency", "target_concurrency": 2}
    sut = start_sut(fault="401", fault_after=12)
    audit.config(sut, type="online", audit={"audit_samples": 40}, settings={"load_pattern": load})
    assert_no_verdict(audit, audit.run(), "queries were refused and none completed since")
    assert (
        'http_401 ({"error":"token expired"}); use credentials that are valid' in audit.verdict()["audits"][0]["reason"]
    )
    assert audit.phase("output_caching")["status"] == "refused"
    assert sut.received < 8 + 40
    assert_rechecked(audit)


def test_failing_audit_beside_one_without_verdict_is_a_fail(audit, start_sut):
    sut = start_sut(fault="500", fault_after=9)
    audit.config(sut, "a.yaml", audit={"min_completion": 1.0})
    audit.config(start_sut(fault="die", fault_after=12), "b.yaml")
    assert audit.run("--mlperf-config=a.yaml", "--mlperf-config=b.yaml", config=None).ret == 1


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 12 MiB."""
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("only root may mount a file system")
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(disk)], check=False).returncode:
        pytest.skip("no file system can be mounted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("args", [(), ("-n", "2")], ids=["plain", "n2"])
def test_disk_that_fills_up(audit, start_sut, small_disk, args):
    sut = start_sut(service_ms=400)
    audit.config(sut, report_dir=str(small_disk / "report"))
    session = audit.start(*args)
    sut.wait_for(8)
    with (small_disk / "rest").open("wb", buffering=0) as rest:
        try:
            while rest.write(b"x" * 65536):
                pass
        except OSError:
            pass
    output, _ = session.communicate()
    assert session.returncode == 6, output
    assert "could not be written" in output
    assert "Traceback" not in output
    assert "INTERNALERROR" not in output
    assert sut.received == 8


CRASHING = """
from pytest_mlperf_audit.endpoints.media.videogen import VideoGenAdapter

class Crashing(VideoGenAdapter):
    api_type = "crashing"
    sent = 0
    def decoder(self, **options):
        Crashing.sent += 1
        if Crashing.sent == 11:
            raise ZeroDivisionError("adapter defect")
        return super().decoder(**options)

def pytest_mlperf_endpoint_adapters():
    return [Crashing]
"""


def test_adapter_that_crashes(audit, sut):
    (audit.path / "conftest.py").write_text(CRASHING)
    audit.config(sut, endpoint_config={"api_type": "crashing"})
    assert_no_verdict(audit, audit.run(), "the load generator failed: ZeroDivisionError: adapter defect")
    assert audit.phase("output_caching")["status"] == "crashed"
