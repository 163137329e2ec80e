from __future__ import annotations

import tracemalloc
from typing import Any

import msgspec
import pytest
from pydantic import ValidationError

from pytest_mlperf_audit.audits.test09.live import Test09, Test09Block
from pytest_mlperf_audit.errors import PlanError
from pytest_mlperf_audit.runs.order import without_replacement
from pytest_mlperf_audit.runs.phase import MeasuredPhase
from pytest_mlperf_audit.runs.spec import Keep, RunSpec
from tests.support.token_phase import answered, failed, judged, measured, planned, results

AUDIT = Test09()
BOUNDS: dict[str, Any] = {"min_output_tokens": 2.0, "max_output_tokens": 3.0}
CHECKS = ["completion[test09]", "samples", "output_length", "token_count"]
FINE = dict.fromkeys(CHECKS, True)


def verdict(made, rows=4, **asked):
    return judged(AUDIT, planned(AUDIT, rows=rows, **{**BOUNDS, **asked}), made, **{**BOUNDS, **asked})


def replies(*lengths, **fields):
    return [answered(at, [5] * length, **fields) for at, length in enumerate(lengths)]


def reason(found, name):
    return found.check(name).reason


def test_every_row_once_whose_token_ids_are_kept():
    spec = planned(AUDIT, rows=9, **BOUNDS, keys={"sample_order_seed": 3, "min_duration_ms": 600_000})
    assert (spec.label, spec.n_samples, spec.min_duration_ms) == ("test09", 9, 0)
    assert spec.order == without_replacement(3)
    assert spec.keep == Keep(outputs=False, token_ids=True)
    assert spec.parameters == {**BOUNDS, "bounds_of": "min_output_tokens and max_output_tokens"}
    assert AUDIT.checks(Test09Block(test="test09", **BOUNDS), [spec]) == CHECKS
    assert msgspec.json.decode(msgspec.json.encode(spec), type=RunSpec) == spec


@pytest.mark.parametrize(
    ("model", "rows", "low", "high"),
    [
        ("gpt-oss-120b", 6396, 1150.38, 1406.02),
        ("e2e-rag-qna", 824, 246.43, 301.19),
        ("e2e-rag-qna", 900, 246.43, 301.19),
    ],
)
def test_the_models_of_mlperf_are_known(model, rows, low, high):
    spec = planned(AUDIT, rows=rows, keys={"model": model})
    assert spec.n_samples == rows
    assert spec.parameters == {"min_output_tokens": low, "max_output_tokens": high, "bounds_of": model}


@pytest.mark.parametrize(
    ("model", "rows", "samples"),
    [
        ("gpt-oss-120b", 6395, None),
        ("gpt-oss-120b", 6397, None),
        ("gpt-oss-120b", 6396, 100),
        ("e2e-rag-qna", 823, None),
    ],
)
def test_mlperfs_bounds_hold_for_its_own_number_of_samples(model, rows, samples):
    with pytest.raises(PlanError, match=r"^samples: MLPerf's bounds are for the mean of .* outputs, and .* rows would"):
        planned(AUDIT, rows=rows, samples=samples, keys={"model": model})


def test_the_number_may_be_asked_for_of_a_larger_data_set():
    assert planned(AUDIT, rows=7000, samples=6396, keys={"model": "gpt-oss-120b"}).n_samples == 6396


def test_one_bound_of_ones_own_goes_with_the_other_of_the_model():
    spec = planned(AUDIT, rows=10, min_output_tokens=1000, keys={"model": "gpt-oss-120b"})
    assert (spec.parameters["min_output_tokens"], spec.parameters["max_output_tokens"]) == (1000, 1406.02)
    assert spec.n_samples == 10, "with another bound the number of samples is one's own, too"
    with pytest.raises(PlanError, match=r"2000 to 1406\.02, which no mean can be within; give both"):
        planned(AUDIT, rows=10, min_output_tokens=2000, keys={"model": "gpt-oss-120b"})


@pytest.mark.parametrize("asked", [{}, {"min_output_tokens": 5}])
@pytest.mark.parametrize("model", ["", "llama2-70b"])
def test_a_model_without_bounds_needs_them(model, asked):
    with pytest.raises(
        PlanError, match=r"^min_output_tokens, max_output_tokens: MLPerf has no bounds.*give both, or name"
    ):
        planned(AUDIT, **asked, keys={"model": model})


def test_no_more_rows_than_there_are():
    with pytest.raises(
        PlanError, match=r"^samples: 11 distinct rows are asked for, but 10 were loaded; lower `samples`"
    ):
        planned(AUDIT, rows=10, samples=11, **BOUNDS)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"min_output_tokens": 5, "max_output_tokens": 4}, r"min_output_tokens \(5\) exceeds max_output_tokens \(4\)"),
        ({"min_output_tokens": -1}, "greater than or equal to 0"),
        ({"max_output_tokens": 0}, "greater than 0"),
        ({"samples": 0}, "greater than or equal to 1"),
        ({"max_output_tokens": float("inf")}, "finite"),
    ],
)
def test_what_the_block_refuses(keys, message):
    with pytest.raises(ValidationError, match=message):
        Test09Block.model_validate({"test": "test09", **keys})


