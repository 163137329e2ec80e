"""Scripted phases on the wire: what a script asks for is what is sent, and what it learns is what was recorded."""

from __future__ import annotations

import json
import threading
from collections import Counter

import pytest

from pytest_mlperf_audit.errors import RefusedError
from pytest_mlperf_audit.load.progress import Progress
from pytest_mlperf_audit.load.target import Target
from pytest_mlperf_audit.records.log import read_queries
from pytest_mlperf_audit.records.store import read_phase
from pytest_mlperf_audit.runs.cache_headers import says_hit
from pytest_mlperf_audit.runs.order import single
from pytest_mlperf_audit.runs.script import NO_EDIT, Edit, Round, Step
from pytest_mlperf_audit.runs.spec import Concurrency


def steps(*rows: int, **options) -> tuple[Step, ...]:
    return tuple(Step(f"row{row}", row, **options) for row in rows)


def prompts(sut) -> list[str]:
    return [json.loads(body)["prompt"] for body in sut.bodies()]


def target_of(request) -> bytes:
    return bytes(request.head.split(b" ")[1])


@pytest.mark.parametrize(
    ("how", "most"), [({}, 1), ({"at_once": True}, 6), ({"in_flight": 2}, 2), ({"in_flight": 9}, 6)]
)
def test_a_round_is_sent_as_it_says(engine, start_sut, how, most):
    sut = start_sut(service_ms=60, lanes=64)

    def script():
        yield Round(steps(0, 1, 2, 3, 4, 5), **how)

    ended = engine.drive_script(sut.url, script)
    assert sut.counts()["most_in_flight"] == most
    assert (ended.record.status, ended.record.stopped_by) == ("complete", "script")
    if most < 6:
        assert prompts(sut) == [f"scene {row}" for row in range(6)]


def test_records_come_back_in_the_order_of_the_steps(engine, start_sut):
    """Repeats take longer here, so that those of a round sent at once are not done in the order of its steps."""
    sut = start_sut(service_ms=1, repeat_ms=80, lanes=64)
    told = []

    def script():
        told.append((yield Round(steps(3, 1))))
        told.append((yield Round(steps(3, 2, 1, 0), at_once=True)))

    ended = engine.drive_script(sut.url, script)
    assert [[record.tag for record in records] for records in told] == [
        ["row3", "row1"],
        ["row3", "row2", "row1", "row0"],
    ]
    assert [record.sample for record in told[1]] == [3, 2, 1, 0]
    assert [query.tag for query in ended.queries] != [record.tag for records in told for record in records]
    assert sorted(ended.queries, key=lambda query: query.query) == [record for records in told for record in records]


def test_what_is_asked_next_may_depend_on_the_replies(engine, start_sut):
    sut = start_sut(service_ms=0, fault="500", fault_after=3)

    def script():
        records = yield Round(steps(0))
        while all(record.ok for record in records):
            records = yield Round(steps(records[-1].sample + 1))

    ended = engine.drive_script(sut.url, script)
    assert prompts(sut) == ["scene 0", "scene 1", "scene 2", "scene 3"]
    assert [query.outcome for query in ended.queries] == ["completed"] * 3 + ["http_500"]


def test_tags_are_on_disk_and_only_where_there_are_some(engine, start_sut):
    sut = start_sut(service_ms=0)

    def script():
        yield Round((*steps(0), Step("", 1)))

    engine.drive_script(sut.url, script)
    lines = (engine.directory / "run-1" / "phase" / "queries.jsonl").read_text().splitlines()
    assert [json.loads(line).get("tag") for line in lines] == ["row0", None]
    assert "tag" not in json.loads(lines[1])
    assert {query.tag for query in engine.drive(sut.url).queries} == {None}


def test_a_changed_url_is_on_the_wire_and_in_the_digest(engine, start_sut, wire):
    sut = start_sut(service_ms=0)

    def script():
        yield Round((Step("plain", 0), Step("changed", 0, query="n=1"), Step("other", 0, query="n=2")))
        yield Round((Step("again", 0, query="n=1"),))

    plain, changed, other, again = engine.drive_script(sut.url, script).queries
    assert [target_of(request) for request in wire(sut)] == [
        b"/v1/videos/generations",
        b"/v1/videos/generations?n=1",
        b"/v1/videos/generations?n=2",
        b"/v1/videos/generations?n=1",
    ]
    assert len({plain.request, changed.request, other.request}) == 3
    assert again.request == changed.request
    assert plain.request == engine.source.fingerprint(0)
    raw = [request.raw.replace(b"?n=1", b"").replace(b"?n=2", b"") for request in wire(sut)]
    assert len(set(raw)) == 1, "nothing but the URL differs"


def test_a_changed_url_keeps_the_query_string_of_the_endpoint(engine, start_sut, wire):
    sut = start_sut(service_ms=0)

    def script():
        yield Round((Step("changed", 0, query="n=1"),))

    engine.drive_script(f"{sut.url}/deep?key=a%20b", script)
    assert target_of(wire(sut)[0]) == b"/deep/v1/videos/generations?key=a%20b&n=1"


