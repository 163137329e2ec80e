from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_mlperf_audit.errors import RecordError
from pytest_mlperf_audit.loadgen import accuracy_log
from pytest_mlperf_audit.loadgen.accuracy_log import AccuracyLog, Entry, read_hash, read_truncated
from pytest_mlperf_audit.loadgen.json_stream import JsonStream
from tests.support.accuracy_logs import log_bytes, sample, truncated

_SAMPLES = [sample(index, range(index, index + 5)) for index in range(40)]
_IN_PLACE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def _log(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "mlperf_log_accuracy.json"
    path.write_bytes(content)
    return path


def _indented(samples: list[dict[str, Any]]) -> bytes:
    return json.dumps(samples, indent=4).encode()


_SHAPES = {
    "LoadGen": log_bytes,
    "pretty": _indented,
    "one line": lambda samples: json.dumps(samples).encode(),
    "compact": lambda samples: json.dumps(samples, separators=(",", ":")).encode(),
    "padded": lambda samples: log_bytes(samples).replace(b" : ", b"   :\t  "),
    "CRLF": lambda samples: log_bytes(samples).replace(b"\n", b"\r\n"),
    "no last line end": lambda samples: log_bytes(samples).rstrip(),
    "JSON lines": lambda samples: b"\n".join(json.dumps(each).encode() for each in samples) + b"\n",
    "one after the other": lambda samples: b"".join(json.dumps(each).encode() for each in samples),
    "lower-case hex": lambda samples: log_bytes(samples).lower(),
}


@pytest.mark.parametrize("shape", _SHAPES)
def test_a_log_of_any_shape_gives_the_same_entries(tmp_path: Path, shape: str) -> None:
    path = _log(tmp_path, _SHAPES[shape](_SAMPLES))
    log = AccuracyLog(path)
    entries = list(log)
    assert [entry.qsl_idx for entry in entries] == list(range(40))
    assert entries[3] == Entry(
        qsl_idx=3, seq_id=3, data=bytes.fromhex(_SAMPLES[3]["data"]), token_data=b"\3\0\0\0", token_count=5
    )
    assert log.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert log.array == (shape not in ("JSON lines", "one after the other"))


@pytest.mark.parametrize("content", [b"[\n]\n", b"[]", b" [ ] "])
def test_an_empty_log_has_no_entries(tmp_path: Path, content: bytes) -> None:
    assert list(AccuracyLog(_log(tmp_path, content))) == []


def test_what_is_absent_is_none(tmp_path: Path) -> None:
    path = _log(tmp_path, b'[{"qsl_idx": 7, "data": ""}, {"seq_id": 1}]')
    assert list(AccuracyLog(path)) == [Entry(qsl_idx=7, data=b""), Entry(seq_id=1)]


def test_a_sample_logged_twice_comes_twice(tmp_path: Path) -> None:
    assert [entry.qsl_idx for entry in AccuracyLog(_log(tmp_path, log_bytes([_SAMPLES[1]] * 2)))] == [1, 1]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b" \n ", "is empty"),
        (b'[{"qsl_idx": 1', "entry 1.*the file ends in it"),
        (b'[{"data": "00', "entry 1.*the file ends in it"),
        (b'[{"qsl_idx": 1}', "entry 2.*the file ends here"),
        (b'[{"qsl_idx": 1},', "entry 2.*the file ends in it"),
        (b'[{"qsl_idx": 1}, ]', "entry 2.*"),
        (b'[{"qsl_idx": 1} {"qsl_idx": 2}]', "a comma or the closing bracket is missing"),
        (b"[] []", "something follows"),
        (b'[{"qsl_idx": 1}, {"qsl_idx" 2, "data": "0000000000000000"}]', "entry 2, character 18: no JSON"),
        (b'[{"data": "0"}]', "entry 1: data is not an even number of hexadecimal digits"),
        (b'[{"data": "0G"}]', "hexadecimal"),
        (b'[{"data": 5}]', "data is not a string"),
        (b'[{"token_count": "7"}]', "token_count is not an integer"),
        (b'[{"token_count": true}]', "token_count is not an integer"),
        (b'[{"qsl_idx": 1.5}]', "qsl_idx is not an integer"),
        (b"[5]", "entry 1: it is not a JSON object"),
        (b"17", "entry 1: it is not a JSON object"),
        (b'[{"data": "\xff"}]', "is no UTF-8"),
        (b'[{"data": "00"}]\xc3', "is no UTF-8"),
        (b"[" * 100_000, "nested too deep"),
        (b'[{"qsl_idx": ' + b"9" * 10_000 + b"}]", "too long a number"),
    ],
)
def test_what_is_no_whole_log_is_refused_with_file_and_place(tmp_path: Path, content: bytes, told: str) -> None:
    path = _log(tmp_path, content)
    with pytest.raises(RecordError, match=told) as caught:
        list(AccuracyLog(path))
    assert str(path) in str(caught.value)


