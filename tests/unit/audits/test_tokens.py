from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlperf_audit.audits.tokens import TokenRules, trailing

EOS = frozenset({2})
LLAMA3 = frozenset({128001, 128008, 128009})
Output = tuple[list[int], int | None]


def packed(ids: list[int], width: int = 4) -> bytes:
    return struct.pack(f"<{len(ids)}{'i' if width == 4 else 'q'}", *ids)


def judged(
    outputs: list[list[int]],
    *,
    width: int = 4,
    counts: list[int | None] | None = None,
    eos_ids: frozenset[int] | None = EOS,
    first_token_needed: bool = True,
) -> TokenRules:
    rules = TokenRules(eos_ids, first_token_needed=first_token_needed)
    for index, ids in enumerate(outputs):
        data = packed(ids, width)
        rules.add(f"sample {index}", data, data[:width], counts[index] if counts else len(ids))
    return rules


def results(rules: TokenRules) -> dict[str, bool | None]:
    return {check.name: check.passed for check in rules.checks()}


def reason(rules: TokenRules, name: str) -> str:
    return next(check.reason for check in rules.checks() if check.name == name)


ALL_PASS = {"samples": True, "first_token": True, "eos": True, "token_count": True}
HONEST = [[5, 6, 7, 2], [8, 9], [10, 2], [2]]


@pytest.mark.parametrize("width", [4, 8])
def test_honest_outputs_pass_whatever_the_width(width: int) -> None:
    rules = judged(HONEST, width=width)
    assert results(rules) == ALL_PASS
    assert rules.width == width
    assert rules.figures["mean_output_tokens"] == 9 / 4
    assert rules.figures["token_dtype"] == f"int{8 * width}"


def test_offline_needs_no_first_token() -> None:
    rules = TokenRules(EOS, first_token_needed=False)
    rules.add("sample 1", packed([5]), None, 1)
    assert results(rules) == {"samples": True, "eos": True, "token_count": True}


def test_no_sample_fails_and_decides_nothing_else() -> None:
    assert results(judged([])) == {"samples": False, "first_token": None, "eos": None, "token_count": None}


@pytest.mark.parametrize("ids", [[5, 2, 2], [2, 2], [5, 6, 2, 2, 2], [2] * 3000])
def test_two_eos_tokens_at_the_end_fail(ids: list[int]) -> None:
    rules = judged([[5, 6], ids, [7, 2, 2]])
    assert results(rules) == {**ALL_PASS, "eos": False}
    assert "2 of 3 samples end in more than one EOS token (2); sample 1" in reason(rules, "eos")


def test_eos_tokens_within_an_output_are_fine() -> None:
    assert results(judged([[2, 2, 5, 2]]))["eos"] is True


def test_any_two_of_a_models_eos_tokens_fail() -> None:
    assert results(judged([[5, 128009, 128001]], eos_ids=LLAMA3))["eos"] is False
    assert results(judged([[5, 2, 2]], eos_ids=LLAMA3))["eos"] is True


def test_with_unknown_eos_tokens_only_a_doubled_last_token_is_in_doubt() -> None:
    assert results(judged([[5, 6, 7], [7]], eos_ids=None))["eos"] is True
    rules = judged([[5, 6, 7], [9, 9]], eos_ids=None)
    assert results(rules)["eos"] is None
    assert "sample 1 ends in token 9 twice" in reason(rules, "eos")


@pytest.mark.parametrize("counts", [[4, 3, 2, 1], [4, 2, 2, 0], [1, 1, 1, 1], [8, 4, 4, 2]])
def test_another_token_count_fails(counts: list[int | None]) -> None:
    assert results(judged(HONEST, counts=counts))["token_count"] is False


def test_counting_int64_ids_twice_fails() -> None:
    outputs = [[5, 6, 7, 2]] * 4
    rules = judged(outputs, width=8, counts=[8] * 4)
    assert rules.width == 8
    assert results(rules)["token_count"] is False
    assert "sample 0: 8 tokens were reported, its output has 4 tokens" in reason(rules, "token_count")


