"""What a probe's records come to, in words that a person can use."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from pytest_mlperf_audit.audits.contract import AuditContext
from pytest_mlperf_audit.audits.probe.conclusion import Conclusion
from pytest_mlperf_audit.audits.probe.live import CacheProbe, CacheProbeBlock
from pytest_mlperf_audit.audits.probe.plan import PHASE, TRIAL
from pytest_mlperf_audit.audits.probe.script import script
from pytest_mlperf_audit.audits.probe.sent.design import DATASET
from pytest_mlperf_audit.audits.test04.live import Test04
from pytest_mlperf_audit.runs.columns import QueryColumns
from pytest_mlperf_audit.runs.phase import MeasuredPhase, PhaseRecord, figures
from pytest_mlperf_audit.runs.spec import Concurrency, MaxThroughput
from tests.support.simulated_probe import planned
from tests.support.virtual_sut import Cache, Service, VirtualSut

PREFIX = {"cache": "prefix", "prefill": 0.6}
#: Six groups leave open whether this one caches.
NOISY = {"cache": "exact", "hit_s": 0.085, "cv": 0.2}


def test_a_clean_server(probed):
    found = probed().conclusion
    assert (found.word, found.passed, found.proved) == ("CLEAN", True, ())
    assert found.reason().startswith(
        "no cache found in 6 groups of made-up prompts and the data set's prompts; excluded: response >= 1.5x at 50% "
    )
    assert found.reason().endswith("; not looked for: coalescing (one query in flight coalesces with none)")
    assert not any(finding.found for finding in found.findings())
    assert all(" no " in f" {finding.sentence}" and finding.p is not None for finding in found.findings())


def test_a_response_cache_is_told_with_its_speed_up(probed):
    found = probed(sut={"cache": "exact"}).conclusion
    assert (found.word, found.passed) == ("CACHE: response", False)
    n_found = sum(finding.found for finding in found.findings())
    assert all(finding.found for finding in found.findings()[:n_found]), "what was found comes first"
    told = found.findings()[0]
    assert found.reason().startswith(told.sentence)
    assert told.sentence.startswith("response cache on made-up prompts: an exact repeat comes back ")
    assert told.effect == pytest.approx(50, rel=0.1)
    assert told.effect_low is not None
    assert told.effect_low < told.effect
    assert told.forbidden
    assert told.p is not None
    assert told.p_corrected is not None
    assert told.p < told.p_corrected <= 0.01
    assert told.fast_s == pytest.approx(0.002, rel=0.1)
    assert told.slow_s == pytest.approx(0.1, rel=0.1)


@pytest.mark.parametrize(
    ("forbid", "passed", "words"),
    [
        (None, False, ""),
        (["prefix"], False, ""),
        (["response", "semantic"], True, "; prefix cache: not forbidden by this configuration"),
    ],
)
def test_a_prefix_cache_fails_where_it_is_forbidden(probed, forbid, passed, words):
    found = probed({"forbid": forbid}, sut=PREFIX).conclusion
    assert found.word == "CACHE: prefix"
    assert found.passed is passed
    assert found.reason().startswith("prefix cache on made-up prompts: twins with the same beginning start ")
    assert found.reason().endswith(words)
    assert found.check("cache_probe").passed is passed


def test_the_endpoints_rules_allow_a_prefix_cache(probed):
    assert probed(sut=PREFIX, ruleset="mlperf-endpoints-v0.5").conclusion.passed is True
    assert probed(sut={"cache": "exact"}, ruleset="mlperf-endpoints-v0.5").conclusion.passed is False


def test_each_kind_has_a_check_of_its_own(probed):
    run = probed(sut={"cache": "exact"})
    checks = {kind: run.conclusion.kind_check(kind, f"no_cache[{kind}]") for kind in run.probe.forbidden}
    assert [kind for kind, check in checks.items() if check.passed is not True] == ["response", "url_keyed"]
    assert checks["response"].observed == "found"
    assert checks["response"].reason == run.conclusion.reason()
    assert checks["prefix"].reason.startswith("no prefix cache found by the time response was proved: the data exclude")
    assert {check.limit for check in checks.values()} == {"not found"}


def test_a_forbidden_cache_that_has_no_check_fails_the_one_of_repeats():
    """Of rows alone the probe does not look for near-duplicates; replies kept by a beginning show all the same."""
    probe = planned(sources=(DATASET,), forbidden=("response", "prefix"), unseen=("near_duplicate",))
    sut = VirtualSut(Service(decode=0.5, n_tokens=32), Cache("beginning", n_first=64), np.random.default_rng(1))
    found = Conclusion(probe, sut.session(script(probe, 3)))
    assert (found.word, found.passed) == ("CACHE: near_duplicate", False)
    checks = [found.kind_check(kind, kind) for kind in probe.forbidden]
    assert [check.passed for check in checks] == [False, True]
    assert checks[0].reason == found.reason()


def test_what_one_prompt_cannot_show_is_said(probed):
    run = probed(api_type="videogen")
    assert run.conclusion.kind_check("response", "x").observed == "not found"
    check = run.conclusion.kind_check("semantic", "x")
    assert (check.passed, check.observed, check.tested) == (None, None, False)
    assert (
        check.reason
        == "semantic cache was not looked for: design single sends repeats alone; set design: groups and bursts: true"
    )


def test_what_the_yaml_names_and_nothing_was_sent_for_is_in_doubt(probed):
    run = probed(sut={"refuse_query": "http_404"})
    assert run.conclusion.passed is True
    unseen = {state.kind: state for state in run.conclusion.kinds if state.state == "not looked for"}
    assert list(unseen) == ["coalescing", "url_keyed"]
    assert unseen["url_keyed"].why == "the endpoint answers http_404 to a changed URL"
    assert unseen["url_keyed"].forbidden is True
    assert run.conclusion.kind_check("url_keyed", "x", asked=True).tested is True
    assert run.conclusion.check("x", ("response",)).passed is True
    asked = run.conclusion.check("x", ("url_keyed",))
    assert asked.passed is None
    assert asked.reason.startswith("URL-keyed cache was not looked for: the endpoint answers")


def test_an_open_question_is_no_pass_of_any_check(probed):
    run = probed({"max_queries": 175}, sut=NOISY)
    found = run.conclusion
    assert found.check("cache_probe").passed is None
    for kind in run.probe.forbidden:
        check = found.kind_check(kind, "x")
        assert (check.passed, check.observed, check.reason) == (None, None, found.reason())


def test_an_allowed_kind_found_with_the_rest_left_open_says_so(probed):
    """As where the budget ends behind a look that found a prefix cache, with a replay of repeats not ruled out."""
    found = probed({"forbid": ["response"]}, sut=PREFIX).conclusion
    found.judgement = replace(found.judgement, settled=False)
    assert (found.word, found.passed) == ("CACHE: prefix", None)
    assert found.reason().startswith("prefix cache on made-up prompts: ")
    assert found.reason().endswith(
        "prefix cache: not forbidden by this configuration; inconclusive on the other kinds: the budget ended before "
        "an answer"
    )


def test_a_fired_null_control_is_inconclusive(probed):
    """A server that is slower with every T, which differs from S in nothing that it could see."""
    run = probed({"groups": 12, "thorough": True})
    for record in run.sut.records:
        if (record.tag or "").endswith("/T"):
            record.completed_ns += 10**8
    found = run.conclusion
    assert (found.judgement.word, found.passed) == ("INCONCLUSIVE", None)
    assert "the null control shows a difference between queries of one kind" in found.reason()


def test_ids_made_from_the_request_prove_nothing(probed):
    run = probed()
    for record in run.sut.records:
        record.reply_id = record.request[:8]
    found = run.conclusion
    assert found.passed is True
    assert any("derives ids from the request" in note for note in found.notes())


def test_notes_name_what_headers_and_counters_say(probed):
    run = probed()
    for record in run.sut.records[2:7]:
        record.cache_header = "x-cache: HIT"
        record.cached_tokens = 4
    run.sut.records[8].cache_header = "x-cache: MISS"
    assert run.conclusion.notes() == (
        "cache probe: 5 replies say in their headers that they come from a cache",
        "cache probe: the endpoint says it reused 20 cached prompt tokens",
    )


def test_arms_have_their_medians_in_the_order_of_the_design(probed):
    found = probed(sut={"cache": "exact", "prefill": 0.5}).conclusion
    made_up = [arm for arm in found.arms() if arm.of == "made-up prompts"]
    assert [(arm.arm, arm.n) for arm in made_up] == [
        ("prime", 12),
        ("R", 12),
        ("Y", 18),
        ("X", 6),
        ("P", 6),
        ("N", 6),
        ("S", 6),
        ("T", 6),
    ]
    medians_s = {arm.arm: arm.median_s for arm in made_up}
    assert medians_s["R"] == pytest.approx(0.002, rel=0.1)
    assert medians_s["Y"] == pytest.approx(0.1, rel=0.1)
    assert all(arm.first_token_s is not None and arm.first_token_s < arm.median_s for arm in made_up)
    assert {arm.arm for arm in found.arms() if arm.of == "the data set's prompts"} == {"prime", "R", "Y", "P"}
    assert all(arm.first_token_s is None for arm in probed().conclusion.arms())


def test_figures_are_numbers_that_json_has(probed):
    for run in (probed(), probed(sut={"cache": "exact"}), probed(api_type="videogen"), probed({"design": "anytime"})):
        for name, value in run.conclusion.figures().items():
            assert name.startswith("probe")
            assert not isinstance(value, float) or math.isfinite(value)


def test_the_same_records_give_the_same_conclusion(probed):
    run = probed(sut=NOISY)
    one, other = run.conclusion, run.conclusion
    run.sut.records.reverse()
    other = run.conclusion
    assert (one.check("x"), one.findings(), one.arms()) == (other.check("x"), other.findings(), other.arms())


def measured(spec, records) -> MeasuredPhase:
    record = PhaseRecord(
        label=spec.label,
        spec=spec,
        status="complete",
        figures=figures(QueryColumns(records), spec.load),
        stopped_by="script",
    )
    return MeasuredPhase.of(record, records)


@pytest.mark.parametrize(("cache", "passed"), [("none", True), ("exact", False)])
def test_cache_probe_as_an_audit(rows, fake_sut, cache, passed):
    audit, cfg = CacheProbe(), CacheProbeBlock.model_validate({"test": "cache_probe"})
    [spec] = audit.plan(cfg, rows(), AuditContext(load=Concurrency(target=1), api_type="openai"))
    sut = fake_sut(cache=cache).run(audit.script(cfg, spec, rows()))
    verdict = audit.verify(cfg, {PHASE: measured(spec, sut.records)})
    assert [check.name for check in verdict.checks] == audit.checks(cfg, [spec])
    assert verdict.passed is passed
    assert verdict.figures["probe"] == ("CLEAN" if passed else "CACHE")
    assert verdict.findings
    assert verdict.arms


@pytest.mark.parametrize("cache", ["none", "exact"])
def test_test04_with_a_warm_cache(rows, phase, block, fake_sut, cache):
    """The ratio passes, since a warm cache answers both phases; the probe's prompts are new to it."""
    audit, cfg = Test04(), block(probe=True)
    specs = audit.plan(cfg, rows(), AuditContext(load=MaxThroughput(), api_type="videogen"))
    runs = {
        "reference": phase("reference", n=cfg.samples),
        "output_caching": phase("output_caching", n=cfg.n_repeats, row=0),
    }
    for spec in (spec for spec in specs if spec.label in (TRIAL, PHASE)):
        sut = fake_sut(cache=cache).run(audit.script(cfg, spec, rows()))
        runs[spec.label] = measured(spec, sut.records)
    assert len(runs[TRIAL].queries) == 1
    verdict = audit.verify(cfg, runs)
    assert [check.name for check in verdict.checks] == audit.checks(cfg, specs)
    assert verdict.check("throughput_ratio").passed is True
    assert verdict.check("cache_probe").passed is (cache == "none")
    assert verdict.passed is (cache == "none")
    assert verdict.figures["ratio"] == 1.0
    assert verdict.figures["probe"] == ("CLEAN" if cache == "none" else "CACHE")
    assert "n_completed[cache_probe]" not in verdict.figures


@pytest.mark.parametrize(("seed", "word"), [(3, "INCONCLUSIVE"), (5, "CLEAN"), (50, "CACHE: prefix")])
def test_reuse_that_no_contrast_of_a_kind_shows_has_to_be_sure(probed, seed, word):
    def slowed(step, *_):
        return 1.22 if step.tag.endswith("/P") else 1.0

    run = probed(sut={"cv": 0.25, "seed": seed, "slowed": slowed}, seed=seed)
    assert run.conclusion.word == word
    if word == "INCONCLUSIVE":
        assert run.conclusion.passed is None
        assert "no comparison of one kind of cache says so" in run.conclusion.reason()
