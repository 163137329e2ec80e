from __future__ import annotations

import pytest

from pytest_mlperf_audit.audits.contract import AuditContext
from pytest_mlperf_audit.audits.main_run import Accuracy, AccuracyBlock, Performance, PerformanceBlock
from pytest_mlperf_audit.runs.order import without_replacement
from pytest_mlperf_audit.runs.spec import MaxThroughput, Poisson, Scoring

CFG = PerformanceBlock()
AUDIT = Performance()


@pytest.mark.parametrize(("asked", "sent"), [(None, 64), (10, 10), (1000, 1000)])
def test_it_sends_every_row_once_or_the_count_asked_for(rows, asked, sent):
    context = AuditContext(load=MaxThroughput(), sample_order_seed=3, n_samples_to_issue=asked)
    [spec] = AUDIT.plan(CFG, rows(64), context)
    assert (spec.label, spec.n_samples) == ("performance", sent)
    assert spec.order == without_replacement(3, wrap=True)


def test_it_takes_a_poisson_load(rows):
    load = Poisson(target_qps=5.0, seed=1)
    assert AUDIT.plan(CFG, rows(8), AuditContext(load=load))[0].load == load


@pytest.mark.parametrize(
    ("floor_ms", "names"), [(0, ["completion", "count"]), (1000, ["completion", "count", "duration"])]
)
def test_its_checks(rows, phase, floor_ms, names):
    specs = AUDIT.plan(CFG, rows(8), AuditContext(load=MaxThroughput(), min_duration_ms=floor_ms))
    found = AUDIT.verify(CFG, {"performance": phase("performance", floor_ms=floor_ms)})
    assert AUDIT.checks(CFG, specs) == [check.name for check in found.checks] == names
    assert found.passed
    assert found.figures["n_completed"] == 20


def test_every_query_must_complete(phase):
    found = AUDIT.verify(CFG, {"performance": phase("performance", failed=1)})
    assert not found.check("completion").passed


def test_the_accuracy_run_sends_every_row_of_a_data_set_as_often_as_it_is_to_be_repeated(rows):
    scoring = Scoring(method="exact_match", ground_truth="answer")
    context = AuditContext(load=MaxThroughput(), min_duration_ms=1000, scorings={"gpqa::gptoss": scoring})
    [spec] = Accuracy().plan(AccuracyBlock(dataset="gpqa::gptoss", num_repeats=3), rows(8), context)
    assert (spec.label, spec.n_samples, spec.dataset, spec.scoring) == ("gpqa-gptoss", 24, "gpqa::gptoss", scoring)
    assert (spec.min_duration_ms, spec.max_duration_ms) == (0, 0)
    assert spec.keep is not None
    assert (spec.keep.outputs, spec.keep.expected) == (True, "answer")
    assert Accuracy().checks(AccuracyBlock(), [spec]) == ["completion[gpqa-gptoss]", "score[gpqa-gptoss]"]
