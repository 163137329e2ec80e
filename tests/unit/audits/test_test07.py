"""TEST07: the score of all rows, each once, reaches the threshold."""

from __future__ import annotations

import random
from typing import Any

import pytest
from pydantic import ValidationError

from pytest_mlperf_audit.audits.contract import AuditContext
from pytest_mlperf_audit.audits.test07.live import Test07, Test07Block
from pytest_mlperf_audit.errors import PlanError
from pytest_mlperf_audit.runs.order import WithoutReplacement
from pytest_mlperf_audit.runs.spec import Concurrency, Keep, RunSpec, Score, Scoring
from tests.support.answered import measured, outcomes, phase, queries

AUDIT = Test07()
SCORING = Scoring(method="exact_match", extractor="multiple_choice", ground_truth="answer")
ALL_PASS = {"completion[test07]": True, "samples": True, "score": True}


def block(**keys: Any) -> Test07Block:
    return Test07Block.model_validate({"test": "test07", "dataset": "gpqa", "threshold": 60, **keys})


def context(**keys: Any) -> AuditContext:
    scorings = {"gpqa": SCORING, "videos": "its eval_method 'vbench' needs an external scorer"}
    return AuditContext(**{"load": Concurrency(target=4), "scorings": scorings, **keys})


def planned(rows: Any, n: int = 100, cfg: Test07Block | None = None, **keys: Any) -> RunSpec:
    (spec,) = AUDIT.plan(cfg or block(), rows(n), context(**keys))
    return spec


def answers(n: int, right: int, seed: int = 1) -> dict[int, str | None]:
    """Answers to rows whose expected one is B."""
    drawn = set(random.Random(seed).sample(range(n), right))
    return {row: f"Let me see.\nThe answer is ({'B' if row in drawn else 'C'})." for row in range(n)}


def judged(spec: RunSpec, given: dict[int, str | None], cfg: Test07Block | None = None, **keys: Any) -> Any:
    sent = keys.pop("rows", list(spec.order.indices(len(given)))[: spec.n_samples])  # type: ignore[union-attr]
    run = measured(spec, sent, given, expected=dict.fromkeys(given, "choice2"), **keys)
    return AUDIT.verify(cfg or block(), {"test07": run})


def test_the_plan(rows) -> None:
    spec = planned(rows, min_duration_ms=600_000, max_duration_ms=9_000, sample_order_seed=7)
    assert (spec.label, spec.n_samples, spec.dataset, spec.scoring) == ("test07", 100, "gpqa", SCORING)
    assert spec.order == WithoutReplacement(seed=7)
    assert spec.keep == Keep(outputs=True, expected="answer")
    assert (spec.min_duration_ms, spec.max_duration_ms) == (0, 9_000)
    assert spec.parameters == {"threshold": 60.0, "threshold_of": "audit.threshold"}
    assert AUDIT.checks(block(), [spec]) == list(ALL_PASS)


def test_mlperfs_threshold_is_of_its_number_of_samples(rows) -> None:
    cfg = block(threshold=None)
    spec = planned(rows, 990, cfg, model="gpt-oss-120b")
    assert spec.parameters == {"threshold": 60.698, "threshold_of": "gpt-oss-120b"}
    for n, changes in ((989, {}), (991, {}), (990, {"samples": 100})):
        with pytest.raises(PlanError, match=r"threshold 60.698 is of 990 samples, and \d+ rows would be sent; load"):
            planned(rows, n, block(threshold=None, **changes), model="gpt-oss-120b")
    assert planned(rows, 991, block(samples=990, threshold=None), model="gpt-oss-120b").n_samples == 990


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"threshold": None}, "threshold: MLPerf has none for the model 'mine'; give `threshold`, or name a model"),
        ({"samples": 101}, "samples: 101 distinct rows are asked for, but 100 were loaded"),
        ({"dataset": "perf"}, "dataset: 'perf' is not a data set of type accuracy (gpqa, videos)"),
        ({"dataset": "videos"}, "dataset: 'videos' cannot be scored: its eval_method 'vbench' needs"),
    ],
)
def test_what_cannot_be_planned(rows, keys, why) -> None:
    with pytest.raises(PlanError) as caught:
        planned(rows, cfg=block(**keys), model="mine")
    assert why in str(caught.value)


def test_a_yaml_without_a_data_set() -> None:
    with pytest.raises(ValidationError, match="dataset"):
        Test07Block.model_validate({"test": "test07"})
    assert block(test="accuracy_in_performance_full_test").test == "accuracy_in_performance_full_test"


