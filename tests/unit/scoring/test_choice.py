"""The choice that an output decides on: texts as models write them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlperf_audit.scoring.extract import Extractor

decided = Extractor("multiple_choice").answer

REASONING = (
    "Let me look at each option. (A) would need a catalyst, so A is unlikely. Option B is about pressure. "
    "If the answer were C, the rate would double; but (D) matches the data.\n\n"
)
OUTPUTS = {
    "The answer is (B).": "B",
    "The answer is B because the others violate conservation.": "B",
    "The answer is A because it is the smallest.": "A",
    "**Answer:** C": "C",
    "**Answer: C**": "C",
    "**Answer:** **C**": "C",
    "*Answer* – D": "D",  # noqa: RUF001 - as models write it
    "Answer: (C)": "C",
    "Answer: b": "B",
    "Answer: b.": "B",
    "answer is (d)": "D",
    "Answer: $\\boxed{\\text{B}}$": "B",
    "\\boxed{D}": "D",
    "$$\\boxed{\\textbf{(C)}}$$": "C",
    "\\boxed{B) 2.08 \\times 10^{-6} m}": "B",
    "\\boxed{\\text{A } 2.08\\times10^{-6}}": "A",
    "Final answer: \\(\\mathbf{E}\\)": "E",
    "The correct answer is option B.": "B",
    "The correct option is **(J)**": "J",
    "So the best choice is D, as shown above.": "D",
    "Therefore, (C) is correct.": "C",
    "Thus B is the correct answer, not (A).": "B",
    "Option B is the right one? No: the answer is D.": "D",
    "I would go with (B)": "B",
    "Let me choose option C, then.": "C",
    "B": "B",
    "b": "B",
    "choice2\n": "B",
    "(C)": "C",
    "D.": "D",
    "B) 42 metres": "B",
    "**B) 42 metres**": "B",
    "The calculation gives 42.\n\nB": "B",
    "The calculation gives 42.\n\n**(B)**\n": "B",
    "It can only be (B), as (B) alone is stable.": "B",
    REASONING + "The answer is (B).": "B",
    REASONING + "**Answer:** B": "B",
    REASONING + "\\boxed{B}": "B",
    "At first I thought the answer is A. But wait: the answer is C.": "C",
    "\\boxed{A} was my first guess. Final answer: D": "D",
    "Answer: D, that is \\boxed{A}": "A",
    "The answer is not A but C. The answer is C.": "C",
    "ANSWER: E\n": "E",
    "Answer choices:\n(A) one\n(B) two\n\nThe answer: (B)": "B",
    "<think>maybe the answer is A</think>Answer: C": "C",
}
OPEN = [
    "",
    "   \n",
    "I cannot say.",
    "I think it depends.",
    "A good question, but hard.",
    "The answer is a matter of taste.",
    "The answer is difficult to give: (A) and (B) both fit.",
    "The answer is 42.",
    "Answer choices:\n(A) one\n(B) two\n(C) three",
    "A) one\nB) two\nC) three",
    "**A.** one\n**B.** two",
    "It is (A), or maybe (B)",
    "\\boxed{42}",
    "\\boxed{E = mc^2}",
    "Because of Boyle's law the answer cannot be given.",
    "The answer is Certainly unknown.",
]


@pytest.mark.parametrize(("output", "letter"), OUTPUTS.items(), ids=range(len(OUTPUTS)))
def test_outputs_that_decide(output: str, letter: str) -> None:
    assert decided(output) == letter


@pytest.mark.parametrize("output", OPEN, ids=range(len(OPEN)))
def test_outputs_that_leave_it_open(output: str) -> None:
    found = decided(output)
    assert found is None, found


@pytest.mark.parametrize(
    ("expected", "letter"),
    [
        *((form, "B") for form in ("choice2", "Choice 2", "choice_2", "B", "b", "(B)", "(b)", " B. ", "B:")),
        ("choice10", "J"),
        ("choice1", "A"),
        ("choice11", None),
        ("choice0", None),
        ("Paris", None),
        ("K", None),
        ("2", None),
        ("", None),
    ],
)
def test_expected_answers(expected: str, letter: str | None) -> None:
    assert Extractor("multiple_choice").wanted(expected) == letter


@given(st.sampled_from("ABCDEFGHIJ"), st.sampled_from("ABCDEFGHIJ"), st.text(max_size=200))
def test_the_last_statement_counts(first: str, last: str, between: str) -> None:
    # A text in between cannot change what is stated behind it.
    assert decided(f"The answer is ({first}).\n{between}\nThe answer is ({last}).") == last


@given(st.text())
def test_any_text_is_a_letter_or_open(output: str) -> None:
    found = decided(output)
    assert found is None or re.fullmatch("[A-J]", found)


@pytest.mark.parametrize(
    "piece",
    ["boxed{", "\\boxed{A", "answer is ", "answer is b ", "(", "A ", "* ", "\n", "option choice ", "{", "**A**", "9,"],
)
def test_a_hostile_output_costs_no_more_than_its_length(piece: str) -> None:
    # A pattern that backtracks would not come to an end on these.
    output = piece * (2**20 // len(piece))
    for name in ("multiple_choice", "boxed", "number"):
        Extractor(name).answer(output)
