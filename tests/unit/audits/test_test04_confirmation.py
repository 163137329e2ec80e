"""Blocks confirm what the two phases do not settle: against servers in memory, and from records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from pytest_mlperf_audit.audits.contract import AuditContext
from pytest_mlperf_audit.audits.probe.plan import PHASE, TRIAL
from pytest_mlperf_audit.audits.test04 import confirm
from pytest_mlperf_audit.audits.test04.first_pair import first_pair
from pytest_mlperf_audit.audits.test04.live import Test04
from pytest_mlperf_audit.audits.verdict import Verdict
from pytest_mlperf_audit.errors import NoVerdictError
from pytest_mlperf_audit.runs.columns import QueryColumns
from pytest_mlperf_audit.runs.phase import MeasuredPhase, PhaseRecord, figures
from pytest_mlperf_audit.runs.spec import Concurrency, MaxThroughput, RunSpec

AUDIT = Test04()
EIGHT = AuditContext(load=Concurrency(target=8))


def measured(spec: RunSpec, records: list[Any]) -> MeasuredPhase:
    record = PhaseRecord(
        label=spec.label, spec=spec, status="complete", figures=figures(QueryColumns(records), spec.load),
        stopped_by="script",
    )  # fmt: skip
    return MeasuredPhase.of(record, records)


@pytest.fixture
def confirmed(block, phase, rows, fake_sut) -> Callable[..., tuple[Verdict, Any]]:
    """Judge a first pair of this ratio, with the blocks that a server in memory answered; return its server, too."""

    def judge(
        ratio: float = 2.0,
        *,
        context: AuditContext = EIGHT,
        keys: dict[str, Any] | None = None,
        twins: str = "",
        **sut: Any,
    ):
        cfg = block(samples=20, **(keys or {}))
        samples = rows()
        samples.twins = twins
        planned, *_, spec = AUDIT.plan(cfg, samples, context)
        reference = phase("reference", window_s=10.0)
        of_plan = msgspec.structs.replace(reference.spec, parameters=planned.parameters)
        record = msgspec.structs.replace(reference.record, spec=of_plan)
        runs = {
            "reference": replace(reference, record=record),
            "output_caching": phase("output_caching", window_s=10.0 / ratio, row=0),
        }
        assert AUDIT.wanted(cfg, spec, runs)
        served = fake_sut(**sut).run(AUDIT.script(cfg, spec, rows()))
        runs[spec.label] = measured(spec, served.records)
        return AUDIT.verify(cfg, runs), served

    return judge


def test_an_honest_server_passes_and_is_told_of_the_first_pair(confirmed):
    verdict, sut = confirmed(1.4)
    check = verdict.check("throughput_ratio")
    assert check.passed is True
    assert verdict.passed
    assert check.observed == pytest.approx(1.0, abs=0.02)
    assert "over 8 pairs of blocks of 4 queries" in check.reason
    assert "1.25 is excluded" in check.reason
    assert "ran 1.4 times as fast as the reference phase (ratio 1.4)" in check.reason
    assert "below the limit 1.1, with 8 in flight, too" in check.reason
    assert len(sut.records) == 64 + 2 * 2 * 8
    assert verdict.figures["ratio"] == check.observed
    assert verdict.figures["ratio_first_pair"] == pytest.approx(1.4)
    [ratio] = verdict.ratios
    assert ratio.passed
    assert ratio.blocks
    assert ratio.blocks.low < ratio.blocks.value < ratio.blocks.high


@pytest.mark.parametrize(("twins", "passed"), [("a least noise", None), ("", True)], ids=["no text", "text"])
def test_a_row_as_fast_as_twins_that_a_cache_may_take_for_it_is_no_pass(confirmed, twins, passed):
    """Rows that are no text were much slower, and no probe was sent that looks for a cache of nearly equal inputs."""
    verdict, _ = confirmed(5.0, twins=twins)
    check = verdict.check("throughput_ratio")
    assert check.passed is passed
    if passed is None:
        assert "no faster than twins with a least noise, but far faster than other rows; undecided" in check.reason
        assert "set probe: {design: groups}, which tells, or reference: twins" in check.reason


def test_a_cache_fails_by_the_row_and_by_fresh_prompts(confirmed):
    verdict, sut = confirmed(5.0, cache="exact")
    check = verdict.check("throughput_ratio")
    assert check.passed is False
    assert "fresh inputs that are repeated are faster, too" in check.reason
    assert verdict.figures["ratio_fresh_prompts"] > 10
    assert len([tag for tag in sut.tags if tag.endswith("/prime")]) == 3 * 8


def test_a_row_on_a_faster_server_is_undecided(confirmed):
    """A balancer sends equal prompts to one server. The row's is the faster one; others land anywhere."""
    verdict, sut = confirmed(1.3, cache="placed")
    check = verdict.check("throughput_ratio")
    assert check.passed is None
    assert "a balancer sends to a faster server" in check.reason
    assert verdict.figures["confirmation"] == "UNDECIDED"
    assert any(tag.startswith("f") for tag in sut.tags)


