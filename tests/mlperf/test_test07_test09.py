"""TEST07 and TEST09 on logs made here: no round published up to v5.1 has any."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_mlperf_audit.audits.published.case import CaseOutcome, outcome
from pytest_mlperf_audit.audits.test07 import published as test07
from pytest_mlperf_audit.audits.test09 import LengthBounds
from pytest_mlperf_audit.audits.test09 import published as test09
from pytest_mlperf_audit.audits.test09 import upstream as upstream_word
from tests.support.accuracy_logs import (
    audit_directory,
    log_bytes,
    noted,
    sample,
    tokens,
    truncated,
    upstream_test07,
    upstream_test09,
)
from tests.support.judged import event

Samples = list[dict[str, Any]]
LOG = "accuracy/mlperf_log_accuracy.json"
NOTES = "accuracy/accuracy.txt"
SUMMARY = "performance/run_1/mlperf_log_summary.txt"
SCRIPT07, SCRIPT09 = "TEST07/run_verification.py", "TEST09/run_verification.py"
UNIQUE = b"Scenario : Offline\nResult is : VALID\nperformance_issue_unique : 1\nNo errors encountered during test.\n"


def record07(score: str = "62.15", threshold: str = "60.698", words: str = "TEST PASS", printed: str = "") -> bytes:
    """What TEST07's script writes: what the accuracy script printed, then its summary."""
    lines = [f"'exact_match': {printed or score}", "=" * 80, "TEST07 Verification Summary", "=" * 80]
    return "\n".join([*lines, f"Accuracy score: {score}", f"Accuracy threshold: {threshold}", words, ""]).encode()


def judged07(tree: Path, log: bytes, record: bytes | None = None, **files: bytes) -> CaseOutcome:
    named = {LOG: log, "verify_accuracy.txt": record07() if record is None else record}
    found = audit_directory(tree, "TEST07", named | files, benchmark="gpt-oss-120b", scenario="Offline")
    return outcome(found, test07.verify(found))


def gpqa(n: int = 990) -> Samples:
    return [sample(index, [5, 6, 7], first=False) for index in range(n)]


def word(came: CaseOutcome, script: str) -> str:
    return next(said.verdict for said in came.upstream if said.script == script)


def defects(came: CaseOutcome, script: str) -> list[str]:
    return [each.defect for each in came.differences if each.script == script]


def test_all_samples_with_a_score_above_the_threshold_pass(tmp_path: Path) -> None:
    came = judged07(tmp_path, log_bytes(gpqa()))
    assert (came.status, came.recorded, came.differences) == ("PASS", "PASS", ())
    assert any("accuracy script" in note for note in came.notes)


@pytest.mark.parametrize(
    ("samples", "told"),
    [
        (gpqa(989), "989 of 990 samples"),
        (gpqa(991), "991 of 990 samples"),
        ([*gpqa(), gpqa()[7]], "repeat a sample (7)"),
        ([*gpqa(989), gpqa()[7]], "repeat a sample (7)"),
        ([], "0 of 990"),
    ],
)
def test_a_missing_or_doubled_sample_fails_though_upstream_never_counts(
    tmp_path: Path, samples: Samples, told: str
) -> None:
    came = judged07(tmp_path, log_bytes(samples))
    assert came.status == "FAIL"
    assert told in came.reason
    assert (word(came, SCRIPT07), defects(came, SCRIPT07)) == ("PASS", ["samples_not_counted"])
    assert defects(came, "submission_checker") == ["words_not_figures"]


@pytest.mark.parametrize(
    ("record", "status"),
    [
        (record07("60.698"), "PASS"),
        (record07("60.697"), "FAIL"),
        (record07("60.697", words="TEST PASS"), "FAIL"),
        (record07("62.15", words="TEST FAIL"), "PASS"),
        (record07("59.0", threshold="50"), "FAIL"),
        (record07("62.15", printed="12.5"), "FAIL"),
        (record07("nan"), "NO_VERDICT"),
        (record07("sixty"), "NO_VERDICT"),
        (b"TEST PASS\n", "NO_VERDICT"),
        (b"", "NO_VERDICT"),
    ],
)
def test_the_numbers_count_and_not_the_words(tmp_path: Path, record: bytes, status: str) -> None:
    came = judged07(tmp_path, log_bytes(gpqa()), record)
    assert came.status == status, came.reason
    assert all(each.defect for each in came.differences)


@pytest.mark.parametrize("summary", [b"", b"Accuracy score: 1_000", b"Acc1racy score: 62.15"])
def test_a_summary_without_a_score_is_no_verdict_whatever_was_printed(tmp_path: Path, summary: bytes) -> None:
    record = record07().replace(b"Accuracy score: 62.15", summary)
    came = judged07(tmp_path, log_bytes(gpqa()), record)
    assert came.status == "NO_VERDICT"
    assert (word(came, SCRIPT07), defects(came, SCRIPT07)) == ("PASS", ["summary_not_read"])


