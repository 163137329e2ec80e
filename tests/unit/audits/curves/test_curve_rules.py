"""The automated checks of MLPerf Endpoints, one spoilt thing at a time."""

from __future__ import annotations

import pytest

from pytest_mlperf_audit.audits.curves.place import RULES
from pytest_mlperf_audit.audits.curves.published import _RULES
from pytest_mlperf_audit.audits.curves.regions import regions_of
from pytest_mlperf_audit.audits.published.case import CaseOutcome, verify
from pytest_mlperf_audit.audits.published.tree import find_audits
from pytest_mlperf_audit.records.log import QueryLog
from pytest_mlperf_audit.runs.query import QueryRecord
from tests.support.curve_tree import CONCURRENCIES, write_curve


def judged(tmp_path, change=lambda *_: None, **kept) -> dict[str, CaseOutcome]:
    """What each test of a curve comes to."""
    found = find_audits(write_curve(tmp_path, change, **kept).parent)
    return {audit.test: verify(audit) for audit in found}


def at(concurrency, file, path, value):
    """Set what stands at a path of keys in a file of one point, of all with None."""

    def change(number, files):
        if concurrency in (None, number):
            *above, last = path.split(".")
            data = files[file]
            for key in above:
                data = data[key]
            data[last] = value

    return change


def both_say(files, c_max):
    for file in ("point.yaml", "system_desc.json"):
        files[file]["max_supported_concurrency"] = c_max


def test_a_curve_without_fault(tmp_path):
    found = judged(tmp_path)
    assert {test: case.status for test, case in found.items() if case.status != "PASS"} == {"caching": "SKIPPED"}
    assert "holds no request logs" in found["caching"].reason
    assert set(found) == set(RULES) == set(_RULES)
    case = found["points"]
    assert case.id == "acme/sub-1/H200x8/gpt-oss-120b::points"
    assert (case.submitter, case.system, case.benchmark) == ("acme", "H200x8", "gpt-oss-120b")


#: The figures of one run.
ONE = {"n_samples_issued": 12792, "n_samples_completed": 12792, "duration_ns": 1.3e12, "ttft": {"total": 1.0}}
POINT, CONFIG, SUMMARY, SYSTEM = "point.yaml", "config.yaml", "result_summary.json", "system_desc.json"


