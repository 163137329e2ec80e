"""events: a log as LoadGen leaves it is read at once, and says what reading it line by line says."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_mlperf_audit.audits.test01 import upstream
from pytest_mlperf_audit.loadgen import detail, events
from pytest_mlperf_audit.loadgen.events import events_of


def _line(key: str, value: str, *, error: str = "false", more: str = "") -> str:
    metadata = f'{{"is_error": {error}, "is_warning": false, "file": "x.cc", "line_no": 1{more}}}'
    return f':::MLLOG {{"key": "{key}", "value": {value}, "time_ms": 0.1, "metadata": {metadata}}}'


_LINES = [
    _line("loadgen_version", '"5.0 @ 1"'),
    _line("effective_scenario", '"Offline"'),
    _line("loaded_qsl_set", f"[{','.join(map(str, range(3000)))}]"),
    _line("result_validity", '"VALID"'),
    _line("result_validity", '"INVALID"'),
    _line("result_samples_per_second", "12.5"),
    _line("num_errors", "0"),
]


def _log(lines: list[str] | None = None) -> bytes:
    return "".join(f"{line}\n" for line in lines or _LINES).encode()


_ODD = {
    "nothing": b"",
    "a byte order mark": b"\xef\xbb\xbf" + _log(),
    "CRLF": _log().replace(b"\n", b"\r\n"),
    "a NUL byte": _log().replace(b"x.cc", b"x\0cc", 1),
    "no ASCII": _log().replace(b"x.cc", "\u00e4.cc".encode(), 1),
    "a blank line": _log() + b"\n",
    "a line of text": _log() + b"Result is : VALID\n",
    "a line cut short": _log()[:-20],
    "two objects on a line": _log([_LINES[0] + _LINES[1].removeprefix(":::MLLOG "), *_LINES[2:]]),
    "no JSON": _log([_line("seed", "01"), *_LINES]),
    "no JSON among figures": _log().replace(b"1500,1501", b"1500,,1501"),
    "a key named twice": _log([_line("seed", '1, "key": "num_errors"'), *_LINES]),
    "a key in a value": _log([_line("seed", '["key"]'), *_LINES]),
    "an error among figures": _log().replace(b"1500,1501", b'{"is_error": true},1501'),
    "a key spelt oddly": _log([_line("seed", '1, "k\\u0065y": "num_errors"'), *_LINES]),
    "no metadata": _log([':::MLLOG {"key": "seed", "value": 1}', *_LINES]),
    "an error that is a number": _log([_line("seed", "1", error="1"), *_LINES]),
    "the other marker": _log([*_LINES, _LINES[0].replace("MLLOG", "ENDPTS")]),
}


@pytest.mark.parametrize("content", _ODD.values(), ids=_ODD)
def test_what_is_odd_is_left_to_who_reads_line_by_line(content: bytes) -> None:
    assert events_of(content) is None


_REGULAR = {
    "as LoadGen has it": _log(),
    "no end of line": _log().removesuffix(b"\n"),
    "ENDPTS": _log().replace(b":::MLLOG", b":::ENDPTS"),
    "errors": _log([*_LINES[:-1], _line("error_x", '"y"', error="true")]),
    "a value of text": _log([_line("git", '"a \\"quoted\\" word\\nand a line"'), *_LINES]),
    "no last line": _log(_LINES[:3]),
    "no value": _log([_LINES[0].replace('"value": "5.0 @ 1", ', ""), *_LINES[1:]]),
    "a number too long for Python": _log([_line("seed", "9" * 4301), *_LINES]),
    "long numbers": _log([_line("seed", f"[{'9' * 4300},{'9' * 4300}]"), *_LINES]),
    "a score that is text": _log([_line("result_samples_per_second", '"12"'), *_LINES]),
    "nothing but errors": _log([_line("seed", "1", error="true")]),
}


@pytest.mark.parametrize("content", _REGULAR.values(), ids=_REGULAR)
def test_both_ways_of_reading_say_the_same(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mlperf_log_detail.txt"
    path.write_bytes(content)
    at_once, read = detail.read_detail_log(path)
    assert read is not None
    assert [event.key for event in read.events] == [content[a:b].split(b'"')[3].decode() for a, b in read.spans]
    for other in (_log(), content):
        assert upstream.said(content, other, (read, events_of(other))) == upstream.said(content, other)
    monkeypatch.setattr(detail, "read_events", lambda _: None)
    assert detail.read_detail_log(path) == (at_once, None)


def test_a_wanted_value_of_megabytes_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(_log([_line("sut_name", f'"{"x" * 1_100_000}"'), *_LINES]))
    found, read = detail.read_detail_log(path)
    assert read is None
    assert found.problems[0].startswith("line 1 is an event too long to read")


def test_a_large_log_is_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_LIMIT_BYTES", 1000)
    path = tmp_path / "log"
    path.write_bytes(_log())
    found, read = detail.read_detail_log(path)
    assert read is None
    assert found.whole


def test_no_log_has_no_events(tmp_path: Path) -> None:
    assert events.read_events(tmp_path / "none") is None
    assert events.read_events(tmp_path) is None
