"""Honest servers with habits that look like a cache, and dishonest ones with habits that look honest."""

from __future__ import annotations

import copy
import random

import pytest
from msgspec import structs

from pytest_mlperf_audit.audits.probe.conclusion import Conclusion
from pytest_mlperf_audit.audits.probe.seen.evidence import Evidence
from pytest_mlperf_audit.runs.script import NO_EDIT
from pytest_mlperf_audit.runs.spec import Concurrency

MS = 10**6


def changed(done, change):
    """The conclusion from a run's records after `change` of each; what they now show was never sent again."""
    records = copy.deepcopy(done.sut.records)
    for record in records:
        change(record)
    return Conclusion(structs.replace(done.probe, again=False), records)


def arm(record):
    return record.tag.partition("/")[2].partition(".")[0]


def ids_of_999(rng):
    return lambda _record: f"chatcmpl-{rng.randrange(999)}"


def ids_of_the_second(_rng):
    return lambda record: f"chatcmpl-{record.issued_ns // 10**9}"


def ids_of_the_request(_rng):
    return lambda record: record.request


@pytest.mark.parametrize("ids", [ids_of_999, ids_of_the_second, ids_of_the_request])
@pytest.mark.parametrize("settings", [{}, {"design": "single"}, {"design": "anytime"}], ids=str)
def test_ids_that_are_not_unique_prove_nothing(probed, ids, settings):
    done = probed(settings)
    make = ids(random.Random(3))

    def change(record):
        record.reply_id, record.reply = make(record), record.request

    conclusion = changed(done, change)
    assert conclusion.passed is True
    assert not conclusion.judgement.proofs


@pytest.mark.parametrize("reply_id", ["id-1", None])
@pytest.mark.parametrize("settings", [{"design": "single"}, {"design": "anytime"}], ids=str)
def test_one_reply_for_all_requests_is_never_clean(probed, settings, reply_id):
    """A cache that is keyed on the URL answers the twins, too, so that times alone find nothing."""

    def change(record):
        record.reply_id, record.reply = reply_id, "0" * 32

    conclusion = changed(probed(settings), change)
    assert conclusion.passed is None
    assert conclusion.judgement.word == "INCONCLUSIVE"
    assert "one and the same, id and output" in conclusion.judgement.reason
    assert "design: groups" in conclusion.judgement.reason


@pytest.mark.parametrize("settings", [{"design": "single"}, {"design": "anytime"}], ids=str)
@pytest.mark.parametrize("member", ["reply_id", "reply"])
def test_ids_alone_or_outputs_alone_say_nothing_of_it(probed, settings, member):
    """Servers that number no replies, or whose outputs are of one word, are honest."""

    def change(record):
        record.reply_id, record.reply = f"id-{record.query}", f"{record.query:032x}"
        setattr(record, member, "0" * 32)

    assert changed(probed(settings), change).passed is True


@pytest.fixture
def replayed(probed):
    """Conclude where all repeats but two bear the id of their first reply, and take `share` of their time."""

    def conclude(share):
        done = probed()
        again = {record.tag for record in done.sut.records if arm(record) == "R"} - {"m0/R.a", "d0/R"}
        ids: dict[str, str] = {}

        def change(record):
            if record.tag in again:
                record.reply_id = ids[record.request]
                record.completed_ns = record.issued_ns + round((record.completed_ns - record.issued_ns) * share)
            else:
                record.reply_id = ids[record.request] = f"id-{record.query}"
            record.reply = record.request

        return changed(done, change)

    return conclude


def test_a_unique_id_that_comes_back_for_some_repeats_is_open(replayed):
    """It may be made from the request and the server, or the time."""
    found = replayed(1.0)
    assert (found.judgement.kinds, found.passed) == ((), None)


def test_a_unique_id_that_comes_back_for_some_repeats_and_those_faster_proves_a_replay(replayed):
    found = replayed(0.6)
    assert found.judgement.kinds == ("response",)
    assert "repeats came back under the id of an earlier reply" in found.reason()


