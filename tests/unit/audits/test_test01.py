"""TEST01: sampled outputs of the performance run are those of the accuracy run, and sampling costs little."""

from __future__ import annotations

import random
from typing import Any

import pytest
from pydantic import ValidationError

from pytest_mlperf_audit.audits.contract import AuditContext
from pytest_mlperf_audit.audits.test01.live import Test01, Test01Block
from pytest_mlperf_audit.audits.verdict import Verdict
from pytest_mlperf_audit.errors import PlanError
from pytest_mlperf_audit.runs.order import WithoutReplacement
from pytest_mlperf_audit.runs.phase import MeasuredPhase
from pytest_mlperf_audit.runs.spec import Concurrency, Keep, RunSpec, Scoring
from tests.support.answered import measured, outcomes, phase, queries

AUDIT = Test01()
ROWS = 40
SEED = 720381539243781796
CHOICE = Scoring(method="exact_match", extractor="multiple_choice", ground_truth="answer")
ALL_PASS = {
    "completion[accuracy]": True,
    "completion[reference]": True,
    "completion[performance]": True,
    "matches": True,
    "outputs_match": True,
    "score_within": True,
}
BY_SCORE = {("score_delta" if name == "outputs_match" else name): value for name, value in ALL_PASS.items()}


def block(**keys: Any) -> Test01Block:
    return Test01Block.model_validate({"test": "test01", "sampling_target": 30, "samples": 60, **keys})


def context(**keys: Any) -> AuditContext:
    scorings = {"gpqa": CHOICE, "videos": Scoring(method="command", command=("score",))}
    return AuditContext(**{"load": Concurrency(target=4), "scorings": scorings, **keys})


def plan(rows: Any, cfg: Test01Block | None = None, n: int = ROWS, **keys: Any) -> dict[str, RunSpec]:
    return {spec.label: spec for spec in AUDIT.plan(cfg or block(), rows(n), context(**keys))}


def sent(spec: RunSpec, n: int = ROWS) -> list[int]:
    order = spec.order.indices(n)  # type: ignore[union-attr]
    return [row for row, _ in zip(order, range(spec.n_samples), strict=False)]


Texts = dict[int, "str | None"]


def texts(n: int = ROWS) -> Texts:
    return {row: f"answer {row} of the model" for row in range(n)}


def judge(
    specs: dict[str, RunSpec],
    before: Texts,
    after: Texts,
    cfg: Test01Block | None = None,
    *,
    window_s: float = 10.0,
    expected: dict[int, str] | None = None,
    failure: str = "http_500",
) -> Verdict:
    keys: dict[str, Any] = {"expected": expected, "failure": failure}
    runs = {
        "accuracy": measured(specs["accuracy"], sent(specs["accuracy"]), before, **keys),
        "reference": measured(specs["reference"], sent(specs["reference"]), after, failure=failure),
        "performance": measured(specs["performance"], sent(specs["performance"]), after, window_s=window_s, **keys),
    }
    return AUDIT.verify(cfg or block(), runs)


def sampled_rows(specs: dict[str, RunSpec]) -> list[int]:
    spec = specs["performance"]
    assert spec.keep is not None
    return [row for at, row in enumerate(sent(spec)) if at in (spec.keep.chosen(spec.n_samples) or range(10**9))]


def test_the_plan(rows) -> None:
    specs = plan(rows, sample_order_seed=7, min_duration_ms=5_000)
    assert list(specs) == ["accuracy", "reference", "performance"]
    accuracy, reference, performance = specs.values()
    assert (accuracy.order, accuracy.n_samples, accuracy.min_duration_ms) == (WithoutReplacement(seed=7), ROWS, 0)
    assert accuracy.keep == Keep()
    assert reference.keep is None
    assert performance.keep == Keep(target=30, seed=SEED)
    for spec in (reference, performance):
        assert (spec.order, spec.n_samples) == (WithoutReplacement(seed=7, wrap=True), 60)
        assert spec.min_duration_ms == 5_000
    assert reference.load == performance.load == accuracy.load
    assert all(spec.dataset == "" and spec.scoring is None and not spec.parameters for spec in specs.values())
    floors = ["duration[reference]", "duration[performance]"]
    assert AUDIT.checks(block(), [*specs.values()]) == [*list(ALL_PASS)[:3], *floors, *list(ALL_PASS)[3:]]


