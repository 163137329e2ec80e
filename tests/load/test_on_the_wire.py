"""The bytes sent, and the connections they are sent over."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter

import pytest

from pytest_mlperf_audit.endpoints.media.videogen import VideoGenAdapter
from pytest_mlperf_audit.load.target import Target
from pytest_mlperf_audit.runs.order import single, without_replacement
from pytest_mlperf_audit.runs.spec import Concurrency, MaxThroughput

LOADS = [Concurrency(target=1), Concurrency(target=8), MaxThroughput()]


@pytest.mark.parametrize("load", LOADS)
def test_repeats_are_identical_to_the_byte_headers_included(engine, start_sut, wire, load):
    sut = start_sut(service_ms=0, lanes=64)
    target = Target(urls=(sut.url,), headers={"Authorization": "Bearer k", "X-Team": "blue"})
    ended = engine.drive(target, n_samples=32, order=single(5), load=load)
    requests = wire(sut)
    assert len(requests) == 32
    assert len({request.raw for request in requests}) == 1
    assert ended.record.figures.n_distinct_requests == 1


def test_a_request_carries_these_headers_and_no_other(engine, start_sut, wire):
    sut = start_sut(service_ms=0)
    engine.drive(Target(urls=(sut.url,), headers={"Authorization": "Bearer k"}), n_samples=1, order=single(5))
    [request] = wire(sut)
    assert request.head.split(b"\r\n")[0] == b"POST /v1/videos/generations HTTP/1.1"
    assert request.headers == {
        b"host": f"127.0.0.1:{sut.port}".encode(),
        b"content-type": b"application/json",
        b"accept": b"*/*",
        b"accept-encoding": b"identity",
        b"authorization": b"Bearer k",
        b"content-length": str(len(request.body)).encode(),
    }


def test_references_differ_in_their_bodies_alone(engine, start_sut, wire):
    sut = start_sut(service_ms=0, lanes=64)
    engine.drive(sut.url, n_samples=64, order=without_replacement(1), load=MaxThroughput())
    requests = wire(sut)
    assert len({request.body for request in requests}) == 64
    heads = {
        b"\r\n".join(line for line in r.head.split(b"\r\n") if not line.startswith(b"Content-Length")) for r in requests
    }
    assert len(heads) == 1


def test_the_digest_is_that_of_the_bytes_on_the_wire(engine, start_sut, wire):
    sut = start_sut(service_ms=0, lanes=64)
    ended = engine.drive(
        Target(urls=(sut.url,), headers={"Authorization": "Bearer secret"}), n_samples=64, order=without_replacement(1)
    )
    found: Counter[str] = Counter()
    for request in wire(sut):
        method, path, _ = request.head.split(b"\r\n")[0].split(b" ")
        kept = [method + b" " + path]
        kept += [
            f"{name}: {request.headers[name.lower().encode()].decode()}".encode() for name in engine.adapter.headers
        ]
        found[hashlib.sha256(b"\r\n".join(kept) + b"\r\n\r\n" + request.body).hexdigest()[:32]] += 1
    assert found == Counter(query.request for query in ended.queries)
    assert ended.record.figures.first_request in found


def test_a_header_of_the_user_replaces_the_adapters_own(engine, start_sut, wire):
    sut = start_sut(service_ms=0)
    target = Target(urls=(sut.url,), headers={"accept": "text/plain", "CONTENT-LENGTH": "3", "connection": "close"})
    engine.drive(target, n_samples=1)
    [request] = wire(sut)
    assert request.head.lower().count(b"\r\naccept: ") == 1
    assert request.headers[b"accept"] == b"text/plain"
    assert request.head.lower().count(b"\r\ncontent-length: ") == 1
    assert b"connection" not in request.headers


@pytest.mark.parametrize(
    ("base", "target"),
    [
        ("", b"/v1/videos/generations"),
        ("/", b"/v1/videos/generations"),
        ("/deep/er/", b"/deep/er/v1/videos/generations"),
        ("?key=a%20b&x=1", b"/v1/videos/generations?key=a%20b&x=1"),
        ("/deep?key=1", b"/deep/v1/videos/generations?key=1"),
        ("/ümlaut", b"/%C3%BCmlaut/v1/videos/generations"),
    ],
)
def test_the_path_goes_behind_the_base_urls_own(engine, start_sut, wire, base, target):
    sut = start_sut(service_ms=0)
    engine.drive(sut.url + base, n_samples=1)
    assert wire(sut)[0].head.split(b" ")[1] == target


def test_the_path_and_the_query_string_of_an_adapter(engine, start_sut, wire):
    sut = start_sut(service_ms=0)

    class Versioned(VideoGenAdapter):
        path = "/v1/videos/generations?api-version=2"

    engine.adapter = Versioned(engine.adapter.params)
    engine.drive(sut.url + "/a?key=1", n_samples=1)
    assert wire(sut)[0].head.split(b" ")[1] == b"/a/v1/videos/generations?key=1&api-version=2"


@pytest.mark.parametrize("load", LOADS)
def test_connections_are_open_before_the_first_query(engine, start_sut, connections, load):
    sut = start_sut(service_ms=20, lanes=64)
    engine.drive(sut.url, n_samples=32, load=load)
    first_query_ns = min(received for received, _ in sut.times())
    *accepted, _asking_for_times, _asking = connections(sut)["accepted"]
    opened = {Concurrency(target=1): 1, Concurrency(target=8): 8, MaxThroughput(): 32}[load]
    assert len(accepted) == opened
    assert max(accepted) < first_query_ns


@pytest.mark.parametrize("pause_s", [0.0, 0.6])
def test_connections_are_open_before_each_phase(engine, start_sut, connections, pause_s):
    """Also when those of the phase before were closed for idling; `report` serves to make them idle."""
    sut = start_sut(service_ms=5, lanes=64)

    def report(progress):
        if progress.over:
            time.sleep(pause_s)

    specs = [engine.spec("first", n_samples=16), engine.spec("second", n_samples=16)]
    engine.drive_all(Target(urls=(sut.url,), max_idle_s=0.3), specs, report=report)
    begins = sorted(received for received, _ in sut.times())
    *accepted, _asking_for_times, _asking = connections(sut)["accepted"]
    assert len(accepted) == (8 if pause_s else 4)
    assert max(accepted[:4]) < begins[0]
    assert not [at for at in accepted if begins[0] < at < begins[15] or begins[16] < at]


def test_a_connection_that_is_open_is_not_asked_again(engine, start_sut, connections):
    sut = start_sut(service_ms=1, lanes=64)
    engine.drive_all(sut.url, [engine.spec(label) for label in ("first", "second", "third")])
    assert len(connections(sut)["gets"]) == 4 + 4  # a greeting before the first phase, a question after the last


def test_more_connections_are_opened_for_a_phase_that_needs_more(engine, start_sut, connections):
    sut = start_sut(service_ms=5, lanes=64)
    specs = [engine.spec("few", load=Concurrency(target=2)), engine.spec("many", load=Concurrency(target=8))]
    engine.drive_all(sut.url, specs)
    assert len(connections(sut)["gets"]) == 8 + 8
    begins = sorted(received for received, _ in sut.times())
    assert not [at for at in connections(sut)["accepted"][:8] if at > begins[16]]


def test_a_server_that_closes_after_every_reply_is_served_all_the_same(engine, start_sut):
    sut = start_sut(service_ms=1, lanes=64, close=True)
    ended = engine.drive(sut.url, n_samples=40)
    assert sut.received == ended.record.figures.n_completed == 40


def test_nothing_is_sent_between_two_phases(engine, start_sut, connections):
    sut = start_sut(service_ms=10, lanes=64)
    load = Concurrency(target=8)
    specs = [engine.spec("reference", n_samples=64, load=load), engine.spec("again", n_samples=64, load=load)]
    reference, again = engine.drive_all(sut.url, specs)
    times = sorted(sut.times())
    last_end, next_begin = max(end for _, end in times[:64]), times[64][0]
    assert not [at for at in connections(sut)["gets"] if last_end < at < next_begin]
    assert len(reference.queries) == len(again.queries) == 64
    print(f"gap between the phases: {(next_begin - last_end) / 1e6:.1f} ms")


def test_several_addresses_take_turns(engine, start_sut, connections):
    suts = [start_sut(service_ms=1, lanes=64) for _ in range(3)]
    ended = engine.drive(Target(urls=tuple(sut.url for sut in suts)), n_samples=60, load=Concurrency(target=6))
    assert [sut.received for sut in suts] == [20, 20, 20]
    for seen in map(connections, suts):  # two greetings, and a last question on each connection that was kept
        assert 2 + 2 <= len(seen["gets"]) <= 2 + len(seen["accepted"])
    assert ended.record.endpoint == ", ".join(sorted(sut.url for sut in suts))


def test_nonces_are_fresh_and_where_they_were_asked_for(engine, start_sut):
    sut = start_sut(service_ms=0, lanes=64)
    specs = [
        engine.spec("prefix", order=single(3), nonce="prefix", nonce_seed=1),
        engine.spec("suffix", order=single(3), nonce="suffix", nonce_seed=2),
        engine.spec("none", order=single(3)),
    ]
    engine.drive_all(sut.url, specs)
    prompts = [json.loads(body)["prompt"] for body in sut.bodies()]
    assert all(prompt.endswith(" scene 3") for prompt in prompts[:16])
    assert all(prompt.startswith("scene 3 ") for prompt in prompts[16:32])
    assert len(set(prompts[:32])) == 32
    assert len(prompts[0]) == len("scene 3 ") + 16  # 64 bits
    assert set(prompts[32:]) == {"scene 3"}


def test_a_nonce_seed_gives_the_same_nonces_again(engine, start_sut):
    sut = start_sut(service_ms=0)
    spec = {"order": single(3), "nonce": "suffix", "nonce_seed": 7, "load": Concurrency(target=1)}
    first, second = engine.drive(sut.url, **spec), engine.drive(sut.url, **spec)
    assert [query.request for query in first.queries] == [query.request for query in second.queries]
    assert first.record.figures.n_distinct_requests == 16
