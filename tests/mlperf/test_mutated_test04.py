"""TEST04 directories with something wrong: the right verdict each, and never a pass by accident."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_mlperf_audit.audits.test04.published import verify
from tests.support.judged import (
    DETAIL,
    SCORE,
    SUMMARY,
    Pair,
    changed,
    check,
    detail,
    directory,
    judge,
    judged,
    pair,
    rescored,
    without_score,
    write,
)

SCENARIOS = ("Offline", "Server", "SingleStream", "MultiStream")
RELAXED = ("SingleStream", "MultiStream")


@pytest.fixture(params=SCENARIOS)
def scenario(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["reference", "audit", "both"])
def which(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize(
    ("ratio", "strict", "relaxed"),
    [
        (0.3, "PASS", "PASS"),
        (1.0, "PASS", "PASS"),
        (1.09, "PASS", "PASS"),
        (1.1, "FAIL", "PASS"),
        (1.11, "FAIL", "PASS"),
        (1.19, "FAIL", "PASS"),
        (1.21, "FAIL", "FAIL"),
        (40.0, "FAIL", "FAIL"),
    ],
)
def test_the_ratio_decides(tmp_path: Path, scenario: str, ratio: float, strict: str, relaxed: str) -> None:
    found = judge(tmp_path, pair(scenario, ratio), scenario)
    assert found.status == (relaxed if scenario in RELAXED else strict)
    assert found.figures["ratio"] == pytest.approx(ratio, rel=1e-5)
    assert found.figures["limit_ratio"] == (1.2 if scenario in RELAXED else 1.1)
    assert any("grants this scenario 20 %" in note for note in found.notes) == (found.status == "PASS" and ratio >= 1.1)
    assert any("much slower" in note for note in found.notes) == (ratio < 0.6)
    at_the_limit = scenario not in RELAXED and ratio == 1.1
    assert found.upstream[0].verdict == ("PASS" if at_the_limit else found.status)
    assert [difference.defect for difference in found.differences] == ["rounded_limit"] * at_the_limit


def test_an_invalid_run_fails(tmp_path: Path, scenario: str, which: str) -> None:
    logs = changed(pair(scenario), lambda log: log.replace(b": VALID", b": INVALID"), which)
    found = judge(tmp_path, logs, scenario)
    assert (found.status, check(found, "valid")) == ("FAIL", False)
    assert found.upstream[0].verdict == "FAIL"


def test_a_missing_validity_is_no_verdict(tmp_path: Path, scenario: str, which: str) -> None:
    logs = changed(pair(scenario), lambda log: log.replace(b"Result is : VALID\n", b""), which)
    found = judge(tmp_path, logs, scenario)
    assert (found.status, check(found, "valid")) == ("NO_VERDICT", None)
    assert [difference.defect for difference in found.differences] == ["no_result_line_is_valid"]


def test_a_missing_score_is_no_verdict(tmp_path: Path, scenario: str, which: str) -> None:
    """Upstream passes the audit run that scored nothing, and calls a score of the reference run invalid."""
    found = judge(tmp_path, changed(pair(scenario), without_score, which), scenario)
    assert (found.status, check(found, "throughput_ratio")) == ("NO_VERDICT", None)
    assert found.upstream[0].verdict == ("PASS" if which == "audit" else "FAIL")
    assert [difference.defect for difference in found.differences] == ["no_score_is_zero"]
    assert "no score in the" in found.reason
    if scenario == "SingleStream":
        assert "needs 64 queries" in found.reason
        assert "mlcommons/inference#2493" in found.reason


@pytest.mark.parametrize("text", ["inf", "nan", "-5", "1,000", "1_000", "0", "", "12 34", "1e999", "Infinity"])
def test_a_score_that_is_no_number_is_no_verdict(tmp_path: Path, scenario: str, which: str, text: str) -> None:
    found = judge(tmp_path, changed(pair(scenario), rescored(text), which), scenario)
    assert (found.status, check(found, "throughput_ratio")) == ("NO_VERDICT", None)
    assert all(difference.defect == "odd_numbers" for difference in found.differences)


def test_a_run_cut_anywhere_never_passes(tmp_path: Path, scenario: str) -> None:
    logs = pair(scenario)
    for which, log in zip(("reference", "audit"), logs, strict=True):
        for length in (*range(0, len(log) - 40, 7), len(log) - 2):
            cut = changed(logs, lambda log, length=length: log[:length], which)  # type: ignore[misc]
            found = judge(tmp_path, cut, scenario)
            assert found.status == "NO_VERDICT", (which, length, found.reason)
            assert check(found, "logs_whole") is None
            assert all(difference.defect for difference in found.differences)


def test_the_line_end_of_the_closing_line_may_be_missing(tmp_path: Path, which: str) -> None:
    assert judge(tmp_path, changed(pair(), bytes.rstrip, which)).status == "PASS"


@pytest.mark.parametrize(
    ("change", "upstream"),
    [
        (lambda log: log.replace(b"\n", b"\r\n"), "PASS"),
        (lambda log: log.replace(b"\n", b"\r"), "PASS"),
        (lambda log: log + b"\0" * 4096, "PASS"),
        (lambda log: log.replace(b"\n", b"\0\n"), "FAIL"),
        (lambda log: log.replace(b"PySUT", b"Py\xe9SUT"), "CRASH"),
        (lambda log: b"\xef\xbb\xbf" + log, "PASS"),
        (lambda log: log.replace(b" : ", b":").replace(b": ", b":"), "CRASH"),
        (lambda log: log.replace(b"90th", b"90.0th").replace(b"99th", b"99.0th"), "PASS"),
    ],
    ids=["crlf", "cr", "nul_behind", "nul_in_lines", "latin1", "bom", "no_blanks", "decimals"],
)
def test_what_the_way_to_a_submission_does_to_a_file_changes_nothing(
    tmp_path: Path, scenario: str, which: str, change: Callable[[bytes], bytes], upstream: str
) -> None:
    plain, mended = (
        judge(tmp_path, logs, scenario) for logs in (pair(scenario), changed(pair(scenario), change, which))
    )
    assert mended.status == plain.status == "PASS"
    assert mended.figures == plain.figures
    said = mended.upstream[0].verdict
    assert said == upstream
    assert bool(mended.differences) == (said != "PASS")
    assert all(difference.defect for difference in mended.differences)


@pytest.mark.parametrize("other", ["Server", "SingleStream", "ConstantStream"])
def test_another_scenario_fails(tmp_path: Path, other: str) -> None:
    reference, audit = pair("Offline")
    found = judge(tmp_path, (reference, audit.replace(b"Offline", other.encode())))
    assert (found.status, check(found, "scenario")) == ("FAIL", False)
    assert found.upstream[0].verdict == "FAIL"


@pytest.mark.parametrize("name", [b"ConstantStream", b"", b"Offlin"])
def test_a_scenario_without_a_rule_is_no_verdict(tmp_path: Path, name: bytes) -> None:
    found = judge(tmp_path, changed(pair("Offline"), lambda log: log.replace(b"Offline", name), "both"))
    assert (found.status, check(found, "scenario")) == ("NO_VERDICT", None)
    assert [difference.defect for difference in found.differences] == ["scenario_without_rule"]


@pytest.mark.parametrize(
    ("reference", "audit", "wanted"),
    [
        ((b"same : 0", b"same : 0"), (b"same : 1", b"same : 0"), "FAIL"),  # four published audits
        ((b"same : 0", b"same : 1"), (b"same : 1", b"same : 1"), "FAIL"),
        ((b"same : 0", b"same : 0"), (b"unique : 0", b"unique : 1"), "FAIL"),
        ((b"same : 0", b"same : 0"), (b"performance_issue_same : 1\n", b""), "NO_VERDICT"),
        ((b"performance_issue_same : 0\n", b""), (b"same : 1", b"same : 1"), "NO_VERDICT"),
        ((b"same : 0", b"same : 0"), (b"same : 1", b"same : 2"), "NO_VERDICT"),
    ],
)
def test_the_audit_must_have_repeated_one_sample(
    tmp_path: Path, scenario: str, reference: tuple[bytes, bytes], audit: tuple[bytes, bytes], wanted: str
) -> None:
    logs = pair(scenario)
    found = judge(tmp_path, (logs[0].replace(*reference), logs[1].replace(*audit)), scenario)
    assert found.status == wanted
    assert check(found, "repeated_one_sample") is (False if wanted == "FAIL" else None)
    assert found.upstream[0].verdict == "PASS"
    assert [difference.defect for difference in found.differences] == ["repeats_unseen"]


@pytest.mark.parametrize(("same", "wanted"), [(True, "PASS"), (False, "FAIL")])
def test_an_old_summary_is_completed_by_the_detail_log(tmp_path: Path, same: bool, wanted: str) -> None:
    settings = re.compile(rb"performance_issue_.*\n")
    logs = changed(pair(), lambda log: settings.sub(b"", log), "both")
    details: Pair = tuple(  # type: ignore[assignment]
        detail("Offline", 100.0, effective_performance_issue_unique=False, effective_performance_issue_same=value)
        for value in (False, same)
    )
    found = directory(tmp_path)
    write(found, logs)
    assert judged(verify, found).status == "NO_VERDICT"
    write(found, details, DETAIL)
    assert judged(verify, found).status == wanted


@pytest.mark.parametrize("link", [Path.hardlink_to, Path.symlink_to, None])
def test_one_run_published_twice_fails(tmp_path: Path, link: Callable[[Path, Path], None] | None) -> None:
    _, audit = pair()
    audit = audit.replace(b"same : 1", b"same : 0")
    found = directory(tmp_path)
    write(found, (audit, audit))
    if link:
        (found.path / SUMMARY).unlink()
        link(found.path / SUMMARY, found.results / SUMMARY)
    ours = judged(verify, found)
    assert (ours.status, check(ours, "separate_runs")) == ("FAIL", False)
    assert ours.upstream[0].verdict == "PASS"
    assert "one_run_twice" in [difference.defect for difference in ours.differences]


def test_emptied_logs_are_no_verdict(tmp_path: Path, scenario: str, which: str) -> None:
    found = judge(tmp_path, changed(pair(scenario), lambda _: b"", which), scenario)
    assert found.status == "NO_VERDICT"
    assert "summary is empty" in found.reason
    assert all(difference.defect for difference in found.differences)


def test_a_value_that_comes_twice_and_differently_is_no_verdict(tmp_path: Path, scenario: str, which: str) -> None:
    twice = changed(pair(scenario), lambda log: SCORE.sub(rb"\g<0>\n\g<1>77", log), which)
    found = judge(tmp_path, twice, scenario)
    assert found.status == "NO_VERDICT"
    assert "contradicts an earlier one" in found.reason
    assert all(difference.defect == "last_of_several" for difference in found.differences)


def test_a_second_run_appended_and_cut_short_is_no_verdict(tmp_path: Path, which: str) -> None:
    found = judge(tmp_path, changed(pair(), lambda log: log + log[:400], which))
    assert (found.status, check(found, "logs_whole")) == ("NO_VERDICT", None)


def test_servers_of_different_target_latency_cannot_be_compared(tmp_path: Path) -> None:
    reference, audit = pair("Server")
    found = judge(tmp_path, (reference, audit.replace(b"(ns): 0", b"(ns): 15000000")), "Server")
    assert (found.status, check(found, "target_latency")) == ("FAIL", False)
    assert [difference.defect for difference in found.differences] == ["target_latency_unseen"]


def test_scores_before_early_stopping_are_told_but_decide_nothing(tmp_path: Path) -> None:
    """SingleStream of v1.1 and older."""
    logs = changed(pair("SingleStream", 1.02), without_score, "both")
    found = judge(tmp_path, logs, "SingleStream")
    assert found.status == "NO_VERDICT"
    assert any("By the percentile latency alone" in note and "1.02" in note for note in found.notes)


@given(st.binary(max_size=300), st.sampled_from(["reference", "audit"]), st.integers(0, 1200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
def test_any_bytes_in_place_of_a_part_are_judged(tmp_path: Path, junk: bytes, which: str, at: int) -> None:
    """Never another exception, and never a difference from upstream that nothing explains."""
    spoilt = changed(pair(), lambda log: log[:at] + junk + log[at + len(junk) :], which)
    found = judge(tmp_path, spoilt)
    assert found.status in ("PASS", "FAIL", "NO_VERDICT")
    assert all(difference.defect for difference in found.differences)
    if not all(b"No errors encountered during test." in log for log in spoilt):
        assert found.status != "PASS"
