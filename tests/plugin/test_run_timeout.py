"""`settings.timeouts`: a run, or an endpoint's silence, that takes longer has no verdict; what was sent is recorded."""

from __future__ import annotations

import pytest


def lines(audit, label: str) -> int:
    return len((audit.report() / "audit" / label / "queries.jsonl").read_text().splitlines())


def test_a_run_that_takes_too_long_has_no_verdict(audit, start_sut, lone_or_spread):
    """16 queries of 5 s, one after the other, under a limit of 1.5 s."""
    audit.config(start_sut(service_ms=5000, lanes=1), settings={"timeouts": {"run_timeout_s": 1.5}})
    result = audit.run(*lone_or_spread)
    assert result.ret == 6, str(result.stdout)
    result.stdout.fnmatch_lines(["*the run took longer than its limit of 1.5 s (settings.timeouts.run_timeout_s)*"])
    assert audit.phase("reference")["status"] == "interrupted"
    assert audit.phase("reference")["figures"]["n_issued"] == lines(audit, "reference") == 8
    assert audit.phase("reference")["figures"]["n_completed"] < 8
    assert not (audit.report() / "audit/output_caching/phase.json").exists()
    assert audit.verdict()["status"] == "NO_VERDICT"
    assert not audit.leftovers()


def test_several_processes_that_take_too_long(audit, start_sut):
    settings = {"timeouts": {"run_timeout_s": 3}, "client": {"num_workers": 2}}
    audit.config(start_sut(service_ms=5000, lanes=1), settings=settings)
    result = audit.run()
    assert result.ret == 6, str(result.stdout)
    result.stdout.fnmatch_lines(["*the run took longer than its limit of 3 s*"])
    assert audit.phase("reference")["status"] == "interrupted"
    assert lines(audit, "reference") > 0
    assert not audit.leftovers()


def test_what_was_measured_before_the_limit_stands(audit, start_sut):
    """The audit takes a tenth of a second, and the main run hours."""
    runtime = {"n_samples_to_issue": 1_000_000}
    load = {"type": "concurrency", "target_concurrency": 1}
    audit.config(
        start_sut(service_ms=5),
        type="online",
        audit={"only": False},
        settings={"timeouts": {"run_timeout_s": 4}, "runtime": runtime, "load_pattern": load},
    )
    assert audit.run().ret == 6
    statuses = {entry["id"]: entry["status"] for entry in audit.verdict()["audits"]}
    assert statuses == {"test04": "PASS", "performance": "NO_VERDICT"}


def test_a_limit_that_is_kept_changes_nothing(audit, sut):
    waits = {"run_timeout_s": 60, "endpoint_response_idle_timeout_s": 30, "performance_drain_timeout_s": 30}
    audit.config(sut, settings={"timeouts": waits})
    assert audit.run().ret == 0
    assert audit.phase("reference")["status"] == "complete"
    assert audit.run(f"--mlperf-recheck={audit.report()}", config=None).ret == 0


def test_an_endpoint_that_falls_silent(audit, start_sut):
    audit.config(
        start_sut(service_ms=20, fault="hang", fault_after=4),
        settings={"timeouts": {"endpoint_response_idle_timeout_s": 0.3}},
    )
    result = audit.run()
    assert result.ret == 6, str(result.stdout)
    result.stdout.fnmatch_lines(["*no reply came for 0.3 s with * queries in flight (settings.timeouts.endpoint_re*"])


@pytest.mark.parametrize("key", ["timeout", "settings"])
def test_the_key_of_before_is_the_same_limit(audit, start_sut, key):
    blocks = {"timeout": 0.3} if key == "timeout" else {"settings": {"timeouts": {"run_timeout_s": 0.3}}}
    audit.config(start_sut(service_ms=100, lanes=1), **blocks)
    result = audit.run()
    assert result.ret == 6
    assert "longer than its limit of 0.3 s" in str(result.stdout)
