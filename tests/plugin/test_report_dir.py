"""The report directory: an earlier run in it is kept, and two sessions cannot share it."""

from __future__ import annotations

import hashlib

import pytest


def digests(directory):
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_an_earlier_run_is_moved_aside_and_named(audit, sut):
    audit.config(sut)
    audit.run_with_pictures()
    first = digests(audit.report())
    assert {"verdict.json", "report.html", "config.yaml", "audit/reference/queries.jsonl"} <= set(first)
    result = audit.run("-n", "2")
    result.stdout.fnmatch_lines(
        ["mlperf-audit: report mlperf-reports/wan22", "mlperf-audit: wan22.yaml: the earlier run is kept as wan22.1"]
    )
    assert digests(audit.report("wan22.1")) == first
    assert audit.verdict()["status"] == "PASS"


def test_each_earlier_run_is_kept(audit, sut):
    audit.config(sut)
    for _ in range(3):
        audit.run("-k", "ratio")
    assert sorted(path.name for path in audit.report().parent.iterdir()) == ["wan22", "wan22.1", "wan22.2"]


@pytest.mark.parametrize("args", [("--co",), ("--mlperf-plan",), ("-k", "nothing"), ("--setup-plan",)])
def test_a_session_that_sends_nothing_leaves_it_alone(audit, sut, args):
    audit.config(sut)
    audit.report().mkdir(parents=True)
    (audit.report() / "mine.txt").write_text("mine")
    assert "kept as" not in str(audit.run(*args).stdout)
    assert [path.name for path in audit.report().parent.rglob("*")] == ["wan22", "mine.txt"]


@pytest.mark.parametrize("args", [(), ("-k", "ratio"), ("-n", "2")])
def test_a_run_that_cannot_begin_does_not_say_that_it_moved_one(audit, closed_port, args):
    audit.config(f"http://127.0.0.1:{closed_port}")
    audit.report().mkdir(parents=True)
    (audit.report() / "mine.txt").write_text("mine")
    result = audit.run(*args)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "kept as" not in str(result.stdout)
    assert [path.name for path in audit.report().parent.rglob("*")] == ["wan22", "mine.txt"]


def test_two_sessions_cannot_share_it(audit, start_sut):
    slow, other = start_sut(service_ms=300), start_sut()
    audit.config(slow)
    audit.config(other, "other.yaml", report_dir="mlperf-reports/wan22")
    session = audit.start()
    slow.wait_for(1)
    second = audit.run(config="other.yaml")
    session.communicate()
    assert second.ret == pytest.ExitCode.USAGE_ERROR
    second.stderr.fnmatch_lines([f"ERROR: report_dir {audit.report()} is in use by another run; *"])
    assert other.received == 0
    assert (session.returncode, audit.verdict()["status"]) == (0, "PASS")
    assert [path.name for path in audit.report().parent.iterdir()] == ["wan22"]


def test_named_by_the_option(audit, sut):
    audit.config(sut, report_dir="from-yaml")
    audit.run("-k", "ratio", "-o", "mlperf_report_dir=from-ini", "--mlperf-report-dir=from/option")
    assert (audit.path / "from" / "option" / "verdict.json").exists()
    assert not (audit.path / "from-yaml").exists()
    assert not (audit.path / "from-ini").exists()


def test_named_in_the_ini_file(audit, sut, monkeypatch):
    (audit.path / "pytest.ini").write_text("[pytest]\nmlperf_report_dir = from-ini\n")
    audit.config(sut, "deep/wan22.yaml", report_dir="from-yaml")
    monkeypatch.chdir(audit.path / "deep")
    audit.rows(16, "deep/prompts.jsonl")
    audit.run("-k", "ratio")
    assert (audit.path / "from-ini" / "verdict.json").exists()
