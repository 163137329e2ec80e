from __future__ import annotations

import json
import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_mlperf_audit.errors import RecordError
from pytest_mlperf_audit.loadgen.detail import WANTED, Detail, peek, read_detail
from tests.support.judged import detail, event


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mlperf_log_detail.txt"


def reading(path: Path, data: bytes) -> Detail:
    path.write_bytes(data)
    return read_detail(path)


def test_a_whole_log(path: Path) -> None:
    found = reading(path, detail("Server", 22501.7))
    assert (found.marked, found.whole, found.n_bad_lines, found.problems) == (True, True, 0, ())
    assert found.text("effective_scenario") == "Server"
    assert found.number("result_completed_samples_per_sec") == 22501.7
    assert found.number("effective_target_latency_ns") == 15000000
    assert found.text("sut_name") == "PySUT"
    assert "loaded_qsl_set" not in found.values
    assert (found.n_errors, found.n_warnings) == (0, 0)


def test_the_first_value_counts(path: Path) -> None:
    found = reading(path, detail() + event("result_validity", "INVALID"))
    assert found.text("result_validity") == "VALID"


@pytest.mark.parametrize(
    ("value", "number"),
    [(3, 3.0), (2.5, 2.5), ("3", None), (True, None), (None, None), ([3], None), (10**400, None), (2**70, 2.0**70)],
)
def test_only_numbers_are_numbers(path: Path, value: object, number: float | None) -> None:
    found = reading(path, event("result_query_count", value))
    assert found.number("result_query_count") == number
    assert (found.text("result_query_count") is None) == (value != "3")


def test_keys_need_not_come_first(path: Path) -> None:
    found = reading(path, b':::MLLOG {"metadata": {}, "value": 7, "key": "result_query_count"}\n')
    assert found.number("result_query_count") == 7


@pytest.mark.parametrize("marker", [b":::MLLOG", b":::ENDPTS"])
def test_both_markers(path: Path, marker: bytes) -> None:
    found = reading(path, detail().replace(b":::MLLOG", marker))
    assert (found.marked, found.text("effective_scenario")) == (True, "Offline")


def test_a_log_of_before_v0_7_has_no_marker(path: Path) -> None:
    found = reading(path, b'"pid": 12, "tid": 12, "ts": 1234ns : version : .5a1 @ 61220457de\n')
    assert (found.marked, found.whole, found.values, found.n_bad_lines) == (False, False, {}, 1)


def test_errors_and_warnings_are_counted(path: Path) -> None:
    lines = [
        event("error_runtime", 'quoted: "is_error": true', is_error=True),
        event("warning_generic_message", "x", is_warning=True),
        event("generic_message", 'says "is_error": true, which is no error'),
    ]
    found = reading(path, b"".join([*lines, lines[0]]))
    assert (found.n_errors, found.n_warnings) == (2, 1)


@pytest.mark.parametrize(
    "bad", [b"hello\n", b':::MLLOG {"key": "result_validity", "value": \n', b":::MLLOG {nonsense}\n"]
)
def test_bad_lines_are_counted_and_named(path: Path, bad: bytes) -> None:
    found = reading(path, detail().replace(b':::MLLOG {"key": "sut_name"', bad + b':::MLLOG {"key": "sut_name"'))
    assert found.n_bad_lines == 1
    assert found.problems[0].startswith("line 3 is ")
    assert found.text("result_validity") == "VALID"


def test_of_many_bad_lines_the_first_are_named(path: Path) -> None:
    found = reading(path, b"\x1b[31mred\n" * 1000)
    assert (found.n_bad_lines, len(found.problems)) == (1000, 20)
    assert "\x1b" not in found.problems[0]