def test_little_output_is_read_as_the_counts_say() -> None:
    assert judged([[5, 0]]).width == 4
    assert judged([[5, 0]], counts=[1]).width == 8


def test_a_log_of_both_widths_fails() -> None:
    rules = TokenRules(EOS, first_token_needed=False)
    for index in range(8):
        rules.add(f"sample {index}", packed([5, 6, 7], 8 if index == 5 else 4), None, 3)
    assert results(rules)["token_count"] is False
    assert "1 of 8 samples" in reason(rules, "token_count")
    assert "sample 5" in reason(rules, "token_count")


def test_half_a_token_fails() -> None:
    rules = TokenRules(EOS, first_token_needed=False)
    rules.add("sample 1", packed([5, 6]) + b"\0", None, 2)
    assert results(rules)["token_count"] is False
    assert "2 tokens and 1 bytes more" in reason(rules, "token_count")


def test_another_first_token_fails_and_names_the_sample() -> None:
    rules = TokenRules(EOS, first_token_needed=True)
    rules.add("sample 1", packed([5, 6]), packed([5]), 2)
    rules.add("sample 2", packed([5, 6]), packed([6]), 2)
    assert results(rules) == {**ALL_PASS, "first_token": False}
    assert "1 of 2 samples have another first token than" not in reason(rules, "first_token")
    assert "sample 2: 06000000 was reported, its output begins with 05000000" in reason(rules, "first_token")


def test_an_empty_output_has_no_first_token_to_match() -> None:
    rules = TokenRules(EOS, first_token_needed=True)
    rules.add("sample 1", b"", packed([5]), 0)
    assert results(rules)["first_token"] is False


@pytest.mark.parametrize("first", [None, b""])
def test_a_first_token_not_reported_is_in_doubt(first: bytes | None) -> None:
    rules = TokenRules(EOS, first_token_needed=True)
    rules.add("sample 1", packed([5, 6]), first, 2)
    assert results(rules) == {**ALL_PASS, "first_token": None}


def test_no_count_and_no_output_are_in_doubt() -> None:
    rules = TokenRules(EOS, first_token_needed=True)
    rules.add("sample 1", None, None, None)
    assert results(rules) == {"samples": True, "first_token": None, "eos": None, "token_count": None}


def test_a_failure_outweighs_a_doubt() -> None:
    rules = TokenRules(EOS, first_token_needed=True)
    rules.add("sample 1", None, None, None)
    rules.add("sample 2", packed([5, 2, 2]), packed([6]), 9)
    assert results(rules) == {"samples": True, "first_token": False, "eos": False, "token_count": False}


@given(outputs=st.lists(st.lists(st.integers(3, 2**31 - 1), min_size=1, max_size=20), min_size=1, max_size=20))
def test_the_width_is_found_and_honest_outputs_pass(outputs: list[list[int]]) -> None:
    for width in (4, 8):
        rules = judged(outputs, width=width)
        assert rules.width == width
        assert results(rules) == ALL_PASS


@given(outputs=st.lists(st.lists(st.integers(3, 200), min_size=1, max_size=9), min_size=1, max_size=9), data=st.data())
def test_one_wrong_count_among_any_outputs_fails(outputs: list[list[int]], data: st.DataObject) -> None:
    counts: list[int | None] = [len(ids) for ids in outputs]
    wrong = data.draw(st.integers(0, len(outputs) - 1))
    counts[wrong] = len(outputs[wrong]) + data.draw(st.sampled_from([-1, 1, 7]))
    rules = judged(outputs, counts=counts)
    assert results(rules)["token_count"] is False
    assert f"sample {wrong}:" in reason(rules, "token_count")


@given(ids=st.lists(st.integers(0, 3), max_size=12))
def test_trailing_counts_from_the_end(ids: list[int]) -> None:
    expected = 0
    for value in reversed(ids):
        if value not in EOS:
            break
        expected += 1
    assert trailing(np.array(ids, np.int32), EOS) == expected
