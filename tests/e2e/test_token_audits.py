"""TEST06 and TEST09 by a YAML: token ids refused, made by a tokenizer beside the YAML, or given by SGLang."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.tokenizer import write_tokenizer

TEST06: dict[str, Any] = {"test": "test06", "sample_index": None, "threshold": None, "probe": None, "eos_ids": [2]}
CHAT: dict[str, Any] = {
    "type": "online",
    "settings": {"load_pattern": {"type": "concurrency", "target_concurrency": 4}},
}


def chat(audit, sut, asked, **endpoint):
    config = {"api_type": "openai", **endpoint}
    audit.config(sut, **CHAT, audit=asked, endpoint_config=config)


def test_an_endpoint_without_token_ids_gives_no_verdict(audit, start_sut):
    sut = start_sut(service_ms=1)
    chat(audit, sut, TEST06)
    result = audit.run()
    assert result.ret == 6
    found = audit.verdict()
    assert found["status"] != "PASS"
    assert audit.phase("test06")["status"] == "refused"
    assert "gives no token ids to api_type openai" in audit.phase("test06")["reason"]
    result.stdout.fnmatch_lines(["*gives no token ids*"])
    assert sut.received <= 4


def test_a_tokenizer_beside_the_yaml(audit):
    pytest.importorskip("tokenizers")
    write_tokenizer(audit.path / "tokenizer.json")
    chat(audit, None, {**TEST06, "tokenizer": "tokenizer.json"}, simulated={"service_time_ms": 1.0})
    assert audit.run().ret == 0
    [found] = audit.verdict()["audits"]
    assert found["status"] == "PASS"
    assert found["figures"]["ids_from"].startswith("tokenizer.json sha256:")
    assert any("local tokenizer" in note for note in found["notes"])


def test_a_tokenizer_that_is_not_there_sends_nothing(audit, start_sut):
    sut = start_sut()
    chat(audit, sut, {**TEST06, "tokenizer": "nowhere.json"})
    result = audit.run()
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*audit: tokenizer nowhere.json: cannot be read*"])
    assert sut.received == 0


@pytest.mark.parametrize(("dishonest", "status"), [("none", 0), ("double_eos", 1)])
def test_sglang(audit, dishonest, status):
    simulated = {"service_time_ms": 1.0, "eos_id": 2, "dishonest": dishonest}
    chat(audit, None, TEST06, api_type="sglang", simulated=simulated)
    result = audit.run()
    assert result.ret == status
    if status:
        result.stdout.fnmatch_lines(["8 of 8 samples end in more than one EOS token*"])


def test_videos_have_no_token_ids(audit, start_sut):
    sut = start_sut()
    audit.config(sut, audit=TEST06)
    result = audit.run()
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*api_type videogen has no token ids in its replies*leave this audit out*"])
    assert sut.received == 0
