"""Conversations against a server: one turn at a time in each, what ends one, what is sent, and what is measured."""

from __future__ import annotations

import json
import socket
import threading
from itertools import pairwise

import pytest
from msgspec.structs import replace

from pytest_mlperf_audit.config.agentic import AgenticInference
from pytest_mlperf_audit.config.dataset import DatasetConfig
from pytest_mlperf_audit.config.model_params import ModelParams
from pytest_mlperf_audit.datasets import load_conversations
from pytest_mlperf_audit.endpoints.text.openai import OpenAIChatAdapter
from pytest_mlperf_audit.runs.query import QueryRecord
from pytest_mlperf_audit.runs.spec import Concurrency
from pytest_mlperf_audit.runs.trajectories import Salt, Trajectories
from pytest_mlperf_audit.session.turns import Turns
from tests.support.scripted_server import ANSWER


def lines(name, n_turns, delay_s=0.0):
    for turn in range(1, 2 * n_turns):
        if turn % 2:
            more = {"system": "Help."} if turn == 1 else {"delay_seconds": delay_s}
            yield {"conversation_id": name, "turn": turn, "role": "user", "content": f"{name} {turn}", **more}
        else:
            yield {"conversation_id": name, "turn": turn, "role": "assistant", "content": f"answer {turn}"}


@pytest.fixture
def play(engine, server):
    """Play conversations of so many turns each; return the phase as it ended."""

    def played(turns, *, target=2, delay_s=0.0, count=None, tool_delays=False, salt_seed=None, stop=False, **spec):
        file = engine.directory / "c.jsonl"
        rows = [row for at, n_turns in enumerate(turns) for row in lines(f"c{at}", n_turns, delay_s)]
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        config = DatasetConfig(name="c", path=file, agentic_inference=AgenticInference())
        engine.dataset = load_conversations(config, [])
        engine.adapter = OpenAIChatAdapter(ModelParams(name="m"))
        order = Trajectories(
            turns=tuple(turns),
            count=count or len(turns),
            headers=("X-Session-ID",),
            tool_delays=tool_delays,
            salt_seed=salt_seed,
            stop_at_end=stop,
        )
        fields = {"order": order, "n_samples": order.n_turns, "load": Concurrency(target=target), **spec}
        return engine.drive(server.url, **fields)

    return played


def by_conversation(queries):
    found: dict[str, list[QueryRecord]] = {}
    for query in sorted(queries, key=lambda one: one.query):
        found.setdefault(query.conversation, []).append(query)
    return found


def consistent(ended):
    spec = ended.record.spec
    turns = Turns(spec.order, spec.load.target)
    return [*filter(None, map(turns.wrong_with, ended.queries)), *filter(None, [turns.wrong_at_end()])]


def last_words(body):
    return body["messages"][-1]["content"]


def test_a_turn_is_sent_when_the_one_before_it_is_over(play, server):
    ended = play([3, 1, 2], target=2, count=5)
    assert (ended.record.status, ended.record.stopped_by, ended.outcomes) == ("complete", "count", {"completed"})
    played = by_conversation(ended.queries)
    assert {name: [query.turn for query in queries] for name, queries in played.items()} == {
        "c0": [1, 3, 5],
        "c1": [1],
        "c2": [1, 3],
        "c0__repeat_2": [1, 3, 5],
        "c1__repeat_2": [1],
    }
    for queries in played.values():
        assert all(before.completed_ns <= after.issued_ns for before, after in pairwise(queries))
    assert ended.record.figures.most_in_flight == 2
    assert len(ended.queries) == ended.record.spec.n_samples == 10
    assert not consistent(ended)
    assert sorted(last_words(body) for _, body in server.posts)[:2] == ["c0 1", "c0 1"]


def test_the_history_is_the_recorded_one(play, server):
    play([2], target=1)
    assert [body["messages"] for _, body in server.posts] == [
        [{"role": "system", "content": "Help."}, {"role": "user", "content": "c0 1"}],
        [
            {"role": "system", "content": "Help."},
            {"role": "user", "content": "c0 1"},
            {"role": "assistant", "content": "answer 2"},
            {"role": "user", "content": "c0 3"},
        ],
    ]


def test_each_trajectory_has_its_salt_and_each_turn_of_it_the_same(play, server):
    ended = play([2, 1], target=1, count=3, salt_seed=9)
    sent = [body["messages"][0]["content"] for _, body in server.posts]
    salts = [Salt.of(9, 1, "c0"), Salt.of(9, 1, "c0"), Salt.of(9, 1, "c1"), Salt.of(9, 2, "c0"), Salt.of(9, 2, "c0")]
    assert sent == [f"{salt.before}\n\nHelp.\n\n{salt.behind}" for salt in salts]
    assert ended.record.figures.n_distinct_requests == 5
    assert ended.record.spec.order.salt_seed == 9


