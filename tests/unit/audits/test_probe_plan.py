"""From the `probe:` block to a plan, or to a message that says what to set instead."""

from __future__ import annotations

import msgspec
import pytest
from pydantic import ValidationError

from pytest_mlperf_audit.audits.contract import AuditContext
from pytest_mlperf_audit.audits.probe.live import CacheProbe, CacheProbeBlock
from pytest_mlperf_audit.audits.probe.plan import PHASE, TRIAL, probe_of
from pytest_mlperf_audit.audits.probe.settings import KINDS, ProbeSettings
from pytest_mlperf_audit.audits.test04.live import Test04
from pytest_mlperf_audit.errors import PlanError
from pytest_mlperf_audit.runs.order import Scripted
from pytest_mlperf_audit.runs.spec import Concurrency, MaxThroughput, Poisson, RunSpec

CHAT = AuditContext(load=Concurrency(target=1), api_type="openai")
#: What a clear answer takes: 2 and 6 groups of 18 until the first look, 48 late repeats and twins, 17 for the URL.
LEAST = 110 + 48 + 17

#: Kinds of cache that rows without images can meet.
OF_TEXTS = set(KINDS) - {"multimodal"}


def cache_probe(rows, n_rows=64, context=CHAT, **keys) -> RunSpec:
    cfg = CacheProbeBlock.model_validate({"test": "cache_probe", **keys})
    [spec] = CacheProbe().plan(cfg, rows(n_rows), context)
    return spec


def test_one_scripted_phase(rows):
    spec = cache_probe(rows)
    assert spec.label == PHASE == "cache_probe"
    assert isinstance(spec.order, Scripted)
    assert spec.order.at_least == LEAST
    assert spec.n_samples > LEAST
    assert spec.load == Concurrency(target=1)
    assert (spec.min_duration_ms, spec.max_duration_ms) == (0, 0)


def test_the_plan_reads_back_from_its_record(rows):
    spec = cache_probe(rows, groups=12, max_queries=200)
    again = msgspec.json.decode(msgspec.json.encode(spec), type=RunSpec)
    assert again == spec
    assert probe_of(again) == probe_of(spec)
    assert (probe_of(again).looks, probe_of(again).max_queries) == ((6, 12), 200)


def test_a_plan_has_no_seed_for_each_sending_draws_its_own(rows, block):
    specs = [cache_probe(rows), *Test04().plan(block(probe=True), rows(), CHAT)]
    assert {spec.nonce_seed for spec in specs} == {None}


def test_floor_and_ceiling_of_the_benchmark_are_not_the_probes(rows):
    context = AuditContext(
        load=Concurrency(target=4), min_duration_ms=600_000, max_duration_ms=1000, query_timeout_s=7.0
    )
    spec = cache_probe(rows, context=context)
    assert (spec.min_duration_ms, spec.max_duration_ms, spec.query_timeout_s) == (0, 0, 7.0)


@pytest.mark.parametrize(
    ("keys", "n_rows", "message"),
    [
        (
            {"max_queries": LEAST - 1},
            64,
            "max_queries: 174 queries give no answer; the design 'groups' needs at least 175 to find a cache, so ",
        ),
        (
            {"design": "single", "max_queries": 11},
            64,
            "max_queries: 11 queries give no answer; the design 'single' needs at least 12 to find a cache, and ",
        ),
        ({"design": "anytime", "max_queries": 20}, 64, "the design 'anytime' needs at least 31"),
        ({"thorough": True, "max_queries": 110}, 64, "needs at least 193"),
        (
            {},
            5,
            "samples: 5 rows were loaded, and each of 6 groups needs one of its own; add rows, set samples: made_up",
        ),
        ({"groups": 24}, 23, "each of 24 groups needs one of its own"),
        ({"samples": "dataset"}, 5, "each of 6 groups needs one of its own"),
        ({"design": "single", "forbid": ["response", "prefix"]}, 64, "forbid: prefix cannot show .* shows response;"),
        ({"url": False, "forbid": ["url_keyed"]}, 64, "forbid: url_keyed cannot show"),
        ({"samples": "dataset", "forbid": ["semantic"]}, 64, "forbid: semantic cannot show"),
        ({"forbid": ["coalescing"]}, 64, "forbid: coalescing cannot show .* a concurrency above 1"),
    ],
)
def test_a_plan_that_can_give_no_answer_is_refused(rows, keys, n_rows, message):
    with pytest.raises(PlanError, match=f"^{message}" if message.startswith(("max", "samples")) else message):
        cache_probe(rows, n_rows, **keys)


@pytest.mark.parametrize(
    ("keys", "n_rows"),
    [
        ({"max_queries": LEAST}, 6),
        ({"design": "single", "max_queries": 12}, 1),
        ({"design": "anytime", "max_queries": 31}, 1),
        ({"samples": "made_up"}, 1),
        ({"thorough": True, "max_queries": 193}, 6),
        ({"samples": "dataset", "max_queries": 43}, 6),
    ],
)
def test_what_the_messages_ask_for_is_enough(rows, keys, n_rows):
    spec = cache_probe(rows, n_rows, **keys)
    assert spec.n_samples <= keys.get("max_queries", spec.n_samples)
    assert isinstance(spec.order, Scripted)
    assert spec.order.at_least <= spec.n_samples


