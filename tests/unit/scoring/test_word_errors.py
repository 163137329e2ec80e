"""The word error rate as MLPerf's script for Whisper has it."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlperf_audit.errors import ScoringError
from pytest_mlperf_audit.scoring import word_errors as scorer
from pytest_mlperf_audit.scoring.metrics import method_of
from pytest_mlperf_audit.scoring.word_errors import aligned, word_errors

WORDS = st.lists(st.sampled_from(["a", "b", "ab", "ba", "abb"]), max_size=8)


@pytest.fixture
def _libraries():
    pytest.importorskip("rapidfuzz")
    pytest.importorskip("whisper_normalizer")


@pytest.mark.parametrize(
    ("hypothesis", "reference", "sides"),
    [
        ("some one came", "someone came", (["someone", "came"], ["someone", "came"])),
        ("someone came", "some one came", (["someone", "came"], ["someone", "came"])),
        ("none the less", "nonetheless", (["nonetheless"], ["nonetheless"])),
        ("n o n e", "none", (["n", "o", "n", "e"], ["none"])),
        ("a c", "a b c", (["a", "c"], ["a", "b", "c"])),
        ("", "a b", ([], ["a", "b"])),
        ("a b", "", (["a", "b"], [])),
    ],
)
def test_words_that_are_one_in_the_other_text_are_joined(hypothesis, reference, sides):
    assert aligned(hypothesis.split(), reference.split()) == sides


@given(WORDS, WORDS)
def test_no_letter_is_lost(hypothesis, reference):
    sides = aligned(hypothesis, reference)
    assert ["".join(side) for side in sides] == ["".join(hypothesis), "".join(reference)]


@pytest.mark.usefixtures("_libraries")
def test_all_words_together_make_the_rate():
    pairs = [
        ("Mr. Quilter is the apostle of the middle classes.", "MISTER QUILTER IS THE APOSTLE OF THE MIDDLE CLASSES"),
        ("He doesn't like twenty-one colours", "he does not like 21 colors"),
        ("some one came", "someone came home"),
        ("nothing like it", "a b"),
        (None, "three words lost"),
        ("", "one more"),
    ]
    found = word_errors(pairs, "identity")
    assert (found.n, found.n_unanswered) == (6, 2)
    # nothing is wrong in the first two; then home, three words for two, and all of the last two
    assert found.metrics == {"wer": pytest.approx(100 * (1 + 3 + 3 + 2) / (9 + 6 + 3 + 2 + 3 + 2))}
    assert found.value == pytest.approx(100 - found.metrics["wer"])


@pytest.mark.usefixtures("_libraries")
def test_more_errors_than_words_are_less_than_nothing():
    assert word_errors([("a b c d", "z")], "identity").value == pytest.approx(-300)


@pytest.mark.usefixtures("_libraries")
@pytest.mark.parametrize("odd", ["$ 5 point", "1/0 thousand", "half a", "\ud800", "٣ hundred", "-", "a" * 10_000])
def test_odd_outputs_are_wrong_and_no_crash(odd):
    assert word_errors([(odd, "plain words"), ("plain words", "plain words")], "identity").n == 2


@pytest.mark.usefixtures("_libraries")
def test_what_cannot_be_scored():
    with pytest.raises(ScoringError, match="no outputs"):
        word_errors([], "identity")
    with pytest.raises(ScoringError, match="output 2 cannot be scored: there is no expected answer; name its column"):
        word_errors([("x", "x"), ("x", " ")], "identity")
    with pytest.raises(ScoringError, match="have no words, once normalized"):
        word_errors([("x", "[noise]")], "identity")


def test_without_the_libraries(monkeypatch):
    monkeypatch.setitem(sys.modules, "rapidfuzz", None)
    monkeypatch.setitem(sys.modules, "rapidfuzz.distance", None)
    with pytest.raises(ScoringError, match=r"pip install 'pytest-mlperf-audit\[wer\]'"):
        word_errors([("a", "a")], "identity")
    monkeypatch.setattr(scorer, "find_spec", lambda _: None)
    assert "pip install 'pytest-mlperf-audit[wer]'" in (scorer.problem() or "")


def test_its_names():
    assert method_of("wer") == method_of("word_error_rate") == "wer"
