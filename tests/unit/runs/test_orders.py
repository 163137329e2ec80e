from __future__ import annotations

from collections import Counter
from itertools import islice

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlperf_audit.runs.order import (
    SampleOrder,
    WithoutReplacement,
    in_turn,
    order_length,
    sequential,
    single,
    with_replacement,
    without_replacement,
)

sizes = st.integers(1, 300)
seeds = st.integers(0, 2**64 - 1)


@given(sizes, seeds)
def test_without_replacement_yields_every_row_once(size, seed):
    assert sorted(without_replacement(seed).indices(size)) == list(range(size))


@given(sizes, seeds, st.integers(1, 4))
def test_a_wrapped_order_yields_every_row_once_a_round(size, seed, rounds):
    drawn = list(islice(without_replacement(seed, wrap=True).indices(size), rounds * size))
    assert len(drawn) == rounds * size
    for start in range(0, len(drawn), size):
        assert sorted(drawn[start : start + size]) == list(range(size))


def test_each_round_is_shuffled_anew():
    drawn = list(islice(without_replacement(1, wrap=True).indices(50), 100))
    assert drawn[:50] != drawn[50:]


@given(sizes, seeds)
def test_wrapping_changes_nothing_of_the_first_round(size, seed):
    wrapped = islice(without_replacement(seed, wrap=True).indices(size), size)
    assert list(wrapped) == list(without_replacement(seed).indices(size))


@given(sizes, seeds)
def test_with_replacement_stays_in_bounds(size, seed):
    drawn = list(islice(with_replacement(seed).indices(size), 500))
    assert len(drawn) == 500
    assert set(drawn) <= set(range(size))


def test_with_replacement_is_uniform_and_repeats():
    counts = Counter(islice(with_replacement(7).indices(10), 10_000))
    assert set(counts) == set(range(10))
    assert all(abs(count - 1000) < 150 for count in counts.values())  # five standard deviations


@given(sizes, seeds, st.sampled_from([without_replacement, with_replacement]))
def test_a_seed_gives_the_same_order_again(size, seed, order):
    assert list(islice(order(seed).indices(size), 100)) == list(islice(order(seed).indices(size), 100))


@pytest.mark.parametrize("order", [without_replacement, with_replacement])
def test_another_seed_gives_another_order(order):
    orders = {tuple(islice(order(seed).indices(64), 64)) for seed in range(50)}
    assert len(orders) == 50


@given(sizes, st.data())
def test_single_repeats_its_row(size, data):
    index = data.draw(st.integers(0, size - 1))
    assert list(islice(single(index).indices(size), 10)) == [index] * 10


@pytest.mark.parametrize("index", [-1, 8, 1000])
def test_single_refuses_a_row_that_is_not_there(index):
    with pytest.raises(IndexError, match=f"row {index} of a data set of 8 rows"):
        single(index).indices(8)


def test_rows_in_turn():
    assert list(islice(in_turn([4, 1, 7]).indices(8), 7)) == [4, 1, 7, 4, 1, 7, 4]
    assert order_length(in_turn([4]), 8) is None


@pytest.mark.parametrize("index", [-1, 8])
def test_rows_in_turn_have_to_be_there(index):
    with pytest.raises(IndexError, match=f"row {index} of a data set of 8 rows"):
        in_turn([0, index]).indices(8)


def test_no_rows_in_turn_are_no_order():
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"kind":"in_turn","rows":[]}', type=SampleOrder)


def test_sequential_follows_the_file():
    assert list(sequential().indices(4)) == [0, 1, 2, 3]
    assert list(islice(sequential(wrap=True).indices(3), 7)) == [0, 1, 2, 0, 1, 2, 0]


@pytest.mark.parametrize("wrap", [False, True])
@pytest.mark.parametrize("order", [without_replacement(1), WithoutReplacement(seed=1, wrap=True), sequential()])
def test_no_rows_give_no_samples_rather_than_a_hang(order, wrap):
    order = msgspec.structs.replace(order, wrap=wrap)
    assert list(order.indices(0)) == []


@pytest.mark.parametrize(
    "order",
    [
        without_replacement(3),
        without_replacement(3, wrap=True),
        with_replacement(9),
        single(4),
        in_turn([4, 1]),
        sequential(),
    ],
)
def test_orders_survive_json(order):
    text = msgspec.json.encode(order)
    assert msgspec.json.decode(text, type=SampleOrder) == order
    assert msgspec.json.decode(text)["kind"] in text.decode()


def test_the_kind_is_readable_in_json():
    assert msgspec.json.encode(single(3)) == b'{"kind":"single","index":3}'
