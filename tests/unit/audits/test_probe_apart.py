"""What comes behind the groups: late repeats and changed URLs; what CLEAN takes; how records of before are judged."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
from msgspec import structs

from pytest_mlperf_audit.audits.probe.conclusion import Conclusion
from pytest_mlperf_audit.audits.probe.script import script
from pytest_mlperf_audit.audits.probe.seen.contrasts import LATE, URLS
from pytest_mlperf_audit.runs.spec import Concurrency
from tests.support.simulated_probe import planned
from tests.support.virtual_sut import NO_CACHE, Cache, Service, VirtualSut

WHOLE = Service(cv=0.1, n_tokens=32)


def records(cache, plan, seed=1, service=WHOLE):
    return VirtualSut(service, cache, np.random.default_rng(seed)).session(script(plan, seed))


def found_by(conclusion) -> set[str]:
    return {judged.contrast.of for judged in conclusion.judgement.judged if judged.found}


def test_changed_urls_come_last_and_at_once_only_what_the_benchmark_sends(probed):
    run = probed(sut={"lanes": 4}, load=Concurrency(target=4))
    steps = [step for sent in run.sut.rounds for step in sent.steps]
    first = next(at for at, step in enumerate(steps) if step.query)
    assert all(step.tag.startswith(("u0/", "w2/")) for step in steps[first:])
    late = [sent for sent in run.sut.rounds if sent.steps[0].tag.startswith("l")]
    assert {len(sent.steps) for sent in late} == {4}
    assert all(sent.at_once for sent in late)
    alone = probed(load=Concurrency(target=1))
    assert not any(sent.at_once for sent in alone.sut.rounds)
    assert run.conclusion.passed is alone.conclusion.passed is True


def test_a_cache_that_serves_from_the_second_repeat_on_is_found_late():
    found = Conclusion(planned(), records(Cache("response", stores_on_use=2), planned()))
    assert (found.judgement.kinds, found_by(found)) == (("response",), {LATE})


def test_a_cache_keyed_on_the_url_is_found_at_the_very_end():
    sent = records(Cache("url_keyed"), planned())
    found = Conclusion(planned(), sent)
    assert (found.judgement.kinds, found_by(found)) == (("url_keyed",), {URLS})
    assert sent[-1].tag is not None
    assert sent[-1].tag.startswith("u0+/"), "by times alone, so that it is looked for once more"


def test_late_hits_in_too_few_queries_are_no_clean_probe():
    """Nine of the first twelve late repeats are hits, as where a cache serves under load alone."""
    plan = planned()
    sent = copy.deepcopy(records(NO_CACHE, plan))
    late = [one for one in sent if (one.tag or "").startswith("l0.") and "/R" in (one.tag or "")]
    for one in late[:9]:
        one.completed_ns = one.issued_ns + 10**6
    found = Conclusion(plan, sent)
    assert found.judgement.word == "INCONCLUSIVE"
    assert "a cache may serve under load only" in found.judgement.reason
    for one in late:
        one.completed_ns = one.issued_ns + 10**6
    assert Conclusion(structs.replace(plan, again=False), sent).judgement.kinds == ("response",)


@pytest.mark.parametrize(("cv", "groups", "excluded"), [(0.05, 6, (1.5, 0.5)), (0.6, 24, None)])
def test_clean_says_what_is_excluded_and_goes_on_until_it_can(cv, groups, excluded):
    plan = planned()
    found = Conclusion(plan, records(NO_CACHE, plan, service=replace(WHOLE, cv=cv)))
    assert (found.judgement.word, found.evidence.n_groups()) == ("CLEAN", groups)
    times, share, of = found.judgement.excluded["response"]
    assert of == "repeats"
    assert (times, share) == excluded if excluded else (times, share) in ((2.0, 0.5), (3.0, 0.5), (2.0, 1.0))


def test_what_excludes_nothing_is_not_clean():
    plan = planned(looks=(6,))
    found = Conclusion(plan, records(NO_CACHE, plan, service=replace(WHOLE, cv=2.0)))
    assert found.judgement.word == "INCONCLUSIVE"
    assert found.passed is None
    assert "set probe.groups to more" in found.judgement.reason


def test_a_plan_of_before_is_sent_and_judged_as_it_was():
    """Records without `apart`: blocks kept together, each with a changed URL, and nothing behind them."""
    plan = planned(apart=False, moved=False)
    sent = records(NO_CACHE, plan)
    tags = [one.tag or "" for one in sent]
    assert len(sent) == 2 + 6 * 18 == plan.least()
    assert tags[:2] == ["w0/fresh", "w1/url"]
    assert [tag.partition("/")[0] for tag in tags[2:20]] == ["m0"] * 12 + ["d0"] * 6
    assert sum(tag.endswith("/U") for tag in tags) == 6
    assert Conclusion(plan, sent).judgement.word == "CLEAN"
    assert Conclusion(plan, records(Cache("url_keyed"), plan)).judgement.kinds == ("url_keyed",)
    assert Conclusion(plan, records(Cache("response"), plan)).judgement.kinds == ("response",)
