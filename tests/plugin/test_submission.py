"""`type: submission`: performance, accuracy and audits in one command, each of which may be run alone."""

from __future__ import annotations

import json
import sys

import pytest

SCORER = """\
import json, sys
entries = json.load(open(sys.argv[1]))
outputs = [json.loads(line) for line in open(sys.argv[2])]
assert len(entries) == len(outputs) == 16, (len(entries), len(outputs))
assert sorted(row["expected"] for row in outputs) == sorted(f"scene {row}" for row in range(16))
print("vbench_score:", 71.5)
"""


@pytest.fixture
def submission(audit):
    """Write the YAML of a submission with one accuracy data set, scored by a program."""
    (audit.path / "score.py").write_text(SCORER)

    def write(sut, scorer: tuple[str, ...] = ("score.py", "{accuracy_log}", "{outputs}"), **blocks) -> None:
        accuracy = {"eval_method": "vbench", "ground_truth": "prompt", "command": [sys.executable, *scorer]}
        blocks = {
            "datasets": [
                {"name": "perf", "path": "prompts.jsonl", "samples": 12},
                {"name": "wan22::vbench", "path": "prompts.jsonl", "type": "accuracy", "accuracy_config": accuracy},
            ],
            "audit": {"only": False},
            **blocks,
        }
        audit.config(sut, type="submission", benchmark_mode="offline", **blocks)

    return write


def statuses(audit) -> dict[str, str]:
    return {entry["id"]: entry["status"] for entry in audit.verdict()["audits"]}


def accuracy_results(audit):
    return audit.report() / "accuracy/accuracy_results.json"


def test_one_command_does_it_all(audit, submission, sut, lone_or_spread):
    submission(sut)
    result = audit.run("-v", *lone_or_spread)
    result.assert_outcomes(passed=9)
    assert result.ret == 0
    ids = {line.split()[0] for line in result.outlines if "PASSED" in line and "::" in line}
    shown = "\n".join(result.outlines)
    for name in ("test04::throughput_ratio", "performance::count", "accuracy::score[[]wan22-vbench]"):
        result.stdout.fnmatch_lines([f"*wan22.yaml::{name}*"])
    assert ids, shown
    assert sut.received == 16 + 12 + 16
    assert statuses(audit) == {"test04": "PASS", "performance": "PASS", "accuracy": "PASS"}
    settings = {entry["id"]: set(entry["settings"]) for entry in audit.verdict()["audits"]}
    assert settings["performance"] == settings["accuracy"] == {"dataset"}, "the data sets say all of these two runs"
    (scored,) = json.loads(accuracy_results(audit).read_text())["accuracy_scores"]
    assert (scored["score"], scored["total_samples"], scored["dataset_name"]) == (71.5, 16, "wan22::vbench")
    assert json.loads((audit.report() / "performance/result_summary.json").read_text())["n_samples_issued"] == 12
    assert json.loads((audit.report() / "audit/audit_output_caching_test.json").read_text())["passed"] is True
    assert audit.run(f"--mlperf-recheck={audit.report()}", config=None).ret == 0


@pytest.mark.parametrize(
    ("choice", "received", "run"),
    [
        (["-m", "test04"], 16, ["test04"]),
        (["-k", "accuracy"], 16, ["accuracy"]),
        (["-m", "performance"], 12, ["performance"]),
        (["-m", "performance or accuracy"], 28, ["performance", "accuracy"]),
    ],
    ids=str,
)
def test_a_part_of_it_alone(audit, submission, sut, choice, received, run):
    submission(sut)
    assert audit.run(*choice).ret == 0
    assert sut.received == received
    assert [name for name, status in statuses(audit).items() if status == "PASS"] == run


def test_a_failing_audit_costs_neither_performance_nor_accuracy(audit, submission, start_sut):
    submission(start_sut(service_ms=15, repeat_ms=0, lanes=2, cache="exact"), audit={"only": False, "threshold": 0.1})
    result = audit.run()
    assert result.ret == 1
    assert statuses(audit) == {"test04": "FAIL", "performance": "PASS", "accuracy": "PASS"}
    assert accuracy_results(audit).exists()
    assert (audit.report() / "performance/result_summary.json").exists()


