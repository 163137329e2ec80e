"""When a probe sends what, and when it stops: its script, driven by a server in memory."""

from __future__ import annotations

from collections import Counter

import pytest

from pytest_mlperf_audit.audits.probe.judges.repeats import BETS
from pytest_mlperf_audit.audits.probe.script import script
from pytest_mlperf_audit.audits.probe.warm_up import trial
from pytest_mlperf_audit.errors import RefusedError
from pytest_mlperf_audit.runs.spec import Concurrency

#: Queries of a group of made-up prompts, of one of the data set, and before the first.
MADE_UP, DATASET, WARM_UPS = 12, 6, 2
GROUP = MADE_UP + DATASET
#: Late repeats with their twins, and changed URLs, at the end of a probe that finds nothing.
LATE, URLS = 48, 17
AT_LAST = LATE + URLS


def n_groups(run) -> int:
    return int(run.conclusion.evidence.n_groups())


def blocks(run, kind: str) -> list[str]:
    return sorted({tag.partition("/")[0] for tag in run.sut.tags if tag.startswith(kind)})


def fails_on(*arms: str, outcome: str = "http_500", first: int = 10_000):
    """Fail the first so many queries of these arms."""
    left = [first]

    def fail(step, number):  # noqa: ARG001
        if step.tag.partition("/")[2].partition(".")[0] not in arms or not left[0]:
            return ""
        left[0] -= 1
        return outcome

    return fail


@pytest.mark.parametrize("settings", [{"samples": "both"}, {"samples": "made_up"}, {"samples": "dataset"}])
def test_an_honest_fast_server_is_clean_at_the_first_look_that_can_say_so(probed, settings):
    run = probed(settings)
    of_rows = settings["samples"] == "dataset"
    size = {"both": GROUP, "made_up": MADE_UP + 1, "dataset": DATASET + 1}[settings["samples"]]
    groups = 12 if of_rows else 6  # one repeat of each of six rows excludes nothing
    at_last = 0 if of_rows else AT_LAST
    assert (run.conclusion.word, run.conclusion.passed, n_groups(run)) == ("CLEAN", True, groups)
    assert len(run.sut.records) == (1 if of_rows else WARM_UPS) + groups * size + at_last
    assert run.probe.least() == (1 if of_rows else WARM_UPS) + 6 * size + at_last


def test_warm_ups_come_first_and_belong_to_no_group(probed):
    run = probed()
    assert run.sut.tags[:2] == ["w0/fresh", "w1/fresh"]
    of = Counter(tag.partition("/")[0] for tag in run.sut.tags[2 : 2 + GROUP])
    assert of == {"m0": MADE_UP, "d0": DATASET}


def test_a_probe_of_the_data_set_alone_makes_up_no_prompt(probed):
    run = probed({"samples": "dataset"})
    sent = [step for round_ in run.sut.rounds for step in round_.steps]
    assert not any(step.edit.text or step.query for step in sent)
    assert sent[0].edit.in_place, "the warm-up too is a row with other first words"


def test_a_full_cache_is_found_at_the_first_look(probed):
    run = probed(sut={"cache": "exact"})
    assert (run.conclusion.proved, run.conclusion.passed, n_groups(run)) == (("response",), False, 6)
    assert len(run.sut.records) == WARM_UPS + 6 * GROUP


@pytest.mark.parametrize(("groups", "looks"), [(24, (6, 12, 24)), (12, (6, 12)), (48, (6, 12, 24, 48)), (7, (7,))])
def test_looks_are_at_halves_down_to_six(plan_probe, groups, looks):
    assert plan_probe({"groups": groups}).looks == looks


def test_a_question_left_open_takes_another_look(probed):
    """Repeats take three quarters of a miss, give or take a fifth, which six groups seldom settle."""
    seen: Counter[int] = Counter()
    for seed in range(8):
        run = probed(sut={"cache": "exact", "hit_s": 0.075, "cv": 0.2, "seed": seed}, seed=seed)
        seen[n_groups(run)] += 1
        assert run.conclusion.proved == ("response",)
    assert set(seen) <= {6, 12, 24}
    assert len(seen) > 1


