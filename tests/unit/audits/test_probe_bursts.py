"""Queries at once: bursts that grow until different ones queue, and what is said where they do not."""

from __future__ import annotations

from collections import Counter

import pytest

from pytest_mlperf_audit.audits.probe.conclusion import Conclusion
from pytest_mlperf_audit.audits.probe.judges import bursts
from pytest_mlperf_audit.audits.probe.planned import Probe
from pytest_mlperf_audit.audits.probe.script import script
from pytest_mlperf_audit.runs.spec import Concurrency, MaxThroughput

#: Queries of a group, before the first and behind the last: late repeats and changed URLs.
GROUP, WARM_UPS, AT_LAST = 18, 2, 65


def burst_sizes(run) -> list[int]:
    """The sizes at which identical queries were compared with twins, in the order sent."""
    sent = [round_.steps for round_ in run.sut.rounds if round_.at_once and round_.steps[0].tag.startswith("b")]
    return list(dict.fromkeys(map(len, sent)))


def coalescing(run):
    return next(state for state in run.conclusion.kinds if state.kind == "coalescing")


@pytest.mark.parametrize(
    ("load", "lanes", "size"),
    [
        (Concurrency(target=1), 1, 0),
        (Concurrency(target=2), 1, 4),
        (Concurrency(target=16), 4, 16),
        (Concurrency(target=8), 8, 32),
        (Concurrency(target=8), 16, 64),
        (Concurrency(target=16), 64, 0),
        (MaxThroughput(), 20, 64),
        (MaxThroughput(max_in_flight=4), 4, 16),
    ],
    ids=["one", "two", "four_lanes", "as_many_lanes", "more_lanes", "many_lanes", "max_throughput", "limited"],
)
def test_bursts_are_as_large_as_it_takes_to_queue(probed, load, lanes, size):
    run = probed(sut={"lanes": lanes}, load=load)
    sent = [round_ for round_ in run.sut.rounds if round_.steps[0].tag.startswith("b")]
    assert burst_sizes(run) == ([size] if size else [])
    assert {round_.steps[0].tag.partition("/")[2] for round_ in sent} == ({"same", "twins"} if size else set())
    assert len(sent) <= 20
    assert run.conclusion.figures()["probe_burst_size"] == (size or None)
    assert len(run.sut.records) <= run.probe.most()
    assert run.conclusion.passed is True
    state = coalescing(run)
    assert state.state == ("excluded" if size else "not looked for")


@pytest.mark.parametrize("lanes", [1, 4, 8, 16])
@pytest.mark.parametrize("cv", [0.05, 0.3])
def test_coalescing_is_found_whatever_the_lanes(probed, lanes, cv):
    """The benchmark has eight queries in flight, which as many lanes would hide."""
    for seed in range(3):
        sut = {"cache": "coalesce", "lanes": lanes, "miss_s": 0.3, "cv": cv, "seed": seed}
        run = probed(sut=sut, load=Concurrency(target=8), seed=seed)
        assert (run.conclusion.proved, run.conclusion.passed) == (("coalescing",), False)


def test_an_honest_server_under_bursts_is_seldom_accused(probed):
    words: Counter[str] = Counter()
    for seed in range(25):
        run = probed(sut={"lanes": 4, "cv": 0.6, "seed": seed}, load=Concurrency(target=8), seed=seed)
        words[run.conclusion.word] += 1
    assert words["CACHE: coalescing"] == 0


def test_what_did_not_have_to_queue_is_said(probed):
    run = probed({"max_burst": 12}, sut={"lanes": 64}, load=Concurrency(target=12))
    told = "up to 8 different queries at once did not have to queue, max_burst: 128 tries more"
    assert run.conclusion.notes() == (f"cache probe: coalescing was not tested: {told}",)
    assert (coalescing(run).state, coalescing(run).why) == ("not looked for", told)


def test_a_size_that_only_seemed_to_queue_is_followed_by_a_larger_one(probed):
    """The machine stalls while eight are tried on eight lanes; the twins of eight then show that none had to wait."""
    stalls = {"slowed": lambda step, _text, _at: 3.0 if step.tag.startswith("k8.") else 1.0}
    run = probed(sut={"lanes": 8, **stalls}, load=Concurrency(target=8))
    assert burst_sizes(run) == [8, 32]
    assert coalescing(run).state == "excluded"
    assert {len(burst) for sent in run.conclusion.evidence.bursts.values() for burst in sent} == {32}
    found = probed(sut={"lanes": 8, "cache": "coalesce", **stalls}, load=Concurrency(target=8))
    assert (burst_sizes(found), found.conclusion.proved) == ([8, 32], ("coalescing",))


def test_where_no_size_queues_after_all_nothing_is_said(probed):
    run = probed(
        {"max_burst": 16},
        sut={"lanes": 64, "slowed": lambda step, *_: 3.0 if step.tag.startswith("k") else 1.0},
        load=Concurrency(target=8),
    )
    assert burst_sizes(run) == [4, 8]
    assert coalescing(run).state == "not looked for"
    assert "8 different queries at once did not have to queue after all" in coalescing(run).why


@pytest.mark.parametrize("outcome", ["http_429", "http_503", "connect", "timeout"])
def test_a_burst_that_is_refused_ends_them_and_costs_nothing_else(probed, outcome):
    """An endpoint that takes eight at once and no more is no worse for it."""
    run = probed(
        sut={"lanes": 16, "fail": lambda step, _: outcome if step.tag.startswith("k16.") else ""},
        load=Concurrency(target=8),
    )
    assert run.conclusion.passed is True
    assert run.conclusion.figures()["probe_failed"] == 0
    assert max(len(round_.steps) for round_ in run.sut.rounds if round_.at_once) == 16
    late = sum(round_.steps[0].tag.startswith("l") for round_ in run.sut.rounds)
    assert sum(round_.at_once for round_ in run.sut.rounds) == 2 + 3 + 2 + 1 + late
    why = f"the endpoint answers {outcome} to 16 of 16 queries at once; set max_burst to what it takes"
    assert (coalescing(run).state, coalescing(run).why) == ("not looked for", why)