def test_a_lower_threshold_than_mlperfs_is_pointed_out(tmp_path: Path) -> None:
    came = judged07(tmp_path, log_bytes(gpqa()), record07("59.0", threshold="50"))
    assert any("threshold 50" in note for note in came.notes)
    assert defects(came, SCRIPT07) == ["any_threshold"]


def test_a_log_cut_for_publication_passes_as_recorded(tmp_path: Path) -> None:
    log = log_bytes(gpqa())
    files = {NOTES: noted(log).encode(), SUMMARY: UNIQUE}
    came = judged07(tmp_path, truncated(log), **files)
    assert (came.status, came.log_scenario) == ("PASS", "Offline")
    assert "as recorded" in came.reason
    assert any("rests on the submitter's record" in note for note in came.notes)


@pytest.mark.parametrize(
    "changes",
    [
        {NOTES: b"hash=\n"},
        {SUMMARY: b"Scenario : Offline\n"},
        {SUMMARY: UNIQUE.replace(b"unique : 1", b"unique : 0")},
        {"verify_accuracy.txt": b"TEST PASS\n"},
    ],
)
def test_a_log_cut_for_publication_needs_the_whole_record(tmp_path: Path, changes: dict[str, bytes]) -> None:
    log = log_bytes(gpqa())
    files = {NOTES: noted(log).encode(), SUMMARY: UNIQUE, **changes}
    assert judged07(tmp_path, truncated(log), **files).status == "NO_VERDICT"


DETAIL = "performance/run_1/mlperf_log_detail.txt"
V6_0 = b"Scenario : Offline\nqsl_rng_seed : 2465351861681999779\nperformance_issue_unique : 0\n"


def v6_0_files(log: bytes, n_issued: int = 990, n_loaded: int = 990) -> dict[str, bytes]:
    issued = event("result_query_count", 1) + event("effective_samples_per_query", n_issued)
    loaded = f"2026-02-04 12:04:38,426 - INFO - Loaded {n_loaded} log entries\n".encode()
    return {NOTES: noted(log).encode(), SUMMARY: V6_0, DETAIL: issued, "verify_accuracy.txt": loaded + record07()}


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, "PASS"),
        ({"n_loaded": 989}, "FAIL"),
        ({"n_issued": 6396}, "FAIL"),
    ],
)
def test_v6_0_did_not_ask_loadgen_to_issue_each_sample_once(
    tmp_path: Path, changes: dict[str, int], status: str
) -> None:
    log = log_bytes(gpqa())
    came = judged07(tmp_path, truncated(log), **v6_0_files(log, **changes))
    assert came.status == status, came.reason
    told = changes.get("n_issued", changes.get("n_loaded", 990))
    assert f"{told} " in came.reason


@pytest.mark.parametrize("lacking", [DETAIL, NOTES, "verify_accuracy.txt"])
def test_v6_0_needs_the_whole_record_too(tmp_path: Path, lacking: str) -> None:
    log = log_bytes(gpqa())
    assert judged07(tmp_path, truncated(log), **{**v6_0_files(log), lacking: b""}).status == "NO_VERDICT"


def test_the_name_of_the_tree_tells_the_round_too(tmp_path: Path) -> None:
    log = log_bytes(gpqa())
    files = {**v6_0_files(log), SUMMARY: V6_0.replace(b"2465351861681999779", b"1"), LOG: truncated(log)}
    found = audit_directory(tmp_path, "TEST07", files, benchmark="gpt-oss-120b", scenario="Offline")
    assert outcome(found, test07.verify(found)).status == "NO_VERDICT"
    assert outcome(found, test07.verify(replace(found, round="v6.0"))).status == "PASS"


@pytest.mark.parametrize(
    ("grouped", "status"),
    [({"gpqa_diamond": 990}, "PASS"), ({"aime25": 54, "gpqa_diamond": 200, "livecodebench_v6": 736}, "NO_VERDICT")],
)
def test_a_score_of_other_data_reaches_no_threshold(tmp_path: Path, grouped: dict[str, int], status: str) -> None:
    stamp = "2026-02-13 17:37:09,939 - INFO - "
    lines = [f"{stamp}Grouped entries by dataset:", *(f"{stamp}  {name}: {n} entries" for name, n in grouped.items())]
    lines += [f"{stamp}Total entries: 990", f"{stamp}Processing MLPerf log entries by dataset...", ""]
    came = judged07(tmp_path, log_bytes(gpqa()), "\n".join(lines).encode() + record07())
    assert came.status == status, came.reason
    assert ("54 of aime25, 736 of livecodebench_v6" in came.reason) is (status != "PASS")
    assert ("any_data" in defects(came, SCRIPT07)) is (status != "PASS")