def test_noise_alone_ends_undecided_within_the_budget(confirmed):
    verdict, sut = confirmed(1.4, cv=3.0, seed=5)
    check = verdict.check("throughput_ratio")
    assert check.passed is None
    assert "within their budget: run it again where the machine is quieter" in check.reason
    assert len(sut.records) <= 8 * 20


def test_a_budget_of_the_yaml_holds(confirmed):
    _, sut = confirmed(1.4, cv=3.0, seed=5, keys={"confirmation_budget": 26})
    assert len(sut.records) == 2 * 4 * 64


@pytest.mark.parametrize(("miss_s", "most"), [(0.1, 8 * 20), (2.0, 16 * 20), (60.0, 8 * 20)])
def test_where_a_query_takes_seconds_more_may_be_sent(confirmed, miss_s, most):
    _, sut = confirmed(1.4, miss_s=miss_s, cv=3.0, seed=5)
    assert most / 2 < len(sut.records) <= most


def test_a_pair_with_a_failed_query_is_made_up_for(confirmed):
    verdict, sut = confirmed(1.4, fail=lambda _, number: "http_500" if number == 9 else "")
    assert verdict.check("throughput_ratio").passed is True
    assert len(sut.records) == 9 * 8 + 2 * 2 * 8


def test_many_failed_queries_leave_it_undecided(confirmed):
    verdict, sut = confirmed(1.4, fail=lambda step, _: "http_500" if step.tag.endswith("R") else "")
    check = verdict.check("throughput_ratio")
    assert check.passed is None
    assert "queries of the blocks that were to confirm it failed: mend that, and run it again" in check.reason
    assert len(sut.records) <= 16


def test_where_more_pairs_are_left_out_than_not_it_is_undecided(confirmed):
    """A few failures in the right places would choose which pairs count."""
    keys = {"confirmation_budget": 26}
    verdict, _ = confirmed(1.4, keys=keys, fail=lambda _, number: "" if number % 11 else "http_500")
    check = verdict.check("throughput_ratio")
    assert check.passed is None
    assert "queries of the blocks that were to confirm it failed: mend that, and run it again" in check.reason


@pytest.mark.parametrize("n_words", [7, 9, 40])
def test_no_twin_is_sent_again_in_another_pair(confirmed, n_words):
    """A cache would know it, and the reference would be as fast as the repeats. Of seven words there are 600 orders."""
    _, sut = confirmed(1.4, cv=3.0, seed=5, keys={"confirmation_budget": 26})
    text = " ".join(f"word{number}" for number in range(n_words))
    sent = [step.edit.apply(text) for round_ in sut.rounds for step in round_.steps if step.tag.endswith("/P")]
    assert len(set(sent)) == len(sent) == 4 * 64


@pytest.mark.parametrize(
    ("context", "at_once", "size"),
    [
        (EIGHT, {4, 8}, {4, 8}),
        (AuditContext(load=Concurrency(target=1)), {1}, {4}),
        (AuditContext(load=Concurrency(target=3)), {3}, {4}),
        (AuditContext(load=MaxThroughput()), {4, 20}, {4, 20}),
        (AuditContext(load=MaxThroughput(max_in_flight=2)), {2}, {4}),
    ],
    ids=["8", "1", "3", "all at once", "2 at most"],
)
def test_blocks_are_sent_under_the_load_of_the_phases(confirmed, context, at_once, size):
    """Small blocks first; where they pass under less load than the phases had, pairs under that load."""
    _, sut = confirmed(1.4, context=context)
    assert {sent.most_in_flight for sent in sut.rounds} == at_once
    assert {len(sent.steps) for sent in sut.rounds} == size


@pytest.mark.parametrize("lanes", [4, 8])
def test_requests_that_are_computed_once_under_load_do_not_pass(confirmed, lanes):
    """Blocks of four have a lane for each query, so that nothing is shared; all twenty at once have not."""
    verdict, sut = confirmed(3.0, context=AuditContext(load=MaxThroughput()), cache="coalesce", lanes=lanes)
    check = verdict.check("throughput_ratio")
    assert check.passed is None
    assert "with 20 queries in flight, as in the phases, repeats are faster (ratios " in check.reason
    assert "set the probe's design: groups and bursts: true" in check.reason
    assert len(sut.records) == 64 + 5 * 2 * 20


def test_a_record_of_before_has_no_pairs_under_load(block, rows):
    context = AuditContext(load=MaxThroughput())
    *_, spec = AUDIT.plan(block(samples=20), rows(), context)
    planned = confirm.confirmation_of(spec)
    assert (planned.loaded, planned.load(4), planned.load(20)) == (True, 20, 0)
    assert msgspec.structs.replace(planned, loaded=False).load(4) == 0