@pytest.mark.parametrize("n_servers", [2, 4])
@pytest.mark.parametrize("settings", [{}, {"design": "single"}], ids=["groups", "single"])
def test_ids_made_from_the_request_and_one_of_several_servers_prove_nothing(probed, settings, n_servers):
    for seed in range(4):
        rng = random.Random(seed)

        def change(record, rng=rng):
            record.reply_id, record.reply = f"{record.request[:8]}-{rng.randrange(n_servers)}", record.request

        assert changed(probed(settings, seed=seed), change).judgement.kinds == ()


@pytest.mark.parametrize("tick_s", [0.2, 1.0, 5.0])
@pytest.mark.parametrize("settings", [{}, {"design": "single"}], ids=["groups", "single"])
def test_ids_made_from_the_request_and_the_time_prove_nothing(probed, settings, tick_s):
    def change(record):
        record.reply_id, record.reply = (
            f"{record.request[:8]}-{int(record.completed_ns / 1e9 / tick_s)}",
            record.request,
        )

    assert changed(probed(settings), change).judgement.kinds == ()


@pytest.mark.parametrize("miss_s", [0.02, 0.1, 0.2, 0.5])
def test_ids_made_from_the_request_and_the_second_are_no_coalescing(probed, miss_s):
    """Identical queries at once bear one id, and repeats that come nearly a second later seldom do."""

    def change(record):
        record.reply_id, record.reply = f"{record.request[:8]}-{record.completed_ns // 10**9}", record.request

    for seed in range(3):
        run = probed(sut={"lanes": 64, "miss_s": miss_s, "seed": seed}, load=Concurrency(target=8), seed=seed)
        assert "coalescing" not in changed(run, change).judgement.kinds


@pytest.mark.parametrize("cv", [0.1, 0.3])
def test_ids_made_from_the_request_are_no_coalescing(probed, cv):
    """Identical queries at once bear one id, and one pair of bursts is always faster than the other by chance."""

    def change(record):
        record.reply_id, record.reply = record.request[:8], record.request

    for seed in range(8):
        run = probed(sut={"lanes": 4, "cv": cv, "seed": seed}, load=Concurrency(target=8), seed=seed)
        assert changed(run, change).judgement.kinds == ()


@pytest.fixture
def reading(probed):
    """Conclude on an endpoint that takes its time to read, where a row's twins have `twins` times its tokens.

    Rows that it knows take the share `known` of it, from the first time on.
    """

    def conclude(settings, *, counted=True, n_words=4, twins=1.3, known=1.0, seed=1, sut=None):
        def change(record):
            own = record.tag.startswith("d") and arm(record) in ("R", "prime")
            n_tokens = 20 if own or record.tag.startswith("m") else round(20 * twins)
            share = n_tokens / 20 * (known if own else 1.0)
            record.completed_ns = record.issued_ns + round((record.completed_ns - record.issued_ns) * share)
            record.tokens = 8
            record.prompt_tokens = n_tokens if counted else None

        return changed(probed(settings, {"seed": seed, **(sut or {})}, n_words=n_words, seed=seed), change)

    return conclude


ROWS_ALONE = {"samples": "dataset", "groups": 24}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("settings", [{}, ROWS_ALONE], ids=["both", "dataset"])
def test_twins_with_more_to_read_are_no_proof(reading, settings, seed):
    """A server that is slower with more to read, and keeps nothing."""
    counted = reading(settings, seed=seed)
    assert (counted.judgement.word, counted.passed) == ("CLEAN", True)
    uncounted = reading(settings, counted=False, seed=seed)
    assert (uncounted.judgement.kinds, uncounted.passed) == ((), None)
    assert "prompts of over six words" in uncounted.reason()


def test_single_rows_with_twins_that_have_more_to_read_are_no_proof(probed):
    """Rows of four words on an endpoint that does not count what it reads, and keeps nothing."""
    slowed = {"slowed": lambda step, *_: 1.0 if step.edit == NO_EDIT else 1.5}
    done = probed({"design": "single"}, slowed, n_words=4)
    assert done.conclusion.passed is None
    assert "prompts of over six words" in done.conclusion.reason()


