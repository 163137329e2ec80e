"""A worker that dies, falls silent or cannot be started: no verdict, the records kept, one message, nothing left."""

from __future__ import annotations

import asyncio
import importlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from pytest_mlperf_audit.config.model_params import ModelParams
from pytest_mlperf_audit.endpoints.source import RequestSource
from pytest_mlperf_audit.errors import HostError
from pytest_mlperf_audit.load.target import Target
from pytest_mlperf_audit.load.workers import hello, team
from pytest_mlperf_audit.load.workers.crew import Crew
from pytest_mlperf_audit.runs.spec import Concurrency

_SUPPORT = Path(__file__).parents[2] / "support"


def _hurt_in_mid_phase(hurt):
    """Return a `report` that hurts once queries are completed, and its thread's end."""
    done = threading.Event()

    def report(progress) -> None:
        if progress.completed and not done.is_set():
            done.set()
            hurt()

    return report


@pytest.fixture
def quick(monkeypatch):
    """A link that is silent for a fifth of a second is cut."""
    monkeypatch.setattr(team, "_BEAT_S", 0.02)
    monkeypatch.setattr(team, "_SILENT_BEATS", 10)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP])
def test_a_worker_that_dies_or_stops(own_crew, start_sut, signum):
    joint = own_crew()
    sut = start_sut(lanes=16, service_ms=2, repeat_ms=0)
    spec = joint.engine.spec(n_samples=100_000, load=Concurrency(target=8))
    hurt = _hurt_in_mid_phase(lambda: os.kill(joint.pids()[1], signum))
    first, *more = joint.drive_all(sut.url, [spec, joint.engine.spec("next")], report=hurt)
    assert more == []
    assert first.record.status in {"crashed", "interrupted"}
    assert first.record.reason.startswith("worker 1 (popen): ")
    if signum == signal.SIGSTOP:
        assert first.record.reason == (
            "worker 1 (popen): nothing came from it for 0.2 s; see whether its machine and the link to it hold up"
        )
    assert first.record.figures.n_issued == len(first.queries) > 0
    assert {query.worker for query in first.queries} == {0, 1}
    assert sum(query.outcome == "cancelled" for query in first.queries) <= 8
    assert not joint.crew.can_send


def test_a_worker_that_dies_before_the_phase(own_crew):
    joint = own_crew()
    joint.crew.equip([(joint.source, joint.engine.spec())], None)
    os.kill(joint.pids()[0], signal.SIGKILL)
    psutil.Process(joint.pids()[0]).wait()
    with pytest.raises(HostError, match=r"worker 0 \(popen\): .*ended"):
        joint.crew.equip([(joint.source, joint.engine.spec())], None)


def test_ctrl_c_reaches_all(own_crew, start_sut):
    joint = own_crew()
    sut = start_sut(lanes=16, service_ms=10, repeat_ms=0)
    hurt = _hurt_in_mid_phase(lambda: os.kill(os.getpid(), signal.SIGINT))
    spec = joint.engine.spec(n_samples=100_000, load=Concurrency(target=8))
    with pytest.raises(KeyboardInterrupt):
        joint.drive_all(sut.url, [spec], report=hurt)
    directory = joint.engine.directory / f"run-{joint.engine._runs}" / "phase"
    record = json.loads((directory / "phase.json").read_text())
    lines = [json.loads(line) for line in (directory / "queries.jsonl").read_text().splitlines()]
    assert (record["status"], record["reason"]) == ("interrupted", f"interrupted after {len(lines)} queries")
    assert {line.get("worker", 0) for line in lines} == {0, 1}
    assert 1 <= sum(line.get("outcome") == "cancelled" for line in lines) <= 8
    assert len({line["query"] for line in lines}) == len(lines)


