"""Records of several processes put together in the order of issue."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import pytest

from pytest_mlperf_audit.records import merge as module
from pytest_mlperf_audit.records.log import read_queries
from pytest_mlperf_audit.records.merge import Written, merge
from pytest_mlperf_audit.runs.query import QueryRecord


def _record(query: int, issued_ns: int, worker: int, **fields: object) -> QueryRecord:
    values = {"completed_ns": issued_ns + 5, "request": f"{query:032x}", **fields}
    return QueryRecord(query=query, sample=query % 7, issued_ns=issued_ns, worker=worker, **values)  # type: ignore[arg-type]


def _write(path: Path, records: list[QueryRecord]) -> Path:
    path.write_bytes(msgspec.json.Encoder().encode_lines(records))
    return path


@pytest.mark.parametrize("block", [1, 64, 2**22])
@pytest.mark.parametrize("n_parts", [1, 2, 5])
def test_lines_are_put_in_the_order_of_issue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int, n_parts: int):
    monkeypatch.setattr(module, "_BLOCK", block)
    monkeypatch.setattr(module, "_AT_ONCE", 7)
    rng = random.Random(1)
    records = [_record(at, at * 10 + rng.randrange(500), rng.randrange(n_parts)) for at in range(300)]
    records[5].detail = 'a "quoted\n" line'
    parts = []
    for worker in range(n_parts):
        own = [record for record in records if record.worker == worker]
        rng.shuffle(own)
        parts.append(Written(_write(tmp_path / f"{worker}.jsonl", own)))
    merge(parts, tmp_path / "queries.jsonl")
    found = list(read_queries(tmp_path / "queries.jsonl"))
    assert [one.issued_ns for one in found] == sorted(one.issued_ns for one in records)
    assert sorted(found, key=lambda one: one.query) == records
    assert [path.name for path in tmp_path.iterdir()] == ["queries.jsonl"]


def test_times_by_another_clock_are_put_right(tmp_path: Path):
    ours = _write(tmp_path / "0.jsonl", [_record(0, 100, 0), _record(2, 300, 0)])
    theirs = _write(tmp_path / "1.jsonl", [_record(1, 1200, 1, first_token_ns=1203, due_ns=1190)])
    merge([Written(ours), Written(theirs, lambda at_ns: at_ns - 1000)], tmp_path / "queries.jsonl")
    first, second, third = read_queries(tmp_path / "queries.jsonl")
    assert [first.query, second.query, third.query] == [0, 1, 2]
    assert (second.issued_ns, second.completed_ns, second.first_token_ns, second.due_ns) == (200, 205, 203, 190)


def test_workers_without_a_record_leave_an_empty_file(tmp_path: Path):
    merge([Written(_write(tmp_path / "0.jsonl", [])), Written(_write(tmp_path / "1.jsonl", []))], tmp_path / "q.jsonl")
    assert (tmp_path / "q.jsonl").read_bytes() == b""


def test_what_cannot_be_put_together_stays(tmp_path: Path):
    part = _write(tmp_path / "0.jsonl", [_record(0, 1, 0)])
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"file"):
        merge([Written(part)], tmp_path / "file" / "queries.jsonl")
    assert part.exists()
