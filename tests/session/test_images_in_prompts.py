"""Real sessions with images in the prompts: a server that keeps what it made of an image, and honest ones."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from pytest_mlperf_audit import PlanError, recheck, run_audits
from pytest_mlperf_audit.verdicts.document import AuditEntry
from tests.support.scripted_server import Server

N_ROWS = 12
WORDS = "river lamp stone cloud garden window silver market winter paper"


@pytest.fixture
def server() -> Iterator[Server]:
    started = Server()
    yield started
    started.close()


def served(server: Server, kind: str) -> None:
    """Have the server answer in 4 ms, and prepare an image in 4 more: each time, or with `images` kept once only."""
    known: set[str] = set()

    def answer(_path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        content = body["messages"][-1]["content"]
        parts = [] if isinstance(content, str) else content
        urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
        assert all(base64.b64decode(url.partition(",")[2], validate=True) for url in urls)
        key = hashlib.sha256("".join(urls).encode()).hexdigest()
        time.sleep(0.004 if kind == "images" and key in known else 0.008)
        known.add(key)
        said = f"answer {hashlib.sha256(json.dumps(content).encode()).hexdigest()}"
        choice = {"index": 0, "message": {"content": said}, "finish_reason": "stop"}
        return 200, {
            "id": f"c-{len(server.posts)}",
            "model": "m",
            "choices": [choice],
            "usage": {"completion_tokens": 4},
        }

    server.post = answer


@pytest.fixture
def audited(server, tmp_path, monkeypatch) -> Callable[..., AuditEntry]:
    """Audit the server with the cache probe, its rows beside images of their own."""
    monkeypatch.chdir(tmp_path)
    rows = []
    for row in range(N_ROWS):
        Image.new("RGB", (8, 8), (20 * row, 100, 50)).save(f"{row}.png")
        rows.append({"prompt": f"{WORDS} {row}", "image": f"{row}.png"})
    Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def session(kind: str, *, images: bool = True, **audit: Any) -> AuditEntry:
        served(server, kind)
        if not images:
            Path("rows.jsonl").write_text("".join(json.dumps({"prompt": row["prompt"]}) + "\n" for row in rows))
        config = {
            "name": kind,
            "type": "offline",
            "model_params": {"name": "m"},
            "datasets": [{"path": "rows.jsonl", "type": "performance"}],
            "audit": {"test": "cache_probe", "only": True, "groups": 6, "bursts": False, "url": False, **audit},
            "endpoint_config": {"api_type": "openai", "endpoints": [server.url]},
        }
        Path("run.yaml").write_text(yaml.safe_dump(config))
        (entry,) = run_audits("run.yaml", report_dir="report").audits
        return entry

    return session


def states(entry: AuditEntry) -> dict[str, str]:
    return {state.kind: state.state for state in entry.kinds}


def test_a_cache_of_images_is_found_and_named(audited):
    entry = audited("images")
    assert entry.status == "FAIL"
    assert [kind for kind, state in states(entry).items() if state == "found"] == ["multimodal"]
    sentences = [finding.sentence for finding in entry.findings if finding.kind == "multimodal"]
    assert any("new prompts with an image that was sent before start" in sentence for sentence in sentences)
    assert "multimodal cache" in Path("report/report.html").read_text()
    assert recheck("report").verdict == "CONFIRMED"


def test_a_cache_of_images_that_is_allowed_is_told_and_fails_nothing(audited):
    entry = audited("images", forbid=["response"])
    assert entry.status != "FAIL"
    assert states(entry)["multimodal"] == "found"


def test_an_honest_server_has_no_cache_of_images(audited):
    entry = audited("none")
    assert entry.status != "FAIL"
    assert states(entry)["multimodal"] in ("excluded", "undecided")


def test_forbidding_what_no_row_has_is_an_error(audited):
    with pytest.raises(PlanError, match="multimodal cannot show"):
        audited("none", images=False, forbid=["response", "multimodal"])


def test_without_images_the_kind_is_not_mentioned(audited):
    assert "multimodal" not in states(audited("none", images=False))
