from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlperf_audit.report.clean import NOTHING, apart, first_sentence, number, percent, seconds
from pytest_mlperf_audit.text import plain


@given(st.text(), st.integers(min_value=2, max_value=80))
def test_plain_text_is_one_bounded_line_without_control_characters(text, limit):
    shown = plain(text, limit)
    assert len(shown) <= limit
    assert not any(unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for char in shown)
    shown.encode()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("wan22 offline", "wan22 offline"),
        ("\x1b[2J\x1b]0;owned\x07PASS", "[2J ]0;owned PASS"),
        ("a\x9b31mb", "a 31mb"),
        ("evil\u202egnp.exe", "evil gnp.exe"),
        ("one\r\ntwo\u2028three", "one two three"),
        ("\ud800", ""),
        ("", ""),
    ],
)
def test_plain_text_disarms(text, shown):
    assert plain(text) == shown


def test_a_cut_is_marked():
    assert plain("x" * 11, 10) == "x" * 9 + "…"
    assert plain("x" * 10, 10) == "x" * 10
    assert plain("x" * 10_000_000, 10) == "x" * 9 + "…"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, NOTHING),
        (True, "yes"),
        (64, "64"),
        (12345, "12,345"),
        (0.1 + 0.2, "0.3"),
        (77751.23, "77,751"),
        ("a\nb", "a b"),
    ],
)
def test_numbers(value, shown):
    assert number(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(None, NOTHING), (0.0512, "51.2 ms"), (1.5, "1.5 s"), (7200.4, "7,200 s"), (0, "0 ms")]
)
def test_seconds(value, shown):
    assert seconds(value) == shown


def test_percent():
    assert (percent(0.0512), percent(None)) == ("5.1%", NOTHING)


@given(st.floats(min_value=0.001, max_value=1e6), st.floats(min_value=1.001, max_value=2))
def test_a_ratio_is_never_shown_equal_to_a_limit_it_visibly_differs_from(value, limit):
    shown, shown_limit = apart(value, limit)
    if abs(value - limit) > 1e-7:
        assert shown != shown_limit


def test_apart_is_as_short_as_it_can_be():
    assert apart(1.0213, 1.1) == ("1.02", "1.10")
    assert apart(1.1, 1.1) == ("1.10", "1.10")
    assert apart(1.10004, 1.1) == ("1.10004", "1.10000")


def test_first_sentence():
    assert first_sentence("812.4 queries/s, ratio 5.31. And more") == "812.4 queries/s, ratio 5.31"
    assert first_sentence("55 of 64 completed; failed: 9 timeout") == "55 of 64 completed"
