from __future__ import annotations

from dataclasses import replace
from math import ceil, nextafter

import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from pytest_mlperf_audit.audits.contract import AuditContext
from pytest_mlperf_audit.audits.test04.live import Test04
from pytest_mlperf_audit.runs.spec import MaxThroughput

AUDIT = Test04()


def verdict(cfg, phase, reference=None, caching=None):
    runs = {
        "reference": phase("reference", n=cfg.samples, **(reference or {})),
        "output_caching": phase("output_caching", n=cfg.n_repeats, row=0, **(caching or {})),
    }
    return AUDIT.verify(cfg, runs)


def failed(verdict):
    return [check.name for check in verdict.checks if not check.passed]


def with_figures(phase, **changes):
    """The same phase with other figures, to the last bit."""
    figures = msgspec.structs.replace(phase.figures, **changes)
    return replace(phase, record=msgspec.structs.replace(phase.record, figures=figures))


def test_an_honest_server_passes(block, phase):
    found = verdict(block(), phase)
    assert found.passed
    assert found.check("throughput_ratio").observed == 1.0
    assert found.check("throughput_ratio").limit == 1.1
    assert found.figures["ratio"] == 1.0
    assert found.figures["ref_qps"] == found.figures["audit_qps"] == 2.0
    assert found.figures["sample_index"] == 0


def test_one_pair_of_phases_fails_nobody(block, phase):
    found = verdict(block(), phase, caching={"window_s": 1.0})
    check = found.check("throughput_ratio")
    assert failed(found) == ["throughput_ratio"]
    assert check.passed is None
    assert "ratio 10, not below the limit 1.1; undecided, for the output_caching phase ran 10 times" in check.reason
    assert "no blocks were sent to confirm it" in check.reason


@pytest.mark.parametrize(
    ("before", "after", "threshold", "passes"),
    [
        (10.0, 11.0, 0.10, False),  # exactly at the limit
        (10.0, nextafter(11.0, 0), 0.10, True),
        (10.0, nextafter(11.0, 99), 0.10, False),
        (10.0, 12.0, 0.20, False),
        (10.0, nextafter(12.0, 0), 0.20, True),
        (64.0, 70.4, 0.10, False),
        (1e-3, 1.1e-3, 0.10, False),
        (8.0, 9.0, 0.125, False),
        (8.0, nextafter(9.0, 0), 0.125, True),
        (5.0, 1.0, 0.10, True),  # slower is no cache
    ],
)
def test_the_limit_is_strict(block, phase, before, after, threshold, passes):
    cfg = block(threshold=threshold)
    runs = {
        "reference": with_figures(phase("reference"), qps=before),
        "output_caching": with_figures(phase("output_caching", row=0), qps=after),
    }
    check = AUDIT.verify(cfg, runs).check("throughput_ratio")
    assert check.passed is (True if passes else None)
    assert isinstance(check.observed, float)
    assert isinstance(check.limit, float)
    assert passes == (check.observed < check.limit)


@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6), st.floats(0.001, 0.999))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_ratio_rule(block, phase, before, after, threshold):
    rule = before * (1 + threshold)
    assume(abs(after - rule) > 1e-9 * rule)
    runs = {
        "reference": with_figures(phase("reference"), qps=before),
        "output_caching": with_figures(phase("output_caching", row=0), qps=after),
    }
    assert AUDIT.verify(block(threshold=threshold), runs).check("throughput_ratio").passed is (
        True if after < rule else None
    )


@pytest.mark.parametrize(
    ("samples", "keys", "failures", "passes"),
    [
        (20, {}, 2, True),  # 18 of 20 is 90 %
        (20, {}, 3, False),
        (20, {"threshold": 0.2}, 4, True),
        (20, {"threshold": 0.2}, 5, False),
        (64, {}, 6, True),  # 57.6 needed
        (64, {}, 7, False),
        (20, {"min_completion": 1}, 0, True),
        (20, {"min_completion": 1}, 1, False),
        (20, {"min_completion": 0.05}, 19, True),
        (20, {"min_completion": 0.05}, 20, False),
    ],
)
@pytest.mark.parametrize("broken", ["reference", "caching"])
def test_the_completion_guard(block, phase, samples, keys, failures, passes, broken):
    found = verdict(block(samples=samples, **keys), phase, **{broken: {"failed": failures}})
    name = f"completion[{'reference' if broken == 'reference' else 'output_caching'}]"
    check = found.check(name)
    assert check.passed == passes
    assert check.observed == samples - failures
    if failures:
        assert f"failed: {failures} http_500" in check.reason