@pytest.mark.parametrize("bound", [False, True], ids=["clocks", "connections"])
def test_ctrl_c_before_the_first_query_leaves_a_record(own_crew, start_sut, monkeypatch, bound):
    joint = own_crew()
    sut = start_sut()

    async def interrupted(*_):
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(60)

    monkeypatch.setattr(team, "_STOP_S", 0.2)
    if bound:
        monkeypatch.setattr(team.Team, "prepared", interrupted)
    else:
        monkeypatch.setattr(Crew, "read_clocks", interrupted)
    with pytest.raises(KeyboardInterrupt):
        joint.drive_all(sut.url, [joint.engine.spec()])
    directory = joint.engine.directory / f"run-{joint.engine._runs}" / "phase"
    record = json.loads((directory / "phase.json").read_text())
    assert (record["status"], record["reason"]) == ("interrupted", "interrupted before its first query")
    assert sorted(path.name for path in directory.iterdir()) == ["phase.json", "queries.jsonl"]
    assert sut.received == 0


def test_a_worker_that_dies_while_clocks_are_read(own_crew, start_sut, monkeypatch):
    joint = own_crew()
    sut = start_sut()
    read = Crew.read_clocks

    async def hurt(crew, members):
        os.kill(joint.pids()[1], signal.SIGKILL)
        return await read(crew, members)

    monkeypatch.setattr(team, "_STOP_S", 0.2)
    monkeypatch.setattr(Crew, "read_clocks", hurt)
    first, *more = joint.drive_all(sut.url, [joint.engine.spec(), joint.engine.spec("next")])
    assert more == []
    assert first.record.status == "crashed"
    assert first.record.reason.startswith("worker 1 (popen): the connection to it ended")
    assert sut.received == 0


def test_a_hanging_server_cannot_hold_the_workers(own_crew, start_sut):
    joint = own_crew()
    sut = start_sut(service_ms=0, fault="hang", lanes=16)

    def interrupt() -> None:
        sut.wait_for(4)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        joint.drive_all(sut.url, [joint.engine.spec(n_samples=4, load=Concurrency(target=4))])