def test_a_failed_turn_ends_its_trajectory_and_no_other(play, server):
    server.post = lambda _, body: (500, {}) if last_words(body) == "c0 3" else (200, ANSWER)
    ended = play([3, 2], target=1)
    assert {name: [query.outcome for query in queries] for name, queries in by_conversation(ended.queries).items()} == {
        "c0": ["completed", "http_500"],
        "c1": ["completed", "completed"],
    }
    assert (ended.record.status, ended.record.stopped_by) == ("complete", "failed_turns")
    assert not consistent(ended)


def test_a_turn_that_takes_too_long_ends_its_trajectory(play, server):
    hold = threading.Event()

    def post(_path, body):
        if last_words(body) == "c0 3":
            hold.wait(10)
        return 200, ANSWER

    server.post = post
    ended = play([3, 3], target=2, query_timeout_s=0.2)
    hold.set()
    outcomes = {name: [one.outcome for one in queries] for name, queries in by_conversation(ended.queries).items()}
    assert outcomes == {"c0": ["completed", "timeout"], "c1": ["completed"] * 3}
    assert ended.record.status == "complete"
    assert not consistent(ended)


def test_a_turn_whose_connection_breaks_ends_its_trajectory(play, server, monkeypatch):
    handler = server._server.RequestHandlerClass
    plain = handler.reply

    def breaking(self, status, *more):
        if status:
            plain(self, status, *more)
        else:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    monkeypatch.setattr(handler, "reply", breaking)
    server.post = lambda _, body: (0, None) if last_words(body) == "c0 3" else (200, ANSWER)
    ended = play([3, 2], target=1)
    outcomes = {name: [one.outcome for one in queries] for name, queries in by_conversation(ended.queries).items()}
    assert outcomes == {"c0": ["completed", "reset"], "c1": ["completed"] * 2}
    assert (ended.record.status, ended.record.stopped_by) == ("complete", "failed_turns")
    assert not consistent(ended)


def test_delays_are_kept_where_they_are_asked_for(play):
    ended = play([2], delay_s=0.05, tool_delays=True)
    first, second = ended.queries
    assert second.issued_ns - first.completed_ns >= 50_000_000
    ended = play([2], delay_s=30.0)  # it would last half a minute
    assert ended.record.figures.n_completed == 2


def test_a_ceiling_cuts_a_delay_short(play):
    ended = play([2], delay_s=3600.0, tool_delays=True, max_duration_ms=100)
    assert (len(ended.queries), ended.record.status, ended.record.stopped_by) == (1, "complete", "ceiling")


def test_what_hangs_when_all_is_sent_is_given_up_in_time(play, server):
    over = threading.Event()

    def post(_path, body):
        if last_words(body) == "c1 3":
            over.wait(10)
        return (500, {}) if last_words(body) == "c0 1" else (200, ANSWER)  # so that not all turns are ever issued

    server.post = post
    ended = play([2, 2], target=2, drain_timeout_s=0.1)
    over.set()
    assert (ended.record.status, len(ended.queries)) == ("undrained", 3)
    assert ended.outcomes == {"http_500", "completed", "cancelled"}


@pytest.fixture
def c1_waits_for_c0(engine, until):
    """Answer the first turn of c1 when c0, which has one turn, is in the records: its slot is free then."""

    def is_recorded():
        logs = engine.directory.rglob("queries.jsonl")
        return any('"conversation":"c0"' in log.read_text() for log in logs)

    def post(_path, body):
        if last_words(body) == "c1 1":
            until(is_recorded, "the end of c0")
        return 200, ANSWER

    return post


def test_the_first_slot_without_a_next_trajectory_ends_what_is_measured(play, server, c1_waits_for_c0):
    server.post = c1_waits_for_c0
    ended = play([1, 4], target=2)
    late = {query.turn: query.late for query in by_conversation(ended.queries)["c1"]}
    assert late == {1: False, 3: True, 5: True, 7: True}
    figures = ended.record.figures
    assert (figures.n_issued, figures.n_completed, figures.n_late, figures.n_late_completed) == (5, 5, 3, 3)
    assert figures.latency is not None
    assert figures.latency.n == 2
    timed = [query for query in ended.queries if not query.late]
    assert figures.window_s == max(query.completed_ns for query in timed) / 1e9
    assert not consistent(ended)


def test_nothing_is_sent_in_the_tail_where_that_is_asked_for(play, server, c1_waits_for_c0):
    server.post = c1_waits_for_c0
    ended = play([1, 4], target=2, stop=True)
    assert (len(ended.queries), ended.record.stopped_by, ended.record.status) == (2, "window", "complete")
    assert ended.record.figures.n_late == 0


def test_a_slot_that_waits_is_given_up_with_the_tail(play):
    ended = play([1, 2], target=2, delay_s=3600.0, tool_delays=True, stop=True)
    assert (len(ended.queries), ended.record.stopped_by) == (2, "window")