@pytest.mark.parametrize(
    ("scorer", "message"),
    [
        (("-c", "raise SystemExit(3)"), "*failed with exit status 3*"),
        (("-c", "pass"), "*printed no score*"),
        (("-c", "print('score: nan')"), "*no finite number*"),
    ],
    ids=["fails", "silent", "nan"],
)
def test_a_scorer_that_fails_leaves_accuracy_without_a_verdict(audit, submission, sut, scorer, message):
    submission(sut, scorer)
    result = audit.run()
    assert result.ret == 6
    result.stdout.fnmatch_lines([message])
    assert statuses(audit) == {"test04": "PASS", "performance": "PASS", "accuracy": "NO_VERDICT"}
    assert not accuracy_results(audit).exists()
    assert (audit.report() / "performance/result_summary.json").exists()
    assert (audit.report() / "accuracy/wan22-vbench/queries.jsonl").exists()


def test_a_score_below_its_floor_fails(audit, submission, sut):
    accuracy = {"eval_method": "vbench", "ground_truth": "prompt", "threshold": 72, "command": ["echo", "score: 71.5"]}
    datasets = [
        {"name": "perf", "path": "prompts.jsonl"},
        {"name": "vbench", "path": "prompts.jsonl", "type": "accuracy", "accuracy_config": accuracy},
    ]
    submission(sut, datasets=datasets)
    result = audit.run("-m", "accuracy")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*the score of 16 outputs is 71.5, at least 72 needed*"])


PERFORMANCE = {"name": "perf", "path": "prompts.jsonl"}
#: Accuracy data sets without which a submission is not whole, and what is said of each.
LACKING: dict[str, tuple[list[dict[str, object]], str, str]] = {
    "unknown scorer": (
        [{"name": "code::x", "type": "accuracy", "accuracy_config": {"eval_method": "code_bench_scorer"}}],
        "score[code-x]",
        "the accuracy data set 'code::x' cannot be scored: its eval_method 'code_bench_scorer' needs an external",
    ),
    "no path": (
        [{"name": "aime", "type": "accuracy", "accuracy_config": {"eval_method": "exact_match"}}],
        "score[aime]",
        "the accuracy data set 'aime' cannot be scored: it has no path",
    ),
    "no scorer": (
        [{"name": "bare", "path": "prompts.jsonl", "type": "accuracy"}],
        "score[bare]",
        "the accuracy data set 'bare' cannot be scored: it has no eval_method",
    ),
    "none": ([], "score[accuracy]", "the YAML names no data set of type accuracy"),
}


@pytest.mark.parametrize("case", LACKING)
def test_a_submission_without_its_accuracy_is_not_green(audit, submission, sut, case):
    datasets, check, message = LACKING[case]
    submission(sut, datasets=[PERFORMANCE, *datasets])
    result = audit.run()
    assert result.ret == 6, str(result.stdout)
    result.stdout.fnmatch_lines([f"*{message}*".replace("[", "[[]"), "*set 'accuracy: false' for a run that needs*"])
    assert statuses(audit) == {"test04": "PASS", "performance": "PASS", "accuracy": "NO_VERDICT"}
    (entry,) = [entry for entry in audit.verdict()["audits"] if entry["id"] == "accuracy"]
    assert [(one["name"], one["passed"], one["status"]) for one in entry["checks"]] == [(check, None, "error")]
    assert not accuracy_results(audit).exists()
    assert audit.run(f"--mlperf-recheck={audit.report()}", config=None).ret == 6
    assert "differ" not in str(result.stdout)


def test_what_can_be_scored_is_scored_beside_what_cannot(audit, submission, sut):
    scored = {"command": ["echo", "score: 1"]}
    datasets = [
        PERFORMANCE,
        {"name": "good", "path": "prompts.jsonl", "type": "accuracy", "accuracy_config": scored},
        {"name": "aime", "type": "accuracy", "accuracy_config": {"eval_method": "exact_match"}},
    ]
    submission(sut, datasets=datasets)
    assert audit.run("-m", "accuracy").ret == 6
    (entry,) = [entry for entry in audit.verdict()["audits"] if entry["id"] == "accuracy"]
    found = {one["name"]: one["status"] for one in entry["checks"]}
    assert found == {"completion[good]": "passed", "score[good]": "passed", "score[aime]": "error"}
    assert not accuracy_results(audit).exists(), "MLPerf's checker would take a part for the whole"
    assert audit.run(f"--mlperf-recheck={audit.report()}", config=None).ret == 6


@pytest.mark.parametrize("case", LACKING)
def test_a_submission_may_say_that_it_has_no_accuracy(audit, submission, sut, case):
    submission(sut, datasets=[PERFORMANCE, *LACKING[case][0]], accuracy=False)
    result = audit.run()
    assert result.ret == 0
    assert "cannot be scored" not in str(result.stdout)
    assert statuses(audit) == {"test04": "PASS", "performance": "PASS"}