def test_test04_says_where_its_probe_is_wrong(rows, block):
    with pytest.raises(PlanError, match=r"^probe\.max_queries: 20 queries .* set max_queries: 175"):
        Test04().plan(block(probe={"max_queries": 20}), rows(), CHAT)
    with pytest.raises(PlanError, match=r"^probe\.samples: 5 rows were loaded"):
        Test04().plan(block(samples=5, probe=True), rows(5), CHAT)


@pytest.mark.parametrize("samples", ["both", "made_up"])
def test_a_budget_is_named_for_the_prompts_that_are_sent(rows, samples):
    with pytest.raises(PlanError, match=f"at least {LEAST if samples == 'both' else 145} to find a cache,"):
        cache_probe(rows, samples=samples, max_queries=13)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"design": "single", "groups": 12},
            "has no effect with design: single; drop it, or set design: groups",
        ),
        ({"design": "anytime", "thorough": True}, "has no effect with design: anytime"),
        ({"design": "single", "bursts": True}, "needs design: groups and made-up prompts"),
        ({"samples": "dataset", "bursts": True}, r"needs design: groups and made-up prompts \(samples: both\)"),
        ({"forbid": []}, "names no kind, .*name at least one, or set probe: false"),
        ({"forbid": ["respnse"]}, "forbid"),
        ({"groups": 5}, "greater than or equal to 6"),
        ({"groups": 97}, "less than or equal to 96"),
        ({"max_queries": 0}, "greater than or equal to 1"),
        ({"max_output_tokens": 0}, "greater than or equal to 1"),
        ({"desing": "single"}, "desing"),
        ({"samples": "all"}, "samples"),
    ],
)
def test_unusable_settings_are_refused(keys, message):
    with pytest.raises(ValidationError, match=rf"(?s){message}"):
        ProbeSettings.model_validate(keys)


def test_test04_takes_true_false_their_words_or_a_block(block):
    assert block(probe=False).probe is False
    assert block(probe=True).probe == block(probe={}).probe == ProbeSettings()
    assert block(probe={"groups": 12}).probe.groups == 12
    assert (block(probe="true").probe, block(probe="false").probe) == (ProbeSettings(), False)
    with pytest.raises(ValidationError):
        block(probe="yes")


@pytest.mark.parametrize(
    ("settings", "keys", "hidden"),
    [
        ({}, {}, {"coalescing"}),
        ({"bursts": False}, {"load": Concurrency(target=8)}, {"coalescing"}),
        ({"url": False}, {"load": Concurrency(target=8)}, {"url_keyed"}),
        ({"samples": "dataset"}, {}, {"near_duplicate", "semantic", "url_keyed", "coalescing"}),
        ({}, {"api_type": "videogen"}, OF_TEXTS - {"response"}),
    ],
)
def test_by_default_what_cannot_show_is_not_checked(plan_probe, settings, keys, hidden):
    assert OF_TEXTS - set(plan_probe(settings, **keys).forbidden) == hidden


@pytest.mark.parametrize(("n_rows", "looks"), [(6, (6,)), (16, (6, 12)), (23, (6, 12)), (24, (6, 12, 24))])
def test_each_group_has_a_row_of_its_own(plan_probe, n_rows, looks):
    assert plan_probe(n_rows=n_rows).looks == looks
    assert plan_probe({"samples": "made_up"}, n_rows=n_rows).looks == (6, 12, 24)


@pytest.mark.parametrize(
    ("division", "allowed"),
    [
        ("standardized-cop", {"prefix"}),
        ("standardized-con", set()),
        ("serviced", {"prefix", "coalescing"}),
        ("rdi", OF_TEXTS),
    ],
)
def test_what_a_division_of_endpoints_forbids(plan_probe, division, allowed):
    probe = plan_probe(ruleset="mlperf-endpoints-current", division=division, load=Concurrency(target=8))
    assert OF_TEXTS - set(probe.forbidden) == allowed


@pytest.mark.parametrize(
    ("ruleset", "allowed"),
    [
        ("", set()),
        ("mlperf-inference-v5.1", set()),
        ("mlperf-endpoints-v0.5", {"prefix"}),
        ("mlperf-endpoints", {"prefix"}),
    ],
)
def test_what_each_ruleset_forbids(plan_probe, ruleset, allowed):
    assert OF_TEXTS - set(plan_probe(ruleset=ruleset, load=Concurrency(target=8)).forbidden) == allowed
    assert plan_probe({"forbid": ["prefix", "response", "prefix"]}, ruleset=ruleset).forbidden == ("prefix", "response")


