"""score.json: the score of the queries beside it, or an error that says what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_mlperf_audit.errors import RecordError
from pytest_mlperf_audit.records.store import QUERIES_FILE, SCORE_FILE, read_score, set_aside, write_score
from pytest_mlperf_audit.runs.spec import Score

SCORE = Score(value=60.7, n=990, n_unanswered=3, metrics={"a": 1.5}, exit_status=0, output_tail="é\n")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / QUERIES_FILE).write_bytes(b"{}\n")
    return tmp_path


def test_what_is_written_is_read(directory: Path) -> None:
    assert read_score(directory) is None
    for score in (SCORE, Score(value=None, n=0, error="it burnt")):
        write_score(directory, score)
        assert read_score(directory) == score
    assert sorted(path.name for path in directory.iterdir()) == [QUERIES_FILE, SCORE_FILE]


def test_no_queries_no_score(directory: Path) -> None:
    write_score(directory, SCORE)
    (directory / QUERIES_FILE).unlink()
    assert read_score(directory) is None


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda text: text[:40], "not the record of a score"),
        (lambda _: "[]", "not the record of a score"),
        (lambda _: "[" * 100_000, "not the record of a score"),
        (lambda text: text.replace("60.7", '"60.7"'), "not the record of a score"),
        (lambda text: text.replace('"schema_version": 1', '"schema_version": 2'), "has schema version 2"),
    ],
)
def test_a_file_of_another_kind(directory: Path, change, why: str) -> None:
    write_score(directory, SCORE)
    path = directory / SCORE_FILE
    path.write_text(change(path.read_text()))
    with pytest.raises(RecordError, match=why) as caught:
        read_score(directory)
    assert str(path) in str(caught.value)


def test_the_score_of_other_queries(directory: Path) -> None:
    write_score(directory, SCORE)
    (directory / QUERIES_FILE).write_bytes(b"{}\n{}\n")
    with pytest.raises(RecordError, match=r"is the score of another queries\.jsonl"):
        read_score(directory)


def test_a_file_that_cannot_be_read(directory: Path) -> None:
    (directory / SCORE_FILE).mkdir()
    with pytest.raises(RecordError, match="cannot be read"):
        read_score(directory)


def test_a_new_attempt_sets_it_aside(directory: Path) -> None:
    write_score(directory, SCORE)
    assert set_aside(directory) == 2
    assert read_score(directory) is None
    assert read_score(directory / "attempt-1") == SCORE
