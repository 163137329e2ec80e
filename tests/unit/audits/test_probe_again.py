"""The second series: what times alone have found is looked for once more, in fresh prompts, on a server in memory."""

from __future__ import annotations

import pytest

from pytest_mlperf_audit.audits.probe.arms import seconds_by_arm
from pytest_mlperf_audit.audits.probe.judges.again import in_question, uses
from pytest_mlperf_audit.audits.probe.judges.repeats import single_judgement
from pytest_mlperf_audit.audits.probe.plan import _plain, as_planned
from pytest_mlperf_audit.audits.probe.seen.evidence import Evidence
from pytest_mlperf_audit.audits.probe.sent.design import Designer
from pytest_mlperf_audit.runs.order import Scripted
from pytest_mlperf_audit.runs.query import QueryRecord
from pytest_mlperf_audit.runs.spec import Concurrency, RunSpec

VIDEO = {"api_type": "videogen"}
EIGHT = {"load": Concurrency(target=8)}


def second(run) -> list[str]:
    """The tags of the second series."""
    return [tag for tag in run.sut.tags if "+/" in tag]


def lucky(arms: str, share: float, *, twice: bool = False):
    """Let queries of these arms take a share of their time, by luck, in the first series alone unless `twice`."""

    def slowed(step, _text, _at):
        block, _, arm = step.tag.partition("/")
        return share if arm[0] in arms and (twice or not block.endswith("+")) else 1.0

    return slowed


def test_luck_accuses_nobody(probed):
    run = probed(**VIDEO, sut={"slowed": lucky("R", 0.7)})
    assert run.conclusion.passed is None
    assert "a second series, of fresh prompts, does not say so: 1.05 times (p 0." in run.conclusion.reason()
    (response, *_) = run.conclusion.kinds
    assert (response.state, response.why) == ("undecided", run.conclusion.judgement.reason)
    assert len(second(run)) == 5 + 6 * 10


def test_what_comes_again_is_found(probed):
    run = probed(**VIDEO, sut={"slowed": lucky("R", 0.7, twice=True)})
    assert run.conclusion.proved == ("response",)
    assert "a second series, of fresh prompts, says the same: 1.43 times (p 0.004)" in run.conclusion.reason()
    assert len(run.sut.records) == 16 + 5 + 10
    assert set(second(run)) == {"s0+/prime", "s1+/R", "s1+/P"}


def test_a_difference_that_does_not_count_is_not_the_same(probed):
    """What is real and small, such as a tokenizer that knows the words, is found by luck and then shown again."""

    def slowed(step, *_):
        block, _, arm = step.tag.partition("/")
        return 1.0 if arm != "R" else 0.95 if block.endswith("+") else 0.7

    run = probed(**VIDEO, sut={"cv": 0.01, "slowed": slowed})
    assert run.conclusion.passed is None
    assert "does not say so: 1.05 times (p " in run.conclusion.reason()


def test_the_report_has_its_queries(probed):
    again = probed(**VIDEO, sut={"slowed": lucky("R", 0.7, twice=True)})
    arms = {(arm.of, arm.arm): arm.n for arm in again.conclusion.arms()}
    of = "single prompts"
    assert arms == {(name, arm): 5 for name in (of, f"{of}, second series") for arm in ("prime", "R", "P")}
    coalescing = {"cache": "coalesce", "lanes": 4, "miss_s": 0.3, "cv": 0.3, "seed": 0}
    run = probed(sut=coalescing, seed=0, **EIGHT)
    shown = {(arm.of, arm.arm): arm.n for arm in run.conclusion.arms()}
    seconds = seconds_by_arm(run.conclusion.evidence)
    assert shown["bursts, second series", "same"] == 10
    assert {name: len(values) for name, values in seconds.items()} == shown


def test_repeats_far_apart_from_every_twin_need_no_second_series(probed):
    assert second(probed(**VIDEO, sut={"cache": "exact"})) == []
    assert second(probed(**VIDEO, sut={"slowed": lucky("R", 0.45, twice=True)})) == []
    assert second(probed(**VIDEO, sut={"slowed": lucky("R", 0.55, twice=True)})) != []