@pytest.mark.parametrize(
    ("keys", "n_samples", "wanted"),
    [({}, None, ROWS), ({}, 99, 99), ({"samples": 7}, 99, 7)],
    ids=["every row", "as the main run", "as it says"],
)
def test_how_many_queries(rows, keys, n_samples, wanted) -> None:
    cfg = Test01Block.model_validate({"test": "test01", **keys})
    specs = plan(rows, cfg, n_samples_to_issue=n_samples)
    assert specs["reference"].n_samples == specs["performance"].n_samples == wanted


@pytest.mark.parametrize(
    ("model", "target"),
    [("resnet50", 4096), ("retinanet", 256), ("wan-2.2-t2v-a14b", 50), ("llama3.1-8b", 4096), ("mine", 4096)],
)
def test_how_many_outputs_by_model(rows, model, target) -> None:
    specs = plan(rows, Test01Block.model_validate({"test": "test01"}), model=model)
    assert specs["performance"].keep == Keep(target=target, seed=SEED)


def test_tokens(rows) -> None:
    specs = plan(rows, block(match="tokens"))
    assert specs["accuracy"].keep == Keep(token_ids=True)
    assert specs["reference"].keep is None
    assert specs["performance"].keep == Keep(token_ids=True, target=30, seed=SEED)


def test_score_delta(rows) -> None:
    cfg = block(match="score_delta", dataset="gpqa")
    specs = plan(rows, cfg, model="bert-99.9")
    for label in ("accuracy", "performance"):
        assert (specs[label].dataset, specs[label].scoring) == ("gpqa", CHOICE)
        keep = specs[label].keep
        assert keep is not None
        assert keep.expected == "answer"
    assert specs["performance"].parameters == {"delta_percent": 0.1}
    assert AUDIT.checks(cfg, [*specs.values()]) == list(BY_SCORE)
    assert plan(rows, cfg, model="mine")["performance"].parameters == {"delta_percent": 1.0}
    own = block(match="score_delta", dataset="gpqa", delta_percent=2.5)
    assert plan(rows, own)["performance"].parameters == {"delta_percent": 2.5}


@pytest.mark.parametrize(
    ("dataset", "why"),
    [
        ("videos", "an external scorer judges whole runs; give the data set the eval_method exact_match, rouge or wer"),
        ("other", "dataset: 'other' is not a data set of type accuracy (gpqa, videos)"),
    ],
)
def test_what_cannot_be_planned(rows, dataset, why) -> None:
    with pytest.raises(PlanError) as caught:
        plan(rows, block(match="score_delta", dataset=dataset))
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"match": "score_delta"}, "score_delta needs an accuracy data set to score"),
        ({"delta_percent": 1}, "has no effect without 'match: score_delta'"),
        ({"min_matches": 0}, "greater than or equal to 1"),
    ],
)
def test_what_the_yaml_may_not_say(keys, why) -> None:
    with pytest.raises(ValidationError, match=why):
        block(**keys)


@pytest.mark.parametrize("match", ["exact", "tokens"])
def test_an_honest_sut_passes(rows, match) -> None:
    cfg = block(match=match)
    verdict = judge(plan(rows, cfg), texts(), texts(), cfg)
    assert outcomes(verdict) == ALL_PASS
    assert verdict.figures["outputs_sampled"] == verdict.figures["outputs_matching"] == 30
    assert (verdict.figures["outputs_differing"], verdict.figures["ratio"]) == (0, 1.0)
    assert (verdict.notes, verdict.diffs) == ((), ())


@pytest.mark.parametrize("match", ["exact", "tokens"])
def test_another_model_in_performance_mode(rows, match) -> None:
    cfg = block(match=match)
    specs = plan(rows, cfg)
    other: Texts = {row: f"answer {row} of another model" for row in range(ROWS)}
    verdict = judge(specs, texts(), other, cfg)
    assert outcomes(verdict) == {**ALL_PASS, "matches": False, "outputs_match": False}
    assert "30 of 30 sampled outputs differ" in verdict.check("outputs_match").reason
    assert verdict.check("matches").observed == 0
    assert len(verdict.diffs) == 20
    row = sampled_rows(specs)[0]
    assert verdict.diffs[0].of.startswith(f"row {row}: accuracy run (-), query ")
    at = len(f"answer {row} of ")
    assert verdict.diffs[0].text == (
        f"@@ character {at} @@\n-answer {row} of the model\n+answer {row} of another model"
    )
    assert "match: score_delta" in verdict.notes[0]