@given(st.integers(1, 500), st.integers(1, 100))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_the_guard_is_exact_for_whole_percentages(block, phase, requested, percent):
    cfg = block(samples=requested, min_completion=percent / 100)
    needed = max(1, ceil(requested * percent / 100) if requested * percent % 100 else requested * percent // 100)
    enough = verdict(cfg, phase, reference={"failed": requested - needed}).check("completion[reference]")
    short = verdict(cfg, phase, reference={"failed": requested - needed + 1}).check("completion[reference]")
    assert enough.passed
    assert not short.passed
    assert enough.limit == needed


def test_queries_never_sent_count_against_the_phase(block, phase):
    check = verdict(block(), phase, reference={"issued": 10, "stopped_by": "ceiling"}).check("completion[reference]")
    assert not check.passed
    assert "10 of 20 queries completed" in check.reason
    assert "10 never sent (max_duration_ms 0 ended it)" in check.reason


def test_a_longer_phase_owes_its_share_of_what_it_issued(block, phase):
    assert verdict(block(), phase, caching={"issued": 100, "failed": 10}).check("completion[output_caching]").passed
    assert not verdict(block(), phase, caching={"issued": 100, "failed": 11}).check("completion[output_caching]").passed


@pytest.mark.parametrize("silent", ["reference", "caching"])
def test_a_phase_that_completed_nothing_gives_no_ratio_and_no_pass(block, phase, silent):
    found = verdict(block(), phase, **{silent: {"failed": 20}})
    label = "reference" if silent == "reference" else "output_caching"
    assert failed(found) == [f"completion[{label}]", "throughput_ratio"]
    check = found.check("throughput_ratio")
    assert check.observed is None
    assert check.reason == f"no throughput: the {label} phase completed no query"
    assert found.figures["ratio"] is None


def test_a_server_that_answers_500_to_everything_fails(block, phase):
    found = verdict(block(), phase, reference={"failed": 20}, caching={"failed": 20})
    assert set(failed(found)) == {"completion[reference]", "completion[output_caching]", "throughput_ratio"}


def test_a_reference_that_repeats_itself_fails(block, phase):
    found = verdict(block(), phase, reference={"row": 5})
    assert failed(found) == ["requests_distinct[reference]"]
    assert (found.check("requests_distinct[reference]").observed, found.checks[2].limit) == (1, 20)


def test_a_reference_longer_than_the_data_set_fails(block, phase):
    short = with_figures(phase("reference"), n_distinct_requests=19)
    found = AUDIT.verify(block(), {"reference": short, "output_caching": phase("output_caching", row=0)})
    assert failed(found) == ["requests_distinct[reference]"]


def test_repeats_that_differ_fail(block, phase):
    found = AUDIT.verify(block(), {"reference": phase("reference"), "output_caching": phase("output_caching")})
    assert failed(found) == ["requests_identical[output_caching]"]


def test_an_empty_phase_fails_every_check_of_it(block, phase):
    found = verdict(block(), phase, reference={"issued": 0}, caching={"issued": 0})
    assert set(failed(found)) == {check.name for check in found.checks}


@pytest.mark.parametrize(("window_s", "passes"), [(600.0, True), (600.001, True), (599.999, False)])
def test_the_duration_floor(block, phase, window_s, passes):
    found = verdict(block(), phase, reference={"window_s": window_s, "floor_ms": 600_000})
    check = found.check("duration[reference]")
    assert check.passed == passes
    assert check.limit == 600.0


def test_a_floor_that_the_rows_did_not_last_for_says_so(block, phase):
    short = {"window_s": 1.0, "floor_ms": 600_000, "stopped_by": "samples_exhausted"}
    check = verdict(block(), phase, reference=short).check("duration[reference]")
    assert "1.000 s, the floor is 600 s (every distinct row had been sent; a longer phase needs" in check.reason


def test_several_audit_phases_are_judged_one_by_one(block, phase):
    cfg = block(sample_index=[3, 4])
    runs = {
        "reference": phase("reference"),
        "output_caching_3": phase("output_caching_3", row=3),
        "output_caching_4": phase("output_caching_4", row=4, window_s=1.0),
    }
    found = AUDIT.verify(cfg, runs)
    assert failed(found) == ["throughput_ratio[output_caching_4]"]
    assert found.figures["ratio_3"] == 1.0
    assert found.figures["ratio_4"] == pytest.approx(10.0)
    assert (found.figures["sample_index_3"], found.figures["sample_index_4"]) == (3, 4)


def test_ratios_are_those_of_the_figures_and_of_the_checks(block, phase):
    cfg = block(samples=40, sample_index=[3, 4])
    runs = {
        "reference": phase("reference", n=40),
        "output_caching_3": phase("output_caching_3", n=40, row=3),
        "output_caching_4": phase("output_caching_4", n=40, row=4, window_s=5.0),
    }
    found = AUDIT.verify(cfg, runs)
    three, four, pooled = found.ratios
    assert [ratio.row for ratio in found.ratios] == [3, 4, None]
    assert (three.value, four.value) == (1.0, 2.0)
    assert pooled.value == pytest.approx(4 / 3)
    assert [three.passed, four.passed, pooled.pooled] == [True, False, True]
    for ratio, suffix in ((three, "_3"), (four, "_4"), (pooled, "_pooled")):
        assert found.figures[f"ratio{suffix}"] == ratio.value
        assert found.figures.get(f"ratio_low{suffix}") == ratio.low
        assert found.figures.get(f"evidence{suffix}") == ratio.evidence
    for ratio in (three, four):
        assert found.check(f"throughput_ratio[output_caching_{ratio.row}]").observed == ratio.value
        assert ratio.check == f"throughput_ratio[output_caching_{ratio.row}]"
    assert {(ratio.limit, ratio.limit_of, ratio.n_distinct) for ratio in found.ratios} == {(1.1, "MLPerf", 40)}
    assert [three.n_repeats, pooled.n_repeats] == [40, 80]


def test_one_row_has_one_ratio_and_a_silent_phase_none(block, phase):
    (ratio,) = verdict(block(), phase).ratios
    assert (ratio.check, ratio.row) == ("throughput_ratio", None)
    assert verdict(block(), phase, caching={"failed": 20}).ratios == ()


@pytest.mark.parametrize(
    ("threshold", "target", "whose"),
    [
        (0.1, 8, "MLPerf"),
        (0.1, 1, "MLPerf"),
        (0.2, 1, "SingleStream"),
        (0.2, 8, "configuration"),
        (0.15, 1, "configuration"),
    ],
)
def test_whose_limit_it_is(block, phase, threshold, target, whose):
    lanes = {"target": target}
    (ratio,) = verdict(block(threshold=threshold), phase, lanes, lanes).ratios
    assert ratio.limit_of == whose


def test_the_early_stopping_estimates_are_evidence(block, phase):
    cfg = block(samples=64)
    found = verdict(cfg, phase, reference={"target": 1}, caching={"target": 1})
    assert found.figures["ref_early_stopping_p90_s"] == found.figures["output_caching_early_stopping_p90_s"]
    assert "ref_early_stopping_p90_s" not in verdict(block(samples=63), phase, reference={"target": 1}).figures


def test_notes_name_cached_tokens_and_spread(block, phase):
    found = verdict(block(), phase, caching={"cached": 5})
    assert "output_caching: the endpoint says it reused 100 cached prompt tokens" in found.notes


@pytest.mark.parametrize(("samples", "told"), [(63, True), (64, False)])
def test_single_stream_says_when_mlperf_has_no_score(block, phase, samples, told):
    single = {"target": 1}
    notes = verdict(block(samples=samples), phase, reference=single, caching=single).notes
    assert any("early-stopping 90th percentile, which needs 64 queries" in note for note in notes) is told


configs = st.fixed_dictionaries(
    {"samples": st.integers(1, 12)},
    optional={
        "audit_samples": st.integers(1, 12),
        "sample_index": st.integers(0, 11) | st.lists(st.integers(0, 11), min_size=1, max_size=4, unique=True),
        "threshold": st.floats(0.01, 0.99),
        "min_completion": st.floats(0.01, 1.0),
    },
)


@given(configs, st.sampled_from([0, 1000]), st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_what_is_planned_is_what_is_verified(block, rows, phase, keys, floor_ms, silent):
    cfg = block(**keys)
    specs = AUDIT.plan(cfg, rows(), AuditContext(load=MaxThroughput(), min_duration_ms=floor_ms))
    runs = {
        spec.label: phase(spec.label, n=spec.n_samples, floor_ms=spec.min_duration_ms, failed=99 if silent else 0)
        for spec in specs
        if not spec.conditional
    }
    found = AUDIT.verify(cfg, runs)
    assert [check.name for check in found.checks] == AUDIT.checks(cfg, specs)
    assert len({check.name for check in found.checks}) == len(found.checks)
    assert found == AUDIT.verify(cfg, runs)