def test_elsewhere_what_cannot_be_scored_is_left_out_and_said(audit, sut):
    datasets = [PERFORMANCE, *LACKING["unknown scorer"][0]]
    audit.config(sut, datasets=datasets, audit={"only": False})
    result = audit.run()
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*the accuracy data set 'code::x' cannot be scored: *; it is left out*"])
    assert statuses(audit) == {"test04": "PASS", "performance": "PASS"}


def test_an_audit_alone_needs_no_accuracy(audit, submission, sut):
    submission(sut, datasets=[PERFORMANCE], audit={"only": True})
    assert audit.run().ret == 0
    assert statuses(audit) == {"test04": "PASS"}


@pytest.mark.parametrize(
    ("accuracy", "message"),
    [
        ({"command": ["no-such-scorer-xyz"]}, "*'no-such-scorer-xyz' is no program that can be run*"),
        ({"eval_method": "exact_match", "ground_truth": "answer"}, "*column 'answer': there is no expected answer*"),
    ],
    ids=["no program", "no column"],
)
def test_what_is_wrong_with_it_is_said_before_anything_is_sent(audit, submission, sut, accuracy, message):
    datasets = [
        {"name": "perf", "path": "prompts.jsonl"},
        {"name": "set", "path": "prompts.jsonl", "type": "accuracy", "accuracy_config": accuracy},
    ]
    submission(sut, datasets=datasets)
    result = audit.run()
    assert result.ret == 4
    result.stderr.fnmatch_lines([message])
    assert sut.received == 0


def test_several_audits_of_several_data_sets(audit, submission, sut):
    """A list of audits; one of them on a data set of its own."""
    audit.rows(8, "other.jsonl")
    datasets = [
        {"name": "perf", "path": "prompts.jsonl"},
        {
            "name": "other",
            "path": "other.jsonl",
            "type": "accuracy",
            "accuracy_config": {"command": ["echo", "score: 1"]},
        },
    ]
    blocks = [
        {"test": "test04", "samples": 8, "sample_index": 3, "threshold": 0.9, "probe": False},
        {"test": "test01", "samples": 8, "dataset": "other"},
    ]
    submission(sut, datasets=datasets, audit=blocks)
    audit.run("-m", "test04 or test01", "--maxfail=99")
    found = statuses(audit)
    assert found["test04"] == "PASS"
    assert found["test01"] in {"PASS", "FAIL"}


def test_sample_videos_are_kept_or_missed_by_name(audit, sut):
    """WAN2.2's checker looks for ten videos by their rows; the rest of the answer is in unit/layouts/test_videos.py."""
    scorer = {"ground_truth": "prompt", "command": ["echo", "vbench_score: 70.48"]}
    blocks = {
        "type": "submission",
        "benchmark_mode": "offline",
        "submission_ref": {"model": "wan-2.2-t2v-a14b", "ruleset": "mlperf-inference-v6.1"},
        "settings": {"runtime": {"min_duration_ms": 0}},
        "audit": {"only": False},
    }
    accuracy = {"name": "vbench", "path": "prompts.jsonl", "type": "accuracy", "accuracy_config": scorer}
    audit.config(sut, datasets=[{"path": "prompts.jsonl"}, accuracy], **blocks)
    assert audit.run("-m", "accuracy").ret == 0
    (warning,) = (each for each in audit.verdict()["warnings"] if "accuracy/videos" in each)
    assert "lacks the videos of 10 rows" in warning
    accuracy["accuracy_config"] = {**scorer, "videos": "nowhere"}
    audit.config(sut, datasets=[{"path": "prompts.jsonl"}, accuracy], **blocks)
    received, result = sut.received, audit.run()
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*datasets*accuracy_config.videos: *nowhere is no directory; *"])
    assert sut.received == received


def test_a_data_set_of_an_audit_alone_is_not_sent_by_the_accuracy_run(audit, submission, sut):
    scorer = {"ground_truth": "prompt", "command": ["echo", "vbench_score: 70.48"]}
    alone = {"name": "exam", "path": "prompts.jsonl", "type": "accuracy", "accuracy_run": False}
    whole = {"name": "vbench", "path": "prompts.jsonl", "type": "accuracy", "accuracy_config": scorer}
    submission(sut, datasets=[{"path": "prompts.jsonl"}, whole, {**alone, "accuracy_config": scorer}])
    assert audit.run("-m", "accuracy").ret == 0
    assert sut.received == 16
    assert [score["dataset_name"] for score in json.loads(accuracy_results(audit).read_text())["accuracy_scores"]] == [
        "vbench"
    ]