def test_workers_end_when_their_controller_is_killed(start_sut, tmp_path, until):
    sut = start_sut(lanes=16, service_ms=2, repeat_ms=0)
    given = {"url": sut.url, "directory": str(tmp_path), "n": 100_000, "target": 8, "workers": 2}
    command = [sys.executable, str(_SUPPORT / "phase_process.py"), json.dumps(given)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        workers = psutil.Process(process.pid).children()
        assert len(workers) >= 2
        process.kill()
    until(lambda: not any(map(psutil.Process.is_running, workers)), "the workers' end")
    files = sorted(path.name for path in (tmp_path / "phase").iterdir())
    assert files == ["queries.jsonl", "queries.worker-0.jsonl", "queries.worker-1.jsonl"]


def test_an_endpoint_that_is_lost(own_crew, start_sut):
    joint = own_crew()
    sut = start_sut(lanes=16, service_ms=2, repeat_ms=0)
    spec = joint.engine.spec(n_samples=100_000, load=Concurrency(target=8))
    [ended] = joint.drive_all(sut.url, [spec], report=_hurt_in_mid_phase(sut.kill))
    assert ended.record.status == "endpoint_lost"
    assert "the endpoint was lost" in ended.record.reason
    assert ended.record.reason.endswith("of this worker's queries had completed")


def test_an_endpoint_that_refuses_all(own_crew, start_sut):
    joint = own_crew()
    sut = start_sut(lanes=16, refuse_unknown="no such prompt")
    ended = joint.drive(sut.url, n_samples=10_000, load=Concurrency(target=8))
    assert ended.record.status == "refused"
    assert "the first 10 queries were all refused in one way: http_400" in ended.record.reason
    assert sut.received < 1000


def test_queries_that_are_not_drained(own_crew, start_sut):
    joint = own_crew()
    sut = start_sut(service_ms=0, fault="hang", fault_after=3, lanes=16)
    ended = joint.drive(sut.url, n_samples=8, load=Concurrency(target=4), drain_timeout_s=0.2)
    assert ended.record.status == "undrained"
    assert "were still in flight when the drain time limit was over" in ended.record.reason


def test_records_that_cannot_be_written(own_crew, start_sut, monkeypatch):
    joint = own_crew()
    sut = start_sut(lanes=16, service_ms=2, repeat_ms=0)

    def no_space(_file, _data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pytest_mlperf_audit.load.workers.member.os.write", no_space)
    ended = joint.drive(sut.url, n_samples=100_000, load=Concurrency(target=8))
    assert ended.record.status == "crashed"
    assert "its records could not be written (No space left on device)" in ended.record.reason


def _refusal(*specs: str) -> str:
    with pytest.raises(HostError) as caught:
        Crew(specs)
    message = str(caught.value)
    assert message.startswith(("popen", "ssh="))
    assert "\n" not in message
    return message


def test_a_python_that_is_not_there():
    assert "no Python starts there (FileNotFoundError" in _refusal("popen", "popen//python=/nowhere/python")


def test_a_host_that_is_not_there(fake_ssh):
    assert "ssh=absent: ssh cannot log in there" in _refusal("popen", "ssh=absent")
    assert "-o BatchMode=yes -o ConnectTimeout=10 absent" in fake_ssh.read_text()


@pytest.mark.usefixtures("fake_ssh")
def test_a_host_without_that_python():
    assert "no Python" in (message := _refusal("ssh=host//python=/nowhere/python"))
    assert "127" in message


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("python", "3.99", "here it is 3.99; name another one there, as in //python=python3.99"),
        ("version", "9.9.9", "here it is 9.9.9; install that one there (from the same sources as here)"),
        ("code", "0" * 64, "has other code than here"),
    ],
)
def test_another_version_than_here(monkeypatch, name, value, words):
    ours = {**hello.findings(), name: value}
    monkeypatch.setattr(hello, "findings", lambda: ours)
    assert words in _refusal("popen")


def test_more_processes_than_files_allow(monkeypatch):
    monkeypatch.setattr("pytest_mlperf_audit.load.workers.gateways.room_for", lambda _: 5)
    with pytest.raises(HostError, match=r"2 processes need 8 open files, and this one may have 5; raise `ulimit -n`"):
        Crew(["popen", "popen"])


def test_phases_over_ssh(own_crew, start_sut, fake_ssh, python):
    joint = own_crew("popen", f"ssh=user@host{python}")
    sut = start_sut(lanes=16, service_ms=1, repeat_ms=0)
    ended = joint.drive(sut.url, n_samples=100, load=Concurrency(target=8))
    assert ended.record.status == "complete", ended.record.reason
    assert {query.worker for query in ended.queries} == {0, 1}
    assert sorted(query.query for query in ended.queries) == list(range(100))
    assert "user@host" in fake_ssh.read_text()


def test_an_endpoint_that_a_worker_does_not_reach(own_crew, start_sut):
    joint = own_crew()
    sut = start_sut()
    sut.kill()
    with pytest.raises(HostError, match=r"popen: endpoint http://127.0.0.1:\d+ cannot be reached from there"):
        joint.crew.equip([(joint.source, joint.engine.spec())], Target(urls=(sut.url,)))


_ADAPTER = """
from pytest_mlperf_audit.endpoints.media.videogen import VideoGenAdapter
from beside_{number} import WORD

class Mine(VideoGenAdapter):
    api_type = "mine"

    def encode(self, row, edit=None):
        return b'{{"prompt": "' + WORD + b" " + str(row["prompt"]).encode() + b'"}}'
"""
_BAD_REPLIES = """
    def decoder(self, *, keep_output=False):
        class Decoder:
            def feed(self, data, at_ns):
                pass

            def finish(self):
                from pytest_mlperf_audit.endpoints.base import Reply

                return Reply(digest="0" * 32, tokens="many")

        return Decoder()
"""
_number = itertools.count()


