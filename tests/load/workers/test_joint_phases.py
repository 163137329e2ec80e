"""What two workers send is what one process would have sent, and is recorded alike."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pytest_mlperf_audit.load.loop import run_until_done
from pytest_mlperf_audit.load.progress import Progress
from pytest_mlperf_audit.load.target import Target
from pytest_mlperf_audit.load.workers import clocks, crew
from pytest_mlperf_audit.load.workers import joint as joint_module
from pytest_mlperf_audit.load.workers.clocks import Reading, Trip
from pytest_mlperf_audit.load.workers.messages import Ping
from pytest_mlperf_audit.records.store import consistent
from pytest_mlperf_audit.runs.order import single, with_replacement, without_replacement
from pytest_mlperf_audit.runs.spec import Concurrency, Keep, MaxThroughput, Poisson

SPECS: dict[str, dict[str, Any]] = {
    "concurrency": {"n_samples": 200},
    "new_prompts": {"n_samples": 50, "nonce": "prefix", "nonce_seed": 7, "order": with_replacement(3)},
    "one_row": {"n_samples": 50, "order": single(3), "load": Concurrency(target=2)},
    "all_at_once": {"n_samples": 60, "load": MaxThroughput()},
    "arrivals": {"n_samples": 60, "load": Poisson(target_qps=600.0, seed=3)},
    "order_ends": {"n_samples": 500, "order": without_replacement(1)},
    "one_at_a_time": {"n_samples": 8, "load": Concurrency(target=1)},
    "outputs": {"n_samples": 20, "keep": Keep(target=5, seed=1)},
}


def test_they_send_what_one_process_sends(joint, start_sut):
    sut = start_sut(lanes=16, service_ms=1, repeat_ms=0)
    specs = [joint.engine.spec(label, **changes) for label, changes in SPECS.items()]
    together = joint.drive_all(sut.url, specs)
    alone = joint.engine.drive_all(sut.url, specs)
    assert [ended.record.status for ended in together] == ["complete"] * len(specs)
    for one, other in zip(together, alone, strict=True):
        sent = {query.query: (query.sample, query.request) for query in one.queries}
        assert sent == {query.query: (query.sample, query.request) for query in other.queries}
        assert one.record.stopped_by == other.record.stopped_by
        assert one.outcomes == {"completed"}
        kept = {query.query for query in one.queries if query.output is not None}
        assert kept == {query.query for query in other.queries if query.output is not None}
    assert sut.received == 2 * sum(len(ended.queries) for ended in together)


def test_records_are_in_the_order_of_issue_and_say_who_sent_them(joint, start_sut):
    sut = start_sut(lanes=16, service_ms=2, repeat_ms=0)
    ended = joint.drive(sut.url, n_samples=120, load=Concurrency(target=8))
    issued = [query.issued_ns for query in ended.queries]
    assert issued == sorted(issued)
    assert issued[0] >= 0
    sent = Counter(query.worker for query in ended.queries)
    assert set(sent) == {0, 1}
    assert [part.n_queries for part in ended.record.workers] == [sent[0], sent[1]]
    assert [part.host for part in ended.record.workers] == ["popen", "popen"]
    client = ended.record.client
    assert client.reused >= 120
    assert client.lag_samples > 0
    assert client.cpu_share > 0


def test_a_worker_without_a_connection_takes_no_part(joint, sut):
    ended = joint.drive(sut.url, n_samples=4, load=Concurrency(target=1))
    assert {query.worker for query in ended.queries} == {0}
    assert len(ended.record.workers) == 1
    assert "worker" not in msgspec.json.encode(ended.queries[0]).decode()


def test_the_records_can_be_checked_again(joint, start_sut):
    sut = start_sut(lanes=16, service_ms=1)
    [ended] = joint.drive_all(sut.url, [joint.engine.spec(n_samples=100)])
    directory = joint.engine.directory / f"run-{joint.engine._runs}" / "phase"
    assert consistent(directory, ended.record).figures.n_completed == 100
    assert sorted(path.name for path in directory.iterdir()) == ["phase.json", "queries.jsonl"]


@pytest.mark.parametrize("load", [Concurrency(target=6), Poisson(target_qps=400.0, seed=5)], ids=["closed", "arrivals"])
@pytest.mark.parametrize("limit", ["min_duration_ms", "max_duration_ms"])
def test_floor_and_ceiling_hold_over_all(joint, start_sut, load, limit):
    sut = start_sut(lanes=16, service_ms=5, repeat_ms=0)
    n_samples = 5 if limit == "min_duration_ms" else 100_000
    ended = joint.drive(sut.url, n_samples=n_samples, load=load, **{limit: 300})
    assert ended.record.status == "complete", ended.record.reason
    assert sorted(query.query for query in ended.queries) == list(range(len(ended.queries)))
    assert ended.record.stopped_by == ("count" if limit == "min_duration_ms" else "ceiling")
    latest = max(query.completed_ns for query in ended.queries)
    if limit == "min_duration_ms":
        assert latest >= 300_000_000
    assert len(ended.queries) > 20


def test_arrivals_are_one_schedule(joint, start_sut):
    sut = start_sut(lanes=64, service_ms=1, repeat_ms=0)
    load = Poisson(target_qps=500.0, seed=11)
    joint_one, alone = (driver(sut.url, n_samples=60, load=load) for driver in (joint.drive, joint.engine.drive))
    due = [
        {query.query: query.due_ns - min(one.due_ns for one in ended.queries) for query in ended.queries}
        for ended in (joint_one, alone)
    ]
    assert due[0] == due[1]
    assert {query.query % 2 for query in joint_one.queries if query.worker == 1} == {1}


def test_groups_follow_each_other_on_the_same_workers(joint, start_sut):
    sut = start_sut(lanes=16, service_ms=1, repeat_ms=0)
    for _ in range(2):
        first, second = joint.drive_all(sut.url, [joint.engine.spec("first"), joint.engine.spec("second")])
        assert (first.record.status, second.record.status) == ("complete", "complete")
    assert joint.crew.can_send


class _Ahead(list[Trip]):
    """Round trips to a clock that is 20 ms ahead of what it says."""

    def append(self, trip: Trip) -> None:
        super().append(trip._replace(theirs=trip.theirs + 20_000_000))


def test_a_clock_that_is_not_ours_is_mapped(joint, start_sut, monkeypatch):
    """The worker starts by the clock that it is told, 20 ms late, and its times are put right by as much."""
    sut = start_sut(lanes=16, service_ms=1, repeat_ms=0)
    monkeypatch.setattr(joint.crew.members[1], "trips", _Ahead())
    monkeypatch.setattr(clocks, "_MOST_OFF", 1.0)
    ended = joint.drive(sut.url, n_samples=200, load=Concurrency(target=8))
    assert ended.record.status == "complete", ended.record.reason
    assert [round(part.clock_offset_ns / 1e6) for part in ended.record.workers] == [0, 20]
    first = {number: min(query.issued_ns for query in ended.queries if query.worker == number) for number in (0, 1)}
    assert first[1] >= 0
    issued = [query.issued_ns for query in ended.queries]
    assert issued == sorted(issued)
    assert all(query.completed_ns > query.issued_ns for query in ended.queries)


@pytest.mark.parametrize(
    ("off_ns", "error_ns", "words"),
    [(50_000_000, 0, "ppm on ours"), (0, 400_000_000, "is known to 4")],
    ids=["drifting", "unknown"],
)
def test_a_clock_that_cannot_be_mapped_gives_no_verdict(joint, start_sut, monkeypatch, off_ns, error_ns, words):
    sut = start_sut(lanes=16, service_ms=1, repeat_ms=0)
    read = crew._read_clock
    n_read: Counter[int] = Counter()

    async def drifting(member):
        n_read[member.number] += 1
        found = await read(member)
        return Reading(found.at, found.offset + off_ns * (n_read[member.number] == 2), found.error + error_ns)

    monkeypatch.setattr(crew, "_read_clock", drifting)
    monkeypatch.setattr(joint_module, "_LEAD_NS", 500_000_000)
    for member in joint.crew.members:
        monkeypatch.setattr(member.gateway, "one_machine", not error_ns)
    ended = joint.drive(sut.url, n_samples=20)
    assert ended.record.status == "crashed"
    assert words in ended.record.reason
    assert "worker 0 (popen)" in ended.record.reason
    assert len(ended.queries) == 20


def test_secrets_are_on_no_command_line_and_in_no_environment(joint, start_sut):
    secret = "sk-very-secret-4711"
    sut = start_sut(lanes=16, service_ms=5, token=secret)
    seen: list[str] = []

    def look(_progress) -> None:
        places = [f"/proc/{pid}/{part}" for pid in joint.pids() for part in ("cmdline", "environ")]
        seen.extend(place for place in places if secret.encode() in Path(place).read_bytes())

    target = Target(urls=(sut.url,), headers={"Authorization": f"Bearer {secret}"}, secrets=(secret,))
    [ended] = joint.drive_all(target, [joint.engine.spec(n_samples=100)], report=look)
    assert (ended.record.status, ended.outcomes, seen) == ("complete", {"completed"}, [])


def test_progress_is_that_of_all(joint, start_sut):
    sut = start_sut(lanes=8, service_ms=20, repeat_ms=0)
    seen: list[Progress] = []
    joint.drive_all(sut.url, [joint.engine.spec(n_samples=200, load=Concurrency(target=8))], report=seen.append)
    assert any(0 < progress.issued < 200 for progress in seen)
    assert all(progress.completed <= progress.issued <= 200 for progress in seen)
    assert os.getpid() not in joint.pids()


def test_a_late_answer_to_a_ping_is_taken_for_nothing_else(joint):
    async def ask() -> list[Reading]:
        found: list[Reading] = []
        for number in range(5):
            joint.crew._bind()
            for member in joint.crew.members:
                member.send(Ping(number))
            assert await joint.crew.owed(0.1) is None
            for member in joint.crew.members:
                member.send(Ping(number))
            found += await joint.crew.read_clocks(joint.crew.members)
        return found

    for found in run_until_done(ask):
        assert abs(found.offset) <= found.error
