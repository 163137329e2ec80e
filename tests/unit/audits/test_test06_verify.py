from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlperf_audit.audits.test06.live import Test06
from pytest_mlperf_audit.runs.spec import Keep
from tests.support.token_phase import answered, failed, hex_ids, judged, planned, results

AUDIT = Test06()
EOS = 2
HONEST = [[10, 11, EOS], [12, 13], [EOS], [14, EOS, 15]]
FINE = {"completion[test06]": True, "samples": True, "first_token": True, "eos": True, "token_count": True}


def records(**changes):
    """Four honest replies; `changes` are those of the third's record."""
    made = [answered(at, ids) for at, ids in enumerate(HONEST)]
    for name, value in changes.items():
        setattr(made[2], name, value)
    return made


def verdict(made, *, streaming=True, **asked):
    spec = planned(AUDIT, rows=4, samples=4, keys={"streaming": streaming}, **asked)
    return judged(AUDIT, spec, made, samples=4, **asked)


def reason(found, name):
    return found.check(name).reason


def test_an_honest_server_passes():
    found = verdict(records())
    assert found.passed
    assert results(found) == FINE
    assert found.figures == {
        "samples": 4,
        "output_tokens": 9,
        "mean_output_tokens": 2.25,
        "token_dtype": "int32",
        "eos_ids": "2",
        "ids_from": "endpoint",
    }
    assert found.notes == ("4 samples were judged; MLPerf's TEST06 judges 100",)


def test_a_hundred_samples_need_no_note():
    spec = planned(AUDIT)
    assert judged(AUDIT, spec, [answered(at, [5, EOS]) for at in range(100)]).notes == ()


DISHONEST: list[tuple[dict[str, Any], str, str]] = [
    ({"output_ids": hex_ids([7, EOS, EOS]), "first_ids": hex_ids([7]), "tokens": 3}, "eos", "ends in 2 EOS tokens"),
    ({"output_ids": hex_ids([EOS, EOS]), "tokens": 2}, "eos", "its output of 2 tokens ends in 2 EOS tokens"),
    ({"first_ids": hex_ids([9])}, "first_token", "09000000 was reported, its output begins with 02000000"),
    ({"first_ids": ""}, "first_token", "the first piece of its stream is a text without a token"),
    ({"tokens": 2}, "token_count", "2 tokens were reported, its output has 1 tokens"),
    ({"tokens": 0}, "token_count", "0 tokens were reported"),
]


@pytest.mark.parametrize(("changes", "name", "told"), DISHONEST)
def test_every_dishonesty_fails_on_its_check_alone(changes, name, told):
    found = verdict(records(**changes))
    assert results(found) == {**FINE, name: False}
    assert "1 of 4 samples" in reason(found, name)
    assert told in reason(found, name)
    assert "row 2 (query 2)" in reason(found, name)


def test_ids_that_look_like_int64_are_read_as_they_are():
    """Every other token 0: a log of such ids would be taken for int64."""
    made = [answered(at, [5, 0] * 20) for at in range(4)]
    found = verdict(made)
    assert found.passed
    assert found.figures["output_tokens"] == 160


@pytest.mark.parametrize(
    ("changes", "name", "told"),
    [
        ({"output_ids": None}, "eos", "no output"),
        ({"first_ids": None}, "first_token", "no first token"),
        ({"tokens": None}, "token_count", "no token count"),
    ],
)
def test_what_a_reply_lacks_leaves_its_check_undecided(changes, name, told):
    found = verdict(records(**changes))
    assert found.check(name).passed is None
    assert told in reason(found, name)
    assert not found.passed


def test_replies_in_one_piece_have_no_first_token():
    made = records()
    for record in made:
        record.first_ids = None
    found = verdict(made, streaming=False)
    assert "first_token" not in results(found)
    assert found.passed
    assert any("not streamed" in note for note in found.notes)


def test_failed_queries_count_against_completion():
    made = [*records()[:3], failed(3)]
    assert results(verdict(made)) == {**FINE, "completion[test06]": False}
    assert results(verdict(made, min_completion=0.75)) == FINE


def test_where_a_rate_limit_refused_all_nothing_is_known():
    assert set(results(verdict([failed(at, "http_429") for at in range(4)])).values()) == {None}


def test_where_it_refused_some_the_others_are_judged():
    made = [*records(output_ids=hex_ids([14, EOS, EOS]))[:3], failed(3, "http_429")]
    assert results(verdict(made))["eos"] is False