def test_an_accurate_sut_passes(rows) -> None:
    verdict = judged(planned(rows), answers(100, 60))
    assert outcomes(verdict) == ALL_PASS
    assert verdict.check("score").observed == 60.0
    assert verdict.figures["score"] == verdict.figures["exact_match"] == 60.0
    assert (verdict.figures["threshold"], verdict.figures["n_scored"]) == (60.0, 100)


def test_a_cheaper_model_fails_on_the_score(rows) -> None:
    verdict = judged(planned(rows), answers(100, 59))
    assert outcomes(verdict) == {**ALL_PASS, "score": False}
    assert verdict.check("score").reason == "the score of 100 outputs is 59, at least 60 needed"


def test_right_and_wrong_over_many_seeds(rows) -> None:
    spec = planned(rows)
    for seed in range(50):
        drawn = random.Random(seed).randint(0, 100)
        verdict = judged(spec, answers(100, drawn, seed))
        assert outcomes(verdict) == {**ALL_PASS, "score": drawn >= 60}


def test_answers_that_a_rate_limit_refused_are_not_wrong_ones(rows) -> None:
    given: dict[int, str | None] = {**answers(100, 60), **dict.fromkeys(range(50))}
    verdict = judged(planned(rows), given, failure="http_429")
    assert outcomes(verdict) == {**ALL_PASS, "completion[test07]": None, "score": None}
    assert "undecided, for 50 queries were refused" in verdict.check("score").reason


def test_a_skipped_sample(rows) -> None:
    given: dict[int, str | None] = {**answers(100, 100), 7: None}
    verdict = judged(planned(rows), given)
    assert outcomes(verdict) == {**ALL_PASS, "completion[test07]": False}
    assert verdict.check("score").observed == 99.0  # a failed query is a wrong answer
    assert outcomes(judged(planned(rows), given, block(min_completion=0.99))) == ALL_PASS


def test_a_row_never_sent(rows) -> None:
    spec = planned(rows)
    verdict = judged(spec, answers(100, 100), rows=list(range(99)))
    assert outcomes(verdict) == {"completion[test07]": False, "samples": False, "score": True}
    assert "99 of 100 samples" in verdict.check("samples").reason


def test_a_row_sent_twice_in_place_of_another(rows) -> None:
    verdict = judged(planned(rows), answers(100, 100), rows=[*range(99), 5])
    assert outcomes(verdict) == {**ALL_PASS, "samples": False}
    assert "repeat a sample (5)" in verdict.check("samples").reason


def test_fewer_rows_than_there_are(rows) -> None:
    cfg = block(samples=10)
    assert outcomes(judged(planned(rows, cfg=cfg), answers(100, 100), cfg)) == ALL_PASS


def test_no_score_is_undecided_and_never_a_pass(rows) -> None:
    spec = planned(rows)
    run = phase(spec, queries(spec, range(100), answers(100, 100), expected=dict.fromkeys(range(100), "Paris")))
    verdict = AUDIT.verify(block(), {"test07": run})
    assert outcomes(verdict) == {**ALL_PASS, "score": None}
    assert "'Paris' is no choice" in verdict.check("score").reason
    assert not verdict.passed


@pytest.mark.parametrize(
    ("score", "passed"),
    [
        (Score(value=60.0, n=100, exit_status=0), True),
        (Score(value=59.9, n=100, exit_status=0), False),
        (Score(value=None, n=100, exit_status=3, error="the scorer 'score' failed with exit status 3"), None),
        (None, None),
    ],
)
def test_an_external_scorer(rows, score, passed) -> None:
    by_command = Scoring(method="command", command=("score",))
    spec = planned(rows, scorings={"gpqa": by_command})
    assert spec.keep == Keep(outputs=True)
    run = measured(spec, list(range(100)), answers(100, 0), score=score)
    verdict = AUDIT.verify(block(), {"test07": run})
    assert outcomes(verdict) == {**ALL_PASS, "score": passed}
    if score and score.error:
        assert "exit status 3" in verdict.check("score").reason


def test_what_was_planned_counts_and_not_the_yaml(rows) -> None:
    # A record is judged by the threshold it was planned with, which may be a model's.
    spec = planned(rows, 990, block(threshold=None), model="gpt-oss-120b")
    assert outcomes(judged(spec, answers(990, 601), block(threshold=None))) == ALL_PASS
    assert outcomes(judged(spec, answers(990, 600), block(threshold=None))) == {**ALL_PASS, "score": False}
