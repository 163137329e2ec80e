"""Which queries a probe sends: arms of one length, distinct as planned, and nothing that was ever sent before."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlperf_audit.audits.probe.judges.bursts import SIZES
from pytest_mlperf_audit.audits.probe.sent import prompts
from pytest_mlperf_audit.audits.probe.sent.apart import LATE_AGAIN, N_LATE, N_LATE_AGAIN, N_URLS, late, mixed, urls
from pytest_mlperf_audit.audits.probe.sent.design import N_BURSTS, N_BURSTS_BEFORE, Designer
from pytest_mlperf_audit.audits.probe.sent.few import N_RIVALS, N_SINGLE
from pytest_mlperf_audit.runs.script import NO_EDIT, Step

ROW = " ".join(f"word{at}" for at in range(40))
SEEDS = st.integers(0, 2**63)


def designer(seed: int = 1, n_rows: int = 64, **options) -> Designer:
    return Designer(seed, n_rows, **{"max_tokens": 32, **options})


def text(step: Step) -> str:
    return step.edit.apply(ROW)


def arm(step: Step) -> str:
    return step.tag.partition("/")[2].partition(".")[0]


def by_arm(steps) -> dict[str, list[Step]]:
    arms: dict[str, list[Step]] = {}
    for step in steps:
        arms.setdefault(arm(step), []).append(step)
    return arms


@given(SEEDS, st.integers(0, 95))
def test_a_made_up_block(seed, group):
    steps = designer(seed).made_up(group)
    assert Counter(map(arm, steps)) == {"prime": 2, "R": 2, "Y": 3, "X": 1, "P": 1, "N": 1, "S": 1, "T": 1}
    assert len({len(text(step).split()) for step in steps}) == 1, "all of one length"
    assert len({(text(step), step.query) for step in steps}) == 10, "all but the two repeats are new"
    assert {step.edit.max_tokens for step in steps} == {32}
    assert {step.tag.partition("/")[0] for step in steps} == {f"m{group}"}
    assert {step.route for step in steps} == {group}, "a block meets one of several endpoints"
    assert len({step.row for step in steps}) == 1


@given(SEEDS)
def test_repeats_are_their_primes_bytes(seed):
    for steps in (designer(seed).made_up(0), designer(seed).of_dataset(0)):
        sent = {step.tag: step for step in steps}
        for tag, step in sent.items():
            if arm(step) == "R":
                prime = sent[tag.replace("/R", "/prime")]
                assert (step.edit, step.query, step.row, step.route) == (prime.edit, "", prime.row, prime.route)
                assert steps.index(prime) < steps.index(step)


@given(SEEDS)
def test_each_arm_shares_with_the_primes_what_it_should(seed):
    arms = by_arm(designer(seed).made_up(0))
    (one, other), tail_words = (text(step).split() for step in arms["prime"]), prompts.TAIL_WORDS
    assert one[:-1] == other[:-1]
    assert one[-1] != other[-1]
    last_words = {one[-1], other[-1], *(text(step).split()[-1] for step in arms["Y"])}
    assert len(last_words) == 5
    assert all(text(step).split()[:-1] == one[:-1] for step in arms["Y"])
    (tail,) = (text(step).split() for step in arms["X"])
    assert tail[:-tail_words] == one[:-tail_words]
    assert tail[-tail_words:] != one[-tail_words:]
    leads = [one[0]]
    for name in "PN":
        (apart,) = (text(step).split() for step in arms[name])
        assert apart[1:] == one[1:]
        leads.append(apart[0])
    for name in "ST":
        (fresh,) = (text(step).split() for step in arms[name])
        assert fresh[1:] != one[1:]
        leads.append(fresh[0])
    assert len(set(leads)) == 5
    assert all(len(lead) == 16 for lead in leads), "64 bits each"
    assert not any(step.query for sent in arms.values() for step in sent)


@given(SEEDS, st.integers(0, 5))
def test_one_seed_gives_one_design(seed, group):
    one, other = designer(seed), designer(seed)
    assert other.of_dataset(group) == one.of_dataset(group)  # in whichever order blocks are asked for
    assert one.made_up(group) == other.made_up(group)
    assert one.single(3, made_up=False) == other.single(3, made_up=False)
    assert one.stratum(2, 3, 5, made_up=False) == other.stratum(2, 3, 5, made_up=False)
    assert one.bet(group, made_up=True) == other.bet(group, made_up=True)
    assert one.bursts(8) == other.bursts(8)
    assert one.sizing(4, 1) == other.sizing(4, 1)
    assert one.warm_up(0) == other.warm_up(0)


def everything(seed: int) -> list[Step]:
    of = designer(seed)
    steps = [of.warm_up(0), of.warm_up(1, url=True)]
    for group in range(6):
        steps += [*of.made_up(group), *of.bet(group, made_up=True)]
    for size in SIZES:
        steps += [step for attempt in range(2) for step in of.sizing(size, attempt)]
    steps += of.primes(0, N_SINGLE, made_up=True)
    return [*steps, *(step for burst in of.bursts(8) for step in burst), *of.single(0, made_up=True)]


def nonces(steps) -> set[str]:
    return {word for step in steps for word in text(step).split() if len(word) == 16}


@given(SEEDS, SEEDS)
def test_two_seeds_share_no_prompt(one, other):
    shared = nonces(everything(one)) & nonces(everything(other))
    assert bool(shared) is (one == other)


def test_no_two_blocks_of_a_session_share_a_prompt():
    of = designer()
    blocks = [nonces(of.made_up(group)) for group in range(96)] + [nonces(burst) for burst in of.bursts(8)]
    assert len(set().union(*blocks)) == sum(map(len, blocks))


@given(SEEDS, st.integers(0, 63), st.integers(17, 60))
def test_a_block_of_the_data_set_keeps_the_rows_length(seed, row, n_words):
    steps = designer(seed).of_dataset(5, row)
    own = " ".join(f"word{at}" for at in range(n_words))
    sent = {step.tag: step.edit.apply(own).split() for step in steps}
    assert Counter(map(arm, steps)) == {"prime": 1, "R": 1, "Y": 3, "P": 1}
    assert {len(words) for words in sent.values()} == {n_words}
    assert {step.row for step in steps} == {row}
    arms = by_arm(steps)
    assert {step.edit for name in ("prime", "R") for step in arms[name]} == {NO_EDIT}
    assert {tuple(sorted(words)) for words in sent.values()} == {tuple(sorted(own.split()))}, "words of its own"
    for step in arms["Y"]:
        assert step.edit.apply(own).split()[: n_words // 2] == own.split()[: n_words // 2]
    (ahead,) = (step.edit.apply(own).split() for step in arms["P"])
    assert ahead[n_words // 2 :] == own.split()[n_words // 2 :]
    assert ahead[0] != "word0"
    assert len({tuple(step.edit.apply(own).split()) for step in steps}) == 5


@given(SEEDS, st.integers(0, 63), st.integers(17, 60))
def test_a_block_of_before_has_fresh_words_in_place_of_the_rows(seed, row, n_words):
    """As records without `moved` were planned, which are still judged."""
    arms = by_arm(designer(seed, moved=False).of_dataset(5, row))
    own = " ".join(f"word{at}" for at in range(n_words))
    for step in arms["Y"]:
        words = step.edit.apply(own).split()
        assert len(words) == n_words
        assert words[:-8] == own.split()[:-8]
    (ahead,) = (step.edit.apply(own).split() for step in arms["P"])
    assert ahead[8:] == own.split()[8:]


def test_each_group_of_the_data_set_has_a_row_of_its_own():
    rows = [designer(n_rows=24).of_dataset(group)[0].row for group in range(24)]
    assert sorted(rows) == list(range(24))
    assert rows != sorted(rows)
    assert designer(2, n_rows=24).of_dataset(0)[0].row != rows[0] or designer(3, 24).of_dataset(0)[0].row != rows[0]


@pytest.mark.parametrize("primes", [1, 2])
def test_primes_may_be_sent_twice(primes):
    of = designer(primes=primes)
    made_up, dataset = by_arm(of.made_up(0)), by_arm(of.of_dataset(0))
    assert len(made_up["prime"]) == 2 * primes
    assert len(dataset["prime"]) == primes
    assert Counter(map(text, made_up["prime"])) == dict.fromkeys(map(text, made_up["R"]), primes)


def test_no_url_arm_where_it_is_not_wanted():
    """Blocks of before had one; it now comes last, apart."""
    assert [step.query != "" for step in by_arm(designer(apart=False).made_up(0))["U"]] == [True]
    assert "U" not in by_arm(designer(apart=False, url=False).made_up(0))
    of = designer(apart=False)
    of.url = False
    assert "U" not in by_arm(of.made_up(0))


def test_the_coin_falls_either_way_and_families_stay_together():
    family = {"prime", "R", "Y", "X"}
    first: Counter[str] = Counter()
    orders = set()
    for group in range(64):
        names = [arm(step) for step in designer().made_up(group)]
        in_family = [name in family for name in names]
        assert in_family in ([True] * 8 + [False] * 4, [False] * 4 + [True] * 8)
        assert names[in_family.index(True)] == names[in_family.index(True) + 1] == "prime"
        first["family" if in_family[0] else "others"] += 1
        orders.add(tuple(names))
    assert min(first.values()) >= 16, "64 tosses of a fair coin"
    assert len(orders) > 50, "arms are shuffled"


@given(SEEDS, st.booleans(), st.integers(1, 12))
def test_strata_repeat_what_came_before(seed, made_up, n_rows):
    of = designer(seed, n_rows)
    sent = [of.primes(0, N_SINGLE, made_up=made_up)]
    sent += [of.stratum(number, 0, N_SINGLE, made_up=made_up) for number in range(1, 5)]
    assert Counter(map(arm, sent[0])) == {"prime": N_SINGLE}
    known = [(step.row, step.edit) for step in sent[0]]
    assert len(set(known)) == N_SINGLE
    assert known[0][1] == NO_EDIT or made_up
    everything = list(known)
    for number, steps in enumerate(sent[1:], start=1):
        arms = by_arm(steps)
        assert {step.tag.partition("/")[0] for step in steps} == {f"s{number}"}
        again, twins = ([(step.row, step.edit) for step in arms[name]] for name in "RP")
        due = known if number % 2 else [(step.row, step.edit) for step in by_arm(sent[number - 1])["P"]]
        assert Counter(again) == Counter(due)
        assert not set(twins) & set(everything)
        assert Counter(row for row, _ in twins) == Counter(row for row, _ in again), "alike in the cost of their rows"
        everything += twins
    assert len({(text(step), step.row) for steps in sent for step in steps}) == len(set(everything))
    assert len({len(text(step).split()) for steps in sent for step in steps}) == 1


def test_no_row_is_among_the_repeated_ones_in_every_run():
    """One of several servers has it in every run."""
    drawn = [{step.row for step in designer(seed, 64).primes(7, N_SINGLE, made_up=False)} for seed in range(20)]
    assert not set.intersection(*drawn)


@given(SEEDS)
def test_fewer_primes_are_repeated_in_turn(seed):
    of = designer(seed)
    primes = of.primes(7, 2, made_up=False)
    assert (primes[0].row, len(primes)) == (7, 2)
    again = by_arm(of.stratum(1, 7, 2, made_up=False))["R"]
    assert Counter(step.row for step in again) == {7: 3, primes[1].row: 2}


SOURCES = st.sampled_from([("made_up", "dataset"), ("made_up",), ("dataset",)])


@given(SEEDS, st.integers(0, 95), SOURCES, st.sampled_from([1, 2]))
def test_no_request_of_a_group_comes_twice_in_a_row(seed, group, sources, primes):
    steps = mixed(designer(seed, primes=primes), group, sources)
    requests = [(text(step), step.query) for step in steps]
    assert all(one != other for one, other in pairwise(requests))
    sent = [step.tag for step in steps]
    assert len({tag.partition("/")[0] for tag in sent}) == len(sources)
    for tag in sent:
        if "/R" in tag:
            assert sent.index(tag.replace("/R", "/prime")) < sent.index(tag) - 1


def test_what_shares_no_beginning_comes_before_or_after_by_a_fair_coin():
    places = Counter(arm(mixed(designer(), group, ("made_up", "dataset"))[0]) in "PNST" for group in range(64))
    assert min(places.values()) >= 16


@given(SEEDS, st.sampled_from([1, 2, 3, 8, 32]), st.integers(0, 2))
def test_late_repeats_stand_beside_twins_that_no_one_has_sent(seed, at_once, number):
    of = designer(seed)
    known = {text(step) for group in range(24) for step in of.made_up(group)}
    rounds = late(of, number, at_once)
    steps = [step for sent in rounds for step in sent]
    assert max(map(len, rounds)) <= max(2, min(at_once, 8))
    assert len(steps) == (N_LATE_AGAIN if number == LATE_AGAIN else N_LATE // 2)
    again = [step for step in steps if arm(step) == "R"]
    twins = {text(step) for step in steps if arm(step) == "Y"}
    assert {text(step) for step in again} <= known
    assert len({text(step) for step in again}) == len(again) == len(twins)
    assert not twins & known
    by_tag = {step.tag: step for step in steps}
    for step in again:
        twin = by_tag[step.tag.replace("/R", "/Y")]
        assert text(step).split()[:-1] == text(twin).split()[:-1]
    others = {text(step) for other in range(3) if other != number for sent in late(of, other, 8) for step in sent}
    assert not twins & others, "each pass has fresh ones"


@given(SEEDS)
def test_changed_urls_are_fresh_prompts_as_those_beside_them(seed):
    of = designer(seed)
    steps = [*urls(of, 0), *urls(of, 1)]
    assert Counter(map(arm, steps)) == {"U": 2 * N_URLS, "V": 2 * N_URLS}
    assert all(bool(step.query) is (arm(step) == "U") for step in steps)
    assert len({text(step) for step in steps}) == len({step.query for step in steps if step.query}) * 2 == 4 * N_URLS


@given(SEEDS, st.integers(32, 400))
def test_made_up_prompts_are_as_long_as_the_rows(seed, n_words):
    steps = designer(seed, n_words=n_words).made_up(0)
    assert {len(text(step).split()) for step in steps} == {n_words + 1}
    arms = by_arm(steps)
    (prime, _), (tail,) = (text(step).split() for step in arms["prime"]), (text(step).split() for step in arms["X"])
    assert prime[: -(n_words // 4)] == tail[: -(n_words // 4)]


@given(SEEDS, st.booleans())
def test_one_prompt_alone(seed, made_up):
    prime, *rest = designer(seed).single(7, made_up=made_up)
    arms = by_arm(rest)
    assert arm(prime) == "prime"
    assert Counter(map(arm, rest)) == {"R": N_SINGLE, "P": N_SINGLE}
    assert {step.row for step in (prime, *rest)} == {7}
    assert {step.edit for step in arms["R"]} == {prime.edit}
    twins = {text(step) for step in arms["P"]}
    assert len(twins | {text(prime)}) == N_SINGLE + 1
    assert len({len(text(step).split()) for step in rest}) == 1
    assert (prime.edit == NO_EDIT) is not made_up


@given(SEEDS, st.booleans())
def test_a_bet(seed, made_up):
    prime, *rest = designer(seed).bet(3, made_up=made_up)
    arms = by_arm(rest)
    assert Counter(map(arm, rest)) == {"R": 1, "P": N_RIVALS}
    assert arms["R"][0].edit == prime.edit
    assert len({text(step) for step in rest}) == N_RIVALS + 1


def test_the_repeat_of_a_bet_has_no_place_of_its_own():
    of = designer()
    places = Counter([arm(step) for step in of.bet(group, made_up=True)].index("R") for group in range(400))
    assert set(places) == {1, 2, 3, 4}
    assert min(places.values()) > 60


@given(SEEDS, st.sampled_from(SIZES), st.booleans())
def test_bursts(seed, size, apart):
    bursts = designer(seed).bursts(size, apart=apart)
    n_each = N_BURSTS if apart else N_BURSTS_BEFORE
    assert Counter(arm(burst[0]) for burst in bursts) == {"same": n_each, "twins": n_each}
    for burst in bursts:
        texts = [text(step) for step in burst]
        assert len(burst) == size
        assert len({arm(step) for step in burst}) == 1
        assert len(set(texts)) == (1 if arm(burst[0]) == "same" else size)
        assert len({tuple(words.split()[:-1]) for words in texts}) == 1
        assert len({len(words.split()) for words in texts}) == 1


@given(SEEDS)
def test_bursts_of_two_sizes_share_no_prompt(seed):
    of = designer(seed)
    sent = [{text(step) for burst in of.bursts(size, apart=True) for step in burst} for size in (4, 8)]
    sent += [{text(step) for step in of.identical(4, attempt)} for attempt in range(3)]
    assert [len(texts) for texts in sent[2:]] == [1, 1, 1]
    assert len(set.union(*sent)) == sum(map(len, sent))


def test_the_prompts_of_a_sizing_burst_are_all_different():
    for size in SIZES:
        steps = [step for attempt in range(2) for step in designer().sizing(size, attempt)]
        assert len({text(step) for step in steps}) == len(nonces(steps)) == 2 * size


def test_a_text_keeps_to_a_few_words():
    words = text(designer(1).made_up(0)[0]).split()
    assert len(set(words[1 : -prompts.TAIL_WORDS])) <= 8, "the nonce aside"
