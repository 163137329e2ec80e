"""Secrets reach the server and nothing else, even where the server echoes them."""

from __future__ import annotations

import base64
from typing import Any

import pytest

KEY = "sk-SECRETKEYVALUE0123456789"
HEADER = "HEADERSECRETVALUE9876543210"


@pytest.mark.parametrize(
    ("server", "audit_samples"),
    [
        ({"token": KEY}, 8),
        ({"fault": "echo", "fault_after": 8}, 250),
        ({"fault": "echo_200", "fault_after": 8}, 250),
        ({"fault": "echo_id", "fault_after": 8}, 250),
    ],
    ids=["honest", "echo", "echo_in_200", "echo_in_id"],
)
def test_secrets_are_nowhere(audit, start_sut, server, audit_samples, monkeypatch):
    monkeypatch.setenv("SUT_KEY", KEY)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(audit.path / "summary.md"))
    sut = start_sut(**server)
    secrets = {"api_key": "${SUT_KEY}", "headers": {"X-Tenant": HEADER}}
    audit.config(sut, audit={"audit_samples": audit_samples}, endpoint_config=secrets)
    result = audit.run("-vv", "--showlocals", "--junitxml=junit.xml", "--mlperf-report-dir=report")
    # A phase ends where its first queries are refused in one way, with those sent by then.
    assert 16 <= sut.received <= 8 + audit_samples + 8 * (2 * 4 + 2 * 4 + 3), "blocks included"
    assert all(secret in base64_heads(sut) for secret in (KEY, HEADER))
    assert not leaks(f"{result.stdout}{result.stderr}")
    written = [*(audit.path / "report").rglob("*"), audit.path / "junit.xml", audit.path / "summary.md"]
    texts = {path: path.read_text(errors="replace") for path in written if path.is_file()}
    assert len(texts) >= 8
    assert not [path for path, text in texts.items() if leaks(text)]


def test_secrets_in_a_refusal(audit, start_sut):
    sut = start_sut(token=KEY, token_on_get=False)
    audit.config(sut, endpoint_config={"api_key": "WRONG" + KEY, "headers": {"X-Tenant": HEADER}})
    result = audit.run("-n", "2", "--showlocals")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*answers 401 to our credentials*api_key*"])
    texts = [path.read_text(errors="replace") for path in audit.report().rglob("*") if path.is_file()]
    assert not [text for text in [*texts, f"{result.stdout}{result.stderr}"] if leaks(text)]


PLACES: dict[str, dict[str, Any]] = {
    "api_key": {"endpoint_config": {"api_key": "${SUT_KEY}"}},
    "header": {"endpoint_config": {"headers": {"X-Token": "Token ${SUT_KEY}"}}},
    "header in the clear": {"endpoint_config": {"headers": {"X-Token": KEY}}},
    "query": {"endpoint_config": {"endpoints": ["URL?code=${SUT_KEY}&v=1"]}},
    "query of the path": {"endpoint_config": {"path": "/v1/videos/generations?code=${SUT_KEY}"}},
    "path": {"endpoint_config": {"endpoints": ["URL/${SUT_KEY}"]}},
    "command": {"settings": {"between_phases": {"command": ["sh", "-c", "echo bad key $0; exit 3", "${SUT_KEY}"]}}},
    "command, behind an option": {
        "settings": {"between_phases": {"command": ["sh", "-c", "echo $0; exit 3", "--key=$SUT_KEY"]}}
    },
    "metrics": {"endpoint_config": {"metrics": ["URL/metrics?token=${SUT_KEY}"]}},
    "free map": {
        "endpoint_config": {"api_type": "openai"},
        "model_params": {"chat_template_kwargs": {"token": KEY, "a": {"of": ["${SUT_KEY}"]}}},
    },
}


@pytest.mark.parametrize("place", PLACES)
def test_a_secret_that_comes_back_in_any_form_is_nowhere(audit, start_sut, place, monkeypatch):
    monkeypatch.setenv("SUT_KEY", KEY)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(audit.path / "summary.md"))
    sut = start_sut(fault="echo", fault_after=8, echo_forms=True)
    text = audit.config(sut, audit={"audit_samples": 40}, **PLACES[place])
    text.write_text(text.read_text().replace("URL", sut.url))
    result = audit.run("-vv", "--showlocals", "--junitxml=junit.xml")
    assert result.ret in {1, 4, 6}
    written = [*audit.report().rglob("*"), audit.path / "junit.xml", audit.path / "summary.md"]
    texts = [path.read_text(errors="replace") for path in written if path.is_file()]
    assert len(texts) >= 4
    assert not [found for text in [*texts, f"{result.stdout}{result.stderr}"] for found in leaks(text)]


def leaks(text):
    """Any eight characters of a secret in a row are a leak, in any case."""
    pieces = [secret[at : at + 8].lower() for secret in (KEY, HEADER) for at in range(len(secret) - 7)]
    return [piece for piece in pieces if piece in text.lower()]


def base64_heads(sut):
    return "".join(base64.b64decode(raw).decode() for raw in sut._get("wire"))
