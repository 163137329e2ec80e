"""Edit: what a prompt becomes, and what stays of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlperf_audit.runs.script import NO_EDIT, Edit, without_ends

WORDS = st.lists(st.text("abc", min_size=1, max_size=4), max_size=12)
TEXT = WORDS.map(" ".join)
EDITS = st.builds(Edit, lead=TEXT, head=TEXT, text=st.none() | TEXT, tail=TEXT, in_place=st.booleans())


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (NO_EDIT, "one  two\nthree"),
        (Edit(max_tokens=1), "one  two\nthree"),
        (Edit(lead="l"), "l one  two\nthree"),
        (Edit(head="h"), "h one  two\nthree"),
        (Edit(tail="t"), "one  two\nthree t"),
        (Edit(lead="l", head="h", tail="t"), "l h one  two\nthree t"),
        (Edit(text="four", head="h", tail="t"), "h four t"),
        (Edit(text=""), ""),
        (Edit(lead="l", in_place=True), "l two three"),
        (Edit(tail="t", in_place=True), "one two t"),
        (Edit(lead="l", head="h", tail="t", in_place=True), "l h two t"),
        (Edit(text="four five", tail="t", in_place=True), "four five t"),
        (Edit(text="four five", head="h", in_place=True), "h five"),
    ],
)
def test_apply(edit, text):
    assert edit.apply("one  two\nthree") == text


def test_a_lead_that_an_earlier_message_has_taken():
    edit = Edit(lead="l m", head="h", in_place=True)
    assert edit.leading("be brief and kind") == "l m and kind"
    assert edit.apply("one two three", lead=False) == "h two three"
    assert Edit(lead="l").leading("be  brief") == "l be  brief"
    assert Edit(lead="l").leading("") == "l"
    assert Edit(head="h", text="x", tail="t", in_place=True).leading("be  brief") == "be  brief"


@given(TEXT, EDITS, st.booleans())
def test_an_edit_puts_its_words_at_the_ends(prompt, edit, lead):
    before = [*(edit.lead.split() if lead else ()), *edit.head.split()]
    tail = edit.tail.split()
    words = edit.apply(prompt, lead=lead).split()
    assert words[: len(before)] == before
    assert words[len(words) - len(tail) :] == tail
    own = words[len(before) : len(words) - len(tail)]
    source = (prompt if edit.text is None else edit.text).split()
    if edit.in_place:
        assert any(own == source[at : at + len(own)] for at in range(len(source) + 1))
    else:
        assert own == source


@given(TEXT, EDITS)
def test_in_place_keeps_the_length_of_a_text_that_is_long_enough(prompt, edit):
    n_before, n_tail = len(edit.lead.split()) + len(edit.head.split()), len(edit.tail.split())
    source = (prompt if edit.text is None else edit.text).split()
    in_place = Edit(lead=edit.lead, head=edit.head, text=edit.text, tail=edit.tail, in_place=True)
    n_words = len(in_place.apply(prompt).split())
    middle = len(source) // 2
    if n_before <= middle and n_tail < len(source) - middle:
        assert n_words == len(source)
    else:
        assert n_words >= len(source)


@given(st.lists(st.integers()), st.integers(0, 30), st.integers(0, 30))
def test_the_middle_word_is_always_kept(words, n_first, n_last):
    kept = without_ends(words, n_first, n_last)
    middle = len(words) // 2
    first = min(n_first, middle)
    assert kept == words[first : first + len(kept)]
    if words:
        assert first <= middle < first + len(kept)
        assert len(kept) >= len(words) - n_first - n_last


@given(TEXT, EDITS)
def test_leading_changes_the_start_alone(text, edit):
    got = edit.leading(text)
    lead = edit.lead.split()
    assert got.split()[: len(lead)] == lead
    assert got.endswith(text.split()[-1] if text else edit.lead)
    if not edit.in_place:
        assert got.split() == [*lead, *text.split()]
