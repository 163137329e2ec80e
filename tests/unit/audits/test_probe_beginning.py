"""A cache of replies keyed on a prompt's first characters is no prefix cache, however alike the two look."""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from pytest_mlperf_audit.audits.probe.conclusion import Conclusion
from pytest_mlperf_audit.audits.probe.script import script
from pytest_mlperf_audit.audits.probe.seen.beginning import nature
from pytest_mlperf_audit.audits.probe.seen.evidence import Evidence
from pytest_mlperf_audit.audits.probe.settings import KINDS
from pytest_mlperf_audit.runs.query import QueryRecord
from tests.support.simulated_probe import planned
from tests.support.virtual_sut import Cache, Service, VirtualSut

#: As under the rules of MLPerf Endpoints.
PROBE = planned(forbidden=tuple(kind for kind in KINDS if kind != "prefix"))
STREAMED, WHOLE = Service(cv=0.1, decode=0.5, n_tokens=32), Service(cv=0.1, n_tokens=32)
PREFIX = Cache("prefix", gain=3.0)


def probe(service, cache, seed=1) -> list[QueryRecord]:
    """The records of one session."""
    return VirtualSut(service, cache, np.random.default_rng(seed)).session(script(PROBE, seed))


def concluded(service, cache, seed=1, change=None) -> Conclusion:
    records = copy.deepcopy(probe(service, cache, seed))
    for record in records if change else ():
        change(record)
    return Conclusion(PROBE, records)


def arm(record):
    return record.tag.partition("/")[2].partition(".")[0]


@pytest.mark.parametrize("n_first", [24, 64])
@pytest.mark.parametrize("copies", ["", "output", "id and output"])
@pytest.mark.parametrize(
    "service", [STREAMED, WHOLE, Service(), replace(STREAMED, decode=0.05)], ids=["streamed", "whole", "untold", "late"]
)
def test_replies_kept_under_the_first_characters_are_forbidden(service, copies, n_first):
    found = concluded(service, Cache("beginning", n_first=n_first, copies=copies))
    assert (found.judgement.kinds, found.passed) == (("near_duplicate",), False)
    assert "near-duplicate cache on made-up prompts: twins with the same beginning start " in found.reason()
    assert "beginning" in found.judgement.proofs[0]


def test_the_kind_has_its_reason():
    by_time = concluded(STREAMED, Cache("beginning")).reason()
    assert "the time after the first token is" in by_time
    assert "times shorter, which no prefix cache can do; a second series, of fresh prompts, says the same: " in by_time
    assert "a new ending costs nothing, and so neither does decode; " in concluded(WHOLE, Cache("beginning")).reason()
    told = "replies to different prompts with one beginning have one id and one output"
    assert concluded(STREAMED, Cache("beginning", hit=0.8, copies="id and output")).reason().endswith(told)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    ("service", "gain"),
    [(STREAMED, 3.0), (replace(STREAMED, cv=0.3), 10.0), (replace(STREAMED, decode=0.1), 10.0), (WHOLE, 10.0)],
    ids=["streamed", "noisy", "late", "whole"],
)
def test_a_prefix_cache_is_allowed(service, gain, seed):
    found = concluded(service, Cache("prefix", gain=gain), seed)
    assert (found.judgement.kinds, found.passed) == (("prefix",), True)


def test_outputs_that_quote_the_beginning_are_no_replays_where_decode_takes_its_time():
    """A model that says no more than 'your text begins with 3f2a...' answers all of one beginning alike."""

    def quote(record):
        if arm(record) in ("prime", "R", "Y", "X"):
            record.reply = f"{record.tag.partition('/')[0]:0>32}"

    assert concluded(STREAMED, PREFIX, change=quote).passed is True
    unsure = concluded(WHOLE, PREFIX, change=quote)
    assert unsure.passed is None
    assert "with the output of another prompt; streamed replies" in unsure.reason()


def test_ids_that_are_not_unique_accuse_no_prefix_cache():
    def change(record):
        record.reply_id, record.reply = f"{record.query // 3}", "0" * 32

    assert concluded(STREAMED, PREFIX, change=change).passed is True


@pytest.mark.parametrize("known", [{"tokens": 4}, {"cached_tokens": 12}], ids=str)
def test_what_may_be_all_prefill_is_undecided(known):
    """Behind a long system prompt a prefix cache may spare nearly all of a reply of a few tokens."""

    def change(record):
        for name, value in known.items():
            setattr(record, name, value)

    found = concluded(WHOLE, Cache("beginning"), change=change)
    assert (found.judgement.kinds, found.passed) == (("prefix",), None)
    assert "which a prefix cache hardly explains; streamed replies" in found.reason()
    assert "the budget ended" not in found.reason()


def test_hits_that_prefill_hardly_explains_are_undecided():
    found = concluded(WHOLE, Cache("beginning", hit=0.1))
    assert (found.judgement.kinds, found.passed) == (("prefix",), None)


def test_a_forbidden_prefix_cache_is_one_whatever_else_it_may_be():
    plan = planned()
    records = VirtualSut(WHOLE, Cache("beginning", hit=0.1), np.random.default_rng(1)).session(script(plan, 1))
    assert Conclusion(plan, records).passed is False


def test_an_honest_prefix_cache_is_seldom_taken_for_replays():
    service = Service(cv=0.6, decode=0.5, n_tokens=32)
    kinds = Counter(nature(Evidence.of(probe(service, PREFIX, seed)).groups).kind for seed in range(40))
    assert kinds["near_duplicate"] == 0
    assert kinds["prefix"] >= 38


def reporting(count):
    """What each arm's replies say of cached prompt tokens: `count` where the beginning is known, a template's else."""

    def change(record):
        record.cached_tokens = count if arm(record) in ("R", "Y", "X") and record.tag[0] in "md" else 4

    return change


def test_cached_tokens_name_a_prefix_cache_that_noise_hides():
    """A gain of a tenth at a CV of 60 %."""
    service, cache = replace(STREAMED, cv=0.6), Cache("prefix", gain=1.1)
    assert concluded(service, cache, change=reporting(4)).judgement.kinds == ()
    found = concluded(service, cache, change=reporting(24))
    assert (found.judgement.kinds, found.passed) == (("prefix",), True)
    assert "the endpoint reports 24 cached prompt tokens for prompts that share their beginning" in found.reason()
    assert Conclusion(planned(), found.evidence.every()).passed is not True


def test_kept_replies_say_what_they_said_at_first():
    """A cache of replies keyed on the first characters before a server with a prefix cache: a copy reports none."""
    found = concluded(STREAMED, Cache("beginning", copies="id and output"), change=reporting(4))
    assert found.judgement.kinds == ("near_duplicate",)
