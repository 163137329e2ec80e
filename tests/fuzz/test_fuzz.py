"""A small part of the fuzz in the suite; `python -m tests.fuzz` tries a million inputs."""

from __future__ import annotations

import pytest

from tests.fuzz.runner import KINDS, Part, do, parts

#: About a second of each kind.
INPUTS = {"replies": 900, "heads": 600, "yaml": 200, "logs": 250, "recheck": 80}


@pytest.mark.parametrize("kind", KINDS)
def test_every_input_is_taken_as_it_should_be(kind: str) -> None:
    done = do(Part(kind, 9_000_000, INPUTS[kind]))
    assert [f"{finding.again}: {finding.said}" for finding in done.findings] == []


@pytest.mark.parametrize("inputs", [1, 7, 100, 10_001])
def test_the_kinds_share_the_inputs(inputs: int) -> None:
    found = list(parts(list(KINDS), 5, inputs))
    assert sum(part.inputs for part in found) == inputs
    assert {part.seed for part in found if part.kind == "replies"} >= ({5} if inputs >= 7 else set())


def test_a_finding_names_the_command_that_tries_it_once_more() -> None:
    [part] = parts(["heads"], 81723, 1)
    assert part == Part("heads", 81723, 1)
