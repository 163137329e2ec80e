"""The cache probe against LiteLLM's in-memory cache, whose key is made of the prompt and not of the bytes sent.

Skipped unless LITELLM_VENV names a virtual environment with LiteLLM 1.80.0, or it is installed here.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

LITELLM = "1.80.0"


def installed() -> str:
    """Return which version is installed where real_cache.py will look for it, empty for none."""
    venv = os.environ.get("LITELLM_VENV")
    python = f"{venv}/bin/python" if venv else sys.executable
    ask = "from importlib.metadata import version; print(version('litellm'))"
    try:
        return subprocess.run([python, "-c", ask], capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


pytestmark = pytest.mark.skipif(installed() != LITELLM, reason=f"LiteLLM {LITELLM} is not installed; see LITELLM_VENV")


def test_litellm_without_its_cache_is_clean(probe):
    (said,) = probe("litellm", "off", times=1, service_ms=50)
    assert said.computed == said.queries
    assert (said.status, said.word) == (0, "CLEAN")


def test_its_cache_is_found_cold_and_warm(probe):
    for said in probe("litellm", "on", times=2, service_ms=50):
        assert said.computed < said.queries, "the cache was at work, or this test shows nothing"
        assert (said.status, said.word) == (1, "CACHE")
        assert "response" in said.kinds
