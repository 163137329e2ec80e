"""How a data set is scored, and what a phase scored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_mlperf_audit.audits.scored import (
    first_unscorable,
    score,
    score_check,
    score_figures,
    score_of,
    scoring_of,
)
from pytest_mlperf_audit.config.dataset import DatasetConfig
from pytest_mlperf_audit.runs.order import sequential
from pytest_mlperf_audit.runs.spec import Concurrency, Keep, RunSpec, Score, Scoring
from pytest_mlperf_audit.scoring import metrics, word_errors
from tests.support.answered import measured


def dataset(**accuracy: Any) -> DatasetConfig:
    return DatasetConfig.model_validate({"path": "questions.jsonl", "type": "accuracy", "accuracy_config": accuracy})


def test_the_names_of_the_endpoints_tool() -> None:
    keys = {"eval_method": "pass_at_1", "extractor": "abcd_extractor", "ground_truth": "answer", "threshold": 60}
    assert scoring_of(dataset(**keys)) == Scoring(
        method="exact_match", extractor="multiple_choice", ground_truth="answer", threshold=60.0
    )
    assert scoring_of(dataset(eval_method="rouge", ground_truth="summary")) == Scoring(
        method="rouge", ground_truth="summary"
    )
    for column in ({}, {"ground_truth": None}):
        found = scoring_of(dataset(eval_method="string_match", **column))
        assert found == Scoring(method="exact_match", ground_truth="ground_truth")


def test_an_older_eval_method() -> None:
    config = DatasetConfig(path=Path("a.jsonl"), type="accuracy", eval_method="exact_match")
    assert scoring_of(config) == Scoring(method="exact_match", ground_truth="ground_truth")


def test_a_command() -> None:
    keys = {"eval_method": "vbench", "command": ["score", "{outputs}"], "timeout_ms": "10m", "pattern": "x=(.*)"}
    assert scoring_of(dataset(**keys, ground_truth=None)) == Scoring(
        method="command", command=("score", "{outputs}"), timeout_s=600.0, pattern="x=(.*)"
    )


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({}, "it has no eval_method"),
        ({"eval_method": "vbench"}, "its eval_method 'vbench' needs an external scorer; give one as"),
        ({"eval_method": "exact_mach"}, "did you mean 'exact_match'?"),
        (
            {"eval_method": "pass_at_1", "extractor": "python_code_extractor"},
            "python_code_extractor is not one of ours",
        ),
    ],
)
def test_what_cannot_be_scored(keys: dict[str, Any], why: str) -> None:
    found = scoring_of(dataset(**keys))
    assert isinstance(found, str)
    assert why in found


def test_a_data_set_without_a_file_or_a_block() -> None:
    assert "no eval_method" in str(scoring_of(DatasetConfig(path=Path("a.jsonl"), type="accuracy")))
    nowhere = {"name": "gpqa::gptoss", "type": "accuracy", "accuracy_config": {"eval_method": "pass_at_1"}}
    assert "it has no path" in str(scoring_of(DatasetConfig.model_validate(nowhere)))


def test_rouge_without_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "find_spec", lambda _: None)
    assert "pytest-mlperf-audit[rouge]" in str(scoring_of(dataset(eval_method="rouge")))


def test_the_word_error_rate_is_a_scorer(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rapidfuzz")
    pytest.importorskip("whisper_normalizer")
    scoring = scoring_of(dataset(eval_method="wer", ground_truth="transcript"))
    assert scoring == Scoring(method="wer", ground_truth="transcript")
    found = score(Scoring(method="wer"), [("red kite", "red kite on high"), (None, "owl")])
    assert (found.value, found.n, found.n_unanswered, found.metrics) == (40.0, 2, 1, {"wer": 60.0})
    monkeypatch.setattr(word_errors, "find_spec", lambda _: None)
    assert "pytest-mlperf-audit[wer]" in str(scoring_of(dataset(eval_method="wer")))


CHOICE = Scoring(method="exact_match", extractor="multiple_choice", ground_truth="answer")


def test_the_first_row_that_cannot_be_scored() -> None:
    assert first_unscorable(CHOICE, ["A", "choice2", "(c)"]) is None
    row, why = first_unscorable(CHOICE, ["A", None, "Paris"]) or (None, "")
    assert (row, why) == (1, "there is no expected answer; name its column as ground_truth")
    row, why = first_unscorable(CHOICE, ["A", "Paris"]) or (None, "")
    assert row == 1
    assert "'Paris' is no choice" in why
    assert first_unscorable(Scoring(method="command", command=("score",)), [None]) is None


def test_a_score_or_its_error() -> None:
    found = score(CHOICE, [("Answer: A", "A"), ("Answer: A", "B")])
    assert (found.value, found.n, found.error) == (50.0, 2, None)
    failed = score(CHOICE, [("Answer: A", "Paris")])
    assert failed.value is None
    assert "output 1 cannot be scored" in (failed.error or "")
    assert "whole phase" in (score(Scoring(method="command", command=("score",)), []).error or "")


def spec(scoring: Scoring | None) -> RunSpec:
    return RunSpec(label="a", n_samples=4, order=sequential(), load=Concurrency(target=1), keep=Keep(), scoring=scoring)


def test_failed_queries_are_wrong_answers() -> None:
    answers = {0: "Answer: A", 1: "Answer: B", 2: None, 3: "who knows"}
    run = measured(spec(CHOICE), range(4), answers, expected=dict.fromkeys(range(4), "A"))
    found = score_of(run)
    assert (found.value, found.n, found.n_unanswered) == (25.0, 4, 2)
    assert "without a scorer" in (score_of(measured(spec(None), range(4), answers)).error or "")


def test_what_a_command_left() -> None:
    by_command = spec(Scoring(method="command", command=("score",)))
    left = Score(value=70.5, n=4, exit_status=0)
    assert score_of(measured(by_command, [0], {0: "a"}, score=left)) == left
    assert "has not been run" in (score_of(measured(by_command, [0], {0: "a"})).error or "")


@pytest.mark.parametrize(
    ("found", "floor", "passed", "told"),
    [
        (Score(value=60.698, n=990), 60.698, True, "the score of 990 outputs is 60.698, at least 60.698 needed"),
        (Score(value=60.697, n=990, n_unanswered=3), 60.698, False, "no answer was found in 3 of them"),
        (Score(value=1.0, n=9), None, True, "the score of 9 outputs is 1"),
        (Score(value=None, n=9, error="it burnt"), 1.0, None, "there is no score: it burnt"),
        (Score(value=99.0, n=9, error="but exit status 1"), 1.0, None, "there is no score: but exit status 1"),
        (Score(value=None, n=9), None, None, "there is no score"),
        (Score(value=float("nan"), n=9), 1.0, None, "no finite number"),
        (Score(value=float("inf"), n=9), 1.0, None, "no finite number"),
    ],
)
def test_the_check(found: Score, floor: float | None, passed: bool | None, told: str) -> None:
    check = score_check(found, floor, name="score[a]")
    assert (check.name, check.passed, check.limit) == ("score[a]", passed, floor)
    assert told in check.reason


def test_figures() -> None:
    found = Score(value=2.0, n=3, metrics={"rouge2": 1.0, "score": 9.0}, exit_status=0)
    assert score_figures(found, "p_") == {
        "p_score": 2.0,
        "p_n_scored": 3,
        "p_n_unanswered": 0,
        "p_rouge2": 1.0,
        "p_scorer_exit_status": 0,
    }
