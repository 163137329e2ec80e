"""A reply with HTTP status 200 that says the server gave the request up is a failure, whatever else it holds."""

from __future__ import annotations

import json

import pytest

from pytest_mlperf_audit.config.model_params import ModelParams
from pytest_mlperf_audit.endpoints.base import BadReplyError
from pytest_mlperf_audit.endpoints.media.videogen import VideoGenAdapter
from pytest_mlperf_audit.endpoints.text.openai import OpenAIChatAdapter


def reason(adapter, reply):
    decoder = adapter(ModelParams(name="m")).decoder()
    decoder.feed(json.dumps(reply).encode(), 1)
    with pytest.raises(BadReplyError) as caught:
        decoder.finish()
    return caught.value.reason


@pytest.mark.parametrize("finish", ["error", "abort", "cancelled"])
def test_chat_given_up(finish):
    choice = {"index": 0, "message": {"content": "half an ans"}, "finish_reason": finish}
    assert reason(OpenAIChatAdapter, {"id": "c", "choices": [choice]}) == "server_error"


@pytest.mark.parametrize("status", ["failed", "ERROR", "cancelled"])
def test_video_given_up(status):
    assert reason(VideoGenAdapter, {"video_id": "v", "video_path": "/a.mp4", "status": status}) == "server_error"


def test_a_video_that_is_done_says_so():
    decoder = VideoGenAdapter(ModelParams(name="m")).decoder()
    decoder.feed(b'{"video_id": "v", "video_path": "/a.mp4", "status": "completed"}', 1)
    assert decoder.finish().id == "v"
