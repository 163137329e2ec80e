"""`probe` sends the cache probe through a cache that nobody here wrote; see tests/support/real_cache.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from tests.support.real_cache import in_front_of

PROBE = {"test": "cache_probe", "samples": None, "sample_index": None, "threshold": None, "probe": None}
CHAT: dict[str, Any] = {
    "type": "online",
    "audit": PROBE,
    "settings": {"load_pattern": {"type": "concurrency", "target_concurrency": 8}},
    "endpoint_config": {"api_type": "openai"},
    "model_params": {"name": "m"},
}
FORMATS: dict[str, dict[str, Any]] = {
    "chat": CHAT,
    "video": {"audit": PROBE, "endpoint_config": {"api_type": "videogen"}},
}


class Said(NamedTuple):
    """What a session said, and how many queries the server behind the cache really computed."""

    status: int
    word: str
    kinds: list[str]
    queries: int
    computed: int


@pytest.fixture
def probe(audit, start_sut) -> Callable[..., list[Said]]:
    """Return a function that probes a proxy so many times, without restarting it."""

    def send(kind: str, cache: str, *, times: int, wire_format: str = "chat", service_ms: int = 20) -> list[Said]:
        sut = start_sut(service_ms=service_ms, repeat_ms=0, lanes=4)
        with in_front_of(sut.port, kind, cache) as url:
            audit.config(url, **FORMATS[wire_format])
            return [_said(audit, sut) for _ in range(times)]

    return send


def _said(audit: Any, sut: Any) -> Said:
    before = sut.counts()["computed"]
    status = audit.run().ret
    figures = audit.verdict()["audits"][0]["figures"]
    computed = sut.counts()["computed"] - before
    return Said(status, figures["probe"], figures["probe_kinds"].split(", "), figures["probe_queries"], computed)
