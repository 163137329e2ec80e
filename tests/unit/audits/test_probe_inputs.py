"""The probe of inputs that are no text: no words, beginnings or meanings are asked for or spoken of."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pytest_mlperf_audit.audits.contract import AuditContext
from pytest_mlperf_audit.audits.probe.conclusion import Conclusion
from pytest_mlperf_audit.audits.probe.plan import planned
from pytest_mlperf_audit.audits.probe.planned import Probe, blocks
from pytest_mlperf_audit.audits.probe.script import script
from pytest_mlperf_audit.audits.probe.sent.apart import late
from pytest_mlperf_audit.audits.probe.sent.design import DATASET, MADE_UP
from pytest_mlperf_audit.audits.probe.settings import KINDS, ProbeSettings
from pytest_mlperf_audit.errors import PlanError, RefusedError
from pytest_mlperf_audit.runs.query import QueryRecord
from pytest_mlperf_audit.runs.script import Step
from pytest_mlperf_audit.runs.spec import Concurrency
from tests.support.virtual_sut import NO_CACHE, Cache, Service, VirtualSut

TWINS = "one element changed by the least step"
CONTEXT = AuditContext(load=Concurrency(target=8), api_type="tensors")
#: What no report of a tensor may speak of.
OF_TEXTS = re.compile(r"word|beginning|ending|prompt|text|mean")
#: A server of 50 ms, four lanes; inputs differ in cost by a CV of 60 %, and each query has noise of its own.
SERVICE = Service(cv=0.1, by_text=0.6)
#: A cache that takes twins for the same.
NEAR = Cache("twins")


class Tensors:
    """A data set of rows that are no text."""

    twins = TWINS

    def __len__(self) -> int:
        return 64

    def image_row(self) -> None:
        return None

    def fingerprint(self, index: int, edit: Any = None) -> str:
        return f"{index}/{edit and (edit.made_up_seed, edit.twin_seed)}"

    def n_words(self, index: int) -> int:  # noqa: ARG002 - as Samples has it
        return 0

    def where(self, index: int) -> str:
        return f"row {index}"


def plan(**settings: Any) -> Probe:
    return planned(ProbeSettings.model_validate(settings), Tensors(), CONTEXT)


def session(probe: Probe, cache: Cache = NO_CACHE, service: Service = SERVICE, seed: int = 7) -> Conclusion:
    """Send a probe to a server on a virtual clock; judge it."""
    sut = VirtualSut(service, cache, np.random.default_rng(seed))
    return Conclusion(probe, sut.session(script(probe, seed)))


def said(conclusion: Conclusion) -> list[str]:
    """Everything that a report has of a probe, but for why prefixes and meanings are not looked for."""
    lines = [conclusion.reason(), *conclusion.notes()]
    lines += [text for one in conclusion.findings() for text in (one.of, one.sentence)]
    lines += [text for arm in conclusion.arms() for text in (arm.what, arm.of)]
    lines += [state.why for state in conclusion.kinds if state.kind not in ("prefix", "semantic")]
    return [line.replace(NOT_LOOKED_FOR, "") for line in lines]


NOT_LOOKED_FOR = (
    "prefix (an input of this format has no beginning that others share), "
    "semantic (an input of this format has no words that could mean the same)"
)


def test_arms_that_have_no_meaning_are_left_out():
    designer = plan().designer(3)
    arms = [step.tag.partition("/")[2].partition(".")[0] for step in designer.made_up(0)]
    assert sorted(arms) == ["R", "R", "S", "T", "Y", "Y", "Y", "prime", "prime"]
    assert sorted(step.tag.partition("/")[2] for step in designer.of_dataset(0)) == ["R", "Y", "Y", "Y", "prime"]
    sent = blocks(designer, (MADE_UP, DATASET), 0, apart=True)
    assert sum(map(len, sent)) == plan().group_size() == 14


def seeds(steps: Any, arms: str) -> set[tuple[int | None, int | None]]:
    return {(step.edit.made_up_seed, step.edit.twin_seed) for step in steps if step.tag.partition("/")[2][:1] in arms}


def test_twins_of_a_block_are_made_from_one_text_and_new_inputs_are_not():
    steps = plan().designer(3).made_up(0)
    kin, new = seeds(steps, "pRY"), seeds(steps, "ST")
    assert (len({made for made, _ in kin}), len(kin)) == (1, 5)
    assert (len({made for made, _ in new}), len(new)) == (2, 2)
    assert not {made for made, _ in kin} & {made for made, _ in new}
    assert seeds(steps, "p") == seeds(steps, "R")


def test_twins_of_a_row_keep_the_row():
    steps = plan().designer(3).of_dataset(0)
    assert seeds(steps, "pR") == {(None, None)}
    twins = seeds(steps, "Y")
    assert ({made for made, _ in twins}, len(twins)) == ({None}, 3)


def test_late_twins_are_made_from_what_they_stand_beside():
    pairs: dict[str, list[Step]] = {}
    for steps in late(plan().designer(3), 0, 8):
        for step in steps:
            pairs.setdefault(step.tag.partition(".")[2].partition("/")[2].partition(".")[2], []).append(step)
    assert pairs
    for again, twin in pairs.values():
        assert again.edit.made_up_seed == twin.edit.made_up_seed
        assert again.edit.twin_seed != twin.edit.twin_seed


def test_what_is_sent_at_once_costs_the_same():
    designer = plan().designer(3)
    steps = [step for burst in designer.bursts(4, apart=True) for step in burst]
    steps += [*designer.sizing(1, 0), *designer.sizing(8, 1), *designer.identical(4, 0)]
    assert len({(step.row, step.edit.made_up_seed) for step in steps}) == 1
    assert len({step.edit.twin_seed for step in designer.sizing(8, 1)}) == 8


@pytest.mark.parametrize("source", [MADE_UP, DATASET])
def test_few_inputs_are_compared_with_twins_of_their_own(source):
    probe = plan(design="single", samples=source)
    designer, made_up = probe.designer(3), source == MADE_UP
    primes = designer.primes(0, 5, made_up=made_up)
    for number in (1, 2, 3):
        steps = designer.stratum(number, 0, 5, made_up=made_up)
        made = [sorted((step.row, step.edit.made_up_seed) for step in steps if f"/{arm}" in step.tag) for arm in "RP"]
        assert made[0] == made[1] == sorted((step.row, step.edit.made_up_seed) for step in primes) or not made_up
        assert len(seeds(steps, "RP")) == (10 if made_up or number == 2 else 6)


def test_the_plan_knows_no_words():
    probe = plan()
    assert (probe.twins, probe.moved, probe.short_rows, probe.n_words) == (TWINS, False, False, 32)
    assert probe.unseen == ("prefix", "semantic")
    assert set(probe.barred) == set(KINDS) - {"multimodal"}
    assert plan(forbid=["response"]).barred == ("response",)


def test_what_has_no_meaning_cannot_be_asked_for():
    with pytest.raises(PlanError, match=r"forbid: prefix cannot be looked for: an input of this format has no begin"):
        plan(forbid=["prefix", "response"])


@pytest.mark.parametrize("cv", [0.0, 0.6], ids=["alike", "unlike"])
def test_an_honest_server_is_clean(cv):
    conclusion = session(plan(), service=replace(SERVICE, by_text=cv))
    assert conclusion.passed is True
    states = {state.kind: state.state for state in conclusion.kinds}
    assert states == {
        "response": "excluded",
        "near_duplicate": "excluded",
        "prefix": "not looked for",
        "semantic": "not looked for",
        "coalescing": "excluded",
        "url_keyed": "excluded",
    }
    checks = {kind: conclusion.kind_check(kind, kind) for kind in plan().forbidden}
    assert [kind for kind, check in checks.items() if check.passed is None] == ["reuse"]
    assert checks["reuse"].tested is False
    assert not [line for line in said(conclusion) if OF_TEXTS.search(line)]


CACHES = [
    (Cache("response", hit=0.1), "response"),
    (NEAR, "near_duplicate"),
    (replace(NEAR, hit=0.1), "near_duplicate"),
    (Cache("coalescing"), "coalescing"),
    (Cache("url_keyed", hit=0.1), "url_keyed"),
]


@pytest.mark.parametrize(("cache", "kind"), CACHES, ids=["exact", "near", "near_10x", "coalescing", "url"])
@pytest.mark.parametrize("streamed", [None, 0.5], ids=["whole", "streamed"])
def test_a_cache_is_named(cache, kind, streamed):
    conclusion = session(plan(), cache, replace(SERVICE, decode=streamed))
    assert (conclusion.word, conclusion.passed) == (f"CACHE: {kind}", False)
    assert not [line for line in said(conclusion) if OF_TEXTS.search(line)]


@pytest.mark.parametrize("design", ["single", "anytime"])
def test_few_queries_find_a_cache_too(design):
    probe = plan(design=design)
    assert session(probe).passed is True
    conclusion = session(probe, Cache("response"))
    assert (conclusion.word, conclusion.passed) == ("CACHE: response", False)
    assert f"times as fast as twins with {TWINS}" in conclusion.reason()
    assert not [line for line in said(conclusion) if OF_TEXTS.search(line)]


def test_what_answers_twins_too_leaves_repeats_open():
    conclusion = session(plan(), NEAR)
    response, *_ = conclusion.kinds
    assert (response.state, response.times) == ("undecided", None)
    assert "near-duplicate cache that was found answers twins as well" in response.why
    assert conclusion.kind_check("response", "response").passed is None
    assert conclusion.kind_check("near_duplicate", "near_duplicate").passed is False


def test_the_sentences_are_the_formats_own():
    exact, near = session(plan(), Cache("response", hit=0.1)), session(plan(), NEAR)
    assert re.search(rf"an exact repeat comes back [\d.]+ times as fast as twins with {TWINS} \(p ", exact.reason())
    assert re.search(rf"twins with {TWINS} come back [\d.]+ times as fast as all-new inputs \(p ", near.reason())
    arms = {arm.arm: arm.what for arm in near.arms() if arm.of == "made-up inputs"}
    assert (arms["Y"], arms["S"]) == (TWINS, "all new")


@pytest.mark.parametrize("forbid", [None, ["response", "reuse"]], ids=["all", "prefixes allowed"])
def test_what_starts_early_may_be_kept_by_its_input(forbid):
    """A cache of what an encoder makes of an input: exact repeats start early, and are decoded at a model's pace."""
    probe = plan(bursts=False, **({"forbid": forbid} if forbid else {}))
    conclusion = session(probe, Cache("response", paced=True), Service(cv=0.05, decode=0.5, n_tokens=32))
    assert conclusion.judgement.kinds == ("reuse",)
    assert conclusion.passed is (None if forbid else False)
    assert (
        "a cache of replies that sends them at a model's pace, or one of what the server makes" in conclusion.reason()
    )
    assert not [line for line in said(conclusion) if OF_TEXTS.search(line)]


