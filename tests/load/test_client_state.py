"""What the client knows of itself in a phase: how late its loop was, and what became of its connections."""

from __future__ import annotations

import time
from typing import Any

import pytest

from pytest_mlperf_audit.load import client_state
from pytest_mlperf_audit.load.client_state import ClientWatch
from pytest_mlperf_audit.load.loop import run_until_done
from pytest_mlperf_audit.load.transport import Connections
from pytest_mlperf_audit.runs.phase import ClientState
from pytest_mlperf_audit.runs.spec import Concurrency

BLOCKED_S = 0.3


@pytest.fixture(params=["kernel", "loop"])
def timer(request, monkeypatch):
    """Each of the two timers; the second is that of systems whose kernel offers none."""
    if request.param == "loop":
        monkeypatch.setattr(client_state, "_timer", lambda: None)


class Blocking:
    """A report that holds the loop up once, while queries are under way."""

    def __init__(self) -> None:
        self.left = 1

    def __call__(self, progress: Any) -> None:
        if progress.issued and self.left:
            self.left -= 1
            self.hold()

    def hold(self) -> None:
        time.sleep(BLOCKED_S)


@pytest.mark.usefixtures("timer")
def test_a_loop_that_was_blocked_is_seen(engine, start_sut):
    sut = start_sut(service_ms=20, lanes=4)
    [ended] = engine.drive_all(sut.url, [engine.spec(n_samples=80)], report=Blocking())
    client = ended.record.client
    assert BLOCKED_S * 0.8 < client.lag_max_s < ended.record.duration_s
    assert client.lag_p99_s > 0.5 * BLOCKED_S, "the samples are spread over the time: each period of the block has one"
    assert client.lag_samples >= BLOCKED_S / 0.01
    assert client.lag_mean_s > BLOCKED_S**2 / 3 / ended.record.duration_s
    assert client.delay_share > 0.5 * BLOCKED_S / ended.record.duration_s


@pytest.mark.usefixtures("timer")
def test_a_loop_that_was_blocked_to_the_end_is_seen():
    async def watch() -> ClientState:
        watch = ClientWatch(Connections(3, 5, 0))
        time.sleep(BLOCKED_S)  # noqa: ASYNC251 - as something heavy in the process would do
        watch.stop(Connections(4, 9, 1))
        return watch.state(1.0)

    state = run_until_done(watch)
    assert state.lag_max_s > BLOCKED_S * 0.8
    assert state.delay_share == pytest.approx(2 * state.lag_mean_s, rel=0.01), "less than a latency"
    assert (state.opened, state.reused, state.resent) == (1, 4, 1)


def test_samples_do_not_keep_step_with_a_server(engine, start_sut):
    """Each period has one sample, whenever in it."""
    ended = engine.drive(start_sut(service_ms=10, lanes=4).url, n_samples=80)
    samples, periods = ended.record.client.lag_samples, ended.record.duration_s / 0.01
    assert samples == pytest.approx(periods, abs=2 + 0.1 * periods)


def test_cpu_time_is_that_of_this_process(engine, start_sut):
    class Working(Blocking):
        def hold(self) -> None:
            until_s = time.process_time() + 0.1
            while time.process_time() < until_s:
                pass

    [ended] = engine.drive_all(start_sut(service_ms=20, lanes=4).url, [engine.spec(n_samples=80)], report=Working())
    assert ended.record.client.cpu_share * ended.record.duration_s > 0.099


def test_connections_are_opened_before_the_clock_starts_and_used_again(engine, start_sut):
    first, second = engine.drive_all(start_sut(service_ms=1).url, [engine.spec("first"), engine.spec("second")])
    for ended in (first, second):
        client = ended.record.client
        assert (client.opened, client.reused, client.resent) == (0, 16, 0)
        assert ended.record.figures.most_in_flight == 4


def test_a_server_that_closes_each_connection_has_each_opened(engine, start_sut):
    client = engine.drive(start_sut(service_ms=1, close=True).url).record.client
    assert client.opened + client.reused == 16 + client.resent
    assert client.opened >= 12, "four at most were open before"


def test_a_phase_without_a_reply_has_a_state(engine, start_sut):
    ended = engine.drive(start_sut(service_ms=1, fault="500").url, load=Concurrency(target=1))
    assert (ended.record.client.delay_share, ended.record.client.reused) == (0.0, len(ended.queries))