@pytest.mark.parametrize(
    ("settings", "api_type", "design"),
    [
        ({}, "videogen", "single"),
        ({}, "openai", "groups"),
        ({}, "openai_completions", "groups"),
        ({"groups": 6}, "videogen", "groups"),
        ({"bursts": True}, "videogen", "groups"),
        ({"thorough": True}, "videogen", "groups"),
        ({"samples": "made_up"}, "videogen", "single"),
        ({"design": "anytime"}, "videogen", "anytime"),
        ({"design": "single"}, "openai", "single"),
    ],
)
def test_the_design_follows_the_wire_format(plan_probe, settings, api_type, design):
    assert plan_probe(settings, api_type=api_type).design == design


@pytest.mark.parametrize(
    ("settings", "api_type", "load", "bursts", "at_once"),
    [
        ({}, "openai", Concurrency(target=1), False, 1),
        ({}, "openai", Concurrency(target=2), True, 2),
        ({}, "openai", Concurrency(target=100), True, 32),
        ({}, "openai", MaxThroughput(), True, 32),
        ({}, "openai", MaxThroughput(max_in_flight=3), True, 3),
        ({}, "openai", Poisson(target_qps=1.0, seed=1), True, 32),
        ({}, "videogen", Concurrency(target=8), False, 8),
        ({"bursts": True}, "videogen", Concurrency(target=8), True, 8),
        ({"bursts": True}, "openai", Concurrency(target=1), True, 1),
        ({"bursts": False}, "openai", Concurrency(target=8), False, 8),
        ({"samples": "dataset"}, "openai", Concurrency(target=8), False, 8),
    ],
)
def test_bursts_are_sent_where_the_benchmark_has_several_in_flight(rows, settings, api_type, load, bursts, at_once):
    spec = cache_probe(rows, context=AuditContext(load=load, api_type=api_type), **settings)
    probe = probe_of(spec)
    assert (probe.bursts, probe.at_once) == (bursts, at_once)
    pair = 2 if api_type == "videogen" and not bursts else 1
    late = min(at_once, 8) if probe.n_at_last() else 1
    assert spec.load == Concurrency(target=64 if bursts else max(pair, late)), "late repeats do not go beyond it"


def test_the_phases_of_test04(rows, block):
    specs = Test04().plan(block(sample_index=[9, 3], probe=True), rows(), AuditContext(load=MaxThroughput()))
    labels = [spec.label for spec in specs]
    asked = [TRIAL, "reference", "output_caching_9", "output_caching_3", PHASE]
    assert labels == [*asked, "confirmation_9", "confirmation_3"]
    assert [spec.conditional for spec in specs] == 5 * [False] + 2 * [True]
    trial, probe = specs[0], specs[4]
    assert (trial.n_samples, trial.load) == (1, Concurrency(target=1))
    assert probe_of(probe).row == 9
    assert probe_of(probe).warmed, "the trial has sent the query to warm up with"
    assert probe_of(trial) == probe_of(probe)


def test_the_check_of_test04_comes_last_and_its_phases_have_no_other(rows, block):
    for load, floor_ms in ((MaxThroughput(), 0), (Concurrency(target=2), 1000)):
        context = AuditContext(load=load, min_duration_ms=floor_ms)
        with_probe, without = block(probe=True), block()
        names = Test04().checks(with_probe, Test04().plan(with_probe, rows(), context))
        assert names == [*Test04().checks(without, Test04().plan(without, rows(), context)), "cache_probe"]


@pytest.mark.parametrize(
    ("keys", "ruleset", "forbidden"),
    [
        ({}, "", False),
        ({"forbid": ["prefix"]}, "", True),
        ({}, "mlperf-inference-v6.0", True),
        ({}, "mlperf-endpoints-v1.0-2026-10-C1-A", False),
    ],
    ids=["no ruleset", "the YAML", "a ruleset that forbids it", "a ruleset that allows it"],
)
def test_prefixes_of_conversations_may_be_used_again_unless_a_rule_forbids_it(keys, ruleset, forbidden):
    kinds = ProbeSettings(**keys).forbidden(ruleset, conversations=True)
    assert ("prefix" in kinds) is forbidden
    assert keys or {"response", "near_duplicate", "semantic"} <= set(kinds)


def test_the_checks_of_cache_probe_are_what_is_forbidden(rows):
    cfg = CacheProbeBlock.model_validate({"test": "cache_probe"})
    audit = CacheProbe()
    chat = AuditContext(load=Concurrency(target=8), api_type="openai")
    assert audit.checks(cfg, audit.plan(cfg, rows(), chat)) == [
        f"no_cache[{kind}]" for kind in KINDS if kind in OF_TEXTS
    ]
    cfg = CacheProbeBlock.model_validate({"test": "cache_probe", "forbid": ["coalescing", "response"]})
    assert audit.checks(cfg, audit.plan(cfg, rows(), chat)) == ["no_cache[coalescing]", "no_cache[response]"]
    assert audit.mlperf_name is None, "MLPerf has no such file"


def test_every_process_plans_the_same(rows):
    assert cache_probe(rows) == cache_probe(rows)
