"""Kept replies that are sent at a model's pace start early, and that is all that gives them away."""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from pytest_mlperf_audit.audits.probe.conclusion import Conclusion
from pytest_mlperf_audit.audits.probe.script import script
from pytest_mlperf_audit.audits.probe.settings import KINDS
from pytest_mlperf_audit.runs.query import QueryRecord
from tests.support.simulated_probe import planned
from tests.support.virtual_sut import NO_CACHE, Cache, Service, VirtualSut

#: As under the rules of MLPerf Endpoints.
ENDPOINTS = planned(forbidden=tuple(kind for kind in KINDS if kind != "prefix"))
STREAMED = Service(cv=0.1, decode=0.5, n_tokens=32)
RESPONSES = Cache("response", paced=True, hit=0.1)
#: A prompt of the probe has 33 words.
WHOLE_PROMPT = 33


def probe(service, cache, plan=ENDPOINTS, seed=1) -> list[QueryRecord]:
    """The records of one session."""
    return VirtualSut(service, cache, np.random.default_rng(seed)).session(script(plan, seed))


def concluded(service, cache, plan=ENDPOINTS, seed=1) -> Conclusion:
    return Conclusion(plan, probe(service, cache, plan, seed))


@pytest.mark.parametrize("cv", [0.02, 0.1, 0.6])
def test_repeats_that_start_early_are_reuse_where_all_of_it_is_forbidden(cv):
    found = concluded(replace(STREAMED, cv=cv), RESPONSES, planned())
    assert (found.judgement.kinds, found.passed) == (("reuse",), False)
    assert "made-up prompts, first token: an exact repeat starts " in found.reason()
    assert "a cache of replies that sends them at a model's pace, or a prefix cache of large blocks" in found.reason()
    passed = {kind: found.kind_check(kind, kind).passed for kind in KINDS}
    open_now = {"response": None, "prefix": None, "coalescing": None, "url_keyed": None, "multimodal": None}
    assert passed == dict.fromkeys(KINDS, True) | {"reuse": False} | open_now, "nothing was sent for these"


@pytest.mark.parametrize(
    "forbidden", [ENDPOINTS.forbidden, ("response",), ("prefix",), ("response", "prefix")], ids="-".join
)
def test_what_may_be_an_allowed_cache_is_undecided(forbidden):
    found = concluded(STREAMED, RESPONSES, planned(forbidden=forbidden))
    assert (found.word, found.passed, found.proved) == ("CACHE: reuse", None, ())
    assert "exact repeats start " in found.reason()


def test_what_was_found_early_stays_open_when_the_null_control_fires_late():
    records = copy.deepcopy(probe(STREAMED, RESPONSES))
    for record in records:
        block, _, arm = (record.tag or "").partition("/")
        if block[0] == "m" and int(block[1:]) >= 12 and arm == "T":
            record.completed_ns += 3 * (record.completed_ns - record.issued_ns)
    found = Conclusion(ENDPOINTS, records)
    assert found.judgement.null_p is not None
    assert (found.judgement.kinds, found.passed) == (("reuse",), None)


@pytest.mark.parametrize("block", [1, 8, 16])
@pytest.mark.parametrize("seed", range(3))
def test_a_prefix_cache_whose_blocks_fit_into_a_prompt_is_allowed(block, seed):
    found = concluded(STREAMED, Cache("prefix", gain=10.0, block=block), seed=seed)
    assert (found.judgement.kinds, found.passed) == (("prefix",), True)


def test_noise_seldom_makes_a_prefix_cache_a_near_duplicate_one():
    """Blocks of half a prompt help twins with another last word more than those with a new ending."""
    service, cache = replace(STREAMED, cv=0.6), Cache("prefix", gain=10.0, block=16)
    assert sum(bool(concluded(service, cache, seed=seed).proved) for seed in range(60)) <= 2


@pytest.mark.parametrize("gain", [3.0, 10.0])
def test_a_prefix_cache_of_one_block_a_prompt_is_not_accused(gain):
    cache = Cache("prefix", gain=gain, block=WHOLE_PROMPT)
    assert concluded(STREAMED, cache).passed is None
    assert concluded(STREAMED, cache, planned()).passed is False


@pytest.mark.parametrize("service", [STREAMED, replace(STREAMED, says="one thing")], ids=["own", "constant"])
def test_the_bound_says_what_it_is_of(service):
    why = concluded(service, NO_CACHE).kinds[0].why
    assert " times as fast or more after the first token, and that made-up repeats start 1." in why
    assert "first token" not in concluded(replace(service, decode=None), NO_CACHE).kinds[0].why


@pytest.mark.parametrize("cv", [0.05, 0.6])
def test_honest_servers_that_stream_are_seldom_accused(cv):
    words = Counter(concluded(replace(STREAMED, cv=cv), NO_CACHE, seed=seed).word for seed in range(40))
    assert words["CLEAN"] >= 38


@pytest.mark.parametrize("n_first", [24, 64, 150])
@pytest.mark.parametrize("hit", [0.07, 0.5])
def test_replies_kept_under_the_first_characters_are_no_allowed_prefix_cache(n_first, hit):
    cache = Cache("beginning", n_first=n_first, paced=True, hit=hit, copies="output")
    found = concluded(STREAMED, cache)
    assert (found.word, found.passed) == ("CACHE: prefix", None)
    assert "most replies to prompts that share their beginning with an earlier one have its output" in found.reason()


def test_short_rows_that_no_key_joins_hide_no_copies():
    """Rows' twins have outputs of their own; those of made-up prompts are copies."""
    records = probe(STREAMED, Cache("beginning", n_first=150, paced=True, hit=0.1, copies="output"))
    for record in records:
        if (record.tag or "").startswith("d"):
            record.reply = record.request
    assert Conclusion(ENDPOINTS, records).passed is None


def test_replies_kept_under_all_but_the_last_word_are_no_allowed_prefix_cache():
    found = concluded(STREAMED, Cache("near_duplicate", paced=True, hit=0.1, copies="output"))
    assert (found.word, found.passed) == ("CACHE: prefix", None)
    assert "that share all but the last word with an earlier one" in found.reason()


@pytest.mark.parametrize("says", ["one thing", "yes or no"])
@pytest.mark.parametrize("block", [1, 8, 32])
def test_models_that_say_few_things_have_an_allowed_prefix_cache(says, block):
    found = concluded(replace(STREAMED, says=says), Cache("prefix", gain=5.0, block=block))
    assert (found.judgement.kinds, found.passed) == (("prefix",), True)
