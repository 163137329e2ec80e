"""A worker's part of a phase, without a controller."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from pytest_mlperf_audit.load.target import Target
from pytest_mlperf_audit.load.workers.dealer import Chunk
from pytest_mlperf_audit.load.workers.messages import Deal, Held, Prepare, Report, Want
from pytest_mlperf_audit.load.workers.part import Part, ShippedLog
from pytest_mlperf_audit.runs.query import QueryRecord


def _part(engine: Any, told: list[Report]) -> Part:
    plan = Prepare(engine.spec(), 0, (0, 2), None)
    log = ShippedLog(0, lambda _: None)
    return Part(plan, engine.source, Target(urls=("http://localhost:1",)), cast("Any", None), log, told.append)


def test_what_is_held_is_given_back_and_asked_for_anew(engine):
    told: list[Report] = []
    part = _part(engine, told)
    part.prepare()
    part.deal(Deal(Chunk(0, 4), 10))
    told.clear()
    part.hold()
    assert told == [Held((Chunk(0, 4),), -1), Want(4)]


def test_a_part_that_is_over_takes_no_more(engine):
    """What it asked for now would be dealt to it, and never be sent."""
    told: list[Report] = []

    async def hold() -> None:
        part = _part(engine, told)
        part._over = asyncio.get_running_loop().create_future()
        part._over.set_result(None)
        part.hold()

    asyncio.run(hold())
    assert told == []


def test_a_log_that_is_shipped_counts_what_it_has(query):
    shipped: list[bytes] = []
    log = ShippedLog(3, shipped.append)
    log.extend([query(0, outcome="timeout"), query(1), query(2, completed_ns=1020)])
    log.ship()
    log.ship()
    assert [line.count(b"\n") for line in shipped] == [3]
    assert b'"worker":3' in shipped[0]
    assert (len(log), log.failures(), log.longest_s) == (3, {"timeout": 1}, 1e-6)
    assert log.mean_s == pytest.approx((5e-9 + 1e-6) / 2)


@pytest.mark.parametrize("changes", [{"tokens": "many"}, {"prompt_tokens": "9"}, {"cached_tokens": 1.5}])
def test_a_record_that_no_column_can_hold_is_refused_with_its_batch(query, changes):
    shipped: list[bytes] = []
    log = ShippedLog(0, shipped.append)
    with pytest.raises(TypeError, match="a count of tokens"):
        log.extend([query(0), query(1, **changes)])
    log.ship()
    assert (len(log), shipped) == (0, [])


@pytest.fixture
def query():
    def make(number: int, **changes: Any) -> QueryRecord:
        values = {"issued_ns": number * 10, "completed_ns": number * 10 + 5, **changes}
        return QueryRecord(query=number, sample=number, request=f"{number:032x}", **values)

    return make