def test_a_whole_log_of_v6_0_may_repeat_a_sample(tmp_path: Path) -> None:
    log = log_bytes([*gpqa(989), sample(0, [5, 6, 7], first=False)])
    assert judged07(tmp_path, log, **v6_0_files(log)).status == "PASS"
    assert judged07(tmp_path, log, **{**v6_0_files(log), SUMMARY: UNIQUE}).status == "FAIL"


def test_a_whole_log_must_be_the_one_noted(tmp_path: Path) -> None:
    log = log_bytes(gpqa())
    assert judged07(tmp_path, log, **{NOTES: noted(log).encode()}).status == "PASS"
    assert judged07(tmp_path, log, **{NOTES: noted(b"another").encode()}).status == "FAIL"


@pytest.mark.parametrize("at", range(0, 50_000, 5000))
def test_a_log_cut_anywhere_never_passes(tmp_path: Path, at: int) -> None:
    assert judged07(tmp_path, log_bytes(gpqa())[:at]).status == "NO_VERDICT"


def test_another_model_has_no_test07(tmp_path: Path) -> None:
    found = audit_directory(tmp_path, "TEST07", {LOG: log_bytes(gpqa()), "verify_accuracy.txt": record07()})
    assert outcome(found, test07.verify(found)).status == "NO_VERDICT"


@pytest.mark.parametrize(
    "printed", ["'exact_match': 62.15", "'exact_match': 12", "none", "'exact_match': 1.2.3", "'exact_match': 60.698"]
)
def test_the_real_test07_says_what_we_say_it_says(tmp_path: Path, upstream: Path, printed: str) -> None:
    log = tmp_path / "mlperf_log_accuracy.json"
    log.write_bytes(log_bytes(gpqa(3)))
    text = upstream_test07(upstream, log, tmp_path, f"a line\n{printed}\n", 60.698)
    came = judged07(tmp_path, log_bytes(gpqa()), text.encode())
    assert word(came, SCRIPT07) == came.recorded == ("PASS" if "TEST PASS" in text else "FAIL")


RAG = LengthBounds(min_tokens=246.43, max_tokens=301.19, n_samples=824, unique=False)


def outputs(n: int = 824, length: int = 274, width: int = 4) -> Samples:
    data = tokens(*range(3, length + 3), width=width)
    return [{"seq_id": at, "qsl_idx": at, "data": data, "token_count": length} for at in range(n)]


def judged09(
    tree: Path, log: bytes, files: dict[str, bytes] | None = None, *, benchmark: str = "e2e-rag-qna"
) -> CaseOutcome:
    found = audit_directory(tree, "TEST09", {LOG: log, **(files or {})}, benchmark=benchmark, scenario="Offline")
    return outcome(found, test09.verify(found))


def _broken(**changes: Any) -> Callable[[], bytes]:
    return lambda: log_bytes([*outputs(), {**outputs(1)[0], **changes}])


#: name: (the log, our verdict, upstream's, the defect that explains a difference)
CASES: dict[str, tuple[Callable[[], bytes], str, str, str]] = {
    "honest": (lambda: log_bytes(outputs()), "PASS", "PASS", ""),
    "pretty": (lambda: json.dumps(outputs(), indent=1).encode(), "PASS", "PASS", ""),
    "JSON lines": (lambda: "\n".join(map(json.dumps, outputs())).encode(), "PASS", "PASS", ""),
    "one after the other": (lambda: "".join(map(json.dumps, outputs())).encode(), "PASS", "PASS", ""),
    "too short": (lambda: log_bytes(outputs(length=240)), "FAIL", "FAIL", ""),
    "too long": (lambda: log_bytes(outputs(length=302)), "FAIL", "FAIL", ""),
    "int64": (lambda: log_bytes(outputs(width=8)), "PASS", "FAIL", "int32_assumed"),
    "int64, half as long": (lambda: log_bytes(outputs(length=137, width=8)), "FAIL", "PASS", "int32_assumed"),
    "one missing": (lambda: log_bytes(outputs(823)), "FAIL", "PASS", "samples_not_counted"),
    "one sample": (lambda: log_bytes(outputs(1)), "FAIL", "PASS", "samples_not_counted"),
    "empty": (lambda: b"[\n]\n", "FAIL", "FAIL", ""),
    "no file": (lambda: b"", "NO_VERDICT", "FAIL", "unreadable_is_failed"),
    "bad hexadecimal": (_broken(data="0G"), "NO_VERDICT", "PASS", "broken_output_is_empty form_not_checked"),
    "no output": (_broken(data=None), "NO_VERDICT", "PASS", "broken_output_is_empty form_not_checked"),
    "a number among them": (
        lambda: log_bytes(outputs())[:-3] + b", 5]",
        "NO_VERDICT",
        "CRASH",
        "",
    ),
    "last line cut": (
        lambda: log_bytes(outputs())[:-500],
        "NO_VERDICT",
        "PASS",
        "reads_what_it_can form_not_checked",
    ),
    "no UTF-8": (lambda: log_bytes(outputs()) + b"\xff", "NO_VERDICT", "FAIL", "unreadable_is_failed"),
}