def test_a_route_pins_one_of_several_addresses(engine, start_sut):
    suts = [start_sut(service_ms=0) for _ in range(2)]

    def script():
        yield Round(steps(0, 1, 2, 3))
        yield Round(steps(4, 5, 6, route=1))
        yield Round(steps(7, 8, route=2), at_once=True)

    engine.drive_script(Target(urls=tuple(sut.url for sut in suts)), script)
    first, second = (prompts(sut) for sut in suts)
    assert first == ["scene 0", "scene 2", "scene 7", "scene 8"]
    assert second == ["scene 1", "scene 3", "scene 4", "scene 5", "scene 6"]


def test_repeats_are_identical_to_the_byte_headers_included(engine, start_sut, wire):
    sut = start_sut(service_ms=0, lanes=64)
    edit = Edit(head="5eed", text="a scene of our own", tail="with a tail")

    def script():
        for at_once in (False, True):
            yield Round(tuple(Step(f"R{at}", 3, edit, "n=1") for at in range(8)), at_once=at_once)

    target = Target(urls=(sut.url,), headers={"Authorization": "Bearer k", "X-Team": "blue"})
    ended = engine.drive_script(target, script)
    assert sut.received == 16
    assert len({request.raw for request in wire(sut)}) == 1
    assert ended.record.figures.n_distinct_requests == 1
    assert prompts(sut)[0] == "5eed a scene of our own with a tail"


def test_a_row_that_is_not_edited_is_what_the_benchmark_sends(engine, start_sut, wire):
    sut = start_sut(service_ms=0)

    def script():
        yield Round((Step("R", 5, NO_EDIT),))

    scripted = engine.drive_script(sut.url, script)
    plain = engine.drive(sut.url, n_samples=1, order=single(5))
    assert len({request.raw for request in wire(sut)}) == 1
    assert scripted.queries[0].request == plain.queries[0].request


def test_a_script_that_raises_crashes_the_phase(engine, start_sut):
    sut = start_sut(service_ms=0)

    def script():
        yield Round(steps(0, 1))
        raise ZeroDivisionError("of the script")

    ended = engine.drive_script(sut.url, script)
    assert (ended.record.status, ended.record.complete) == ("crashed", False)
    assert ended.record.reason == "the load generator failed: ZeroDivisionError: of the script"
    assert len(ended.queries) == sut.received == 2


def test_a_refusal_ends_the_phase_and_those_behind_it(engine, start_sut):
    sut = start_sut(service_ms=0, fault="500")

    def script():
        (reply,) = yield Round(steps(0))
        raise RefusedError(f"it answers {reply.outcome}; try another")

    ended = engine.drive_script(sut.url, script)
    assert (ended.record.status, ended.record.complete) == ("refused", False)
    assert ended.record.reason == "it answers http_500; try another"
    record = read_phase(engine.directory / "run-1" / "phase")
    assert record == ended.record


def test_a_script_without_a_round_is_a_phase_without_a_query(engine, start_sut):
    def script():
        yield from ()

    ended = engine.drive_script(start_sut().url, script)
    assert (ended.record.status, ended.queries) == ("complete", [])


@pytest.mark.parametrize("at_once", [False, True])
def test_an_interrupt_in_mid_script_leaves_whole_records(phase_process, ended, start_sut, tmp_path, at_once):
    sut = start_sut(service_ms=30, lanes=64)
    process = phase_process(sut.url, n=100_000, target=8, script={"size": 8, "at_once": at_once})
    assert process.stdout.readline() == "running\n"
    sut.wait_for(20)
    process.terminate()
    assert ended(process)["raised"] == "KeyboardInterrupt"
    queries = list(read_queries(tmp_path / "phase" / "queries.jsonl"))
    assert sorted(query.query for query in queries) == list(range(len(queries)))
    assert sut.received <= len(queries) <= sut.received + 8
    outcomes = Counter(query.outcome for query in queries)
    assert set(outcomes) <= {"completed", "cancelled"}
    assert outcomes["cancelled"] <= (8 if at_once else 1)
    assert all(query.tag and query.completed_ns >= query.issued_ns for query in queries)
    record = read_phase(tmp_path / "phase")
    assert record is not None
    assert (record.status, record.figures.n_issued) == ("interrupted", len(queries))


def test_the_ceiling_ends_a_script_between_two_rounds(engine, start_sut):
    sut = start_sut(service_ms=50)
    closed = []

    def script():
        try:
            while True:
                yield Round(steps(0, 1))
        finally:
            closed.append(True)

    ended = engine.drive_script(sut.url, script, max_duration_ms=250)
    assert (ended.record.status, ended.record.stopped_by) == ("complete", "ceiling")
    assert 2 <= len(ended.queries) <= 6
    assert len(ended.queries) % 2 == 0, "rounds are whole"
    assert closed == [True]