ALTERNATE = "RPRPRPRPRP"
SHUFFLED = "RPPRRPRPPR"
SLOW, FAST, IN_TURN = "sssss", "fffff", "sfsfs"


def one_stratum(primes: str, order: str) -> Evidence:
    """Five first sendings, slow or fast, then a stratum whose repeats are all fast and whose twins are all slow."""
    sent = [(f"s0/prime {pace}", at) for at, pace in enumerate(primes)]
    sent += [(f"s1/{arm} {'f' if arm == 'R' else 's'}", 5 + at) for at, arm in enumerate(order)]
    records = []
    for (tag, pace), at in ((told.split(), at) for told, at in sent):
        took_ns = 10**9 if pace == "f" else 3 * 10**9
        prompt = str(at) if tag != "s1/R" else str(sum(arm == "R" for arm in order[: at - 5]))
        records.append(QueryRecord(query=at, sample=0, issued_ns=0, completed_ns=took_ns, request=prompt, tag=tag))
    return Evidence.of(records)


@pytest.mark.parametrize(
    ("primes", "order", "doubtful"),
    [
        (SLOW, SHUFFLED, False),
        (SLOW, ALTERNATE, False),
        (FAST, SHUFFLED, False),
        (IN_TURN, ALTERNATE, True),
        (IN_TURN, SHUFFLED, True),
        (SLOW, "PPPPPRRRRR", True),
        (FAST, "RRRRRPPPPP", True),
    ],
)
def test_two_paces_of_a_server_are_no_gap(primes, order, doubtful):
    """One order of 252 has every repeat on the faster of two replicas that take turns, or behind a change of pace."""
    evidence = one_stratum(primes, order)
    judgement = single_judgement(evidence, (1, 2, 4, 6), 5)
    assert judgement.proved(("response",))
    assert (in_question(judgement, evidence, ("response",)) is not None) == doubtful


def test_a_prompt_is_primed_as_often_as_those_that_were_found():
    """Up to two strata repeat a prompt that was sent once, four one that was sent twice: some caches need that."""
    assert [uses(Evidence(strata=[{}] * n_strata)) for n_strata in (1, 2, 4, 6)] == [1, 1, 2, 3]
    primes, *strata = Designer(1, 64, max_tokens=None).strata_again(3, uses=2, twins=False, made_up=False)
    assert [step.row for step in primes[:5]] == [step.row for step in primes[5:]]
    assert len({step.row for step in primes}) == 5
    for steps in strata:
        again = [(step.row, step.edit) for step in steps if step.tag.endswith("/R")]
        assert sorted(again, key=str) == sorted(((step.row, step.edit) for step in primes[:5]), key=str)


def test_groups_are_sent_again(probed):
    """Repeats of made-up prompts and rows are faster by luck, in an order that six groups do not show beyond doubt."""

    def slowed(step, text, at):
        return lucky("R", 0.75)(step, text, at) if step.tag.startswith(("m", "d")) else 1.0

    accused = 0
    for seed in range(6):
        run = probed(sut={"cv": 0.2, "slowed": slowed, "seed": seed}, seed=seed)
        assert {tag[0] for tag in second(run)} <= {"m", "d"}
        accused += bool(run.conclusion.proved) and bool(second(run))
    assert accused == 0


def test_each_comparison_is_sent_again_by_itself(probed):
    coalescing = probed(sut={"cache": "coalesce", "lanes": 4, "miss_s": 0.3, "cv": 0.3, "seed": 0}, seed=0, **EIGHT)
    assert {tag[0] for tag in second(coalescing)} == {"b"}
    assert coalescing.conclusion.proved == ("coalescing",)
    changed = probed(sut={"slowed": lucky("V", 0.5)})
    assert {tag[0] for tag in second(changed)} == {"u"}
    assert changed.conclusion.passed is None


