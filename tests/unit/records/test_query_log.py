from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_mlperf_audit.errors import RecordError
from pytest_mlperf_audit.records import log as log_module
from pytest_mlperf_audit.records.log import QueryLog, read_columns, read_queries
from pytest_mlperf_audit.runs.columns import QueryColumns
from pytest_mlperf_audit.runs.query import QueryRecord

texts = st.none() | st.text(alphabet=st.characters(exclude_categories=["Cs"]))
counts = st.none() | st.integers(0, 2**31 - 1)
records = st.builds(
    QueryRecord,
    query=st.integers(0, 2**53),
    sample=st.integers(0, 2**53),
    issued_ns=st.integers(0, 2**62),
    completed_ns=st.integers(0, 2**62),
    request=st.binary(min_size=16, max_size=16).map(bytes.hex),
    outcome=st.sampled_from(["completed", "timeout", "http_500"]),
    first_token_ns=st.none() | st.integers(0, 2**62),
    due_ns=st.none() | st.integers(-(2**62), 2**62),
    status=st.integers(0, 999),
    reply=texts,
    reply_id=texts,
    tokens=counts,
    cached_tokens=counts,
    finish_reason=texts,
    detail=texts,
    output=texts,
)


@given(st.lists(records, max_size=20))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_what_is_appended_is_read(tmp_path, given_records):
    path = tmp_path / "queries.jsonl"
    path.unlink(missing_ok=True)
    with QueryLog(path) as log:
        for record in given_records:
            log.append(record)
    assert list(read_queries(path)) == given_records
    assert path.read_bytes().count(b"\n") == len(given_records)
    again = read_columns(path)
    assert again.issued_ns.tolist() == log.columns.issued_ns.tolist()
    assert again.failures() == log.columns.failures()
    assert again.distinct_requests() == log.columns.distinct_requests()


def test_a_record_is_on_disk_as_soon_as_it_is_appended(tmp_path, query):
    log = QueryLog(tmp_path / "queries.jsonl")
    log.append(query(1))
    assert len(list(read_queries(tmp_path / "queries.jsonl"))) == 1
    log.close()


def test_a_killed_process_loses_no_record(tmp_path):
    path = tmp_path / "queries.jsonl"
    script = (
        "import sys, os, signal\n"
        "from pathlib import Path\n"
        "from pytest_mlperf_audit.records.log import QueryLog\n"
        "from pytest_mlperf_audit.runs.query import QueryRecord\n"
        "log = QueryLog(Path(sys.argv[1]))\n"
        "for n in range(100):\n"
        "    log.append(QueryRecord(query=n, sample=n, issued_ns=n, completed_ns=n + 1, request='0' * 32))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, path], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert [record.query for record in read_queries(path)] == list(range(100))


def test_an_existing_log_is_never_written_to(tmp_path):
    (tmp_path / "queries.jsonl").write_text("mine")
    with pytest.raises(FileExistsError):
        QueryLog(tmp_path / "queries.jsonl")
    assert (tmp_path / "queries.jsonl").read_text() == "mine"


def test_closing_twice_does_no_harm(tmp_path):
    log = QueryLog(tmp_path / "deep" / "er" / "queries.jsonl")
    log.close()
    log.close()
    assert list(read_queries(tmp_path / "deep" / "er" / "queries.jsonl")) == []


def write(path, query, tail: bytes):
    with QueryLog(path) as log:
        log.append(query(0))
        log.append(query(1))
    with path.open("ab") as file:
        file.write(tail)


LINE = b'{"query":2,"sample":2,"issued_ns":20,"completed_ns":25,"request":"' + b"0" * 32 + b'"}'


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        (LINE[:40], "3: the last record is cut short"),
        (LINE, "3: the last record is cut short"),  # whole but for its end: a later record may have been lost
        (b"\n", "3: not a query record"),
        (b"\xff\xfe\x00\n", "3: not a query record"),
        (b'{"query": "\xff"}\n', "3: not a query record"),
        (b"[]\n", "3: not a query record"),
        (b'{"query": 2}\n', "3: not a query record"),
        (LINE.replace(b'"query":2', b'"query":"two"') + b"\n", "3: not a query record"),
        (LINE.replace(b"0" * 32, b"zz" * 16) + b"\n", "3: not a query record"),
        (LINE.replace(b"0" * 32, b"00") + b"\n", "3: not a query record"),
        (b"[" * 100_000 + b"\n", "3: not a query record"),
        (LINE[:30] + LINE + b"\n", "3: not a query record"),
        (LINE.replace(b":20,", b":99999999999999999999,") + b"\n", "number too large|not a query record"),
    ],
)
def test_a_foreign_or_cut_line_is_named(tmp_path, query, tail, message):
    path = tmp_path / "queries.jsonl"
    write(path, query, tail)
    with pytest.raises(RecordError, match=message) as caught:
        read_columns(path)
    assert str(path) in str(caught.value)