def test_a_missing_file_a_directory_and_a_pipe_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("missing.json", ".", "pipe"):
        with pytest.raises(RecordError, match=name):
            list(AccuracyLog(tmp_path / name))
        with pytest.raises(RecordError):
            read_truncated(tmp_path / name)


@given(content=st.binary(max_size=200))
@_IN_PLACE
def test_any_bytes_give_entries_or_a_record_error(tmp_path: Path, content: bytes) -> None:
    path = _log(tmp_path, content)
    with contextlib.suppress(RecordError):
        assert all(isinstance(entry, Entry) for entry in AccuracyLog(path))
    read_truncated(path)
    read_hash(path)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(
    values=st.lists(_JSON, max_size=6),
    chunk_bytes=st.integers(1, 50),
    indent=st.sampled_from([None, 0, 3]),
    ascii_only=st.booleans(),
)
@_IN_PLACE
def test_chunks_of_any_size_give_what_the_json_library_gives(
    tmp_path: Path, values: list[Any], chunk_bytes: int, indent: int | None, ascii_only: bool
) -> None:
    path = _log(tmp_path, json.dumps(values, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass"))
    stream = JsonStream(path, chunk_bytes=chunk_bytes)
    try:
        expected = json.loads(path.read_text("utf-8"))
    except UnicodeDecodeError:
        with pytest.raises(RecordError):
            list(stream)
        return
    assert list(stream) == expected
    assert stream.array


@given(cut=st.integers(0, 500), chunk_bytes=st.integers(1, 600))
@_IN_PLACE
def test_a_log_cut_anywhere_is_refused(tmp_path: Path, cut: int, chunk_bytes: int) -> None:
    whole = log_bytes(_SAMPLES[:4]).rstrip()
    path = _log(tmp_path, whole[: min(cut, len(whole) - 1)])
    with pytest.raises(RecordError):
        list(JsonStream(path, chunk_bytes=chunk_bytes))


def test_an_entry_larger_than_the_limit_is_refused(tmp_path: Path) -> None:
    path = _log(tmp_path, b'[{"data": "' + b"0" * 5_000_000)
    with pytest.raises(RecordError, match=r"entry 1.*longer than 1 MiB"):
        list(JsonStream(path, max_value_chars=1 << 20))


def test_a_truncated_log_shows_what_is_still_whole(tmp_path: Path) -> None:
    path = _log(tmp_path, truncated(log_bytes([sample(index, range(9)) for index in range(200)])))
    found = read_truncated(path)
    assert found is not None
    assert [entry.qsl_idx for entry in found.head] == list(range(len(found.head)))
    assert [entry.qsl_idx for entry in found.tail] == list(range(200 - len(found.tail), 200))
    assert len(found.head) > 10
    assert len(found.tail) > 10
    assert len(found.visible) == len(found.head) + len(found.tail)
    assert None not in [accuracy_log._entries_at_once(part) for part in path.read_bytes().split(b"...")]
    with pytest.raises(RecordError):
        list(AccuracyLog(path))


_ENTRIES = [
    '{ "seq_id" : 1, "qsl_idx" : 2, "data" : "00FF", "token_data" : "01", "token_count" : 3 }',
    '{"data": "0"}',
    "{}",
    '{"qsl_idx": 1.0}',
    '{"qsl_idx": true}',
    '{"data": null}',
    '{"data": "a b", "qsl_idx": 4}',
    '{"x": {"data": ""}}',
    '{"qsl_idx": 9223372036854775808}',
    '{"qsl_idx": -0}',
    '{"qsl_idx": 1, "qsl_idx": 2}',
    '{"data": "\u00e4"}',
    '{"data": "\\u0030\\u0030"}',
    '{"data": NaN}',
    "null",
    '4142" },',
]


@given(st.lists(st.sampled_from([*_ENTRIES, *'{}[],"', ",\n", " "]), max_size=8).map("".join))
def test_reading_all_entries_at_once_finds_what_looking_for_each_finds(text: str) -> None:
    at_once = accuracy_log._entries_at_once(text.encode())
    assert at_once in (None, accuracy_log._entries_one_by_one(text.encode()))


def test_the_ends_of_a_short_truncated_log_overlap(tmp_path: Path) -> None:
    log = log_bytes(_SAMPLES)
    assert 4096 < len(log) < 8192
    found = read_truncated(_log(tmp_path, truncated(log)))
    assert found is not None
    assert {entry.qsl_idx for entry in found.visible} == set(range(40))
    assert len(found.visible) == 40


def test_a_truncated_log_with_windows_line_ends_is_known(tmp_path: Path) -> None:
    log = truncated(log_bytes(_SAMPLES)).replace(b"\n", b"\r\n")
    assert read_truncated(_log(tmp_path, log)) is not None


def test_a_whole_log_is_not_truncated(tmp_path: Path) -> None:
    assert read_truncated(_log(tmp_path, log_bytes(_SAMPLES))) is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"accuracy=75.7%\n\nhash={'ab' * 32}\n", "ab" * 32),
        (f"hash={'AB' * 32}", "ab" * 32),
        (f"hash={'ab' * 32}\r\n", "ab" * 32),
        (f"hash={'ab' * 32}\nhash={'cd' * 32}\n", "ab" * 32),
        ("hash=abc\n", None),
        (f"hash={'xy' * 32}\n", None),
        (f"the hash={'ab' * 32}\n", None),
        ("", None),
    ],
)
def test_the_hash_in_accuracy_txt(tmp_path: Path, text: str, found: str | None) -> None:
    path = tmp_path / "accuracy.txt"
    path.write_text(text, newline="")
    assert read_hash(path) == found


def test_no_accuracy_txt_is_no_hash(tmp_path: Path) -> None:
    assert read_hash(tmp_path / "accuracy.txt") is None


_MEASURE = """
import resource, sys
from pathlib import Path
from pytest_mlperf_audit.loadgen.accuracy_log import AccuracyLog, read_truncated
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
path = Path(sys.argv[1])
assert read_truncated(path) is None
log = AccuracyLog(path)
n = sum(len(entry.data) for entry in log)
print(n, log.sha256, peak() - before)
"""


@pytest.mark.parametrize("separator", [",\n", ", "])
def test_a_large_log_is_read_in_little_memory(tmp_path: Path, separator: str) -> None:
    entry, n = json.dumps(sample(1, range(2000))), 4200
    path = tmp_path / "mlperf_log_accuracy.json"
    with path.open("w") as file:
        file.write("[" + entry)
        for _ in range(n - 1):
            file.write(separator + entry)
        file.write("]")
    assert path.stat().st_size > 60 << 20
    done = subprocess.run([sys.executable, "-c", _MEASURE, str(path)], capture_output=True, text=True, check=True)
    n_bytes, sha256, grown_kib = done.stdout.split()
    assert int(n_bytes) == n * 8000
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert int(grown_kib) < 40 << 10
