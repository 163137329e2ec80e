"""What an endpoint adapter does wrong: no verdict, and a record of how far it went."""

from __future__ import annotations

import itertools
import time

import pytest

from pytest_mlperf_audit.endpoints.base import BadReplyError, Reply
from pytest_mlperf_audit.endpoints.media.videogen import VideoGenAdapter
from pytest_mlperf_audit.load.group import run_group
from pytest_mlperf_audit.load.target import Target
from pytest_mlperf_audit.records.log import read_queries
from pytest_mlperf_audit.records.store import read_phase
from pytest_mlperf_audit.runs.script import NO_EDIT
from pytest_mlperf_audit.runs.spec import Concurrency, MaxThroughput, Poisson

LOADS = [Concurrency(target=2), MaxThroughput(), Poisson(target_qps=200.0, seed=1)]


class Decoder:
    def __init__(self, feed=lambda: None, finish=lambda: None):
        self._feed, self._finish = feed, finish

    def feed(self, data, at_ns):  # noqa: ARG002
        self._feed()

    def finish(self):
        self._finish()
        return Reply(digest="0" * 32)


def fail(error):
    raise error


def with_decoder(engine, **steps):
    class Mine(VideoGenAdapter):
        def decoder(self, *, keep_output=False):  # noqa: ARG002
            return Decoder(**steps)

    engine.adapter = Mine(engine.adapter.params)


@pytest.mark.parametrize("load", LOADS, ids=["concurrency", "max_throughput", "poisson"])
@pytest.mark.parametrize("step", ["feed", "finish"])
@pytest.mark.parametrize("error", [RuntimeError("a bug"), ValueError("a bug"), KeyError("a bug")], ids=repr)
def test_a_decoder_that_raises_crashes_the_phase(engine, start_sut, load, step, error):
    with_decoder(engine, **{step: lambda: fail(error)})
    ended = engine.drive(start_sut(service_ms=0, lanes=64).url, load=load)
    assert ended.record.status == "crashed"
    assert ended.record.reason.startswith(f"the load generator failed: {type(error).__name__}: ")
    assert "a bug" in ended.record.reason
    assert ended.record.figures.n_completed == 0
    assert ended.queries[0].outcome == "crashed"
    assert ended.outcomes <= {"crashed", "cancelled"}
    assert all(query.completed_ns > 0 for query in ended.queries)


@pytest.mark.parametrize("load", LOADS, ids=["concurrency", "max_throughput", "poisson"])
def test_an_encoder_that_raises_crashes_the_phase(engine, start_sut, load):
    class Mine(VideoGenAdapter):
        def encode(self, row, edit=NO_EDIT):
            if row["prompt"] == "scene 9":
                raise RuntimeError("no scene 9")
            return super().encode(row, edit)

    engine.adapter = Mine(engine.adapter.params)
    ended = engine.drive(start_sut(service_ms=0, lanes=64).url, n_samples=64, load=load)
    assert ended.record.status == "crashed"
    assert ended.record.reason == "the load generator failed: RuntimeError: no scene 9"


def test_an_adapter_s_os_error_is_not_taken_for_a_full_disk(engine, start_sut):
    class Mine(VideoGenAdapter):
        def encode(self, row, edit=NO_EDIT):  # noqa: ARG002
            raise FileNotFoundError(2, "No such file", "picture.png")

    engine.adapter = Mine(engine.adapter.params)
    ended = engine.drive(start_sut().url)
    assert ended.record.reason.startswith("the load generator failed: FileNotFoundError")


def test_an_adapter_s_own_reasons_are_failed_queries(engine, start_sut):
    with_decoder(engine, finish=lambda: fail(BadReplyError("off_topic", "about\x00something \u202eelse")))
    ended = engine.drive(start_sut(service_ms=0).url, n_samples=4)
    assert ended.record.status == "refused"
    assert "all refused in one way: off_topic (about something else)" in ended.record.reason
    assert ended.record.figures.failures == {"off_topic": 4}
    assert ended.queries[0].detail == "about something else"


