"""TEST01's comparison of outputs, on plain values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlperf_audit.audits.test01.outputs import MOST_SHOWN, Answers, compare, diff


def _digest(text: str) -> bytes:
    return text.encode().ljust(16)


def _answers(given: dict[int, str]) -> Answers:
    answers = Answers(np.array(list(given), dtype=np.int64))
    for row, text in given.items():
        answers.add(row, _digest(text))
    return answers


def test_matching_differing_and_missing() -> None:
    answers = _answers({3: "three", 10**15: "far", 5: "five"})
    sampled = [
        (0, 3, _digest("three")),
        (1, 5, _digest("another")),
        (2, 5, None),  # failed
        (3, 4, _digest("four")),  # not in the accuracy run
        (4, 10**15, _digest("far")),
        (5, 5, _digest("five")),
    ]
    found = compare(answers, sampled)
    assert (found.n_sampled, found.n_compared, found.n_matching, found.n_differing) == (6, 4, 3, 1)
    assert [(one.query, one.row) for one in found.first] == [(1, 5)]


def test_a_row_without_an_answer() -> None:
    answers = Answers(np.array([1, 2], dtype=np.int64))
    answers.add(1, _digest("one"))
    assert answers.get(1) == _digest("one")
    assert answers.get(2) is None
    assert answers.get(3) is None
    with pytest.raises(KeyError):
        answers.add(3, _digest("three"))


def test_the_first_differing_are_kept_and_all_counted() -> None:
    found = compare(_answers({0: "a"}), [(query, 0, _digest("b")) for query in range(100)])
    assert found.n_differing == 100
    assert [one.query for one in found.first] == list(range(MOST_SHOWN))


@given(st.dictionaries(st.integers(0, 50), st.sampled_from("abc"), min_size=1), st.data())
def test_every_comparison_is_counted_once(answered: dict[int, str], data: st.DataObject) -> None:
    texts = st.none() | st.sampled_from("abc")
    sampled = data.draw(st.lists(st.tuples(st.integers(0, 60), texts), max_size=80))
    found = compare(
        _answers(answered), [(at, row, _digest(text) if text else None) for at, (row, text) in enumerate(sampled)]
    )
    comparable = [(row, text) for row, text in sampled if text and row in answered]
    assert found.n_compared == len(comparable)
    assert found.n_matching == sum(answered[row] == text for row, text in comparable)


def test_a_diff_shows_where_two_texts_part() -> None:
    assert diff("the answer is (B).", "the answer is (C).") == (
        "@@ character 15 @@\n-the answer is (B).\n+the answer is (C)."
    )
    assert diff("same start", "same start, and more") == "@@ character 10 @@\n-same start\n+same start, and more"
    assert diff("", "x") == "@@ character 0 @@\n-\n+x"


def test_a_diff_is_short() -> None:
    shown = diff("x" * 1000 + "a" + "y" * 1000, "x" * 1000 + "b" + "y" * 1000)
    before, after = shown.splitlines()[1:]
    assert before == "-…" + "x" * 60 + "a" + "y" * 139 + "…"
    assert after == "+…" + "x" * 60 + "b" + "y" * 139 + "…"
    lines = diff("\n" * 100, "a").splitlines()
    assert lines == ["@@ character 0 @@", "-", "-", "-", "-", "-", "-", "-…", "+a"]


def test_no_diff_without_texts() -> None:
    assert diff(None, "a") == diff("a", None) == ""
    assert diff("a" * 9, "a" * 9) == "@@ the first 9 characters are the same @@"


@given(st.text(), st.text())
def test_a_diff_names_the_first_difference(before: str, after: str) -> None:
    if before != after:
        at = int(diff(before, after).split()[2])
        assert before[:at] == after[:at]
        assert before[at : at + 1] != after[at : at + 1]