def test_thorough_takes_every_look_and_primes_twice(probed):
    run = probed({"thorough": True, "groups": 12})
    assert (run.conclusion.word, n_groups(run)) == ("CLEAN", 12)
    assert Counter(tag.partition("/")[2] for tag in run.sut.tags if tag.startswith("m0/prime")) == {
        "prime.a": 2,
        "prime.b": 2,
    }
    found = probed({"thorough": True, "groups": 12}, sut={"cache": "exact"})
    assert (found.conclusion.passed, n_groups(found)) == (False, 6)


def test_a_refused_url_costs_its_arm_and_no_more(probed):
    run = probed(sut={"refuse_query": "http_404"})
    assert [tag for tag in run.sut.tags if tag.endswith("/U")] == []
    assert run.sut.tags[-1] == "w2/url"
    assert (run.conclusion.word, run.conclusion.passed) == ("CLEAN", True)
    assert len(run.sut.records) == WARM_UPS + 6 * GROUP + LATE + 1
    assert run.conclusion.figures()["probe_failed"] == 0
    [note] = run.conclusion.notes()
    assert note.startswith("cache probe: the endpoint answers http_404 to a changed URL, so a cache keyed on the URL ")
    check = run.conclusion.kind_check("url_keyed", "no_cache[url_keyed]")
    assert (check.passed, check.observed, check.tested) == (None, None, False), "not tested is no pass"
    assert check.reason == "URL-keyed cache was not looked for: the endpoint answers http_404 to a changed URL"


def test_no_url_is_changed_when_told_not_to(probed):
    run = probed({"url": False})
    assert run.sut.tags[:2] == ["w0/fresh", "m0/prime.a"] or run.sut.tags[1].startswith("m0/")
    assert not any(step.query for round_ in run.sut.rounds for step in round_.steps)
    assert len(run.sut.records) == 1 + 6 * GROUP + LATE == run.probe.least()


def test_no_bursts_once_a_cache_is_proved(probed):
    run = probed(sut={"cache": "exact", "lanes": 1}, load=Concurrency(target=8))
    assert run.sut.n_sent_at_once == 0
    assert run.conclusion.notes() == ()


def test_no_bursts_where_they_are_not_wanted(probed):
    run = probed({"bursts": False}, sut={"lanes": 1}, load=Concurrency(target=8))
    assert run.sut.n_sent_at_once == LATE
    assert blocks(run, "b") == blocks(run, "k") == []


def test_the_budget_leaves_no_room_for_bursts(probed):
    run = probed({"max_queries": WARM_UPS + 6 * GROUP + AT_LAST}, sut={"lanes": 4}, load=Concurrency(target=8))
    assert run.conclusion.passed is None
    assert blocks(run, "b") == []
    assert run.conclusion.reason().startswith("inconclusive: the budget ended before ")


#: Six groups leave open whether this one caches.
NOISY = {"cache": "exact", "hit_s": 0.085, "cv": 0.2}


def test_a_budget_of_queries_is_kept_and_leaves_an_open_question_open(probed):
    budget = WARM_UPS + 6 * GROUP + AT_LAST
    run = probed({"max_queries": budget}, sut=NOISY)
    assert len(run.sut.records) <= budget
    assert n_groups(run) == (budget - WARM_UPS) // GROUP
    assert (run.conclusion.word, run.conclusion.passed) == ("INCONCLUSIVE", None)
    assert run.conclusion.reason() == "inconclusive: the budget ended before an answer"
    assert probed(sut=NOISY).conclusion.proved == ("response",)


def test_a_budget_of_time_ends_it_between_groups(probed):
    run = probed({"max_duration_ms": 5000}, sut={"miss_s": 0.1})
    assert (run.conclusion.word, run.conclusion.passed) == ("INCONCLUSIVE", None)
    assert (len(run.sut.records) - WARM_UPS) % GROUP == 0
    last_group_ns = run.sut.records[-GROUP].issued_ns
    assert last_group_ns < 5e9 < run.sut.records[-1].completed_ns