@pytest.mark.parametrize("name", CASES)
def test_output_lengths_are_judged_right_and_a_difference_is_explained(
    tmp_path: Path, upstream: Path, name: str
) -> None:
    make, ours, upstreams, explained = CASES[name]
    came = judged09(tmp_path, make())
    assert came.status == ours, came.reason
    assert word(came, SCRIPT09) == upstreams
    assert set(explained.split()) <= set(defects(came, SCRIPT09))
    assert bool(came.differences) == bool(explained)
    log = tmp_path / came.directory / LOG
    assert upstream_test09(upstream, log, tmp_path, RAG.min_tokens, RAG.max_tokens) == upstreams


def test_the_mean_is_a_figure(tmp_path: Path) -> None:
    came = judged09(tmp_path, log_bytes(outputs(width=8)))
    assert came.figures == {
        "samples": 824,
        "output_tokens": 824 * 274,
        "mean_output_tokens": 274.0,
        "token_dtype": "int64",
    }


def test_wrong_token_counts_are_noted(tmp_path: Path) -> None:
    came = judged09(tmp_path, log_bytes([{**each, "token_count": 5} for each in outputs()]))
    assert came.status == "PASS"
    assert "824 of 824 samples have another number of tokens" in came.notes[0]


@pytest.mark.parametrize(
    ("n", "repeat", "passed"), [(6396, 0, True), (6395, 0, False), (6395, 1, False), (6396, 1, False)]
)
def test_every_sample_once_where_loadgen_issues_them_so(tmp_path: Path, n: int, repeat: int, passed: bool) -> None:
    short = outputs(n, length=2)
    came = judged09(tmp_path, log_bytes([*short, *short[:repeat]]), benchmark="gpt-oss-120b")
    assert {check.name: check.passed for check in came.checks} == {"samples": passed, "output_length": False}


def record09(n: int = 824, mean: str = "274.00") -> bytes:
    return f"Total samples: {n}\nMean output tokens: {mean}\nMin output tokens: 3\n\nTEST PASS\n".encode()


@pytest.mark.parametrize(
    ("record", "status"),
    [
        (record09(), "PASS"),
        (record09(mean="301.19"), "PASS"),
        (record09(mean="301.20"), "FAIL"),
        (record09(823), "FAIL"),
        (b"TEST PASS\n", "NO_VERDICT"),
        (b"", "NO_VERDICT"),
    ],
)
def test_a_log_cut_for_publication_is_judged_by_the_recorded_figures(
    tmp_path: Path, record: bytes, status: str
) -> None:
    log = log_bytes(outputs())
    files = {"verify_output_len.txt": record, NOTES: noted(log).encode()}
    came = judged09(tmp_path, truncated(log), files)
    assert came.status == status, came.reason
    assert (came.upstream, came.differences) == ((), ())  # the script was never meant to read what was cut
    assert judged09(tmp_path, truncated(log), {**files, NOTES: b""}).status == "NO_VERDICT"


def test_another_model_has_no_bounds(tmp_path: Path) -> None:
    came = judged09(tmp_path, log_bytes(outputs()), benchmark="llama2-70b-99")
    assert (came.status, came.upstream) == ("NO_VERDICT", ())


_TEXT = st.lists(
    st.sampled_from(
        ['{"data": "05000000"}', "{}", ",", "[", "]", "\n", " ", '{"data": 5}', '{"data": "0G"}', "7", '{"']
    ),
    max_size=8,
).map("".join)


@given(text=_TEXT)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_real_test09_on_any_text(tmp_path: Path, upstream: Path, text: str) -> None:
    log = tmp_path / "mlperf_log_accuracy.json"
    log.write_text(text)
    bounds = LengthBounds(min_tokens=0.5, max_tokens=1, n_samples=1, unique=True)
    said = upstream_word.said(log, bounds, [], width=4)
    assert said is not None
    assert said[0].verdict == upstream_test09(upstream, log, tmp_path, bounds.min_tokens, bounds.max_tokens)