def test_an_endpoint_that_dies_in_mid_script(engine, start_sut):
    sut = start_sut(service_ms=0, fault="die", fault_after=5)

    def script():
        for row in range(60):
            yield Round(steps(row))

    ended = engine.drive_script(sut.url, script)
    assert ended.record.status == "endpoint_lost"
    assert "takes no connection any more" in ended.record.reason
    assert [query.outcome for query in ended.queries[:5]] == ["completed"] * 5
    assert not any(query.ok for query in ended.queries[5:])


def test_nobody_sends_thousands_of_queries_to_a_dead_server(engine, start_sut):
    sut = start_sut(service_ms=1)
    killer = threading.Thread(target=lambda: (sut.wait_for(8), sut.kill()))

    def script():
        while True:
            yield Round(steps(0))

    killer.start()
    ended = engine.drive_script(sut.url, script, n_samples=100_000)
    killer.join()
    assert (ended.record.status, ended.record.stopped_by) == ("endpoint_lost", "abort")
    assert len(ended.queries) < 100_000


@pytest.mark.parametrize(
    ("rounds", "sent", "words"),
    [
        ([Round(steps(0, 1, 2)), Round(steps(3, 4))], 3, "2 more queries, 1 at once; its phase allows 4 in all"),
        ([Round(steps(0)), Round(steps(1, 2, 3), at_once=True)], 1, "3 at once; its phase allows 4 in all, 2 at once"),
        ([Round(steps(0)), Round(())], 1, "a round without a query"),
    ],
    ids=["in_all", "at_once", "empty"],
)
def test_a_script_out_of_bounds_crashes_its_phase_before_it_sends(engine, start_sut, rounds, sent, words):
    sut = start_sut(service_ms=0)

    def script():
        for upcoming in rounds:  # `yield from` would hand the list what is sent to the script
            _ = yield upcoming

    ended = engine.drive_script(sut.url, script, n_samples=4, load=Concurrency(target=2))
    assert ended.record.status == "crashed"
    assert words in ended.record.reason
    assert sut.received == sent


def test_an_endless_script_of_empty_rounds_ends(engine, start_sut):
    def script():
        while True:
            yield Round(())

    assert engine.drive_script(start_sut().url, script).record.status == "crashed"


def test_progress_follows_what_the_script_expects(engine, start_sut):
    sut = start_sut(service_ms=300)
    seen: list[Progress] = []

    def script():
        for number, expected in enumerate((7, 30, 5)):
            yield Round(steps(number), expected=expected)

    engine.drive_script(sut.url, script, report=seen.append)
    requested = [progress.requested for progress in seen if progress.issued]
    assert set(requested) == {7, 30, 5}
    assert requested[-1] == 5
    assert (seen[-1].over, seen[-1].issued, seen[-1].completed) == (True, 3, 3)


@pytest.mark.parametrize(
    ("headers", "kept", "hit"),
    [
        ({"X-Cache": "HIT"}, "x-cache: HIT", True),
        ({"X-Cache": "HIT from edge-3"}, "x-cache: HIT from edge-3", True),
        ({"x-cache": "MISS"}, "x-cache: MISS", False),
        ({"Age": "12"}, "age: 12", True),
        ({"Age": "0"}, "age: 0", False),
        ({"X-Varnish": "65610 32773"}, "x-varnish: 65610 32773", True),
        ({"X-Varnish": "65610"}, "x-varnish: 65610", False),
        ({"CF-Cache-Status": "HIT", "Age": "3"}, "cf-cache-status: HIT; age: 3", True),
        (
            {"X-Cache-Status": "MISS", "X-LiteLLM-Cache-Key": "ab"},
            "x-cache-status: MISS; x-litellm-cache-key: ab",
            True,  # LiteLLM sends its key with hits alone; what stands before it kept nothing
        ),
        ({"X-Other": "HIT"}, None, False),
    ],
)
def test_what_a_cache_says_in_its_headers(engine, start_sut, headers, kept, hit):
    sut = start_sut(service_ms=0, headers=headers)
    [query] = engine.drive(sut.url, n_samples=1).queries
    assert query.cache_header == kept
    assert says_hit(query.cache_header) is hit


def test_a_secret_in_a_cache_header_is_not_kept(engine, start_sut):
    sut = start_sut(service_ms=0, headers={"X-Cache": "MISS for hunter2-key", "X-LiteLLM-Cache-Key": "y" * 300})
    target = Target(urls=(sut.url,), headers={"Authorization": "Bearer hunter2-key"}, secrets=("hunter2-key",))
    [query] = engine.drive(target, n_samples=1).queries
    assert query.cache_header is not None
    assert query.cache_header.startswith("x-cache: MISS for ")
    assert "hunter2" not in query.cache_header
    assert len(query.cache_header) < 200


def test_only_hits_say_so(engine, start_sut):
    sut = start_sut(service_ms=0, cache="exact", headers={"x-cache": "MISS"}, hit_headers={"x-cache": "HIT"})

    def script():
        yield Round(steps(0, 0, 1, 0))

    told = [query.cache_header for query in engine.drive_script(sut.url, script).queries]
    assert told == ["x-cache: MISS", "x-cache: HIT", "x-cache: MISS", "x-cache: HIT"]
