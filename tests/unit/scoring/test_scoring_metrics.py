"""Scores over outputs: failed and open outputs count as wrong, and nothing is ever a score by accident."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from pytest_mlperf_audit.errors import ScoringError
from pytest_mlperf_audit.scoring import metrics
from pytest_mlperf_audit.scoring.metrics import exact_match, expected_problem, method_of, rouge


def test_exact_match_in_per_cent() -> None:
    pairs = [
        ("Answer: B", "choice2"),
        ("Answer: C", "choice2"),
        ("hard to say", "A"),
        (None, "A"),
        ("\\boxed{a}", "(A)"),
    ]
    found = exact_match(pairs, "abcd_extractor")
    assert (found.value, found.n, found.n_unanswered) == (40.0, 5, 2)
    assert found.metrics == {"exact_match": 40.0}


def test_an_output_of_nothing_is_no_answer() -> None:
    found = exact_match([("", "x"), (" \n", "x"), ("x", "x")], "identity")
    assert (found.n, found.n_unanswered, found.metrics["exact_match"]) == (3, 2, 100 / 3)


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("ABCDEFGHIJ")), min_size=1, max_size=60))
def test_the_score_is_the_share_of_right_answers(rows: list[tuple[bool, str]]) -> None:
    wrong = dict(zip("ABCDEFGHIJ", "BCDEFGHIJA", strict=True))
    pairs = [(f"The answer is ({letter if right else wrong[letter]}).", letter) for right, letter in rows]
    assert exact_match(pairs, "multiple_choice").value == pytest.approx(100 * sum(r for r, _ in rows) / len(rows))


@pytest.mark.parametrize("compute", [exact_match, rouge])
def test_no_outputs_are_no_score(compute: Any) -> None:
    with pytest.raises(ScoringError, match="no outputs"):
        compute([], "identity")


@pytest.mark.parametrize("compute", [exact_match, rouge])
@pytest.mark.parametrize("expected", [None, "", "  "])
def test_a_row_without_an_expected_answer(compute: Any, expected: str | None) -> None:
    with pytest.raises(ScoringError, match="output 2 cannot be scored: there is no expected answer; name its column"):
        compute([("x", "x"), ("x", expected)], "identity")


def test_an_expected_answer_that_is_no_choice() -> None:
    with pytest.raises(ScoringError, match="output 1 cannot be scored: the expected answer 'Paris' is no choice"):
        exact_match([("Answer: B", "Paris")], "multiple_choice")
    assert expected_problem("exact_match", "identity", "Paris") is None
    assert expected_problem("rouge", "multiple_choice", "Paris") is None
    assert "…" in (expected_problem("exact_match", "multiple_choice", "long " * 99) or "")


def test_rouge_is_the_librarys() -> None:
    rows = [
        ("The cats were sitting on the mats.", "A cat sat on the mat."),
        ("Police kill the gunman", "police killed the gunman"),
        ("nothing in common", "entirely different words"),
        (None, "a reference"),
    ]
    found = rouge(rows, "identity_extractor")
    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True)
    for name in ("rouge1", "rouge2", "rougeL"):
        each = [scorer.score(expected, output)[name].fmeasure for output, expected in rows if output]
        assert found.metrics[name] == pytest.approx(100 * sum(each) / len(rows))
    assert found.value == found.metrics["rougeL"]
    assert (found.n, found.n_unanswered) == (4, 1)
    assert 0 < found.metrics["rouge2"] < found.metrics["rouge1"] < 100


def test_equal_texts_score_all_of_it() -> None:
    assert rouge([("some words here", "some words here")], "identity").metrics == pytest.approx(
        dict.fromkeys(metrics.ROUGE, 100.0)
    )


def test_an_endless_output_is_unanswered() -> None:
    found = rouge([("word " * 200_000, "word " * 200), ("word", "word")], "identity")
    assert (found.n, found.n_unanswered, found.value) == (2, 1, 50.0)


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rouge_score", None)
    monkeypatch.setitem(sys.modules, "rouge_score.rouge_scorer", None)
    with pytest.raises(ScoringError, match=r"pip install 'pytest-mlperf-audit\[rouge\]'"):
        rouge([("a", "a")], "identity")


def test_the_library_is_looked_for_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    assert metrics.rouge_problem() is None
    monkeypatch.setattr(metrics, "find_spec", lambda _: None)
    assert "pip install 'pytest-mlperf-audit[rouge]'" in (metrics.rouge_problem() or "")


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("exact_match", "exact_match"),
        ("pass_at_1", "exact_match"),
        ("string_match", "exact_match"),
        ("rouge", "rouge"),
        ("vbench", None),
        ("code_bench_scorer", None),
        ("", None),
    ],
)
def test_methods(name: str, method: str | None) -> None:
    assert method_of(name) == method