def test_either_arm_comes_first_as_a_coin_falls(confirmed):
    _, sut = confirmed(1.4, cv=3.0, seed=5, keys={"confirmation_budget": 26})
    first = [sut.rounds[at].steps[0].tag.rpartition("/")[2] for at in range(0, len(sut.rounds), 2)]
    assert 16 < first.count("R") < 48


def test_it_is_not_wanted_where_the_two_phases_settle_it(block, phase, rows):
    cfg = block()
    *_, spec = AUDIT.plan(cfg, rows(), EIGHT)
    assert not AUDIT.wanted(cfg, spec, {"reference": phase("reference"), "output_caching": phase("o", row=0)})


@pytest.mark.parametrize(
    "caching",
    [{"failed": 20}, {"failed": 5, "window_s": 1.0}, {"failed": 5, "window_s": 1.0, "outcome": "http_429"}],
    ids=["nothing completed", "too little completed", "refused"],
)
def test_it_is_not_wanted_where_a_phase_is_not_sound(block, phase, rows, caching):
    cfg = block()
    *_, spec = AUDIT.plan(cfg, rows(), EIGHT)
    runs = {"reference": phase("reference"), "output_caching": phase("output_caching", row=0, **caching)}
    assert not AUDIT.wanted(cfg, spec, runs)


def test_it_is_not_wanted_where_the_probe_has_proved_a_cache_and_the_pair_then_fails(block, phase, rows, fake_sut):
    cfg = block(probe=True)
    specs = AUDIT.plan(cfg, rows(), AuditContext(load=MaxThroughput(), api_type="videogen"))
    runs = {
        "reference": phase("reference", n=cfg.samples),
        "output_caching": phase("output_caching", n=cfg.n_repeats, row=0, window_s=2.0),
    }
    for spec in (spec for spec in specs if spec.label in (TRIAL, PHASE)):
        runs[spec.label] = measured(spec, fake_sut(cache="exact").run(AUDIT.script(cfg, spec, rows())).records)
    assert not AUDIT.wanted(cfg, specs[-1], runs)
    check = AUDIT.verify(cfg, runs).check("throughput_ratio")
    assert check.passed is False
    assert "the cache probe has proved a cache (response), so that it needs no confirmation" in check.reason


def test_latencies_show_a_cache_that_the_slowest_query_hides(block, phase):
    """All at once, queries per second are those of the slowest query."""
    quick = phase("output_caching", row=0)
    short = [
        msgspec.structs.replace(query, completed_ns=(query.completed_ns + query.issued_ns) // 2)
        for query in quick.read()
    ]
    slowest = [*short[:-1], list(quick.read())[-1]]
    run = MeasuredPhase.of(quick.record, slowest)
    check = AUDIT.verify(block(), {"reference": phase("reference"), "output_caching": run}).check("throughput_ratio")
    assert check.passed is None
    assert "by the sum of its latencies the output_caching phase was 1.9" in check.reason


@pytest.mark.parametrize(
    ("slow", "ratio", "words"),
    [
        (range(40, 64), 0.9, "queries from number 41 of 64 on took 5"),
        (range(40, 64), 0.1, ""),  # five times as fast, it is still no cache
        (range(24), 0.9, ""),  # a warm-up makes the ratio larger
        (range(20, 44), 0.9, ""),
    ],
    ids=["became slower", "by too little", "warm-up", "stall"],
)
def test_a_reference_that_became_slower_settles_nothing(phase, slow, ratio, words):
    steady = phase("reference", n=64, window_s=64.0, target=1)
    at_s, queries = 0.0, []
    for query in steady.read():
        took_s = (5.0 if query.query in slow else 1.0) * (1 + query.query % 7 / 100)
        times = {"issued_ns": round(at_s * 1e9), "completed_ns": round((at_s + took_s) * 1e9)}
        queries.append(msgspec.structs.replace(query, **times))
        at_s += took_s
    record = msgspec.structs.replace(steady.record, figures=figures(QueryColumns(queries), steady.spec.load))
    reference = MeasuredPhase.of(record, queries)
    run = phase("output_caching", n=64, window_s=at_s / ratio, row=0, target=1)
    pair = first_pair(reference, run, 1.1, reference)
    assert pair
    assert pair.settled is not bool(words)
    assert words in " ".join(pair.doubts)


def test_records_of_another_seed_are_no_evidence(block, phase, rows, fake_sut):
    cfg = block()
    *_, spec = AUDIT.plan(cfg, rows(), EIGHT)
    served = fake_sut().run(confirm.script(confirm.confirmation_of(spec), 7))
    runs = {
        "reference": phase("reference"),
        "output_caching": phase("output_caching", row=0, window_s=5.0),
        spec.label: measured(spec, served.records),
    }
    with pytest.raises(NoVerdictError, match="not those that its seed plans"):
        AUDIT.verify(cfg, runs)