def test_lines_before_a_cut_one_can_be_read(tmp_path, query):
    path = tmp_path / "queries.jsonl"
    write(path, query, LINE[:10])
    reader = read_queries(path)
    assert [next(reader).query, next(reader).query] == [0, 1]


@pytest.mark.parametrize("kind", ["missing", "directory"])
def test_a_log_that_cannot_be_read_is_named(tmp_path, kind):
    path = tmp_path / "queries.jsonl"
    if kind == "directory":
        path.mkdir()
    with pytest.raises(RecordError, match=r"queries.jsonl: cannot be read \("):
        read_columns(path)


def test_columns_are_read_once_and_anew_when_the_file_changes(tmp_path, query):
    path = tmp_path / "queries.jsonl"
    write(path, query, b"")
    os.utime(path, (1, 1))
    once = read_columns(path)
    assert read_columns(path) is once
    os.utime(path, (2, 2))
    assert read_columns(path) is not once
    assert len(read_columns(path)) == len(once)


def test_columns_of_a_file_that_was_just_written_are_read_again(tmp_path, query):
    path = tmp_path / "queries.jsonl"
    write(path, query, b"")
    os.utime(path)
    assert read_columns(path) is not read_columns(path)


def fill(log, records):
    for record in records:
        log.append(record)


def test_a_full_disk_leaves_whole_lines(tiny_disk, query):
    path = tiny_disk / "queries.jsonl"
    log = QueryLog(path)
    with pytest.raises(OSError, match="No space left") as caught:
        fill(log, (query(number, detail="x" * 900) for number in range(1000)))
    assert caught.value.errno == errno.ENOSPC
    log.append(query(7))  # a shorter record may fit yet, and must not follow half of another
    log.close()
    lines = path.read_bytes().splitlines()
    assert [json.loads(line)["query"] for line in lines] == [*range(len(lines) - 1), 7]
    assert len(read_columns(path)) == len(log.columns) == len(lines) > 10


def test_a_failing_sync_closes_the_file_all_the_same(tmp_path, monkeypatch):
    log = QueryLog(tmp_path / "queries.jsonl")
    descriptor = log._descriptor

    def fail(_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output"):
        log.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
    log.close()


@pytest.mark.parametrize("block", [1, 300, 2**20])
def test_a_log_is_read_alike_in_blocks_of_any_size(tmp_path, query, monkeypatch, block):
    monkeypatch.setattr(log_module, "_BLOCK", block)
    path = tmp_path / "queries.jsonl"
    with QueryLog(path) as log:
        for number in range(20):
            log.append(query(number, detail="x" * (number * 40)))
    assert log_module._columns(path).issued_ns.tolist() == QueryColumns(read_queries(path)).issued_ns.tolist()


@pytest.mark.parametrize("damage", [b'{"query": 1}\n', b"\n", b"{\n}\n", b'{"query"'])
@pytest.mark.parametrize("block", [1, 2**20])
def test_the_line_that_is_amiss_is_named(tmp_path, query, monkeypatch, block, damage):
    monkeypatch.setattr(log_module, "_BLOCK", block)
    path = tmp_path / "queries.jsonl"
    with QueryLog(path) as log:
        log.append(query(0))
        log.append(query(1))
    path.write_bytes(path.read_bytes() + damage)
    with pytest.raises(RecordError, match=r"queries\.jsonl:3: "):
        read_columns(path)