def test_of_no_reply_nothing_holds():
    found = verdict([failed(at) for at in range(4)])
    assert results(found) == {
        "completion[test06]": False,
        "samples": False,
        "first_token": None,
        "eos": None,
        "token_count": None,
    }
    assert found.figures["mean_output_tokens"] is None


def by_text(at, ids, reported, **fields):
    made_by = "tokenizer.json sha256:00"
    return answered(at, ids, **{"tokens": reported, "ids_from": made_by, "output": "text", **fields})


def by_tokenizer(made):
    return verdict(made, tokenizer="tokenizer.json")


def test_ids_made_of_text_are_marked_and_eos_is_what_shows():
    found = by_tokenizer([by_text(at, [5, 6, 7], 4) for at in range(4)])
    assert results(found) == FINE
    assert "as far as a text shows it" in reason(found, "eos")
    assert found.figures["ids_from"] == "tokenizer.json sha256:00"
    assert any("local tokenizer (tokenizer.json sha256:00)" in note for note in found.notes)


def test_an_eos_that_shows_in_a_text_counts():
    found = by_tokenizer([by_text(at, [5, EOS, EOS], 3) for at in range(4)])
    assert results(found) == {**FINE, "eos": False}


@pytest.mark.parametrize(
    ("n_tokens", "reported", "passes"),
    [(10, 10, True), (10, 11, True), (10, 9, True), (10, 12, False), (1000, 1021, True), (1000, 1022, False)],
)
def test_counts_of_ids_made_of_text_may_differ_a_little(n_tokens, reported, passes):
    odd = by_text(3, [5] * n_tokens, reported)
    found = by_tokenizer([*(by_text(at, [5] * 10, 10) for at in range(3)), odd])
    assert results(found) == {**FINE, "token_count": passes}
    told = "within 2% and 1 token" if passes else f"row 3 (query 3): {reported} reported, its output has {n_tokens}"
    assert told in reason(found, "token_count")


def test_a_text_that_no_tokenizer_can_turn_back_is_left_out_of_the_counts():
    odd = [by_text(at, [5] * 30, 16, output="half a char: \ufffd") for at in range(2, 6)]
    known = [by_text(at, [5] * 16, 16) for at in range(2)]
    found = by_tokenizer([*known, *odd])
    assert results(found) == FINE
    assert "2 of 2 replies" in reason(found, "token_count")
    assert any("4 of 6 outputs have U+FFFD" in note for note in found.notes)
    assert results(by_tokenizer(odd)) == {**FINE, "token_count": None}, "of unknown ones alone nothing is known"
    wrong = by_text(1, [5] * 30, 16)
    assert results(by_tokenizer([known[0], by_text(2, [5] * 16, 16), wrong, *odd]))["token_count"] is False


@pytest.mark.parametrize("n_odd", [2, 3, 4])
def test_a_tokenizer_that_most_replies_contradict_decides_nothing(n_odd):
    """It may be another model's, and its ids for anything: 2 need not be EOS."""
    made = [by_text(at, [5, EOS, EOS], 9 if at < n_odd else 3) for at in range(4)]
    found = by_tokenizer(made)
    if n_odd == 2:
        assert results(found) == {**FINE, "eos": False, "token_count": False}
        return
    assert results(found) == {**FINE, "eos": None, "token_count": None}
    for name in ("eos", "token_count"):
        assert "either that is wrong, or `tokenizer` is not that of the model" in reason(found, name)


def test_ids_made_of_text_without_a_reported_count_are_undecided():
    found = by_tokenizer([by_text(at, [5], None) for at in range(4)])
    assert found.check("token_count").passed is None


def test_the_verdict_needs_nothing_but_the_record():
    spec = planned(AUDIT, rows=4, samples=4, eos_ids=[77])
    assert spec.keep == Keep(outputs=False, token_ids=True)
    doubled = [answered(at, [5, 77, 77]) for at in range(4)]
    assert results(judged(AUDIT, spec, doubled, samples=4))["eos"] is False, "77 is EOS by the record, not by the YAML"


@given(
    st.lists(st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=12), min_size=1, max_size=8),
    st.sets(st.integers(0, 2**31 - 1), min_size=1, max_size=4),
)
def test_whatever_the_tokens_only_two_eos_at_an_end_fail(outputs, eos_ids):
    spec = planned(AUDIT, rows=8, samples=len(outputs), eos_ids=sorted(eos_ids))
    found = judged(AUDIT, spec, [answered(at, ids) for at, ids in enumerate(outputs)], samples=len(outputs))
    doubled = any(len(ids) > 1 and {ids[-1], ids[-2]} <= eos_ids for ids in outputs)
    assert results(found) == {**FINE, "eos": not doubled}
