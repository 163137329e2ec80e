"""The simulated endpoint over real sockets, read by plain clients and by our own adapters."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import struct
import time
from typing import Any

import aiohttp
import pytest

from pytest_mlperf_audit.config.model_params import ModelParams
from pytest_mlperf_audit.endpoints.base import EndpointAdapter, Reply, digest
from pytest_mlperf_audit.endpoints.media.videogen import VideoGenAdapter
from pytest_mlperf_audit.endpoints.text.openai import OpenAIChatAdapter, OpenAICompletionsAdapter

CHAT = "/v1/chat/completions"
TEXT = "/v1/completions"
VIDEO = "/v1/videos/generations"


def exchange(client: Any, adapter: EndpointAdapter, row: dict[str, Any]) -> Reply:
    """Send a row as `adapter` says and read the reply piece by piece, the clock being the piece's number."""

    async def run() -> Reply:
        decoder = adapter.decoder(keep_output=True)
        async with (
            aiohttp.ClientSession() as session,
            session.post(client.process.url + adapter.path, data=adapter.encode(row)) as response,
        ):
            assert response.status == 200
            at = 0
            async for piece in response.content.iter_any():
                at += 1
                decoder.feed(piece, at)
        return decoder.finish()

    return asyncio.run(run())


@pytest.mark.parametrize("kind", ["path", "base64", "raw"])
def test_the_three_kinds_of_video(simulated, kind):
    client = simulated(video_reply=kind)
    answered = client.video("a red kite")
    assert answered.status == 200
    if kind == "raw":
        assert answered.media_type == "video/mp4"
        video = answered.body
    elif kind == "base64":
        assert answered.json().keys() == {"video_id", "video_bytes"}
        video = base64.b64decode(answered.json()["video_bytes"], validate=True)
    else:
        assert answered.json()["video_path"].endswith(".mp4")
        video = None
    got = exchange(client, VideoGenAdapter(ModelParams()), {"prompt": "a red kite"})
    if video is not None:
        assert video[4:8] == b"ftyp"
        assert struct.unpack(">I", video[24:28])[0] + 24 == len(video), "the boxes fill the file"
        assert got.digest == digest(video), "equal prompts, equal videos"
        assert digest(client.video("another").body) != digest(answered.body)


def test_a_request_for_bytes_is_honoured_where_the_configuration_says_path(simulated):
    client = simulated()
    assert "video_bytes" in client.video("p", response_format="video_bytes").json()
    assert "video_path" in client.video("p", response_format="video_path").json()


def test_a_chat_reply(simulated):
    client = simulated(output_tokens=5)
    document = client.chat("one two three").json()
    choice = document["choices"][0]
    assert len(choice["message"]["content"].split()) == 5
    assert choice["finish_reason"] == "stop"
    assert (document["usage"]["prompt_tokens"], document["usage"]["completion_tokens"]) == (3, 5)
    again = client.chat("one two three").json()
    assert again["choices"] == document["choices"], "the model is deterministic"
    assert again["id"] != document["id"]
    got = exchange(client, OpenAIChatAdapter(ModelParams(name="m")), {"prompt": "one two three"})
    assert (got.output, got.tokens, got.finish_reason) == (choice["message"]["content"], 5, "stop")


def test_a_streamed_reply_has_the_same_text_and_arrives_in_pieces(simulated):
    client = simulated(output_tokens=5, service_time_ms=600.0)
    whole = client.chat("one two three").json()["choices"][0]["message"]["content"]
    got = exchange(client, OpenAIChatAdapter(ModelParams(name="m"), streaming=True), {"prompt": "one two three"})
    assert (got.output, got.tokens, got.finish_reason) == (whole, 5, "stop")
    assert got.digest == digest(whole.encode())
    assert got.first_token_ns is not None
    assert got.first_token_ns > 1, "the role came ahead, and no token with it"


