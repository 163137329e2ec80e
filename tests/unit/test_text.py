"""Text from outside made fit to show, and names that were nearly right."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlperf_audit.text import nearest, plain, printable, readable


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("all is well", "all is well"),
        ("two\nlines\tand\r\nblanks  more", "two lines and blanks more"),
        ("\x1b[31mred", "[31mred"),
        ("a\u202eb\u200bc\ud800d", "a b c d"),
        ("größer als 日本 🙂", "größer als 日本 🙂"),
    ],
)
def test_text_is_one_line_of_what_can_be_shown(text: str, line: str) -> None:
    assert plain(text) == printable(text) == line


@pytest.mark.parametrize(("fit", "ending"), [(plain, "…"), (printable, "...")])
def test_what_is_cut_off_is_marked(fit, ending) -> None:
    assert fit("x" * 20, 20) == "x" * 20
    assert fit("x" * 21, 20) == "x" * (20 - len(ending)) + ending
    assert fit("a" + " " * 100, 20).endswith(ending)  # there may be more behind what was looked at
    assert fit("x" * 16 + " yyyy", 20) == ("x" * 16 + " yy")[: 20 - len(ending)].rstrip() + ending


@given(st.text())
def test_no_text_is_longer_or_acts_on_a_terminal(text: str) -> None:
    for line in (plain(text, 30), printable(text, 30)):
        assert len(line) <= 30
        assert line.isprintable()


def test_names_of_files_stay_apart() -> None:
    assert readable("Dell EMC") == "Dell EMC"
    assert readable("a\nb") == "a\\nb"


def test_the_nearest_name() -> None:
    assert nearest("tempreature", {"temperature": 1, "top_p": 2}) == "temperature"
    assert nearest("tempreature", ["temperature"], cutoff=0.99) is None
    assert nearest("zzz", ["temperature"]) is None