def test_the_other_name_and_no_file_of_mlperfs():
    assert Test09Block(test="output_length_test").only is False
    assert (AUDIT.aliases, AUDIT.mlperf_name) == (("output_length_test",), None)


def test_outputs_of_the_right_length_pass():
    found = verdict(replies(1, 2, 3, 4))
    assert results(found) == FINE
    assert found.passed
    assert found.check("output_length").observed == found.figures["mean_output_tokens"] == 2.5
    assert reason(found, "output_length") == "the mean of 4 outputs is 2.50 tokens, 2 to 3 allowed"
    assert found.notes == ()


@pytest.mark.parametrize(
    ("lengths", "passes"),
    [((2, 2, 2, 2), True), ((3, 3, 3, 3), True), ((2, 2, 2, 1), False), ((3, 3, 3, 4), False), ((9, 1, 1, 1), True)],
)
def test_the_mean_may_lie_at_either_bound(lengths, passes):
    assert results(verdict(replies(*lengths))) == {**FINE, "output_length": passes}


def test_the_limit_is_the_bound_that_was_missed():
    assert verdict(replies(1, 1, 1, 1)).check("output_length").limit == 2.0
    assert verdict(replies(9, 9, 9, 9)).check("output_length").limit == 3.0


def test_one_sample_skipped():
    found = verdict([*replies(2, 2, 2), failed(3)])
    assert results(found) == {**FINE, "completion[test09]": False, "samples": False}
    assert reason(found, "samples") == "3 of 4 samples are logged, each once"
    found = verdict([*replies(2, 2, 2), failed(3, "empty")])
    assert results(found) == {**FINE, "completion[test09]": False, "samples": False}


def test_a_sample_that_a_rate_limit_refused_fails_nothing():
    found = verdict([*replies(9, 9, 9), failed(3, "http_429")])
    assert results(found) == {**FINE, "completion[test09]": None, "samples": None, "output_length": None}


def test_one_sample_in_place_of_another():
    made = replies(2, 2, 2, 2)
    made[3].sample = 1
    found = verdict(made)
    assert results(found) == {**FINE, "samples": False}
    assert "1 of 4 entries repeat a sample (1)" in reason(found, "samples")


def test_a_reply_without_token_ids_leaves_the_mean_undecided():
    made = replies(2, 2, 2, 2)
    made[1].output_ids = None
    assert results(verdict(made)) == {**FINE, "output_length": None}


def test_nothing_answered():
    found = verdict([failed(at) for at in range(4)])
    assert results(found) == {
        "completion[test09]": False,
        "samples": False,
        "output_length": None,
        "token_count": True,
    }
    assert not found.passed


def test_a_reported_count_that_is_not_that_of_the_tokens_fails():
    made = replies(2, 2, 2, 2)
    made[2].tokens = 4
    found = verdict(made)
    assert results(found) == {**FINE, "token_count": False}
    assert "row 2 (query 2): 4 reported, its output has 2" in reason(found, "token_count")


def test_counts_are_compared_where_they_are_reported():
    made = replies(2, 2, 2, 2)
    made[0].tokens = None
    assert "3 of 4 replies report" in reason(verdict(made), "token_count")
    found = verdict(replies(2, 2, 2, 2, tokens=None))
    assert found.passed
    assert "no reply reports a number of tokens" in reason(found, "token_count")


def test_ids_made_of_text_are_marked():
    found = verdict(replies(2, 3, 2, 3, ids_from="t.json sha256:00"), tokenizer="t.json")
    assert found.passed
    assert "local tokenizer (t.json sha256:00)" in found.notes[0]


def test_a_text_that_no_tokenizer_can_turn_back_is_left_out_of_the_mean():
    made = replies(2, 3, 90, 90, tokens=2, ids_from="t.json sha256:00")
    for record in made[2:]:
        record.output = "\ufffd"
    found = verdict(made, tokenizer="t.json")
    assert found.passed
    assert "2 of 4 outputs have U+FFFD" in found.notes[1]


def test_a_tokenizer_that_most_replies_contradict_decides_nothing():
    found = verdict(replies(9, 9, 9, 9, tokens=2), tokenizer="t.json")
    assert results(found) == {**FINE, "output_length": None, "token_count": None}
    assert "4 of 4 replies report another number of tokens" in reason(found, "output_length")
    one = [*replies(2, 2, 2), answered(3, [5, 5], tokens=9)]
    assert results(verdict(one, tokenizer="t.json")) == {**FINE, "token_count": False}


def test_memory_does_not_hold_the_outputs():
    """A phase of 2,000 outputs of 16 KB each, read one at a time."""
    spec = planned(AUDIT, rows=2000, **BOUNDS)
    whole = measured(spec, replies(*[2] * 2000))
    long = MeasuredPhase(whole.record, whole.queries, lambda: (answered(at, [5] * 2000) for at in range(2000)))
    tracemalloc.start()
    try:
        found = AUDIT.verify(Test09Block(test="test09", **BOUNDS), {"test09": long})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.figures["output_tokens"] == 4_000_000
    assert peak < 2 * 2**20
