"""Which LoadGen wrote a log, by its first lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_mlperf_audit.loadgen.version import Writer, version_has_early_stopping, writer_of

TEXT = b'"pid": 4426, "tid": 4426, "ts": 9690ns : '


@pytest.mark.parametrize(
    ("head", "writer"),
    [
        (TEXT + b"LoadgenVersionInfo:\n" + TEXT + b"version : .5a1 @ 5d8fe40806\n", Writer(is_text=True, major=0)),
        (b"\0\0" + TEXT + b"Registered IssueQueryThread[0]\n", Writer(is_text=True, major=0)),
        (b':::MLLOG {"key": "loadgen_version", "value": ".5a1 @ NA"}\n', Writer(major=0)),
        (b':::MLLOG {"key": "x"}\n:::MLLOG {"key": "loadgen_version", "value": "1.1 @ b1"}\n', Writer(major=1)),
        (b':::MLLOG {"key": "loadgen_version", "value": "6.0.8 @ NA"}\n', Writer(major=6)),
        (b":::MLLOG nothing\n", Writer()),
        (b"", Writer()),
    ],
)
def test_the_first_lines_tell(tmp_path: Path, head: bytes, writer: Writer) -> None:
    path = tmp_path / "mlperf_log_detail.txt"
    path.write_bytes(head)
    assert writer_of(path) == writer


def test_a_log_that_is_not_there_tells_nothing(tmp_path: Path) -> None:
    assert writer_of(tmp_path / "none") == Writer()
    assert writer_of(tmp_path).has_early_stopping


@pytest.mark.parametrize(
    ("version", "has"), [(".5a1 @ 1", False), ("1.1 @ 1", False), ("2.0 @ 1", True), ("6.0.8", True), (None, True)]
)
def test_early_stopping_came_with_2_0(version: str | None, has: bool) -> None:
    assert version_has_early_stopping(version) is has
