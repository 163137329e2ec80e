"""A conftest.py with an adapter that sends each sound under one file name, as a client that knows only bytes would."""

from __future__ import annotations

import re

from pytest_mlperf_audit.endpoints.base import EndpointAdapter, Row
from pytest_mlperf_audit.endpoints.media.audio import OpenAIAudioAdapter
from pytest_mlperf_audit.runs.body import Body
from pytest_mlperf_audit.runs.script import NO_EDIT, Edit


class OneName(OpenAIAudioAdapter):
    """Transcriptions of `audio.wav`, whatever the bytes."""

    api_type = "one_name"

    def encode(self, row: Row, edit: Edit = NO_EDIT) -> Body:  # type: ignore[override]
        """Return the form of a row."""
        return re.sub(rb'filename="[^"]*"', b'filename="audio.wav"', bytes(super().encode(row, edit)))


def pytest_mlperf_endpoint_adapters() -> list[type[EndpointAdapter]]:
    """Offer it."""
    return [OneName]