def test_all_refused_in_one_way_ends_the_phase_after_the_first_trajectories(play, server):
    server.post = lambda _, __: (400, {"error": {"message": "no such model"}})
    ended = play([9, 9, 9])
    assert ended.record.status == "refused"
    assert "the first 3 queries were all refused in one way" in (ended.record.reason or "")


def test_each_turn_carries_its_trajectory_in_a_header(play, server):
    heads = []

    handler = server._server.RequestHandlerClass
    plain = handler.do_POST

    def noting(self):
        heads.append(self.headers["X-Session-ID"])
        plain(self)

    handler.do_POST = noting
    play([2], target=1, count=2)
    assert heads == ["c0", "c0", "c0__repeat_2", "c0__repeat_2"]


EDITS = {
    "another row": (
        lambda queries: setattr(queries[1], "sample", 3),
        "query 1 is of row 3, which is not the next turn",
    ),
    "a turn before its time": (
        lambda queries: setattr(queries[1], "issued_ns", 0),
        "query 1 was issued before the turn before it was over",
    ),
    "no conversation": (
        lambda queries: setattr(queries[0], "conversation", None),
        "query 0 is of no turn of a conversation",
    ),
    "one conversation more": (
        lambda queries: queries.append(replace(queries[0], conversation="c9")),
        "query 0 is of one more conversation than the 2 that were to be played",
    ),
    "slow turns called late": (
        lambda queries: queries.__setitem__(slice(2, None), [replace(query, late=True) for query in queries[2:]]),
        "turns are said to be late that were issued while every slot had a conversation to play",
    ),
}


@pytest.fixture
def two_played(play):
    ended = play([2, 2], target=1)
    assert not consistent(ended)
    return ended


@pytest.mark.parametrize("name", EDITS)
def test_records_that_were_edited_do_not_hold_together(two_played, name):
    edit, told = EDITS[name]
    edit(two_played.queries)
    assert consistent(two_played)[0].startswith(told)


def test_a_reply_that_is_over_later_than_its_last_byte_contradicts_nothing():
    """The end of a reply may come long after its last byte: then a slot was free later than its records say."""
    order = Trajectories(turns=(1, 1, 2), count=3)
    records = [
        turn(0, 0, "a", (0, 10)),
        turn(1, 1, "b", (0, 11)),  # its slot is free at 60 only
        turn(2, 2, "c", (50, 55)),
        turn(3, 3, "c", (70, 80), late=True),
    ]
    turns = Turns(order, 2)
    assert [turns.wrong_with(record) for record in records] == [""] * 4
    assert turns.wrong_at_end() == ""


def test_the_last_conversation_may_still_wait_for_its_first_turn(play):
    ended = play([1, 1, 3], target=2, delay_s=0.0, tool_delays=True)
    assert not consistent(ended)
    order = Trajectories(turns=(1, 2, 1), count=3)
    records = [
        turn(0, 0, "a", (0, 10)),
        turn(1, 1, "b", (0, 20)),
        turn(2, 2, "b", (20, 30)),
        turn(3, 3, "c", (40, 50), late=True),  # it was next at 10, and waited; the slot of b was free at 30
    ]
    turns = Turns(order, 2)
    assert [turns.wrong_with(record) for record in records] == [""] * 4
    assert turns.wrong_at_end() == ""


def test_a_short_conversation_played_in_the_place_of_a_long_one_is_a_contradiction():
    """Of 3 conversations two are due twice: the one turn of the first, again and again, makes as many queries."""
    order = Trajectories(turns=(1, 2, 4), count=5)
    turns = Turns(order, 1)
    records = [turn(n, 0, f"c0__repeat_{n}", (10 * n, 10 * n + 5)) for n in range(3)]
    assert [turns.wrong_with(record) for record in records[:2]] == [""] * 2
    assert (
        turns.wrong_with(records[2])
        == "query 2 begins conversation 0 of the data set once more than it was to be played"
    )


def turn(query, row, conversation, times, **more):
    issued_ns, completed_ns = times
    return QueryRecord(
        query=query,
        sample=row,
        issued_ns=issued_ns,
        completed_ns=completed_ns,
        request="0" * 32,
        conversation=conversation,
        **more,
    )


def test_the_next_turn_is_built_while_the_one_before_it_is_on_its_way(play, server, monkeypatch):
    built = {turn: threading.Event() for turn in (1, 3, 5, 7)}
    encode = OpenAIChatAdapter.encode

    def noted(self, row, *more):
        built[row["turn"]].set()
        return encode(self, row, *more)

    def post(_path, body):
        following = int(last_words(body).split()[1]) + 2
        return (200, ANSWER) if following > 5 or built[following].wait(10) else (500, {})

    monkeypatch.setattr(OpenAIChatAdapter, "encode", noted)
    server.post = post
    assert play([3], target=1).outcomes == {"completed"}