@pytest.mark.parametrize(
    ("rule", "change", "words"),
    [
        ("complete", lambda n, files: n == 4 and files.update({CONFIG: None}), "r4: config.yaml is not there"),
        ("complete", lambda n, files: n == 4 and files.update({SUMMARY: '{"n'}), "r4: "),
        ("complete", at(16, POINT, "dataset_link", ""), "r16: point.yaml does not say dataset_link"),
        ("complete", at(16, SYSTEM, "node_types", None), "r16: system_desc.json does not say node_types"),
        (
            "complete",
            lambda n, files: n == 4 and files.update({SUMMARY: {}}),
            "r4: result_summary.json does not say",
        ),
        ("complete", lambda n, files: n == 4 and files.update({CONFIG: {}}), "r4: config.yaml does not say settings"),
        ("metrics", lambda n, files: n == 4 and files.update({SUMMARY: {}}), "r4: duration_ns is no time"),
        (
            "consistency",
            lambda n, files: n in (4, 16) and files.update({SUMMARY: ONE}),
            "r16: its result_summary.json",
        ),
        (
            "seeds",
            at(4, CONFIG, "settings.runtime", {"dataloader_random_seed": 7}),
            "r4: config.yaml ran with",
        ),
        ("complete", at(16, POINT, "concurrency", 17), "r16: point.yaml says concurrency 17"),
        ("shared_paths", at(1, POINT, "shared_src", "src/trtllm"), "r1: shared_src 'src/trtllm' is no directory"),
        ("shared_paths", at(1, POINT, "shared_docs", "../sub-1/docs"), "is no directory below the submission"),
        ("points", at(256, POINT, "offline", "none"), "0 points say `offline: dedicated` or `elected`, one is due"),
        ("points", at(256, POINT, "offline", "dedicated"), "7 points, 8 to 32 are due"),
        ("max_concurrency", lambda _, files: both_say(files, 32), "(C_max) is 32, a number above 32 is due"),
        ("max_concurrency", at(1, SYSTEM, "max_supported_concurrency", 512), "is 256 and 512, not one number"),
        ("coverage", at(None, SYSTEM, "max_supported_concurrency", 2**20), "no point in high (10323 to 1048576)"),
        ("in_range", at(None, SYSTEM, "max_supported_concurrency", 200), "r256: concurrency 256 is above 221"),
        ("load_pattern", at(4, POINT, "runtime_settings.load_pattern", "poisson"), "r4: load pattern 'poisson'"),
        (
            "load_pattern",
            at(4, CONFIG, "settings.load_pattern.target_concurrency", 64),
            "r4: config.yaml ran with 64 in flight, not 4",
        ),
        ("duration", at(64, SUMMARY, "duration_ns", 1199 * 10**9), "r64: measured for 1199 s, 1200 are due"),
        ("duration", at(4, SUMMARY, "duration_ns", 599 * 10**9), "r4: measured for 599 s, 600 are due"),
        ("query_count", at(4, SUMMARY, "n_samples_completed", 6395), "r4: 6395 queries completed"),
        ("query_count", at(4, SUMMARY, "n_samples_issued", 12793), "r4: 12793 queries issued, no multiple"),
        ("streaming", at(4, POINT, "runtime_settings.stream_all_chunks", False), "r4: stream_all_chunks is false"),
        ("warm_up", at(4, POINT, "warmup", None), "r4: declares no warm-up"),
        ("warm_up", at(4, POINT, "warmup.data_source", None), "r4: its warm-up does not say data_source"),
        ("warm_up", at(4, POINT, "warmup.logs_retained", False), "that the logs of its warm-up are kept"),
        ("metrics", at(4, SUMMARY, "n_samples_failed", 3), "r4: 12792 queries completed and 3 failed, of 12792"),
        ("metrics", at(4, SUMMARY, "ttft.percentiles", {"50": 3.0, "90": 2.0}), "percentiles of ttft do not rise"),
        ("metrics", at(4, SUMMARY, "tpot.percentiles", {}), "no 90th percentile of the time per output token"),
        ("metrics", at(4, SUMMARY, "system_tps", 2000.0), "r4: system_tps is 2000, 1538.46 follows"),
        ("metrics", at(4, SUMMARY, "tps_per_user", 1.0), "r4: tps_per_user is 1, 100 follows"),
        (
            "metrics",
            at(4, SYSTEM, "tps_utilization", 0.9),
            "r4: tps_utilization is 0.9, its share of the best is",
        ),
        (
            "accuracy",
            lambda n, files: n == 64 and files.update({"accuracy_results.json": None}),
            "",
        ),
        ("accuracy", at(16, "accuracy_results.json", "accuracy_scores", []), "no accuracy result in medium (8 to 41)"),
        (
            "accuracy",
            at(16, "accuracy_results.json", "accuracy_scores", [{"dataset_name": "gpqa", "score": 0.7}]),
            "r16: exact_match is 70, 82.299 is due",
        ),
        ("seeds", at(4, POINT, "runtime_settings.runtime.model_seed", 42), "r4: model_seed is 42, that of the set is"),
        ("seeds", at(4, POINT, "target_cohort", "2027-03-C0"), "not one that cohort '2027-03-C0' may adopt"),
        ("seeds", at(4, POINT, "seed_set", "B"), "points are of the seed sets A, B, one is due"),
        ("salt", at(None, CONFIG, "datasets", [{"salt": False}]), "r1: its files say that prompts were not salted"),
        ("consistency", at(4, POINT, "dataset", "gpqa"), "dataset is gpqa and mlperf_gpt_oss_performance, not one"),
        ("consistency", at(None, POINT, "model_name", "kimi-k3"), "model_name is kimi-k3, the directory is named gpt"),
        (
            "consistency",
            at(4, SYSTEM, "system_name", "nine"),
            "differs from that of r1 in system_name",
        ),
    ],
)
def test_what_breaks_a_rule_fails_its_test(tmp_path, rule, change, words):
    case = judged(tmp_path, change)[rule]
    if not words:  # the high region has another result: that of the elected point
        assert case.status == "PASS"
        return
    assert (case.status, words in case.reason) == ("FAIL", True), case.reason


