"""Points that somebody forged or copied, and files whose values are of any type: found, and never a traceback."""

from __future__ import annotations

import copy
import json

import pytest
import yaml

from pytest_mlperf_audit.audits.curves.point import curve_of
from pytest_mlperf_audit.audits.published.case import CaseOutcome, verify
from pytest_mlperf_audit.audits.published.tree import find_audits
from tests.support.curve_tree import ROWS, write_curve

POINT, CONFIG, SUMMARY, SYSTEM = "point.yaml", "config.yaml", "result_summary.json", "system_desc.json"
ACCURACY = "accuracy_results.json"


def judged(tmp_path, change=lambda *_: None) -> dict[str, CaseOutcome]:
    return {audit.test: verify(audit) for audit in find_audits(write_curve(tmp_path, change).parent)}


def setting(number, file, **values):
    """Set values of a file of one point; dots in a key are written as two underscores."""

    def change(at, files):
        for key, one in values.items() if at == number else ():
            *above, last = key.split("__")
            data = files[file]
            for name in above:
                data = data.setdefault(name, {})
            data[last] = one

    return change


def window(**values):
    return setting(64, POINT, steady_state={"status": "windowable", "window": values})


@pytest.mark.parametrize(
    ("rule", "change", "words"),
    [
        ("duration", window(duration_s=5000), "r64: its window of 5000 s is longer than its run of 1300 s"),
        ("duration", window(n_samples=2 * ROWS + 1), "r64: its window has 12793 queries, and 12792 completed"),
        ("duration", window(super_pass_start=1, super_pass_end=3), "windowable over 3 passes, 4 are due"),
        (
            "duration",
            setting(64, POINT, steady_state={"status": "windowable", "state": {"tpot_p90": "Drifting Up"}}),
            "r64: its window is windowable, and tpot_p90 drift",
        ),
        ("load_pattern", setting(4, CONFIG, settings__load_pattern__type="poisson"), "load pattern 'poisson', not"),
        (
            "load_pattern",
            setting(4, SUMMARY, run_config={"load_pattern": {"target_concurrency": 64}}),
            "r4: result_summary.json ran with 64 in flight, not 4",
        ),
        ("seeds", setting(4, SUMMARY, run_config={"scheduler_random_seed": 42}), "r4: result_summary.json ran with"),
        ("complete", setting(4, POINT, concurrency=True), "r4: point.yaml says concurrency True"),
        ("metrics", setting(4, SUMMARY, complete=False), "r4: result_summary.json says that its run did not end"),
        ("metrics", setting(4, SUMMARY, state="interrupted"), "r4: result_summary.json says that its run did not end"),
        ("metrics", setting(4, SUMMARY, n_samples_completed=ROWS * 3, n_samples_failed=-ROWS), "a count is below 0"),
        ("metrics", setting(4, SUMMARY, ttft__min=1e12), "r4: a figure of ttft is below its min"),
        ("metrics", setting(4, SUMMARY, latency__max=1.0), "r4: a figure of latency is above its max"),
        ("metrics", setting(4, SUMMARY, latency__median=1e6), "r4: the median of latency is 1e+06, its 50th"),
        ("metrics", setting(4, SUMMARY, ttft__percentiles={"50": -1.0, "90": 2.0}), "a figure of ttft is below 0"),
        ("metrics", setting(4, SUMMARY, qps=99.0), "r4: qps is 99, 9.84 follows from the other figures"),
        ("metrics", setting(4, SUMMARY, tps=99.0), "r4: tps is 99, 1538.46 follows from the other figures"),
        (
            "metrics",
            setting(4, SUMMARY, legacy_loadgen_window_duration_ns=650 * 10**9),
            "r4: qps is 9.84, 19.6785 follows",
        ),
        (
            "metrics",
            setting(4, SUMMARY, output_sequence_lengths__avg=1.0),
            "total and mean of output_sequence_lengths are of 2e+06 queries, and 12792 were issued",
        ),
        ("accuracy", setting(4, ACCURACY, accuracy_scores={"gpqa": {"score": 830}}), "r4: exact_match is 830, a score"),
        (
            "accuracy",
            setting(4, ACCURACY, accuracy_scores=[{"dataset_name": "gpqa", "score": 90, "unit_samples": 198}]),
            "r4: its accuracy run sent 198 samples, 4395 are due",
        ),
        (
            "accuracy",
            setting(4, ACCURACY, accuracy_scores=[{"dataset_name": "gpqa", "score": 90}] * 2),
            "r4: accuracy_results.json has 2 results of gpqa",
        ),
    ],
)
def test_a_forged_figure_fails_its_rule(tmp_path, rule, change, words):
    case = judged(tmp_path, change)[rule]
    assert (case.status, words in case.reason) == ("FAIL", True), case.reason


