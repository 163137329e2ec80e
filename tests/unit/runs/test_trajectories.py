"""Trajectories: which rows they play, under which ids, and what salts them."""

from __future__ import annotations

import re

import pytest

from pytest_mlperf_audit.runs.trajectories import Salt, Trajectories, Trajectory, has_system_prompt


def test_conversations_are_played_again_when_all_were_begun():
    order = Trajectories(turns=(2, 1, 3), count=5)
    assert list(order.all()) == [
        Trajectory(0, 2, 1),
        Trajectory(2, 1, 1),
        Trajectory(3, 3, 1),
        Trajectory(0, 2, 2),
        Trajectory(2, 1, 2),
    ]
    assert order.n_turns == 9
    assert [one.name("c") for one in order.all()] == ["c"] * 3 + ["c__repeat_2"] * 2


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
def test_the_turns_are_those_of_all_trajectories(count):
    order = Trajectories(turns=(2, 1, 3), count=count)
    assert order.n_turns == sum(one.n_turns for one in order.all())


def test_the_salt_parts_passes_before_the_system_prompt_and_conversations_behind_it():
    first, other, again = Salt.of(7, 1, "a"), Salt.of(7, 1, "b"), Salt.of(7, 2, "a")
    assert first.before == other.before != again.before
    assert first.behind == again.behind != other.behind
    assert Salt.of(7, 1, "a") == first
    assert Salt.of(8, 1, "a").before != first.before
    assert re.fullmatch(r"\[salt: [0-9a-f]{16}\]", first.before)  # 64 bits
    messages = [{"role": "system", "content": "Help."}, {"role": "user", "content": "x"}]
    assert first.applied(messages) == [
        {"role": "system", "content": f"{first.before}\n\nHelp.\n\n{first.behind}"},
        messages[1],
    ]
    assert messages[0]["content"] == "Help."


@pytest.mark.parametrize(
    ("messages", "there"),
    [
        ([{"role": "system", "content": "x"}], True),
        ([{"role": "user", "content": "x"}], False),
        ([{"role": "system", "content": [{"type": "text", "text": "x"}]}], False),
    ],
    ids=["text", "none", "parts"],
)
def test_only_a_system_prompt_that_is_a_text_can_be_salted(messages, there):
    assert has_system_prompt(messages) is there