def test_known_rows_are_found_where_their_twins_cost_the_same(reading):
    """A table of answers worked out before: rows are as fast the first time as again."""
    for known in ({"n_words": 40, "counted": False, "twins": 1.0}, {"twins": 1.0}, {"twins": 1.3}):
        assert reading(ROWS_ALONE, known=0.2, **known).judgement.kinds == ("response",)
    unsure = reading(ROWS_ALONE, known=0.2, counted=False)
    assert (unsure.judgement.kinds, unsure.passed) == ((), None)


def test_short_rows_that_are_kept_when_they_are_first_sent_are_found(reading):
    """Repeats are faster than their own first sending, so that it does not matter what twins cost."""
    found = reading(ROWS_ALONE, counted=False, sut={"cache": "exact"})
    assert found.judgement.kinds == ("response",)


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("counted", [True, False])
def test_rows_that_are_answered_more_briefly_than_their_twins(probed, streamed, counted):
    """A row asks for yes or no; with random words at its end it is answered at length."""
    rng = random.Random(5)
    done = probed()

    def change(record):
        brief = record.tag.startswith("d") and arm(record) in ("R", "prime")
        tokens = rng.randint(6, 12) if brief else rng.randint(60, 200)
        first_ns = record.issued_ns + round(20 * MS * rng.lognormvariate(0, 0.02))
        record.completed_ns = first_ns + round((tokens - 1) * 5 * MS * rng.lognormvariate(0, 0.02))
        record.first_token_ns = first_ns if streamed else None
        record.tokens = tokens if counted else None
        record.reply_bytes = 300 + 4 * tokens

    assert changed(done, change).passed is not False


def test_replies_of_different_length_tell_nothing_of_coalescing(probed):
    done = probed({}, {"lanes": 1, "cache": "coalesce"}, load=Concurrency(target=8))
    assert done.conclusion.judgement.kinds == ("coalescing",)
    tokens = iter(range(10**6))

    def change(record):
        record.tokens = 5 if next(tokens) % 2 else 32

    assert changed(done, change).judgement.kinds == ()


def test_a_null_control_that_fires_leaves_everything_open(probed):
    honest = probed({"thorough": True})
    assert honest.conclusion.passed is True

    def change(record):
        if arm(record) == "T":
            record.completed_ns = record.issued_ns + 2 * (record.completed_ns - record.issued_ns)

    conclusion = changed(honest, change)
    assert conclusion.passed is None
    assert "null control" in conclusion.reason()


def test_an_endpoint_too_fast_to_judge_is_no_pass(probed):
    done = probed({}, {"cache": "exact", "miss_s": 0.0009, "hit_s": 0.0001})
    assert done.conclusion.passed is None
    assert "too fast to be judged" in done.conclusion.reason()


def test_bets_that_come_to_nothing_are_no_pass(probed):
    """A repeat that leads two times of three: neither a finding after twelve groups nor nothing."""
    done = probed({"design": "anytime"}, {"cv": 0.1})
    evidence = Evidence.of(done.sut.records)
    assert done.conclusion.passed is True
    blocks = (evidence.bets * 12)[:12]
    fast = copy.deepcopy(blocks[0])
    fast["R"][0].completed_ns = fast["R"][0].issued_ns + 1
    slow = copy.deepcopy(blocks[0])
    slow["R"][0].completed_ns = slow["R"][0].issued_ns + 10**12
    evidence.bets = [fast, slow, fast] * 4
    judgement = done.probe.judge(evidence)
    assert (judgement.word, judgement.kinds) == ("INCONCLUSIVE", ())


def test_each_block_stays_with_one_address(probed):
    for settings in ({}, {"design": "single"}, {"design": "anytime"}):
        done = probed(settings, {"lanes": 1}, load=Concurrency(target=4))
        routes: dict[str, set[int | None]] = {}
        for sent in done.sut.rounds:
            for step in sent.steps:
                routes.setdefault(step.tag.partition("/")[0], set()).add(step.route)
        assert all(len(route) == 1 and None not in route for block, route in routes.items() if block[0] != "w")
