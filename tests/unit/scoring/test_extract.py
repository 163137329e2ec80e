"""Answers in outputs by the other extractors, and when two answers are the same."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlperf_audit.scoring.extract import Extractor, ExtractorName, own_name


@pytest.mark.parametrize(
    ("output", "answer"),
    [
        ("so \\boxed{42}.", "42"),
        ("first \\boxed{1}, then \\boxed{042}", "042"),
        ("\\boxed{\\frac{1}{2}}", "\\frac{1}{2}"),
        ("\\boxed{\\text{yes}}", "yes"),
        ("$\\boxed{ -3.5 }$", "-3.5"),
        ("\\fbox{7}", "7"),
        ("\\boxed{\\{1, 2\\}}", "\\{1, 2\\}"),
        ("\\boxed{} and \\boxed{", None),
        ("no box, but 17 in the end", "17"),
        ("\\boxed{5} and an open \\boxed{6", "5"),
        ("nothing", None),
    ],
)
def test_boxed(output: str, answer: str | None) -> None:
    assert Extractor("boxed").answer(output) == answer


@pytest.mark.parametrize(
    ("output", "answer"),
    [
        ("She pays $1,234.50.", "1234.50"),
        ("#### 42", "42"),
        ("5-3 makes 2", "2"),
        ("5 - 3 = -2", "-2"),
        ("5-3", "3"),
        ("x=-3.5e-2", "-3.5e-2"),
        ("12,345,678", "12345678"),
        ("1,2345", "2345"),
        ("42%", "42"),
        ("v2x and H2O", None),
        ("in 2024.", "2024"),
        ("", None),
    ],
)
def test_number(output: str, answer: str | None) -> None:
    assert Extractor("number").answer(output) == answer


@pytest.mark.parametrize(
    ("pattern", "output", "answer"),
    [
        (r"answer=(\w+)", "answer=a answer=b", "b"),
        (r"(?P<x>\d)-(?P<answer>\d)", "1-2", "2"),
        (r"\d+", "1 22", "22"),
        (r"(\d)?z", "z", None),
        (r"q", "nothing", None),
    ],
)
def test_pattern(pattern: str, output: str, answer: str | None) -> None:
    assert Extractor("pattern", pattern).answer(output) == answer


def test_identity() -> None:
    assert Extractor("identity").answer(" all of it\n") == " all of it\n"


def test_names_of_the_endpoints_tool() -> None:
    names = {name: own_name(name) for name in get_args(ExtractorName)}
    assert names == {
        "identity": "identity",
        "multiple_choice": "multiple_choice",
        "boxed": "boxed",
        "number": "number",
        "pattern": "pattern",
        "identity_extractor": "identity",
        "abcd_extractor": "multiple_choice",
        "boxed_math_extractor": "boxed",
        "python_code_extractor": None,
        "function_call_extractor": None,
    }
    assert Extractor("abcd_extractor").answer("Answer: C") == "C"
    with pytest.raises(KeyError):
        Extractor("python_code_extractor")


@pytest.mark.parametrize(
    ("name", "answer", "expected", "equal"),
    [
        ("identity", " Paris\n", "Paris", True),
        ("identity", "paris", "Paris", False),
        ("identity", "42.0", "42", False),
        ("number", "42.0", "42", True),
        ("number", "042", "42", True),
        ("number", "1e3", "1,000", True),
        ("number", "$5", "5%", True),
        ("number", "nan", "NaN", False),
        ("number", "0.1", "0.10000000000000000000000000000000000001", False),
        ("boxed_math_extractor", "042", "42", True),
        ("boxed", "x+1", "x+1", True),
        ("boxed", "x+1", "x + 1", False),
        ("boxed", "9" * 500, "9" * 500, True),
        ("multiple_choice", "A", "B", False),
    ],
)
def test_same(name: str, answer: str, expected: str, equal: bool) -> None:
    assert Extractor(name).same(answer, expected) is equal


def test_what_the_data_set_means() -> None:
    assert Extractor("abcd_extractor").wanted("choice3") == "C"
    assert Extractor("multiple_choice").wanted("Paris") is None
    assert Extractor("number").wanted(" 42 ") == "42"


@given(st.integers(-(10**12), 10**12), st.text(alphabet="abc \n.,!", max_size=30))
def test_a_number_is_found_whatever_words_stand_before_it(value: int, before: str) -> None:
    found = Extractor("number").answer(f"{before} {value:,}")
    assert found is not None
    assert Extractor("number").same(found, str(value))
