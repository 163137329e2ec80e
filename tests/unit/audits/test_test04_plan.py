from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pytest_mlperf_audit.audits.contract import AuditContext
from pytest_mlperf_audit.audits.test04.block import Test04Block
from pytest_mlperf_audit.audits.test04.live import Test04
from pytest_mlperf_audit.errors import PlanError
from pytest_mlperf_audit.runs.order import single, without_replacement
from pytest_mlperf_audit.runs.spec import Concurrency, MaxThroughput, Poisson

OFFLINE = AuditContext(load=MaxThroughput())


def test_the_plan_is_a_reference_and_one_repeated_row(block, rows):
    reference, caching, confirmation = Test04().plan(block(sample_index=3), rows(), OFFLINE)
    assert (reference.label, reference.n_samples, reference.order) == ("reference", 20, without_replacement(42))
    assert (caching.label, caching.n_samples, caching.order) == ("output_caching", 20, single(3))
    assert reference.nonce == caching.nonce == "none"
    assert (confirmation.label, confirmation.conditional) == ("confirmation", True)


def test_the_settings_reach_every_phase(block, rows):
    context = AuditContext(
        load=Concurrency(target=4),
        sample_order_seed=7,
        min_duration_ms=1000,
        max_duration_ms=9000,
        drain_timeout_s=5.0,
        query_timeout_s=2.5,
    )
    *phases, confirmation = Test04().plan(block(), rows(), context)
    assert (confirmation.min_duration_ms, confirmation.max_duration_ms) == (0, 0)
    for spec in phases:
        assert spec.load == Concurrency(target=4)
        assert (spec.min_duration_ms, spec.max_duration_ms) == (1000, 9000)
        assert (spec.drain_timeout_s, spec.query_timeout_s) == (5.0, 2.5)
    assert Test04().plan(block(), rows(), context)[0].order == without_replacement(7, wrap=True), "as long as the floor"


def test_counts_are_independent(block, rows):
    reference, caching, _ = Test04().plan(block(audit_samples=5), rows(), OFFLINE)
    assert (reference.n_samples, caching.n_samples) == (20, 5)
    more = Test04().plan(block(audit_samples=500), rows(), OFFLINE)[1]
    assert more.n_samples == 500  # more repeats than rows


def test_several_indices_give_a_phase_each_in_their_order(block, rows):
    specs = Test04().plan(block(sample_index=[9, 3, 0]), rows(), OFFLINE)
    assert [spec.label for spec in specs] == [
        *("reference", "output_caching_9", "output_caching_3", "output_caching_0"),
        *("confirmation_9", "confirmation_3", "confirmation_0"),
    ]
    assert [spec.order for spec in specs[1:4]] == [single(9), single(3), single(0)]


def test_defaults():
    cfg = Test04Block.model_validate({"test": "test04", "samples": 64})
    assert cfg.n_repeats == 64
    assert cfg.audit_phases == {"output_caching": 0}
    assert (cfg.threshold, cfg.completion_floor, cfg.only) == (0.10, 0.9, False)
    assert Test04Block.model_validate({"test": "test04", "samples": 9, "threshold": 0.2}).completion_floor == 0.8
    assert Test04Block.model_validate({"test": "test04", "samples": 9, "min_completion": 1}).completion_floor == 1


def test_the_alias_is_the_same_audit():
    assert Test04.aliases == ("output_caching_test",)
    assert Test04Block.model_validate({"test": "output_caching_test", "samples": 1}).samples == 1


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"samples": 0}, "greater than or equal to 1"),
        ({"samples": 5, "audit_samples": 0}, "greater than or equal to 1"),
        ({"samples": 5, "sample_index": -1}, "counted from 0; got -1"),
        ({"samples": 5, "sample_index": []}, "at least one index"),
        ({"samples": 5, "sample_index": [1, -2]}, "greater than or equal to 0"),
        ({"samples": 5, "sample_index": [3, 4, 3]}, "given twice"),
        ({"samples": 5, "threshold": 0}, "greater than 0"),
        ({"samples": 5, "threshold": 1}, "less than 1"),
        ({"samples": 5, "min_completion": 0}, "greater than 0"),
        ({"samples": 5, "min_completion": 1.1}, "less than or equal to 1"),
        ({"samples": 5, "sampels": 5}, "Extra inputs"),
        ({}, "Field required"),
    ],
)
def test_unusable_configurations_are_refused(keys, message):
    with pytest.raises(ValidationError, match=message):
        Test04Block.model_validate({"test": "test04", **keys})


def test_a_paced_load_is_refused(block, rows):
    with pytest.raises(PlanError, match="use max_throughput or concurrency"):
        Test04().plan(block(), rows(), AuditContext(load=Poisson(target_qps=1.0, seed=1)))


def test_more_samples_than_rows_are_refused(block, rows):
    with pytest.raises(PlanError, match=r"samples: 20 distinct rows .* 19 were loaded; lower `samples`, or raise"):
        Test04().plan(block(), rows(19), OFFLINE)


@pytest.mark.parametrize("index", [20, [0, 20], 1000])
def test_an_index_out_of_range_is_refused(block, rows, index):
    with pytest.raises(PlanError, match=r"no row (20|1000); 20 rows were loaded, counted from 0, so give at most 19"):
        Test04().plan(block(sample_index=index), rows(20), OFFLINE)


def test_the_last_row_is_in_range(block, rows):
    assert Test04().plan(block(sample_index=19), rows(20), OFFLINE)[1].order == single(19)


def test_twins_in_the_reference_are_refused_with_both_places(block, rows):
    prompts = [f"prompt {row}" for row in range(20)]
    prompts[17] = prompts[4]
    with pytest.raises(PlanError, match=r"line (5|18) and prompts.jsonl line (5|18) are sent as the same request"):
        Test04().plan(block(), rows(prompts=prompts), OFFLINE)


@given(st.integers(0, 1000), st.integers(0, 39), st.integers(0, 39))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_twins_matter_only_where_both_are_in_the_reference(rows, seed, one, other):
    prompts = [f"prompt {row}" for row in range(40)]
    prompts[other] = prompts[one]
    cfg = Test04Block.model_validate({"test": "test04", "samples": 20, "probe": False})
    drawn = list(without_replacement(seed).indices(40))[:20]
    context = AuditContext(load=MaxThroughput(), sample_order_seed=seed)
    if one != other and {one, other} <= set(drawn):
        with pytest.raises(PlanError):
            Test04().plan(cfg, rows(prompts=prompts), context)
    else:
        assert len(Test04().plan(cfg, rows(prompts=prompts), context)) == 3
