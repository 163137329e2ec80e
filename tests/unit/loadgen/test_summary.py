from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlperf_audit.errors import RecordError
from pytest_mlperf_audit.loadgen.summary import LIMIT_BYTES, Summary, parse_summary, read_summary
from tests.support.submission import summary

#: What a SingleStream run of 100 queries says of early stopping (loadgen/results.cc), and one of 20.
HUNDRED = """\
Early Stopping Result:
 * Processed at least 64 queries (100).
 * Would discard 2 highest latency queries.
 * Early stopping 90.0th percentile estimate: 9841436528
 * Not enough queries processed for 99.0th percentile
 early stopping estimate (would need to process at
 least 662 total queries).
"""
TWENTY = """\
Early Stopping Result:
 * Only processed 20 queries.
 * Need to process at least 64 queries for early stopping.
"""


def parse(text: str) -> Summary:
    return parse_summary(text.encode(), "summary")


def line(text: str) -> Summary:
    return parse(f"Scenario : Offline\n{text}\nNo errors encountered during test.\n")


def test_a_whole_summary() -> None:
    found = parse(summary("Offline", 460649, same=True, target_qps=731200))
    assert (found.scenario, found.mode, found.sut_name, found.validity) == (
        "Offline",
        "PerformanceOnly",
        "PySUT",
        "VALID",
    )
    assert (found.samples_per_second, found.completed_samples_per_second) == (460649.0, None)
    assert found.satisfied == {"Min duration": True, "Min queries": True, "Early stopping": True}
    assert (found.target_qps, found.target_latency_ns, found.min_duration_ms) == (731200.0, 0, 600000)
    assert (found.samples_per_query, found.min_query_count, found.performance_sample_count) == (5000, 1, 5000)
    assert (found.performance_issue_unique, found.performance_issue_same) == (False, True)
    assert found.performance_issue_same_index == 3
    assert (found.n_warnings, found.n_errors, found.whole, found.problems) == (0, 0, True, ())
    assert str(found.quirks) == ""


def test_early_stopping_of_a_hundred_queries() -> None:
    found = parse(HUNDRED)
    assert found.early_stopping_ns == {"90": 9841436528.0}
    assert (found.processed_queries, found.needed_queries) == (100, {"99": 662})


def test_early_stopping_of_twenty_queries() -> None:
    """WAN's SingleStream audit, mlcommons/inference#2493."""
    found = parse(TWENTY)
    assert found.early_stopping_ns == {}
    assert (found.processed_queries, found.needed_queries) == (20, {"": 64})


@pytest.mark.parametrize(
    ("text", "percentile"),
    [
        (" * Early stopping 90th percentile estimate: 755343", "90"),
        (" * Early stopping 90.0th percentile estimate: 755343", "90"),
        (" * Early stopping 99th percentile estimate: 755343", "99"),
        (" * Early stopping 99.9th percentile estimate: 755343", "99.9"),
        ("* Early stopping 99.90th percentile estimate : 755343", "99.9"),
    ],
)
def test_percentiles_in_every_rounds_spelling(text: str, percentile: str) -> None:
    assert line(text).early_stopping_ns == {percentile: 755343.0}


@pytest.mark.parametrize(
    "text",
    [
        "Samples per second:12.5",
        "Samples per second : 12.5",
        "  Samples per second:   12.5  ",
        "Samples per second\t: 12.5",
    ],
)
def test_the_separator_does_not_matter(text: str) -> None:
    assert line(text).samples_per_second == 12.5


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0.0), ("1.23457e+06", 1234570.0), (".5", 0.5), ("7.", 7.0), ("1E-3", 0.001), ("22501.70", 22501.70)],
)
def test_numbers_as_cpp_prints_them(text: str, value: float) -> None:
    assert line(f"Samples per second: {text}").samples_per_second == value


@pytest.mark.parametrize(
    "text", ["", "inf", "-inf", "nan", "-nan", "-3", "+3", "1,000", "1_000", "1 000", "0x10", "1e400", "١٢", "9" * 41]
)
def test_what_is_no_number_is_none_and_named(text: str) -> None:
    found = line(f"Samples per second: {text}")
    assert found.samples_per_second is None
    assert len(found.problems) == 1
    assert found.problems[0].startswith("line 2 has no number")


@pytest.mark.parametrize(
    ("key", "odd"), [("performance_issue_same", "2"), ("min_query_count", "1.5"), ("target_latency (ns)", "-1")]
)
def test_settings_that_are_odd_are_none_and_named(key: str, odd: str) -> None:
    found = line(f"{key} : {odd}")
    assert getattr(found, key.replace(" (", "_").rstrip(")")) is None
    assert len(found.problems) == 1
    assert found.problems[0].startswith("line 2 ")


