from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlperf_audit.records.differences import differences

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(-1e100, 1e100) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def told(*args, **keys):
    return [str(one) for one in differences(*args, **keys)]


@given(PLAIN)
def test_nothing_differs_from_itself(value):
    assert told(value, value) == []


@given(PLAIN, PLAIN)
def test_what_is_not_equal_is_told(stored, recomputed):
    assert bool(told(stored, recomputed)) == (not _alike(stored, recomputed))


def _alike(one, other):
    """The same by another way: structure first, then numbers to nine digits."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_alike, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        if isinstance(one, int) and isinstance(other, int):
            return one == other
        return max(abs(one), abs(other)) < 2**1023 and math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    return type(one) is type(other) and one == other


@pytest.mark.parametrize(
    ("stored", "recomputed", "said"),
    [
        ({"qps": 1.0}, {"qps": 1.0 + 1e-12}, []),
        ({"qps": 1.0}, {"qps": 1.0001}, ["qps: 1.0 stored, 1.0001 recomputed"]),
        ({"n": 1}, {"n": True}, ["n: 1 stored, True recomputed"]),
        ({"n": 1}, {"n": 1.0}, []),
        ({"n": 10**400}, {"n": 1.5}, [f"n: {'1' + '0' * 158}… stored, 1.5 recomputed"]),
        ({"a": {"b": 1}}, {"a": {}}, ["a.b: 1 stored, nothing recomputed"]),
        ({}, {"a": {"b": 1}}, ["a: nothing stored, a block recomputed"]),
        ([1, 2], [1], ["[1]: 2 stored, nothing recomputed"]),
        (
            {"checks": [{"name": "a", "n": 1}, {"name": "b", "n": 1}]},
            {"checks": [{"name": "a", "n": 1}, {"name": "b", "n": 2}]},
            ["checks[b].n: 1 stored, 2 recomputed"],
        ),
        (
            {"checks": [{"name": "a"}, {"name": "b"}]},
            {"checks": [{"name": "b"}, {"name": "a"}]},
            ["order of checks: a list of 2 stored, a list of 2 recomputed"],
        ),
        ({"x": [{"name": "a"}] * 2}, {"x": [{"name": "a"}]}, ["x[1]: a block stored, nothing recomputed"]),
        ({"x": []}, {"x": [{"name": "a"}]}, ["x[a]: nothing stored, a block recomputed"]),
        ("a\nb", "a", ["value: 'a\\nb' stored, 'a' recomputed"]),
    ],
)
def test_accounts(stored, recomputed, said):
    assert told(stored, recomputed) == said


def test_keys_may_be_left_out():
    stored, recomputed = {"reason": "a", "n": 1}, {"reason": "b", "n": 1, "more": 2}
    assert told(stored, recomputed, skip={"reason"}) == ["more: nothing stored, 2 recomputed"]
    assert told(stored, recomputed, skip={"reason"}, known_only=True) == []
    assert told({"gone": 1}, {}, known_only=True) == ["gone: 1 stored, nothing recomputed"]