def test_a_budget_that_ends_before_it_leaves_the_question_open(probed):
    run = probed({"max_queries": 16}, **VIDEO, sut={"slowed": lucky("R", 0.7, twice=True)})
    assert (run.conclusion.passed, second(run)) == (None, [])
    assert "a second series, of fresh prompts, could not be sent whole" in run.conclusion.reason()


def test_a_second_series_that_fails_accuses_nobody_and_ends(probed):
    fails = {"fail": lambda step, _: "timeout" if "+/" in step.tag else ""}
    run = probed(**VIDEO, sut={"slowed": lucky("R", 0.7, twice=True), **fails})
    assert run.conclusion.passed is None
    assert len(run.conclusion.evidence.failed) == len(second(run)) == 5
    changed = probed(sut={"slowed": lucky("V", 0.5, twice=True), **fails})
    assert changed.conclusion.passed is None
    assert "could not be sent whole (16 of its queries failed: timeout)" in changed.conclusion.reason()


def test_a_burst_of_the_second_series_that_is_refused_ends_it(probed):
    refuses = {"fail": lambda step, _: "http_429" if step.tag.startswith("b") and "+/" in step.tag else ""}
    coalescing = {"cache": "coalesce", "lanes": 4, "miss_s": 0.3, "cv": 0.3, "seed": 0}
    run = probed(sut={**coalescing, **refuses}, seed=0, **EIGHT)
    assert (run.conclusion.passed, len(second(run))) == (None, 8)
    assert "(the endpoint answers http_429 to 8 of 8 queries at once; set max_burst" in run.conclusion.reason()


def test_groups_of_the_second_series_that_all_fail_end_it(probed):
    def slowed(step, text, at):
        return lucky("R", 0.75)(step, text, at) if step.tag.startswith(("m", "d")) else 1.0

    def fails(step, _):
        return "timeout" if step.tag.startswith("m") and "+/Y" in step.tag else ""

    ran = [probed(sut={"cv": 0.2, "slowed": slowed, "seed": seed, "fail": fails}, seed=seed) for seed in range(6)]
    sent = [second(run) for run in ran if second(run)]
    assert sent
    for tags in sent:
        assert len({tag.partition("/")[0] for tag in tags if tag.startswith("m")}) <= 4


def test_ids_of_some_repeats_need_no_second_series(probed):
    """They come back for some repeats and not for others, which are slower: that is proof whatever the times say."""
    run = probed(**VIDEO, sut={"slowed": lucky("R", 0.6)})
    records = run.sut.records[:16]
    first = {record.request: record for record in records if not (record.tag or "").endswith("/R")}
    for record in records:
        record.reply_id, record.reply = f"id {record.query}", f"output {record.request}"
    for record in [record for record in records if (record.tag or "").endswith("/R")][:4]:
        record.reply_id = first[record.request].reply_id
    evidence = Evidence.of(records)
    judgement = run.probe.judge_first(evidence)
    assert judgement.proved(("response",))
    assert in_question(judgement, evidence, ("response",)) is None


def test_ids_that_tell_need_no_second_series(probed):
    """Its records say which were replays: the second series is left out, and the verdict stands without it."""
    run = probed(**VIDEO, sut={"slowed": lucky("R", 0.7)})
    records = run.sut.records[:16]
    for record in records:
        record.cache_header = "x-cache: HIT" if (record.tag or "").endswith("/R") else "x-cache: MISS"
    found = type(run.conclusion)(run.probe, records)
    assert found.proved == ("response",)
    assert "say in their headers" in found.reason()


def test_its_records_are_what_the_seed_plans(probed):
    for keys in ({"sut": {"slowed": lucky("R", 0.7)}, **VIDEO}, {"sut": {"slowed": lucky("V", 0.5)}}):
        run = probed(**keys)
        assert second(run)
        spec = RunSpec(
            label="cache_probe",
            n_samples=run.probe.most(),
            order=Scripted(parameters=_plain(run.probe)),
            load=Concurrency(target=1),
            nonce_seed=1,
        )
        assert as_planned(spec, reversed(run.sut.records)) == run.sut.records
