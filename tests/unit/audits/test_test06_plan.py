from __future__ import annotations

import msgspec
import pytest
from pydantic import ValidationError

from pytest_mlperf_audit.audits.test06.live import Test06, Test06Block
from pytest_mlperf_audit.errors import PlanError
from pytest_mlperf_audit.runs.order import without_replacement
from pytest_mlperf_audit.runs.spec import Keep, MaxThroughput, Poisson, RunSpec
from tests.support.token_phase import planned

AUDIT = Test06()


def test_a_hundred_queries_whose_token_ids_are_kept():
    spec = planned(AUDIT, keys={"sample_order_seed": 7})
    assert (spec.label, spec.n_samples) == ("test06", 100)
    assert spec.order == without_replacement(7, wrap=True)
    assert spec.keep == Keep(outputs=False, token_ids=True)
    assert spec.parameters == {"eos_ids": [2], "eos_of": "llama2-70b", "streamed": True}


def test_the_settings_of_every_phase_hold_but_for_the_duration_floor():
    spec = planned(AUDIT, keys={"min_duration_ms": 600_000, "max_duration_ms": 5, "query_timeout_s": 3.0})
    assert (spec.min_duration_ms, spec.max_duration_ms, spec.query_timeout_s) == (0, 5, 3.0)


@pytest.mark.parametrize("load", [MaxThroughput(), Poisson(target_qps=2.0, seed=1)])
def test_any_load_will_do(load):
    assert planned(AUDIT, keys={"load": load}).load == load


def test_rows_are_sent_again_where_there_are_fewer_than_samples():
    spec = planned(AUDIT, rows=3, samples=8)
    drawn = spec.order.indices(3)  # type: ignore[union-attr]
    assert sorted(next(drawn) for _ in range(6)) == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("model", "eos_ids"),
    [
        ("llama3.1-8b", [128001, 128008, 128009]),
        ("DeepSeek-R1", [1]),
        ("gpt-oss-120b", [199999, 200002, 200012]),
        ("mixtral-8x7b", [2]),
    ],
)
def test_the_models_of_mlperf_are_known(model, eos_ids):
    assert planned(AUDIT, keys={"model": model}).parameters["eos_ids"] == eos_ids


def test_eos_ids_of_ones_own_go_before_the_models():
    spec = planned(AUDIT, eos_ids=[9, 5, 9], keys={"model": "llama2-70b"})
    assert (spec.parameters["eos_ids"], spec.parameters["eos_of"]) == ([5, 9], "eos_ids")


@pytest.mark.parametrize("model", ["", "my-model", "resnet50"])
def test_a_model_whose_eos_tokens_are_not_known_needs_them(model):
    with pytest.raises(PlanError, match=r"^eos_ids: which tokens end .* is not known; give them.*eos_ids: \[2\]"):
        planned(AUDIT, keys={"model": model})


def test_the_tokenizer_goes_with_the_phase():
    keep = planned(AUDIT, tokenizer="models/tokenizer.json").keep
    assert keep == Keep(outputs=True, token_ids=True, tokenizer="models/tokenizer.json")


def test_the_plan_is_readable_again():
    spec = planned(AUDIT, dataset="mmlu", eos_ids=[5])
    assert spec.dataset == "mmlu"
    assert msgspec.json.decode(msgspec.json.encode(spec), type=RunSpec) == spec


@pytest.mark.parametrize(
    ("keys", "checks"),
    [
        ({"streaming": True}, ["completion[test06]", "samples", "first_token", "eos", "token_count"]),
        ({"streaming": False}, ["completion[test06]", "samples", "eos", "token_count"]),
    ],
)
def test_the_first_token_is_checked_where_replies_are_streamed(keys, checks):
    cfg = Test06Block(test="test06")
    assert AUDIT.checks(cfg, [planned(AUDIT, keys=keys)]) == checks


@pytest.mark.parametrize(
    ("key", "value"),
    [("samples", 0), ("eos_ids", []), ("eos_ids", [-1]), ("eos_ids", "2"), ("min_completion", 0), ("test", "test07")],
)
def test_what_the_block_refuses(key, value):
    with pytest.raises(ValidationError):
        Test06Block.model_validate({"test": "test06", key: value})


def test_the_other_name():
    assert Test06Block(test="consistency_output_test").samples == 100
    assert AUDIT.aliases == (AUDIT.mlperf_name,) == ("consistency_output_test",)