@pytest.mark.parametrize("key", ["Samples per second", "Result is", "Scenario", "performance_issue_same"])
def test_a_line_that_comes_twice(key: str) -> None:
    fields = {"Samples per second": "samples_per_second", "Result is": "validity", "Scenario": "scenario"}
    name = fields.get(key, key)
    same = parse(f"{key} : 1\n{key}: 1\n")
    assert getattr(same, name) is not None
    assert same.problems == ()
    for third in ("", f"{key} : 1\n"):
        differing = parse(f"{key} : 1\n{key}: 0\n{third}")
        assert getattr(differing, name) is None
        assert "line 2 contradicts an earlier one" in differing.problems[0]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("No errors encountered during test.", 0),
        ("1 ERROR encountered. See detailed log.", 1),
        ("12 ERRORS encountered. See detailed log.", 12),
    ],
)
@pytest.mark.parametrize("end", ["", "\n", "\n\n", "\r\n", "\0\0", "\n\nmade by hand: nothing\n"])
def test_the_closing_line(text: str, count: int, end: str) -> None:
    found = parse(f"Scenario : Offline\n3 warnings encountered. See detailed log.\n\n{text}{end}")
    assert (found.n_errors, found.n_warnings, found.whole) == (count, 3, True)


@pytest.mark.parametrize(
    "text", ["", "No errors", "1 ERROR encountered.", "2 warnings encountered. See detailed log.\n"]
)
def test_without_its_closing_line_a_summary_is_not_whole(text: str) -> None:
    assert not parse(f"Scenario : Offline\n{text}").whole


def test_a_run_appended_to_another_is_whole_only_with_its_own_closing_line() -> None:
    text = summary()
    assert parse(text + text).whole
    assert not parse(text + text[: len(text) // 2]).whole


def test_a_last_line_without_an_end_is_not_believed() -> None:
    """46 may be the beginning of 460649."""
    found = parse("Scenario : Offline\nSamples per second: 46")
    assert found.samples_per_second is None
    assert found.problems == ("line 2 is cut short: 'Samples per second: 46'",)


@pytest.mark.parametrize(
    ("change", "quirk"),
    [
        (lambda log: log.replace(b"\n", b"\r\n"), "CRLF line ends"),
        (lambda log: log.replace(b"\n", b"\r"), "bare CR line ends"),
        (lambda log: log + b"\0" * 100, "NUL bytes"),
        (lambda log: log.replace(b"\n", b"\0\n"), "NUL bytes"),
        (lambda log: log.replace(b"PySUT", b"Py\xffSUT"), "bytes that are no UTF-8"),
        (lambda log: b"\xef\xbb\xbf" + log, ""),
    ],
)
def test_what_is_odd_about_the_bytes_is_said_and_changes_nothing_else(change, quirk: str) -> None:
    plain = summary("Server", 22501.7).encode()
    ours, theirs = parse_summary(plain, "summary"), parse_summary(change(plain), "summary")
    assert str(theirs.quirks) == quirk
    for name in ("scenario", "completed_samples_per_second", "validity", "whole", "performance_issue_same", "problems"):
        assert getattr(theirs, name) == getattr(ours, name)
    assert theirs.sut_name in ("PySUT", "Py\ufffdSUT")


@given(st.binary(max_size=2000))
def test_any_bytes_give_a_summary(data: bytes) -> None:
    found = parse_summary(data, "summary")
    assert found.size_bytes == len(data)
    assert not found.whole or b"error" in data.lower()


@given(
    st.lists(st.sampled_from([*summary("SingleStream").splitlines(), *HUNDRED.splitlines(), "x", ""]), max_size=60),
    st.data(),
)
def test_lines_in_any_order_and_cut_anywhere_give_a_summary(lines: list[str], data: st.DataObject) -> None:
    text = "\n".join(lines)
    cut = text[: data.draw(st.integers(0, len(text)))]
    found = parse(cut)
    assert len(found.problems) <= 20
    if found.scenario:
        assert f"Scenario : {found.scenario}" in cut


@pytest.mark.parametrize("scenario", ["Offline", "Server", "SingleStream", "MultiStream"])
def test_a_summary_cut_anywhere_says_nothing_that_the_whole_one_does_not(scenario: str) -> None:
    text = summary(scenario, 1234.5, same=True)
    whole = parse(text)
    for length in range(len(text) - 1):
        cut = parse(text[:length])
        assert not cut.whole
        for name in Summary.__struct_fields__:
            value = getattr(cut, name)
            if name not in (
                "path",
                "size_bytes",
                "whole",
                "problems",
                "satisfied",
                "early_stopping_ns",
                "needed_queries",
                "latencies_ns",
            ):
                assert value in (None, getattr(whole, name)), (name, length)
        assert cut.early_stopping_ns.items() <= whole.early_stopping_ns.items()
        assert cut.latencies_ns <= whole.latencies_ns


def test_reading_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mlperf_log_summary.txt"
    path.write_text(summary())
    assert read_summary(path).samples_per_second == 100.0
    path.write_bytes(b"")
    assert (read_summary(path).size_bytes, read_summary(path).whole) == (0, False)


def test_what_cannot_be_read_is_an_error_with_its_path(tmp_path: Path) -> None:
    path = tmp_path / "mlperf_log_summary.txt"
    with pytest.raises(RecordError, match=r"mlperf_log_summary\.txt: there is no such file"):
        read_summary(path)
    path.mkdir()
    with pytest.raises(RecordError, match=r"mlperf_log_summary\.txt: "):
        read_summary(path)
    path.rmdir()
    os.mkfifo(path)
    with pytest.raises(RecordError, match="is no plain file"):
        read_summary(path)
    path.unlink()
    with path.open("wb") as file:
        file.truncate(LIMIT_BYTES + 1)
    with pytest.raises(RecordError, match="has 4194305 bytes"):
        read_summary(path)
