"""Edit: what a prompt becomes, and what stays of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pytest_mlperf_audit.runs.script import FEWEST_MOVED, NO_EDIT, Edit, in_place_of

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
    source = (prompt if edit.text is None else edit.text).split()
    if edit.in_place:
        before, tail = before[: room(source)[0]], tail[max(0, len(tail) - room(source)[1]) :]
    words = edit.apply(prompt, lead=lead).split()
    assert words[: len(before)] == before
    assert words[len(words) - len(tail) :] == tail
    own = words[len(before) : len(words) - len(tail)]
    if edit.in_place:
        assert any(own == source[at : at + len(own)] for at in range(len(source) + 1))
    else:
        assert own == source


def room(source) -> tuple[int, int]:
    """How many words an edit in place puts in at either end of a text, at most."""
    middle = len(source) // 2
    return max(3, middle), max(3, len(source) - middle - 1)


@given(TEXT, EDITS)
def test_in_place_keeps_the_length_of_a_text_of_six_words_or_more(prompt, edit):
    source = (prompt if edit.text is None else edit.text).split()
    in_place = Edit(lead=edit.lead, head=edit.head, text=edit.text, tail=edit.tail, in_place=True)
    n_words = len(in_place.apply(prompt).split())
    middle = len(source) // 2
    if middle >= 3 and (len(source) - middle - 1 >= 3 or not edit.tail):
        assert n_words == len(source)
    else:
        assert len(source) <= n_words <= max(len(source), 7)


@given(st.lists(st.integers()), st.lists(st.integers(), max_size=30), st.lists(st.integers(), max_size=30))
def test_the_middle_word_is_always_kept(words, before, behind):
    n_before, n_behind = (min(len(put), most) for put, most in zip((before, behind), room(words), strict=True))
    put = in_place_of(words, before, behind)
    kept = put[n_before : len(put) - n_behind]
    middle = len(words) // 2
    first = min(n_before, middle)
    assert put[:n_before] == before[:n_before]
    assert put[len(put) - n_behind :] == behind[len(behind) - n_behind :]
    assert kept == words[first : first + len(kept)]
    if words:
        assert first <= middle < first + len(kept)
        assert len(kept) >= len(words) - n_before - n_behind


@given(TEXT, EDITS)
def test_leading_changes_the_start_alone(text, edit):
    got = edit.leading(text)
    lead = edit.lead.split()[: room(text.split())[0] if edit.in_place else None]
    assert got.split()[: len(lead)] == lead
    assert got.endswith(text.split()[-1] if text else " ".join(lead))
    if not edit.in_place:
        assert got.split() == [*lead, *text.split()]


ROW = "If it rains on  Monday,\nwho brings the blue boat?"
ENDS = st.sampled_from([Edit(lead="l", in_place=True, moved="s"), Edit(tail="t", in_place=True, moved="s")])


@given(st.text("s0123456789", max_size=4), ENDS, st.lists(st.integers(0, 9).map(str), max_size=40))
def test_words_that_change_places_are_the_texts_own(seed, end, words):
    text = " ".join(words)
    edits = [replace(end, moved=f"s{seed}", nth=nth) for nth in range(3)]
    got = [edit.apply(text) for edit in edits]
    if got[0].split()[:1] == ["l"] or got[0].split()[-1:] == ["t"]:
        assert len(words) <= FEWEST_MOVED or len(set(words)) < len(words), "too few words, or too many equal ones"
        assert got[0] == replace(end, moved="").apply(text)
        return
    assert {tuple(sorted(one.split())) for one in got} == {tuple(sorted(words))}
    assert len({text, *got}) == 4, "each is another prompt"
    n_moved = max(FEWEST_MOVED, min(8, len(words) // 2))
    kept = slice(0, len(words) - n_moved) if end.tail else slice(n_moved, None)
    assert all(one.split()[kept] == words[kept] for one in got)
    outer = -1 if end.tail else 0
    assert all(one.split()[outer] != words[outer] for one in got)
    assert [edit.apply(text) for edit in edits] == got


def test_words_change_places_and_blanks_do_not():
    got = Edit(tail="t", in_place=True, moved="s").apply(ROW)
    assert got.startswith("If it rains on  ")
    assert got.count("\n") == 1
    assert len(got) == len(ROW)
    assert sorted(got.split()) == sorted(ROW.split())


def test_a_lead_moves_the_words_of_the_first_message_alone():
    ahead = Edit(lead="l", in_place=True, moved="s")
    assert sorted(ahead.leading(ROW).split()) == sorted(ROW.split())
    assert ahead.leading(ROW).split()[0] != "If"
    assert ahead.apply(ROW, lead=False) == ROW
    assert Edit(tail="t", in_place=True, moved="s").leading(ROW) == ROW


def test_orders_run_out_and_then_other_words_make_twins():
    """Of three equal words and three others there are sixty that begin with another word."""
    text = "the cat the dog the bird sat"
    twins = [Edit(lead="one two three", in_place=True, moved="seed", nth=nth).apply(text) for nth in range(61)]
    assert len(set(twins)) == 61
    assert [twin.startswith("one two three") for twin in twins] == [False] * 60 + [True]


def test_seeds_of_inputs_that_are_no_text() -> None:
    twin, near = Edit(lead="ocean lamp", in_place=True), Edit(lead="ocean lake", in_place=True)
    made = Edit(head="0f", text="river river", tail="iron")

    assert (NO_EDIT.twin_seed, NO_EDIT.made_up_seed) == (None, None)
    assert twin.made_up_seed is None
    assert twin.twin_seed not in (None, near.twin_seed)
    assert made.made_up_seed == replace(made, tail="coal", max_tokens=3).made_up_seed  # near each other
    assert made.twin_seed != replace(made, tail="coal").twin_seed
    assert made.twin_seed == replace(made, max_tokens=3).twin_seed  # the same input
    assert made.made_up_seed != replace(made, text="river lake").made_up_seed


def test_seeds_are_the_same_in_every_process() -> None:
    assert Edit(lead="ocean lamp").twin_seed == 0xF339E9872ADE373A