@pytest.fixture
def third_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An adapter of a module as a conftest.py is one, and the file beside it that it imports."""
    number = next(_number)
    (tmp_path / f"somebody_{number}.py").write_text(_ADAPTER.format(number=number))
    beside = tmp_path / f"beside_{number}.py"
    beside.write_text("WORD = b'hello'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    module = importlib.import_module(f"somebody_{number}")
    return module.Mine(ModelParams(name="x")), beside


def test_an_adapter_of_a_third_party(own_crew, start_sut, third_party):
    joint = own_crew()
    joint.source = RequestSource(joint.engine.dataset, third_party[0])
    sut = start_sut(lanes=16, service_ms=1, repeat_ms=0)
    assert joint.drive(sut.url, n_samples=8).record.status == "complete"
    assert all(b"hello scene" in body for body in sut.bodies())


def test_an_adapter_whose_replies_no_record_can_hold(own_crew, start_sut, third_party):
    adapter, beside = third_party
    module = Path(str(beside).replace("beside", "somebody"))
    module.write_text(module.read_text() + _BAD_REPLIES)
    joint = own_crew()
    joint.source = RequestSource(joint.engine.dataset, adapter)
    ended = joint.drive(start_sut(lanes=16, service_ms=1, repeat_ms=0).url, n_samples=8)
    assert ended.record.status == "crashed"
    assert "the load generator failed: TypeError: a count of tokens that is one of ('many'" in ended.record.reason
    assert "crashed" in ended.outcomes


def test_an_adapter_that_is_another_one_there(own_crew, third_party):
    joint = own_crew()
    joint.source = RequestSource(joint.engine.dataset, third_party[0])
    third_party[1].write_text("WORD = b'bye'\n")
    with pytest.raises(HostError, match=r"popen: adapter Mine makes another request of row 0 there than here"):
        joint.crew.equip([(joint.source, joint.engine.spec())], None)


def test_an_adapter_that_cannot_be_imported_there(own_crew, third_party):
    joint = own_crew()
    joint.source = RequestSource(joint.engine.dataset, third_party[0])
    third_party[1].unlink()
    with pytest.raises(HostError, match=r"adapter Mine of somebody_\d+ cannot be imported there .*beside"):
        joint.crew.equip([(joint.source, joint.engine.spec())], None)


def test_a_worker_that_hears_nothing_ends_by_itself():
    """Its last resort; in mid-phase a controller that is stopped says nothing."""
    from pytest_mlperf_audit.load.workers import worker as worker_module

    class Silent:
        def __init__(self) -> None:
            self.sent: list[bytes] = []

        def setcallback(self, _take, endmarker) -> None:
            pass

        def send(self, raw: bytes) -> None:
            self.sent.append(raw)

    async def run() -> bool:
        worker = worker_module.Worker(Silent())
        worker._loop = asyncio.get_running_loop()
        worker._task = None
        worker._heard_ns -= 6 * 10**9
        ended = asyncio.Event()
        worker._end = ended.set  # type: ignore[method-assign]

        class Relieved:
            def relieve(self) -> None:
                pass

        ticking = asyncio.ensure_future(worker._tick(Relieved()))  # type: ignore[arg-type]
        await asyncio.wait_for(ended.wait(), 10)
        ticking.cancel()
        worker._shipper.close()
        return True

    assert asyncio.run(run())


def test_a_worker_that_fails_says_what_with(own_crew):
    """A message that it does not know stands for any defect of ours."""
    joint = own_crew()
    member = joint.crew.members[1]
    member.gateway.channel.send(b"\xc1")
    with pytest.raises(HostError, match=r"worker 1 \(popen\): (it failed with .*\w|the connection to it ended)"):
        joint.crew.equip([(joint.source, joint.engine.spec())], None)
