"""Servers that tell of caches in their headers, or seem to, in real sessions; each is judged again from its records."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_mlperf_audit import recheck, run_audits
from pytest_mlperf_audit.verdicts.document import AuditEntry
from tests.support.lane_process import LaneProcesses


@pytest.fixture(scope="module")
def processes() -> Iterator[LaneProcesses]:
    with LaneProcesses() as started:
        yield started


@pytest.fixture
def audited(processes, tmp_path, monkeypatch):
    """Audit a server of a kind that is started for it, and again from what is on disk; return the audit's verdict."""
    monkeypatch.chdir(tmp_path)

    def session(kind: str, api_type: str, *models: str, test: str = "cache_probe", **keys: Any) -> AuditEntry:
        rows = [{"prompt": f"scene {row} of a {word} film"} for row in range(24) for word in ("quiet", "loud")]
        Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        server = processes.start(kind=kind, service_ms=4)
        try:
            for model in models or ("m",):
                config = {
                    "name": kind,
                    "type": "online",
                    "model_params": {"name": model, "max_new_tokens": 16},
                    "datasets": [{"path": "rows.jsonl", "type": "performance"}],
                    "audit": {"test": test, "only": True, **keys},
                    "settings": {"load_pattern": {"type": "concurrency", "target_concurrency": 8}},
                    "endpoint_config": {"api_type": api_type},
                }
                Path("run.yaml").write_text(yaml.safe_dump(config))
                (entry,) = run_audits("run.yaml", endpoint=server.url, report_dir=f"report-{model}").audits
                assert recheck(f"report-{model}").verdict == "CONFIRMED"
        finally:
            server.stop()
        return entry

    return session


def found(entry: AuditEntry) -> list[str]:
    return [state.kind for state in entry.kinds if state.state == "found"]


def words(entry: AuditEntry) -> str:
    return "; ".join(check.reason for check in entry.checks if not check.passed)


#: The first query of a session fills the cache, so that every record is a hit: nothing is slower than anything else.
SHORT = {"bursts": False}


@pytest.mark.parametrize(
    ("kind", "header"), [("litellm_transcriptions", "x-litellm-cache-key: 2f97"), ("varnish_without_body", " 3, one")]
)
def test_a_key_that_all_requests_share_is_found_though_everything_is_a_hit(audited, kind, header):
    entry = audited(kind, "openai", **SHORT)
    assert entry.status == "FAIL"
    assert found(entry) == ["url_keyed"]
    assert header in words(entry)
    assert ", one entry for " in words(entry)
    assert not [state.kind for state in entry.kinds if state.state == "excluded"], "all of them would be as fast"


def test_it_is_found_with_few_prompts_whose_checks_know_no_such_kind(audited):
    entry = audited("litellm_transcriptions", "videogen")
    assert entry.status == "FAIL"
    assert [check.name for check in entry.checks if check.passed is False] == ["no_cache[response]"]
    assert ", one entry for " in words(entry)


def test_test04_finds_it(audited):
    entry = audited("litellm_transcriptions", "videogen", test="test04", samples=24)
    assert entry.status == "FAIL"
    assert "x-litellm-cache-key" in words(entry)


def test_a_key_without_the_body_is_found_by_headers_that_changed_urls_lack(audited):
    entry = audited("nginx_empty_body", "openai", **SHORT)
    assert entry.status == "FAIL"
    assert found(entry) == ["url_keyed"]
    assert "x-cache-status: HIT" in words(entry)


def test_a_cache_that_does_not_look_at_the_model_is_found(audited):
    entry = audited("mlserver", "openai", "m1", "m2", **SHORT)
    assert entry.status == "FAIL"
    assert found(entry) == ["response"]


@pytest.mark.parametrize("kind", ["gateway", "constant_key"])
def test_gateways_that_keep_nothing_are_clean_whatever_their_headers(audited, kind):
    entry = audited(kind, "videogen")
    assert entry.status == "PASS"
    assert any("that header is constant" in note for note in entry.notes) == (kind == "constant_key")


def test_one_output_behind_a_constant_header_is_undecided(audited):
    entry = audited("constant_hit", "videogen")
    assert entry.status == "NO_VERDICT"
    assert "take the header off" in words(entry)
