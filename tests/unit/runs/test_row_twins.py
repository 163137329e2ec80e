"""Twins: fresh, all different, and as long as the row."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlperf_audit.endpoints.rows import edited
from pytest_mlperf_audit.runs.twins import N_WORDS, WORDS, twins

seeds = st.integers(0, 2**63 - 1)


def test_the_words_are_a_byte_each():
    assert len(set(WORDS)) == len(WORDS) == 256
    assert all(word.isalpha() and word.islower() for word in WORDS)


@given(seeds, st.integers(0, 40))
def test_twins_differ_and_are_as_long_as_a_row_of_six_words_or_more(seed, n_words):
    row = " ".join(f"w{at}" for at in range(n_words))
    texts = [edit.apply(row) for edit in islice(twins(seed), 1000)]
    assert len({*texts, row}) == 1001
    assert {len(text.split()) for text in texts} == {n_words if n_words >= 6 else n_words - n_words // 2 + 3}
    assert all(text.split()[-1] == row.split()[-1] for text in texts if n_words)


@given(seeds, st.integers(6, 40))
def test_twins_of_token_ids_are_as_long_as_the_row(seed, n_ids):
    row = list(range(40_000, 40_000 + n_ids))
    sent = [tuple(edited(row, edit)) for edit in islice(twins(seed), 200)]
    assert len({*sent, tuple(row)}) == 201
    assert {len(ids) for ids in sent} == {n_ids}


def test_a_seed_gives_the_same_twins_and_another_others():
    first, again, other = ([edit.lead for edit in islice(twins(seed), 500)] for seed in (7, 7, 8))
    assert first == again
    assert not set(first) & set(other)
    assert {len(lead.split()) for lead in first} == {N_WORDS}


@pytest.mark.parametrize("seed", range(3))
def test_three_words_tell_a_hundred_thousand_twins_apart(seed):
    starts = {tuple(edit.lead.split()[:3]) for edit in islice(twins(seed), 100_000)}
    assert len(starts) == 100_000