def test_one_differing_output_is_found_in_whatever_row(rows) -> None:
    specs = plan(rows)
    sampled = set(sampled_rows(specs))
    for row in range(ROWS):
        verdict = judge(specs, texts(), {**texts(), row: "something else"})
        assert outcomes(verdict) == {**ALL_PASS, "outputs_match": row not in sampled}
        assert all(f"row {row}:" in diff.of for diff in verdict.diffs)


def test_a_small_share_of_differences_over_many_seeds(rows) -> None:
    specs = plan(rows)
    times = sampled_rows(specs)
    for seed in range(50):
        changed = set(random.Random(seed).sample(range(ROWS), seed % 4))
        after: Texts = {row: "changed" if row in changed else text for row, text in texts().items()}
        verdict = judge(specs, texts(), after)
        n = sum(row in changed for row in times)
        assert verdict.figures["outputs_differing"] == n
        assert outcomes(verdict) == {**ALL_PASS, "outputs_match": n == 0}


def test_one_match_is_needed(rows) -> None:
    cfg = block(min_matches=30)
    assert outcomes(judge(plan(rows), texts(), texts(), cfg)) == ALL_PASS
    cfg = block(min_matches=31)
    assert outcomes(judge(plan(rows), texts(), texts(), cfg)) == {**ALL_PASS, "matches": False}


@pytest.mark.parametrize(
    ("window_s", "passed"), [(10.0, True), (9.2, True), (10.9, True), (9.0, False), (11.2, False), (5.0, False)]
)
def test_sampling_may_cost_ten_per_cent_and_gain_none(rows, window_s, passed) -> None:
    verdict = judge(plan(rows), texts(), texts(), window_s=window_s)
    assert outcomes(verdict) == {**ALL_PASS, "score_within": passed}


def test_failed_queries_are_neither_matches_nor_differences(rows) -> None:
    specs = plan(rows)
    row = sampled_rows(specs)[0]
    failed: Texts = {**texts(), row: None}
    verdict = judge(specs, failed, texts())
    assert outcomes(verdict) == {**ALL_PASS, "completion[accuracy]": False}
    assert "nothing to be compared with" in verdict.notes[0]
    verdict = judge(specs, texts(), failed)
    assert outcomes(verdict) == {**ALL_PASS, "completion[reference]": False, "completion[performance]": False}
    lenient = block(min_completion=0.9)
    assert outcomes(judge(specs, failed, texts(), lenient)) == ALL_PASS


def test_queries_that_a_rate_limit_refused_fail_nothing(rows) -> None:
    specs = plan(rows)
    failed: Texts = {**texts(), sampled_rows(specs)[0]: None}
    verdict = judge(specs, texts(), failed, window_s=20.0, failure="http_429")
    assert outcomes(verdict) == {
        **ALL_PASS,
        "completion[reference]": None,
        "completion[performance]": None,
        "score_within": None,
    }
    verdict = judge(
        specs, texts(), {**failed, **dict.fromkeys(sampled_rows(specs)[1:], "another model")}, failure="http_429"
    )
    assert outcomes(verdict)["outputs_match"] is False


def test_nothing_to_compare_is_no_pass(rows) -> None:
    specs = plan(rows)
    verdict = judge(specs, dict.fromkeys(range(ROWS)), texts(), block(min_completion=0.01))
    assert outcomes(verdict) == {
        **ALL_PASS,
        "completion[accuracy]": False,
        "matches": False,
        "outputs_match": None,
    }
    assert "none of 30" in verdict.check("outputs_match").reason


def test_replies_without_token_ids(rows) -> None:
    cfg = block(match="tokens")
    specs = plan(rows, cfg)
    runs: dict[str, MeasuredPhase] = {}
    for label, spec in specs.items():
        records = queries(spec, sent(spec), texts())
        for record in records:
            record.output_ids = None
        runs[label] = phase(spec, records)
    verdict = AUDIT.verify(cfg, runs)
    assert outcomes(verdict) == {**ALL_PASS, "matches": False, "outputs_match": None}
    assert "no token ids to compare" in verdict.check("outputs_match").reason


def test_a_floor_is_kept_by_both_performance_runs(rows) -> None:
    verdict = judge(plan(rows, min_duration_ms=10_500), texts(), texts(), window_s=10.6)
    assert outcomes(verdict) == {**ALL_PASS, "duration[reference]": False, "duration[performance]": True}


