"""The headers that carry a key: the bearer token of most APIs, for Messages Anthropic's own header beside it."""

from __future__ import annotations

import base64
import re

import pytest

KEY = "sk-SECRETKEYVALUE0123456789"
OTHER = "OTHERSECRETVALUE9876543210"


def sent_keys(audit, sut, api_type, **headers):
    """Return the headers of every query that have a secret in their values, names in lower case."""
    audit.config(sut, endpoint_config={"api_type": api_type, "api_key": KEY, "headers": headers})
    result = audit.run()
    assert not re.search(f"{KEY}|{OTHER}", f"{result.stdout}{result.stderr}")
    written = [path.read_text(errors="replace") for path in audit.report().rglob("*") if path.is_file()]
    assert not [text for text in written if re.search(f"{KEY}|{OTHER}", text)]
    assert audit.verdict()["status"] == "PASS", "replies of the API are read whole"
    heads = [base64.b64decode(raw).partition(b"\r\n\r\n")[0].decode() for raw in sut._get("wire")]
    (head,) = {
        "\n".join(line for line in one.split("\r\n") if not line.lower().startswith("content-")) for one in heads
    }
    lines = [line.partition(": ") for line in head.split("\n")]
    return {name.lower(): value for name, _, value in lines if KEY in value or OTHER in value}


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, {"authorization": f"Bearer {KEY}", "x-api-key": KEY}),
        ({"X-API-Key": OTHER}, {"authorization": f"Bearer {KEY}", "x-api-key": OTHER}),
        ({"authorization": OTHER}, {"authorization": OTHER, "x-api-key": KEY}),
    ],
    ids=["key", "own_header", "own_token"],
)
def test_messages_carry_a_key_in_both_headers(audit, start_sut, headers, expected):
    assert sent_keys(audit, start_sut(), "anthropic", **headers) == expected


def test_other_apis_carry_it_as_a_bearer_token(audit, start_sut):
    assert sent_keys(audit, start_sut(), "openai_responses") == {"authorization": f"Bearer {KEY}"}