def test_a_refused_input_is_told_in_its_own_words():
    probe = plan()
    of_row = msg(plan(samples="dataset"))
    assert f"to a row of the data set with {TWINS}" in of_row
    assert "to an input that is not of the data set" in msg(probe)


def msg(probe: Probe) -> str:
    asked = script(probe, 1)
    (step,) = next(asked).steps
    refused = QueryRecord(query=0, sample=0, issued_ns=0, completed_ns=9, request="r", outcome="http_400", tag=step.tag)
    with pytest.raises(RefusedError) as caught:
        asked.send([refused])
    return str(caught.value)


@pytest.mark.parametrize("arms", [("size",), ("Y", "S")], ids=["alone", "in groups"])
def test_a_query_that_fails_is_one_failure(arms):
    """The first of its kind is: a single query before bursts is no burst that the endpoint refuses."""
    sut, seen = VirtualSut(SERVICE, NO_CACHE, np.random.default_rng(7)), set[str]()
    probe, records = plan(), list[QueryRecord]()
    asked = script(probe, 7)
    steps = next(asked)
    try:
        while True:
            answered = sut.answer(steps)
            for record in answered:
                arm = (record.tag or "").partition("/")[2]
                if arm in arms and arm not in seen:
                    seen.add(arm)
                    record.outcome = "http_500"
            records += answered
            steps = asked.send(answered)
    except StopIteration:
        conclusion = Conclusion(probe, records)
    assert seen == set(arms)
    assert conclusion.passed is True
    assert len(conclusion.evidence.failed) == len(arms)
    assert {state.kind: state.state for state in conclusion.kinds}["coalescing"] == "excluded"