def test_queries_beyond_the_count_are_not_sampled(rows) -> None:
    # A duration floor makes a run longer than its count; the sample is of the count.
    specs = plan(rows)
    spec = specs["performance"]
    order = spec.order.indices(ROWS)  # type: ignore[union-attr]
    more = [next(order) for _ in range(200)]
    runs = {
        "accuracy": measured(specs["accuracy"], sent(specs["accuracy"]), texts()),
        "reference": measured(specs["reference"], more, texts()),
        "performance": measured(spec, more, texts()),
    }
    verdict = AUDIT.verify(block(), runs)
    assert outcomes(verdict) == ALL_PASS
    assert verdict.figures["outputs_sampled"] == 30


RIGHT = dict.fromkeys(range(ROWS), "B")


def said(right: set[int]) -> Texts:
    return {row: f"The answer is ({'B' if row in right else 'C'})." for row in range(ROWS)}


def by_score(**keys: Any) -> Test01Block:
    return block(match="score_delta", dataset="gpqa", **keys)


def test_a_sut_that_is_not_deterministic_passes_by_its_score(rows) -> None:
    cfg = by_score()
    specs = plan(rows, cfg)
    before: Texts = {row: f"Hmm. {text}" for row, text in said(set(range(20))).items()}
    verdict = judge(specs, before, said(set(range(20))), cfg, expected=RIGHT)
    assert outcomes(verdict) == BY_SCORE
    assert verdict.figures["outputs_matching"] == 0
    assert verdict.figures["accuracy_score"] == verdict.figures["performance_score"]
    assert len(verdict.diffs) == 20
    assert verdict.notes == ()


def test_a_worse_model_in_performance_mode_fails_by_its_score(rows) -> None:
    cfg = by_score()
    specs = plan(rows, cfg)
    verdict = judge(specs, said(set(range(40))), said(set(range(20))), cfg, expected=RIGHT)
    assert outcomes(verdict) == {**BY_SCORE, "score_delta": False}
    assert "exact_match of 30 sampled outputs is " in verdict.check("score_delta").reason
    assert verdict.check("score_delta").limit == 1.0


def test_only_the_sampled_rows_are_scored(rows) -> None:
    cfg = by_score()
    specs = plan(rows, cfg)
    sampled = sampled_rows(specs)
    # Rows outside the sample are all wrong in the accuracy run, and that must not matter; and a row sampled twice
    # counts twice in both.
    verdict = judge(specs, said(set(sampled)), said(set(range(ROWS))), cfg, expected=RIGHT)
    assert outcomes(verdict) == BY_SCORE
    assert verdict.figures["accuracy_n_scored"] == verdict.figures["performance_n_scored"] == 30
    one = sampled[0]
    verdict = judge(specs, said(set(sampled) - {one}), said(set(range(ROWS))), cfg, expected=RIGHT)
    assert verdict.figures["accuracy_score"] == pytest.approx(100 * (30 - sampled.count(one)) / 30)


@pytest.mark.parametrize(("before", "after", "passed"), [(0, 0, True), (ROWS, 0, False), (0, ROWS, False)])
def test_scores_of_nothing(rows, before, after, passed) -> None:
    cfg = by_score()
    verdict = judge(plan(rows, cfg), said(set(range(before))), said(set(range(after))), cfg, expected=RIGHT)
    assert outcomes(verdict) == {**BY_SCORE, "score_delta": passed}


def test_a_score_that_cannot_be_had_is_undecided(rows) -> None:
    cfg = by_score()
    verdict = judge(plan(rows, cfg), said(set()), said(set()), cfg, expected={})
    assert outcomes(verdict) == {**BY_SCORE, "matches": False, "score_delta": None}
    assert "there is no expected answer" in verdict.check("score_delta").reason


def test_rouge_compares_every_metric(rows) -> None:
    cfg = by_score()
    specs = plan(rows, cfg, scorings={"gpqa": Scoring(method="rouge", ground_truth="answer")})
    reference = {row: f"the quick brown fox number {row} jumps" for row in range(ROWS)}
    swapped: Texts = {row: f"quick the fox brown {row} number jumps" for row in range(ROWS)}
    verdict = judge(specs, dict(reference), swapped, cfg, expected=reference)
    assert outcomes(verdict) == {**BY_SCORE, "score_delta": False}
    assert verdict.check("score_delta").reason.startswith("rouge2 of 30 sampled outputs is ")
    assert verdict.figures["accuracy_rouge1"] == verdict.figures["performance_rouge1"] == pytest.approx(100)
