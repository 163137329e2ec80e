"""A compressed reply is named as one; a server that only says so is not refused for it."""

from __future__ import annotations

import gzip

import pytest

from pytest_mlperf_audit.config.model_params import ModelParams
from pytest_mlperf_audit.endpoints.base import BadReplyError
from pytest_mlperf_audit.endpoints.source import ReplyIds
from pytest_mlperf_audit.endpoints.text.openai import OpenAIChatAdapter
from pytest_mlperf_audit.load.exchange import Exchange, Recorder
from pytest_mlperf_audit.load.target import Target
from pytest_mlperf_audit.runs.query import QueryRecord
from pytest_mlperf_audit.runs.spec import Keep

BODY = b'{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]}'


def exchange(status: int, body: bytes, coding: str | None, *, streaming: bool = False) -> Exchange:
    adapter = OpenAIChatAdapter(ModelParams(name="m"), streaming=streaming)
    recorder = Recorder(adapter, Target(urls=()), lambda reply: ReplyIds(reply.output_ids, reply.first_ids))
    record = QueryRecord(query=0, sample=0, issued_ns=0, completed_ns=0, request="0" * 32)
    made = Exchange(recorder, record, Keep(), lambda _exchange, _defect: None)
    made.on_head(status, {} if coding is None else {"Content-Encoding": coding})
    made.on_data(body, 1)
    return made


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize(("status", "reason"), [(200, "malformed"), (422, "http_422")])
def test_a_coded_reply_is_named(status, reason, streaming):
    with pytest.raises(BadReplyError, match=r"Content-Encoding: gzip.*switch compression off") as caught:
        exchange(status, gzip.compress(BODY), "gzip", streaming=streaming).reply()
    assert caught.value.reason == reason


@pytest.mark.parametrize("coding", [None, "", "identity", "Identity", "utf-8"])
def test_a_plain_reply_is_read(coding):
    assert exchange(200, BODY, coding).reply().output == "a"