def test_a_group_with_a_failure_is_made_up_for(probed):
    run = probed(sut={"fail": fails_on("X", first=2)})
    assert (run.conclusion.word, run.conclusion.passed, n_groups(run)) == ("CLEAN", True, 6)
    assert len(blocks(run, "m")) == len(blocks(run, "d")) == 8
    assert run.conclusion.figures()["probe_failed"] == 2
    assert any("2 queries failed" in note for note in run.conclusion.notes())


@pytest.mark.parametrize("arm", ["prime", "R", "S"])
def test_too_many_failures_are_an_error(probed, arm):
    run = probed(sut={"fail": fails_on(arm)})
    assert (run.conclusion.word, run.conclusion.passed) == ("ERROR", None)
    what = {"prime": "first sent in the probe", "R": "exact repeat", "S": "all new"}[arm]
    assert f"http_500 ({what})" in run.conclusion.reason()
    assert len(run.sut.records) <= WARM_UPS + 4 * GROUP, "it does not go on for long"
    assert ("refuses a repeated request" in run.conclusion.reason()) is (arm == "R")
    assert run.conclusion.kind_check("response", "no_cache[response]").passed is None


def test_one_failure_in_ten_is_borne_and_one_in_five_is_not(probed):
    borne = probed(sut={"fail": lambda _, number: "timeout" if number and number % 40 == 0 else ""})
    assert borne.conclusion.passed is True
    many = probed(sut={"fail": lambda _, number: "timeout" if number and number % 5 == 0 else ""})
    assert many.conclusion.passed is None
    assert many.conclusion.word == "ERROR"


@pytest.mark.parametrize(("outcome", "cure"), [("http_401", "credentials"), ("http_429", "quota")])
def test_access_that_ends_is_told_with_the_cure(probed, outcome, cure):
    ended = probed(sut={"fail": lambda _, number: outcome if number > 20 else ""}).conclusion
    assert ended.passed is None
    assert f"; {outcome}; " in ended.reason()
    assert cure in ended.reason()


@pytest.mark.parametrize("outcome", ["http_400", "http_403", "http_422"])
@pytest.mark.parametrize("settings", [{}, {"design": "anytime"}, {"design": "single"}, {"samples": "dataset"}])
def test_a_prompt_that_is_turned_down_ends_it_at_once(probed, outcome, settings):
    with pytest.raises(RefusedError, match=f"the endpoint answers {outcome} to a ") as refusal:
        probed(settings, sut={"fail": lambda *_: outcome})
    assert "probe: false" not in str(refusal.value)  # a cure never is to look away


@pytest.mark.parametrize("outcome", ["http_429", "http_408", "http_503", "timeout"])
def test_a_warm_up_that_merely_fails_is_no_refusal(probed, outcome):
    run = probed(sut={"fail": lambda _, number: outcome if number == 0 else ""})
    assert run.conclusion.word == "CLEAN"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "a prompt that is not of the data set; .*set the probe's design: single"),
        ({"design": "single"}, "a row of the data set with other first words; .*nothing can be told of its caches"),
    ],
)
def test_the_trial_is_one_query_and_names_the_cure(plan_probe, fake_sut, settings, words):
    probe = plan_probe(settings)
    honest = fake_sut().run(trial(probe, 1))
    assert honest.tags == ["w0/fresh"]
    assert [round_.expected for round_ in honest.rounds] == [1]
    with pytest.raises(RefusedError, match=words):
        fake_sut(fail=lambda *_: "http_404").run(trial(probe, 1))
    assert fake_sut(fail=lambda *_: "http_500").run(trial(probe, 1)).tags == ["w0/fresh"]


def test_the_trials_prompt_is_none_of_the_probes(plan_probe, fake_sut):
    probe = plan_probe()
    sent = {record.request for record in fake_sut().run(script(probe, 2)).records}
    assert fake_sut().run(trial(probe, 1)).records[0].request not in sent