@pytest.mark.parametrize("prompt", ["one two three", [1, 2, 3]])
def test_a_text_completion(simulated, prompt):
    client = simulated(output_tokens=5)
    answered = client.send("POST", TEXT, json.dumps({"prompt": prompt}).encode()).json()
    assert answered["usage"]["prompt_tokens"] == 3
    for streaming in (False, True):
        adapter = OpenAICompletionsAdapter(ModelParams(name="m"), streaming=streaming)
        got = exchange(client, adapter, {"prompt": prompt})
        assert (got.output, got.tokens, got.finish_reason) == (answered["choices"][0]["text"], 5, "stop")
        assert (got.first_token_ns is not None) == streaming
    assert client.counts() == (3, 3, 0, 0)


def test_the_events_of_a_stream(simulated):
    client = simulated(output_tokens=3)
    answered = client.chat("p", stream=True, stream_options={"include_usage": True})
    assert answered.media_type == "text/event-stream"
    *chunks, done = [event.removeprefix(b"data: ") for event in answered.body.split(b"\n\n")[:-1]]
    assert done == b"[DONE]"
    role, *tokens, finish, usage = [json.loads(chunk) for chunk in chunks]
    assert role["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert all(token["choices"][0]["delta"]["content"].strip() for token in tokens)
    assert len(tokens) == usage["usage"]["completion_tokens"] == 3
    assert (finish["choices"][0]["finish_reason"], usage["choices"]) == ("stop", [])
    assert b"usage" not in client.chat("p", stream=True).body


@pytest.mark.parametrize("cache", ["exact", "prefix"])
def test_what_a_hit_does_to_the_time_to_the_first_token_and_to_decode(simulated, cache):
    # Timers fire no earlier than due, so the lower bounds hold on any machine; a hit is due 400 ms before a miss.
    client = simulated(cache=cache, output_tokens=9, service_time_ms=800.0, prefill_share=0.5)
    adapter = OpenAIChatAdapter(ModelParams(name="m"), streaming=True)
    row = {"prompt": " ".join(f"word{at}" for at in range(41))}
    (miss_first_s, miss_s), (hit_first_s, hit_s) = (timed(client, adapter, row) for _ in range(2))
    assert miss_first_s > 0.395
    assert miss_s - miss_first_s > 0.2, "decode is spread over the tokens"
    assert hit_first_s < miss_first_s
    if cache == "prefix":
        assert hit_s > 0.395, "decode is left alone"
    else:
        assert hit_s < miss_s
        assert hit_s - hit_first_s < miss_s - miss_first_s


def timed(client: Any, adapter: EndpointAdapter, row: dict[str, Any]) -> tuple[float, float]:
    """Return the seconds to the first content token and to the end of a reply."""

    async def run() -> tuple[float, float]:
        decoder = adapter.decoder(keep_output=True)
        url = client.process.url + adapter.path
        async with aiohttp.ClientSession() as session:
            start_ns = time.monotonic_ns()
            async with session.post(url, data=adapter.encode(row)) as response:
                async for piece in response.content.iter_any():
                    decoder.feed(piece, time.monotonic_ns())
            first_token_ns = decoder.finish().first_token_ns
            assert first_token_ns is not None
            return (first_token_ns - start_ns) / 1e9, (time.monotonic_ns() - start_ns) / 1e9

    return asyncio.run(run())


def test_a_stream_with_one_token(simulated):
    body = simulated(output_tokens=1).chat("p", stream=True).body
    assert body.count(b"data: ") == 4
    assert body.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (VIDEO, b""),
        (VIDEO, b"{}"),
        (VIDEO, b'{"prompt": " "}'),
        (VIDEO, b'{"prompt": 5}'),
        (VIDEO, b"[" * 100_000),
        (VIDEO, b'{"prompt": "\xff"}'),
        (CHAT, b'{"messages": []}'),
        (CHAT, b'{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}'),
        (CHAT, b'{"prompt": "p"}'),
        (CHAT, b"nonsense"),
        (TEXT, b'{"prompt": ""}'),
        (TEXT, b'{"prompt": []}'),
        (TEXT, b'{"prompt": [[1]]}'),
    ],
)
def test_a_request_that_cannot_be_read_is_refused(simulated, path, body):
    client = simulated()
    answered = client.send("POST", path, body)
    assert answered.status == 400
    assert answered.json()["error"]["type"] == "invalid_request_error"
    assert client.counts() == (1, 0, 0, 1)
    assert client.log() == []