def test_a_secret_in_an_adapter_s_error_is_taken_out(engine, start_sut):
    with_decoder(engine, finish=lambda: fail(RuntimeError("cannot read reply to sk-123456")))
    ended = engine.drive(Target(urls=(start_sut().url,), secrets=("sk-123456",)))
    assert "sk-123456" not in ended.record.reason
    assert "**********" in ended.record.reason


def test_a_slow_decoder_does_not_make_a_query_longer(engine, start_sut):
    with_decoder(engine, finish=lambda: time.sleep(0.2))
    ended = engine.drive(start_sut(service_ms=1).url, n_samples=3, load=Concurrency(target=1))
    assert all(query.completed_ns - query.issued_ns < 0.2e9 for query in ended.queries)
    issues = [query.issued_ns for query in ended.queries]
    assert issues[1] - issues[0] > 0.2e9  # the time is the client's, and shows between the queries


def test_a_slow_feed_does_not_make_a_query_longer(engine, start_sut):
    with_decoder(engine, feed=lambda: time.sleep(0.2))
    ended = engine.drive(start_sut(service_ms=1).url, n_samples=3, load=Concurrency(target=1))
    assert all(query.completed_ns - query.issued_ns < 0.2e9 for query in ended.queries)


@pytest.mark.parametrize("load", LOADS, ids=["concurrency", "max_throughput", "poisson"])
@pytest.mark.parametrize("step", ["feed", "finish"])
@pytest.mark.parametrize("error", [pytest.fail.Exception("no pictures"), SystemExit(3)], ids=["pytest.fail", "exit"])
def test_what_is_no_exception_ends_the_phase_and_goes_on(engine, start_sut, load, step, error):
    with_decoder(engine, **{step: lambda: fail(error)})
    [planned] = engine.planned([engine.spec(load=load)])
    with pytest.raises(type(error)):
        run_group([planned], engine.source, Target(urls=(start_sut(service_ms=0, lanes=64).url,)))
    queries = list(read_queries(planned.directory / "queries.jsonl"))
    assert queries[0].outcome == "crashed"
    assert {query.outcome for query in queries} <= {"crashed", "cancelled"}
    phase = read_phase(planned.directory)
    assert phase is not None
    assert phase.status == "crashed"


@pytest.mark.parametrize("load", LOADS, ids=["concurrency", "max_throughput", "poisson"])
def test_a_decoder_that_raises_stop_iteration_crashes_the_phase(engine, start_sut, load):
    with_decoder(engine, finish=lambda: next(iter(())))
    ended = engine.drive(start_sut(service_ms=0, lanes=64).url, load=load)
    assert ended.record.status == "crashed"
    assert ended.queries[0].outcome == "crashed"


@pytest.mark.parametrize("load", LOADS, ids=["concurrency", "max_throughput", "poisson"])
@pytest.mark.parametrize(
    ("member", "error"),
    [
        ({"id": "\ud800"}, "UnicodeEncodeError"),
        ({"model": object()}, "TypeError"),
        ({"tokens": "5"}, "TypeError"),
        ({"cached_tokens": "5"}, "TypeError"),
        ({"first_token_ns": 1.5}, "TypeError"),
        ({"first_token_ns": 2**70}, "OverflowError"),
    ],
    ids=["surrogate", "object", "text for a count", "text for another count", "float", "70 bits"],
)
def test_a_reply_that_no_record_can_hold_crashes_the_phase_and_loses_no_other_query(
    engine, start_sut, load, member, error
):
    with_decoder(engine)
    finished = itertools.count()

    class Mine(Decoder):
        def finish(self):
            return Reply(digest="0" * 32, **(member if next(finished) == 5 else {}))

    type(engine.adapter).decoder = lambda self, *, keep_output=False: Mine()  # noqa: ARG005
    ended = engine.drive(start_sut(service_ms=0, lanes=64).url, load=load)
    assert ended.record.status == "crashed"
    assert ended.record.reason.startswith("the load generator failed: ")
    assert sorted(query.query for query in ended.queries) == list(range(len(ended.queries)))
    assert [query.detail for query in ended.queries if query.outcome == "crashed"] == [error]
    assert ended.record.figures.n_completed == sum(query.ok for query in ended.queries) >= 5