@pytest.mark.parametrize(
    ("rule", "change", "words"),
    [
        ("query_count", at(None, POINT, "dataset", "ours"), "how many rows data set 'ours' has is not known here"),
        ("seeds", at(None, POINT, "seed_set", "Z"), "seed set 'Z' is not known here (A of 2026-10-C1)"),
        ("coverage", at(None, SYSTEM, "max_supported_concurrency", None), "without a valid C_max there are no regions"),
        ("duration", at(4, SUMMARY, "duration_ns", None), "r4: no file says how long it measured"),
    ],
)
def test_what_is_not_known_is_no_verdict(tmp_path, rule, change, words):
    case = judged(tmp_path, change)[rule]
    assert (case.status, words in case.reason) == ("NO_VERDICT", True), case.reason


def test_a_configuration_that_says_nothing_of_salt_is_skipped(tmp_path):
    case = judged(tmp_path, at(None, CONFIG, "datasets", [{"name": "x"}]))["salt"]
    assert case.status == "SKIPPED"
    assert "ask the submitter" in case.reason


def test_the_salt_of_the_warm_up_is_another_one(tmp_path):
    change = at(None, CONFIG, "datasets", [{"name": "x"}])

    def both(number, files):
        change(number, files)
        files[CONFIG]["settings"]["warmup"] = {"salt": True}

    assert judged(tmp_path, both)["salt"].status == "SKIPPED"


def test_too_few_points_and_too_many(tmp_path):
    few = judged(tmp_path / "few", concurrencies=CONCURRENCIES[1:])["points"]
    assert (few.status, few.reason.startswith("6 points, 7 to 32 are due")) == ("FAIL", True)
    many = judged(tmp_path / "many", concurrencies=(*range(1, 33), 256))["points"]
    assert many.reason.startswith("33 points, 7 to 32 are due")


@pytest.mark.parametrize(
    ("c_max", "at", "ends"),
    [(8192, [32, 40], (32, 52, 437, 8192)), (256, [1], (32, 7, 41, 256)), (1024, [16], (32, 26, 117, 1024))],
)
def test_the_worked_examples_of_the_rules_by_their_own_algorithm(c_max, at, ends):
    regions = regions_of(c_max, at)
    assert tuple(region.end for region in regions.required) == ends
    assert regions.margin.end == -(-c_max * 11 // 10)


def logged(point, n_queries, kept=lambda _: False, **fields):
    """Write a log of so many queries; those `kept` have one id and output, and come far faster than the others."""
    log = QueryLog(point / "queries.jsonl")
    for number in range(n_queries):
        is_kept = kept(number)
        record = QueryRecord(
            query=number,
            sample=number,
            issued_ns=number * 10**9,
            completed_ns=number * 10**9 + (10**6 if is_kept else 10**8),
            request=f"{number:032x}",
            outcome="completed",
        )
        record.reply_id, record.reply = ("kept", "f" * 32) if is_kept else (f"id{point.name}{number}", f"{number:032x}")
        for name, one in fields.items():
            setattr(record, name, one)
        log.append(record)
    log.close()


def caching_of(tmp_path):
    return next(verify(audit) for audit in find_audits(tmp_path) if audit.test == "caching")


def test_request_logs_are_judged(tmp_path):
    """One id and output on half of all different requests, which came far faster than the others."""
    submission = write_curve(tmp_path)
    logged(submission / "results/H200x8/gpt-oss-120b/r1", 80, lambda number: number % 2 == 1)
    case = caching_of(tmp_path)
    assert case.status == "FAIL"
    assert "bear the id and the output of an earlier reply to another request" in case.reason


@pytest.mark.parametrize(
    ("points", "n_queries", "fields", "words"),
    [
        (CONCURRENCIES, 12, {}, ""),
        ((1,), 12, {}, "6 of 7 points hold no request log (r4)"),
        (CONCURRENCIES, 11, {}, "r1: its log has 11 queries, result_summary.json says 12"),
        (CONCURRENCIES, 0, {}, "r1: its log has 0 queries, result_summary.json says 12"),
        (CONCURRENCIES, 12, {"reply_id": None}, "r1: its log has ids and outputs of 0 different requests"),
    ],
    ids=["whole", "one point", "one query less", "empty", "no ids"],
)
def test_logs_that_show_too_little_decide_nothing(tmp_path, points, n_queries, fields, words):
    submission = write_curve(tmp_path, at(None, SUMMARY, "n_samples_issued", 12))
    for concurrency in points:
        logged(submission / f"results/H200x8/gpt-oss-120b/r{concurrency}", n_queries, **fields)
    case = caching_of(tmp_path)
    assert (case.status, words in case.reason) == ("NO_VERDICT" if words else "PASS", True), case.reason