def test_content_parts_are_read(simulated):
    parts = [{"type": "text", "text": "one two"}, {"type": "image_url", "image_url": {"url": "x"}}]
    answered = simulated().send("POST", CHAT, json.dumps({"messages": [{"role": "user", "content": parts}]}).encode())
    assert answered.json()["usage"]["prompt_tokens"] == 2


def test_other_methods_and_paths(simulated):
    client = simulated()
    assert [client.send("GET", path).status for path in (VIDEO, CHAT)] == [405, 405]
    assert client.send("GET", "/health").json() == {"status": "ok"}
    assert client.send("GET", "/nowhere").status == 404
    assert client.counts() == (0, 0, 0, 0)


def test_errors_are_injected_in_both_formats_and_streams(simulated):
    client = simulated(error_rate=1.0)
    for answered in (client.video("p"), client.chat("p"), client.chat("p", stream=True)):
        assert answered.status == 500
        assert answered.json()["error"]["type"] == "server_error"
    assert client.counts() == (3, 0, 0, 3)
    assert [row[2] for row in client.log()] == [False] * 3


def test_the_same_seed_fails_the_same_requests(simulated):
    def statuses(seed: int) -> list[int]:
        client = simulated(alone=True, error_rate=0.4, seed=seed)
        return [client.video(f"p {at}").status for at in range(30)]

    assert statuses(5) == statuses(5) != statuses(6)
    assert set(statuses(5)) == {200, 500}


def test_lanes_bound_what_is_worked_on_at_once(simulated):
    client = simulated(lanes=2, service_time_ms=300.0)
    client.at_once([f"prompt {at}" for at in range(6)])
    stats = client.stats()
    assert (stats["max_in_flight"], stats["max_busy_lanes"]) == (6, 2)


def test_the_log_times_what_the_lanes_did(simulated):
    client = simulated(lanes=1, service_time_ms=40.0)
    client.at_once([f"prompt {at}" for at in range(5)])
    log, stats = client.log(), client.stats()
    assert len(log) == 5
    assert all(received_ns < sent_ns for received_ns, sent_ns, _computed in log)
    assert stats["first_received_ns"] == min(row[0] for row in log)
    assert stats["last_sent_ns"] == log[-1][1]
    # One lane cannot do five of 40 ms in less than 200 ms; timers may fire a millisecond early.
    assert stats["last_sent_ns"] - stats["first_received_ns"] > 195e6


def test_a_client_that_goes_away_does_no_harm(simulated):
    client = simulated(lanes=1, service_time_ms=100.0)
    body = b'{"prompt": "p"}'
    with socket.create_connection(client.address) as connection:
        connection.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 15\r\n\r\n" % VIDEO.encode() + body)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with socket.create_connection(client.address) as connection:
        connection.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{" % VIDEO.encode())
    stream = json.dumps({"messages": [{"role": "user", "content": "p"}], "stream": True}).encode()
    with socket.create_connection(client.address) as connection:
        connection.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (CHAT.encode(), len(stream)))
        connection.sendall(stream)
        assert connection.recv(100).startswith(b"HTTP/1.1 200 OK")
    assert client.video("p").status == 200
    assert client.process.running
    assert client.stats()["max_busy_lanes"] == 1


def test_only_the_loopback_interface_is_bound(simulated):
    client = simulated()
    host, port = client.address
    assert host == "127.0.0.1"
    # Another loopback address reaches a server that listens on every interface, and not one bound to 127.0.0.1.
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.2", port)):
        pass
