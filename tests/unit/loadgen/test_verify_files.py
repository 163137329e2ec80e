from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlperf_audit.errors import RecordError
from pytest_mlperf_audit.loadgen.verify_files import (
    LIMIT_BYTES,
    RecordedPerformance,
    parse_verify_performance,
    read_verify_performance,
)


def parse(text: str) -> RecordedPerformance:
    return parse_verify_performance(text.encode())


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("name", ["reference score", "Reference score"])
def test_a_pass(end: str, name: str) -> None:
    found = parse(end.join(["Verifying performance.", f"{name} = 707695", "test score = 460649.5", "TEST PASS", ""]))
    assert found == RecordedPerformance(verdict="PASS", started=True, reference_score=707695.0, audit_score=460649.5)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("reference score = 1\ntest score = 2\nTEST FAIL: Test score invalid\n", "FAIL"),
        ("TEST FAIL: Reference results are invalid\n", "FAIL"),
        ("TEST FAIL\n", "FAIL"),
        ("Verifying performance.\nTEST FAIL: x\nVerifying performance.\nTEST PASS\n", "FAIL"),
        ("Verifying performance.\n", ""),
        ("Verifying performance.\nTraceback (most recent call last):\nValueError: x\n", ""),
        ("LATEST PASSWORD\n", ""),
    ],
)
def test_verdicts(text: str, verdict: str) -> None:
    found = parse(text)
    assert (found.verdict, found.started) == (verdict, True)


def test_an_empty_file() -> None:
    assert parse(" \n\n") == RecordedPerformance(verdict="", started=False)


def test_errors_that_the_script_reported() -> None:
    assert (
        parse("WARNING: 1 ERROR reported in reference results\nWARNING: 4 ERROR reported in test results\n").n_errors
        == 5
    )


@pytest.mark.parametrize("odd", ["", "None", "nan", "1,000", "x"])
def test_a_score_that_is_no_number_is_none(odd: str) -> None:
    assert parse(f"reference score = {odd}\ntest score = 5\nTEST PASS\n").reference_score is None


@given(st.binary(max_size=500))
def test_any_bytes_are_read(data: bytes) -> None:
    found = parse_verify_performance(data)
    assert (found.verdict == "PASS") <= (b"TEST PASS" in data)


def test_reading_a_file(tmp_path: Path) -> None:
    path = tmp_path / "verify_performance.txt"
    assert read_verify_performance(path) is None
    path.write_text("TEST PASS\n")
    found = read_verify_performance(path)
    assert found is not None
    assert found.verdict == "PASS"
    with path.open("wb") as file:
        file.truncate(LIMIT_BYTES + 1)
    with pytest.raises(RecordError, match=r"verify_performance\.txt: has"):
        read_verify_performance(path)
