"""The single design: strata of repeats and twins, looked at until there is an answer, on a server in memory."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from pytest_mlperf_audit.audits.probe.conclusion import Conclusion
from pytest_mlperf_audit.audits.probe.judges.repeats import STRATA
from pytest_mlperf_audit.audits.probe.planned import Probe
from pytest_mlperf_audit.audits.probe.script import script

VIDEO = {"api_type": "videogen"}
FULL = {"cache": "exact"}


def arms(run) -> Counter[str]:
    return Counter((tag or "").partition("/")[2] for tag in run.sut.tags)


def n_strata(run) -> int:
    return len(run.conclusion.evidence.strata)


def stalled(share: float, seed: int, times: float = 10.0):
    """Slow down a share of all queries, hits as well."""
    rng = random.Random(seed)
    return lambda *_: times if rng.random() < share else 1.0


def hashed(*speeds: float):
    """Serve each prompt on the replica that its text says; these are their service times."""
    return lambda _step, text, _at: speeds[random.Random(text).randrange(len(speeds))]


@pytest.mark.parametrize("warmed", [False, True])
def test_an_honest_server_is_clean_after_two_strata(probed, warmed):
    run = probed(**VIDEO, warmed=warmed, row=3)
    assert run.probe.design == "single"
    assert (run.conclusion.word, run.conclusion.passed) == ("CLEAN", True)
    assert len(run.sut.records) == 26 - warmed
    assert arms(run) == {"prime": 5, "R": 10, "P": 10} | ({} if warmed else {"fresh": 1})
    assert run.conclusion.judgement.excluded == {"response": (1.5, 0.5, "repeats")}
    assert not any(round_.at_once for round_ in run.sut.rounds)


@pytest.mark.parametrize("warmed", [False, True])
def test_a_full_cache_is_found_after_one_stratum(probed, warmed):
    for seed in range(5):
        run = probed(**VIDEO, warmed=warmed, sut=FULL, seed=seed)
        assert (run.conclusion.proved, len(run.sut.records)) == (("response",), 16 - warmed)


def test_stalled_hits_do_not_hide_a_cache(probed):
    """One stalled hit of five against five is enough to hide it at the first look."""
    seen: Counter[int] = Counter()
    for seed in range(30):
        run = probed(**VIDEO, sut={**FULL, "slowed": stalled(0.2, seed, times=100.0)}, seed=seed)
        assert run.conclusion.proved == ("response",), run.conclusion.reason()
        seen[n_strata(run)] += 1
    assert seen[1] < 20
    assert set(seen) <= set(STRATA)


def test_an_honest_server_with_stalls_is_not_accused(probed):
    words: Counter[str] = Counter()
    for seed in range(30):
        run = probed(**VIDEO, sut={"slowed": stalled(0.2, seed)}, seed=seed)
        words[run.conclusion.judgement.word] += 1
    assert words["CACHE"] == 0
    assert words["CLEAN"] >= 25


def test_a_spread_of_thirty_percent_excludes_twice_as_fast(probed):
    seen = set()
    for seed in range(12):
        run = probed(**VIDEO, sut={"cv": 0.22, "seed": seed}, seed=seed)
        assert run.conclusion.judgement.word == "CLEAN", run.conclusion.reason()
        times = run.conclusion.judgement.excluded["response"].times
        assert (times == 1.5) or n_strata(run) == STRATA[-1]
        seen.add(times)
    assert seen <= {1.5, 2.0}
    assert 2.0 in seen


@pytest.mark.parametrize(("cv", "most"), [(0.35, 3.0), (0.6, 5.0)])
def test_a_wider_spread_excludes_less(probed, cv, most):
    words: Counter[str] = Counter()
    for seed in range(12):
        run = probed(**VIDEO, sut={"cv": cv, "seed": seed}, seed=seed)
        words[run.conclusion.judgement.word] += 1
        excluded = run.conclusion.judgement.excluded["response"]
        assert 1.5 <= excluded.times <= (most if run.conclusion.judgement.word == "CLEAN" else 10)
    assert words["CLEAN"] >= 10


def test_what_spreads_too_much_stays_open(probed):
    run = probed(**VIDEO, sut={"cv": 2.0})
    assert (run.conclusion.word, run.conclusion.passed) == ("INCONCLUSIVE", None)
    assert (n_strata(run), len(run.sut.records)) == (6, 66)
    assert "the data exclude" in run.conclusion.reason()


@pytest.mark.parametrize("warmed", [False, True])
def test_a_budget_of_twelve_says_how_little_it_excludes(probed, warmed):
    run = probed({"max_queries": 12}, **VIDEO, warmed=warmed)
    assert len(run.sut.records) == run.probe.most() == 12
    assert (run.conclusion.word, run.conclusion.passed) == ("INCONCLUSIVE", None)
    assert run.conclusion.reason().endswith(
        "the data exclude no more than that nine in ten of the repeats are 1.5 times as fast"
    )
    assert run.conclusion.judgement.excluded["response"] == (1.5, 0.9, "repeats")
    found = probed({"max_queries": 12}, **VIDEO, warmed=warmed, sut=FULL)
    assert (found.conclusion.proved, len(found.sut.records)) == (("response",), 12)


@pytest.mark.parametrize(
    ("budget", "strata", "n_prompts"),
    [
        (None, (1, 2, 4, 6), 5),
        (12, (1,), 1),
        (16, (1,), 5),
        (22, (1, 2), 1),
        (26, (1, 2), 5),
        (36, (1, 2, 3), 5),
        (42, (1, 2, 4), 1),
        (59, (1, 2, 4, 5), 5),
        (66, (1, 2, 4, 6), 5),
        (500, (1, 2, 4, 6), 5),
    ],
)
def test_a_budget_is_spent_on_strata_first(plan_probe, budget, strata, n_prompts):
    probe = plan_probe({"max_queries": budget}, **VIDEO)
    assert (probe.strata, probe.n_prompts) == (strata, n_prompts)
    assert probe.least() <= probe.most() <= (budget or 161)


def test_a_budget_too_small_for_all_prompts_accuses_no_replica(probed):
    """One prompt that has a fast replica of its own comes back faster than most twins, as it did the first time."""
    words: Counter[str] = Counter()
    for seed in range(300):
        replicas = {"slowed": hashed(1.0, 1.5, 1.5), "seed": seed}
        run = probed({"max_queries": 12}, **VIDEO, sut=replicas, seed=seed, row=seed % 64)
        words[run.conclusion.judgement.word] += 1
        if "no faster than their own first sending" in run.conclusion.reason():
            words["told"] += 1
    assert words["CACHE"] <= 1
    assert words["told"] >= 3


@pytest.mark.parametrize("speeds", [(1.0, 1.5), (1.0, 1.5, 1.5), (1.0, 1.0, 1.5)])
def test_hashed_replicas_of_unequal_speed_are_no_cache(probed, speeds):
    words = Counter(
        probed(**VIDEO, sut={"slowed": hashed(*speeds), "seed": seed}, seed=seed).conclusion.judgement.word
        for seed in range(100)
    )
    assert words["CACHE"] <= 3


def test_a_cache_behind_hashed_replicas_is_found(probed):
    for seed in range(10):
        run = probed(**VIDEO, sut={**FULL, "slowed": hashed(1.0, 1.5)}, seed=seed)
        assert run.conclusion.proved == ("response",)


def test_a_table_of_the_known_rows_is_found_by_half_of_the_repeats(probed):
    def known(step, _text, _at):
        return 0.01 if not (step.edit.lead or step.edit.text) else 1.0

    run = probed(**VIDEO, sut={"slowed": known})
    assert run.conclusion.proved == ("response",)
    fresh = {"slowed": lambda step, *_: 0.01 if step.edit.lead and step.tag.endswith("/R") else 1.0}
    assert probed(**VIDEO, sut=fresh).conclusion.proved == ("response",), "nor does a cache of new prompts alone hide"


@pytest.mark.parametrize("n_rows", [1, 3])
def test_a_data_set_of_few_rows_is_filled_up_with_fresh_prompts(probed, n_rows):
    run = probed(**VIDEO, n_rows=n_rows)
    assert run.conclusion.passed is True
    primes = [record for record in run.sut.records if record.tag == "s0/prime"]
    assert len({record.request for record in primes}) == 5
    assert {record.sample for record in run.sut.records} == set(range(n_rows))


def test_made_up_prompts_alone(probed):
    run = probed({"samples": "made_up"}, **VIDEO)
    assert run.conclusion.passed is True
    assert all(step.edit.text for round_ in run.sut.rounds for step in round_.steps)


def test_a_stratum_with_a_failure_is_made_up_for(probed):
    run = probed(**VIDEO, sut={"fail": lambda _, number: "timeout" if number == 12 else ""})
    assert (run.conclusion.word, n_strata(run), len(run.sut.records)) == ("CLEAN", 2, 36)
    many = probed(**VIDEO, sut={"fail": lambda step, _: "http_500" if step.tag.endswith("/R") else ""})
    assert (many.conclusion.word, many.conclusion.passed) == ("ERROR", None)
    assert "refuses a repeated request" in many.conclusion.reason()
    assert len(many.sut.records) == 16


def test_a_budget_of_time_ends_it_between_strata(probed):
    run = probed({"max_duration_ms": 1800}, **VIDEO)
    assert (n_strata(run), run.conclusion.passed) == (2, True)
    run = probed({"max_duration_ms": 1000}, **VIDEO)
    assert (n_strata(run), run.conclusion.passed) == (1, None)


def test_what_is_expected_follows_the_looks_at_strata(probed):
    run = probed(**VIDEO, sut={"cv": 1.0})
    expected = [round_.expected for round_ in run.sut.rounds]
    assert expected == [16, 16, 16, 26, 46, 46, 66, 66]


def of_before(sut, fake_sut, seed=1):
    """Send a probe as it was planned before there were strata."""
    probe = Probe(
        design="single", looks=(6, 12, 24), sources=("made_up", "dataset"), forbidden=("response",), n_rows=64, row=3
    )
    run = fake_sut(**sut).run(script(probe, seed))
    return run, Conclusion(probe, run.records)


def test_a_record_of_before_proves_a_cache_and_never_that_there_is_none(fake_sut):
    run, conclusion = of_before({}, fake_sut)
    assert len(run.records) == 12
    assert {record.sample for record in run.records} == {3}
    assert (conclusion.word, conclusion.passed) == ("INCONCLUSIVE", None)
    assert "older version" in conclusion.reason()
    lengths = {len(of_before(FULL, fake_sut, seed)[0].records) for seed in range(10)}
    assert lengths == {11, 12}, "it ended early after four twins"
    assert of_before(FULL, fake_sut)[1].proved == ("response",)


@pytest.mark.parametrize("at", [0, 4])
def test_a_record_of_before_with_a_failure_is_an_error(fake_sut, at):
    run, conclusion = of_before({"fail": lambda _, number: "timeout" if number == at else ""}, fake_sut)
    assert (conclusion.word, conclusion.passed, len(run.records)) == ("ERROR", None, at + 1)


@pytest.mark.parametrize(("new", "word"), [(True, "INCONCLUSIVE"), (False, "CACHE: response")])
def test_outputs_of_their_own_contradict_what_few_times_show(probed, new, word):
    run = probed(**VIDEO, sut=FULL)
    for record in run.sut.records:
        record.reply = f"{record.query:032x}" if new else record.request
    conclusion = Conclusion(run.probe, run.sut.records)
    assert conclusion.word == word
    assert ("computed anew: run it again" in conclusion.reason()) is new