def test_dear_queries_are_bet_on_one_group_at_a_time(probed):
    run = probed(sut={"miss_s": 60.0, "hit_s": 1.0, "cache": "exact"})
    assert blocks(run, "m") == blocks(run, "d") == []
    assert run.conclusion.proved == ("response",)
    assert blocks(run, "e") == ["e0", "e1", "e2", "e3", "e4", "e5"], "six bets won of six"
    assert len(run.sut.records) == WARM_UPS + 6 * 5


def test_an_honest_dear_server_is_clean_at_the_first_look_at_the_bets(probed):
    for seed in range(4):
        run = probed(sut={"miss_s": 60.0, "seed": seed}, seed=seed)
        assert run.conclusion.passed is True, run.conclusion.reason()
        assert len(blocks(run, "e")) == BETS[0]
        assert run.conclusion.judgement.excluded["response"][:2] == (1.5, 0.5)


def test_bets_go_on_where_twins_stall(probed):
    stalls = {3, 17, 41, 60, 90}
    run = probed({"design": "anytime"}, sut={"slowed": lambda _step, _text, at: 10.0 if at in stalls else 1.0})
    assert run.conclusion.judgement.word in ("CLEAN", "INCONCLUSIVE")
    assert BETS[0] < len(blocks(run, "e")) <= BETS[-1]


@pytest.mark.parametrize("settings", [{"design": "groups"}, {"thorough": True, "design": "groups"}])
def test_who_asks_for_groups_gets_groups_however_dear(probed, settings):
    run = probed({**settings, "groups": 6}, sut={"miss_s": 60.0})
    assert n_groups(run) == 6
    assert blocks(run, "e") == []


def test_bets_by_name(probed):
    run = probed({"design": "anytime"}, sut={"cache": "exact"})
    assert len(run.sut.records) == 1 + 6 * 5
    assert (run.conclusion.word, run.conclusion.figures()["probe_groups"]) == ("CACHE: response", 6)


def test_bets_that_have_not_lost_go_on_behind_the_last_look(probed):
    """Three bets in five are won: they have grown by then, and are not yet sure. Those of an honest server end."""

    def hits(step, *_):
        block, _, arm = step.tag.partition("/")
        return 1.0 if arm != "R" else 3.0 if int(block[1:]) % 5 % 2 else 0.1

    run = probed({"design": "anytime"}, sut={"slowed": hits})
    assert run.conclusion.proved == ("response",)
    assert len(run.conclusion.evidence.bets) == 41
    honest = probed({"design": "anytime"}, sut={"cv": 0.4})
    assert honest.conclusion.passed is None
    assert len(honest.conclusion.evidence.bets) == 24


def test_bets_with_a_failure_go_on_and_with_many_do_not(probed):
    one = probed({"design": "anytime"}, sut={"cache": "exact", "fail": fails_on("P", first=1)})
    assert one.conclusion.proved == ("response",)
    many = probed({"design": "anytime"}, sut={"fail": fails_on("R")})
    assert many.conclusion.word == "ERROR"
    assert len(blocks(many, "e")) <= 4


def test_bets_within_a_budget(probed):
    run = probed({"design": "anytime", "max_queries": 31}, sut={})
    assert len(run.sut.records) == 31
    assert (run.conclusion.passed, run.conclusion.reason()) == (
        None,
        "inconclusive: the budget ended before an answer",
    )


def test_what_is_expected_follows_the_looks(probed):
    run = probed(sut=NOISY)
    expected = [round_.expected for round_ in run.sut.rounds]
    assert expected[0] == WARM_UPS + 6 * GROUP + AT_LAST
    assert expected == sorted(expected)
    assert WARM_UPS + 12 * GROUP + AT_LAST in expected
    assert max(expected) <= run.probe.most()
    sent = 0
    for round_ in run.sut.rounds:
        sent += len(round_.steps)
        assert round_.expected >= sent


def test_the_same_seed_sends_the_same_and_another_nothing_of_it(probed):
    def requests(seed):
        return {record.request for record in probed({"samples": "made_up"}, seed=seed).sut.records}

    assert requests(1) == requests(1)
    assert not requests(1) & requests(2)