@pytest.mark.parametrize(
    ("change", "quirk"),
    [
        (lambda log: log.replace(b"\n", b"\r\n"), "CRLF line ends"),
        (lambda log: log.replace(b"\n", b"\r"), "bare CR line ends"),
        (lambda log: log + b"\0" * 5000, "NUL bytes"),
        (lambda log: log.replace(b"PySUT", b"Py\xffSUT"), "bytes that are no UTF-8"),
        (lambda log: log.replace(b"PySUT", b"Py\xc3\xa9SUT"), ""),
        (lambda log: b"\xef\xbb\xbf" + log, ""),
    ],
)
def test_what_is_odd_about_the_bytes_is_said_and_changes_nothing_else(path: Path, change, quirk: str) -> None:
    plain = reading(path, detail())
    found = reading(path, change(detail()))
    assert str(found.quirks) == quirk
    assert found.values | {"sut_name": ""} == plain.values | {"sut_name": ""}
    assert (found.whole, found.n_bad_lines) == (True, 0)
    json.dumps(found.values).encode()


def test_a_log_cut_anywhere_is_not_whole(path: Path) -> None:
    data = detail("Offline", loaded_qsl_set=[1], num_errors=None)
    assert reading(path, data).whole
    for length in range(0, len(data) - 2, 13):
        found = reading(path, data[:length])
        assert not found.whole
        assert found.values.items() <= read_whole(path, data).items()


def read_whole(path: Path, data: bytes) -> dict[str, object]:
    return reading(path, data).values


@given(st.binary(max_size=500), st.integers(0, 1500))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_give_a_detail(tmp_path: Path, junk: bytes, at: int) -> None:
    data = detail()
    found = reading(tmp_path / "log", data[:at] + junk + data[at:])
    assert found.values.keys() <= WANTED
    assert reading(tmp_path / "log", junk).values.keys() <= WANTED


@pytest.mark.parametrize("deep", [b"[" * 200_000, b'{"a":' * 100_000], ids=["lists", "objects"])
def test_nesting_without_end_is_a_bad_line(path: Path, deep: bytes) -> None:
    found = reading(path, b':::MLLOG {"key": "result_validity", "value": ' + deep + b"}\n" + detail())
    assert found.n_bad_lines == 1
    assert found.text("result_validity") == "VALID"


def test_memory_is_bounded_whatever_the_lines_have(path: Path) -> None:
    """Lines of 24 MB: one that is not wanted, one that is, and one without an end."""
    huge = b"1," * 12_000_000
    with path.open("wb") as file:
        file.write(detail()[:-1])
        for key in (b"loaded_qsl_set", b"result_query_count", b"result_validity"):
            file.write(b'\n:::MLLOG {"key": "' + key + b'", "value": [' + huge + b'1], "metadata": {"is_error": true}}')
        file.write(b"\n" + huge)
    tracemalloc.start()
    found = read_detail(path)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 16 * 1024 * 1024
    assert found.number("result_query_count") is None
    assert (found.n_errors, found.n_bad_lines) == (3, 3)
    assert found.text("result_validity") == "VALID"


def test_what_cannot_be_read_is_an_error_with_its_path(path: Path) -> None:
    with pytest.raises(RecordError, match=r"mlperf_log_detail\.txt: cannot be read"):
        read_detail(path)
    os.mkfifo(path)
    with pytest.raises(RecordError, match="is no plain file"):
        read_detail(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(RecordError, match=r"mlperf_log_detail\.txt: "):
        read_detail(path)


def test_a_peek_finds_what_stands_near_the_end(path: Path) -> None:
    keys = frozenset(("result_samples_per_second", "result_validity", "no_such_key"))
    path.write_bytes(event("loaded_qsl_set", list(range(100_000))) + detail("Offline", 17.5))
    assert peek(path, keys) == {"result_samples_per_second": 17.5, "result_validity": "VALID"}
    path.write_bytes(detail("Offline", 17.5) + b"\n" * 100_000)
    assert peek(path, keys) == {}
    assert peek(path.with_name("none"), keys) == {}
    os.mkfifo(path.with_name("pipe"))
    assert peek(path.with_name("pipe"), keys) == {}


@given(st.binary(max_size=300), st.integers(0, 1500))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_peek_at_any_bytes(tmp_path: Path, junk: bytes, at: int) -> None:
    data = detail()
    (tmp_path / "log").write_bytes(data[:at] + junk)
    assert peek(tmp_path / "log", WANTED).keys() <= WANTED