@pytest.mark.parametrize(
    ("last", "status"), [({"dataset_name": "lcb", "score": 95, "unit_samples": 100}, "FAIL"), (None, "FAIL")]
)
def test_a_good_result_behind_a_bad_one_does_not_hide_it(tmp_path, last, status):
    scores = [{"dataset_name": "gpqa", "score": 50.0, "unit_samples": 4395}, *([last] if last else [])]
    assert judged(tmp_path, setting(4, ACCURACY, accuracy_scores=scores))["accuracy"].status == status


def test_several_data_sets_come_to_one_mean(tmp_path):
    """gpt-oss has three data sets of its own; that one of them is below the target of all says nothing."""
    scores = [
        {"dataset_name": "aime25", "score": 0.95, "unit_samples": 4000, "num_repeats": 8},
        {"dataset_name": "lcb", "score": 0.50, "unit_samples": 1000, "num_repeats": 3},
    ]
    assert judged(tmp_path, setting(4, ACCURACY, accuracy_scores=scores))["accuracy"].status == "PASS"


def copied_from(source, *keys):
    """Have r64 hold figures of another point."""
    kept = {}

    def change(at, files):
        if at == source:
            kept.update(copy.deepcopy(files[SUMMARY]))
        if at == 64:
            files[SUMMARY].update({key: kept[key] for key in keys})

    return change


@pytest.mark.parametrize("key", ["ttft", "tpot", "latency"])
def test_times_of_another_point_are_of_one_run(tmp_path, key):
    case = judged(tmp_path, copied_from(16, key))["consistency"]
    assert case.status == "FAIL"
    assert f"r64: its {key} is that of r16 to the last digit: of one run" in case.reason


def test_output_lengths_of_another_point_may_be_alike(tmp_path):
    """One data set at temperature 0."""
    assert judged(tmp_path, copied_from(16, "output_sequence_lengths"))["consistency"].status == "PASS"


def test_more_queries_in_flight_than_the_point_keeps_is_a_failure_and_far_fewer_a_question(tmp_path):
    def busier(at, files):
        if at == 64:
            files[SUMMARY]["latency"]["total"] *= 1.1

    more = judged(tmp_path / "more", busier)["metrics"]
    assert (more.status, "68.99 queries in flight on average, more than the 64" in more.reason) == ("FAIL", True)
    fewer = judged(tmp_path / "fewer", copied_from(16, "latency"))["metrics"]
    assert (fewer.status, "15.7 queries in flight on average, less than half of the 64" in fewer.reason) == (
        "NO_VERDICT",
        True,
    )


ODD = [None, True, -1, 10**40, float("nan"), float("inf"), "text", "", [], [[1]], {}, {"a": 1}, "../..", "\0"]


def places(data, above=()):
    """Yield the path of each value of a document."""
    for key, one in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield (*above, key)
        yield from places(one, (*above, key))


@pytest.mark.parametrize("file", [POINT, CONFIG, SUMMARY, SYSTEM, ACCURACY])
def test_values_of_any_type_are_judged(tmp_path, file):
    """Every value of a file becomes every odd one, in turn; a few at a time, so that the files are read seldom."""
    submission = write_curve(tmp_path)
    path = submission / "results/H200x8/gpt-oss-120b/r16" / file
    content = yaml.safe_load(path.read_text())
    audits = find_audits(submission)
    spots = list(places(content))
    for turn in range(len(ODD)):
        changed = copy.deepcopy(content)
        for at, (*above, last) in enumerate(reversed(spots)):  # what lies deeper first, or it would be gone
            holder = changed
            for key in above:
                holder = holder[key]
            if turn or at % 2:
                holder[last] = ODD[(at + turn) % len(ODD)]
        path.write_text(json.dumps(changed) if file.endswith("json") else yaml.safe_dump(changed))
        curve_of.cache_clear()
        assert {verify(audit).status for audit in audits} <= {"PASS", "FAIL", "NO_VERDICT", "SKIPPED"}


@pytest.mark.parametrize(
    ("file", "values"),
    [
        (POINT, {"runtime_settings__load_pattern": {"type": "concurrency"}}),
        (POINT, {"max_supported_concurrency": [256]}),
        (SYSTEM, {"max_supported_concurrency": {"a": 1}}),
        (ACCURACY, {"accuracy_scores": "good"}),
        (ACCURACY, {"accuracy_scores": True}),
    ],
    ids=str,
)
def test_a_value_of_another_type_is_a_failure_and_no_traceback(tmp_path, file, values):
    assert "FAIL" in {case.status for case in judged(tmp_path, setting(16, file, **values)).values()}
