"""Ids that give caches away in real sessions, the main run's records included; and honest servers whose ids do not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_mlperf_audit import recheck, run_audits
from pytest_mlperf_audit.verdicts.document import AuditEntry, VerdictDocument
from tests.support.lane_process import LaneProcesses


@pytest.fixture(scope="module")
def processes() -> Iterator[LaneProcesses]:
    with LaneProcesses() as started:
        yield started


@pytest.fixture
def audited(processes, tmp_path, monkeypatch):
    """Audit a server of a kind that is started for it; the verdict lies in `report`."""
    monkeypatch.chdir(tmp_path)

    def session(kind: str, *, main_first: bool = False, service_ms: float = 8, **blocks: Any) -> VerdictDocument:
        rows = [{"prompt": f"scene {row} of a {word} film"} for row in range(24) for word in ("quiet", "loud")]
        Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        config = {
            "name": kind,
            "type": "online",
            "model_params": {"name": "m", "max_new_tokens": 16},
            "datasets": [{"path": "rows.jsonl", "type": "performance"}],
            "audit": {"test": "test04", "samples": 48, "only": not main_first},
            "audit_order": "after",
            "settings": {"load_pattern": {"type": "concurrency", "target_concurrency": 8}},
            "endpoint_config": {"api_type": "videogen"},
            **blocks,
        }
        Path("run.yaml").write_text(yaml.safe_dump(config))
        server = processes.start(kind=kind, service_ms=service_ms)
        try:
            return run_audits("run.yaml", endpoint=server.url, report_dir="report")
        finally:
            server.stop()

    return session


def the_audit(verdict: VerdictDocument) -> AuditEntry:
    (entry,) = [entry for entry in verdict.audits if entry.id == "test04"]
    return entry


def found(entry: AuditEntry) -> list[str]:
    return [state.kind for state in entry.kinds if state.state == "found"]


def test_a_cache_that_is_switched_off_is_found_by_what_it_had_served(audited):
    """It answered the reference phase with what the main run had computed, and nothing after it."""
    entry = the_audit(audited("first_130", main_first=True))
    assert entry.status == "FAIL"
    assert found(entry) == ["response"]
    probe = entry.check("cache_probe")
    assert probe is not None
    assert probe.passed is False
    assert "while others no less identical have ids of their own" in probe.reason
    rechecked = recheck("report")
    assert rechecked.verdict == "CONFIRMED"


def test_without_the_main_run_its_records_are_no_evidence(audited):
    entry = the_audit(audited("first_130"))
    assert [phase.label for phase in entry.phases][:2] == ["cache_probe_trial", "reference"]
    assert entry.status in {"FAIL", "NO_VERDICT"}, "the repeats are replays of the reference phase's reply"


def test_requests_that_are_taken_for_the_same_are_found_by_their_replies(audited):
    entry = the_audit(audited("semantic60", service_ms=50, endpoint_config={"api_type": "openai"}))
    assert entry.status == "FAIL"
    assert "semantic" in found(entry)


def test_one_reply_to_all_is_no_pass(audited):
    entry = the_audit(audited("constant_all"))
    probe = entry.check("cache_probe")
    assert probe is not None
    assert probe.passed is None
    assert "one and the same, id and output" in probe.reason


@pytest.mark.parametrize("kind", ["ids_of_request", "few_ids", "constant_replies"])
def test_honest_ids_accuse_nobody(audited, kind):
    assert not found(the_audit(audited(kind, main_first=True)))


def test_without_a_probe_identities_are_notes(audited):
    audit = {"test": "test04", "samples": 48, "only": False, "probe": False}
    entry = the_audit(audited("first_130", main_first=True, audit=audit))
    assert any("while others no less identical have ids of their own" in note for note in entry.notes)
    assert {state.state for state in entry.kinds} == {"not looked for"}