def test_replies_of_unlike_length_are_not_compared(probed):
    run = probed(sut={"lanes": 1}, load=Concurrency(target=8))
    for number, record in enumerate(run.sut.records):
        record.reply_bytes = 100 * (1 + number % 3)
    assert run.conclusion.evidence.bursts
    found = Conclusion(run.probe, [record for record in run.sut.records if not record.tag.startswith("d")])
    assert all(one.contrast.kind != "coalescing" for one in found.judgement.judged)


def test_the_budget_leaves_no_room_for_bursts(probed):
    run = probed({"max_queries": WARM_UPS + 6 * GROUP + AT_LAST}, sut={"lanes": 1}, load=Concurrency(target=8))
    assert run.conclusion.passed is None
    assert burst_sizes(run) == []
    assert run.conclusion.reason() == "inconclusive: the budget ended before queries could be sent at once"


def of_before(fake_sut, at_once: int, **sut):
    """Send a probe as it was planned when the benchmark's own concurrency was the most."""
    probe = Probe(
        design="groups",
        looks=(6, 12, 24),
        sources=("made_up", "dataset"),
        forbidden=("response", "coalescing"),
        n_rows=64,
        bursts=True,
        at_once=at_once,
        max_tokens=32,
    )
    run = fake_sut(**sut).run(script(probe, 1))
    return run, Conclusion(probe, run.records)


@pytest.mark.parametrize(("at_once", "lanes", "size"), [(2, 1, 2), (16, 4, 8), (16, 64, 0)])
def test_a_record_of_before_is_judged_by_its_own_plan(fake_sut, at_once, lanes, size):
    run, conclusion = of_before(fake_sut, at_once, lanes=lanes)
    sent = [round_ for round_ in run.rounds if round_.at_once and not round_.steps[0].tag.startswith("k")]
    assert {len(round_.steps) for round_ in sent} == ({size} if size else set())
    assert conclusion.passed is True
    assert conclusion.figures()["probe_burst_size"] == (size or None)
    if not size:
        [note] = conclusion.notes()
        assert note.endswith("16 different queries at once, the benchmark's own concurrency, did not have to queue")
    found = of_before(fake_sut, at_once, lanes=lanes, cache="coalesce", miss_s=0.3)[1]
    assert found.proved == (("coalescing",) if size else ())


def test_a_burst_may_wait_for_the_client():
    """Sixty-four queries take a client some milliseconds, which are no queue at a server that is as fast."""
    assert pytest.approx(0.0064) == bursts._CLIENT_S * 64


def with_ids(run, make):
    """Give each reply an id."""
    for record in run.sut.records:
        record.reply_id, record.reply = make(record), record.request
    return run.conclusion


def one_for_each_burst(record):
    """Number the replies, those to identical queries at once alike."""
    block = (record.tag or "").partition("/")[0]
    return f"id-{block if record.tag.endswith('/same') else record.query}"


@pytest.mark.parametrize("lanes", [1, 4, 64])
def test_one_id_for_identical_queries_at_once_proves_coalescing_whatever_the_clock_shows(probed, lanes):
    run = probed(sut={"lanes": lanes}, load=Concurrency(target=8))
    found = with_ids(run, one_for_each_burst)
    assert found.proved == ("coalescing",)
    assert found.reason().startswith("request coalescing on bursts: found by ids, whatever the times show; in ")
    assert "bursts identical queries came back under one id" in found.reason()
    assert "(p 1)" not in found.reason()


def test_where_ids_tell_no_larger_burst_is_sent(probed):
    first: dict[str, int] = {}

    class Numbered(type(probed().sut)):  # type: ignore[misc]
        def _answer(self, upcoming):
            records = super()._answer(upcoming)
            for record in records:
                record.reply = record.request
                record.reply_id = one_for_each_burst(record)
                first.setdefault(record.reply_id, record.query)
            return records

    run = Numbered(lanes=8).run(script(probed(load=Concurrency(target=8)).probe, 1))
    assert run.n_sent_at_once == (2 + 3) * 4
    assert len(first) < len(run.records)


@pytest.mark.parametrize(
    "make",
    [
        lambda record: record.request,
        lambda record: f"{record.issued_ns // 10**9}",
        lambda record: f"{record.issued_ns // 10**9} {record.request}",
        lambda record: str(record.query % 7),
        lambda _: None,
        lambda record: one_for_each_burst(record) if record.query % 2 else f"id-{record.query}",
    ],
    ids=["of the request", "of the second", "of both", "few", "none", "half of them"],
)
def test_ids_that_are_not_drawn_anew_prove_nothing(probed, make):
    found = with_ids(probed(sut={"lanes": 4}, load=Concurrency(target=8)), make)
    assert "coalescing" not in found.judgement.kinds
    assert not any("bursts" in proof for proof in found.judgement.proofs)


def test_ids_of_the_request_and_the_clock_need_a_gain_where_queries_take_seconds(probed):
    """No repeat follows its prime within a second, so that nothing tells such ids from one computation for all."""
    slow = {"miss_s": 3.0, "lanes": 4}
    of_both = probed(sut=slow, load=Concurrency(target=8))
    found = with_ids(of_both, lambda record: f"{record.issued_ns // 10**9} {record.request}")
    assert "coalescing" not in found.judgement.kinds
