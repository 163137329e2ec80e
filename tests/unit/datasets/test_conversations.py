"""A file of conversations as rows: one for each client's turn, and one message for each thing that can be wrong."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest

from pytest_mlperf_audit.config.agentic import AgenticInference
from pytest_mlperf_audit.config.dataset import DatasetConfig
from pytest_mlperf_audit.datasets import Conversations, load_conversations
from pytest_mlperf_audit.errors import DatasetError

CALL = {"id": "t1", "type": "function", "function": {"name": "bash", "arguments": "{}"}}
RESULT = {"tool_call_id": "t1", "content": "a.txt"}
TOOLS = [{"type": "function", "function": {"name": "bash"}}]


def line(turn, role, conversation="c1", **more):
    return {"conversation_id": conversation, "turn": turn, "role": role, **more}


def user(turn, text="hello", **more):
    return line(turn, "user", content=text, **more)


AGENT = [
    user(1, "list", system="You help.", tools=TOOLS, max_new_tokens=64, delay_seconds=0.5),
    line(2, "assistant", tool_calls=[CALL], reasoning_content="hm"),
    line(3, "tool", tool_results=[RESULT, {"tool_call_id": "t2", "content": "b.txt"}], delay_seconds=1.5),
    line(4, "assistant", content="two files"),
    user(5, "thanks", temperature=0.1, max_completion_tokens=8),
]


@pytest.fixture
def conversations(tmp_path: Path):
    def load(lines, **config) -> Conversations:
        (tmp_path / "c.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
        block = DatasetConfig(path=tmp_path / "c.jsonl", agentic_inference=AgenticInference(), **config)
        return load_conversations(block, [])

    return load


@pytest.fixture
def fault(conversations, tmp_path):
    def told(lines, **config) -> str:
        with pytest.raises(DatasetError) as caught:
            conversations(lines, **config)
        return str(caught.value).replace(f"{tmp_path}/", "")

    return told


def test_each_turn_of_the_client_has_the_recorded_history_before_it(conversations):
    found = conversations([{"_type": "dataset_metadata", "turn": "x"}, *AGENT])
    assert (len(found), found.turns) == (3, [3])
    history = [
        {"role": "system", "content": "You help."},
        {"role": "user", "content": "list"},
        {"role": "assistant", "tool_calls": [CALL], "reasoning_content": "hm", "content": None},
        {"role": "tool", "tool_call_id": "t1", "content": "a.txt"},
        {"role": "tool", "tool_call_id": "t2", "content": "b.txt"},
        {"role": "assistant", "content": "two files"},
        {"role": "user", "content": "thanks"},
    ]
    assert [found[row]["messages"] for row in range(3)] == [history[:2], history[:5], history]
    assert [found.column(row, "turn") for row in range(3)] == [1, 3, 5]
    assert [found.column(row, "delay_seconds") for row in range(3)] == [0.5, 1.5, 0.0]
    assert found.where(1) == "c.jsonl line 4"


def test_later_turns_inherit_tools_and_limit_and_no_delay(conversations):
    found = conversations(AGENT)
    assert [found[row]["tools"] for row in range(3)] == [TOOLS] * 3
    assert [found[row]["max_completion_tokens"] for row in range(3)] == [64, 64, 8]
    assert [found[row].get("temperature") for row in range(3)] == [None, None, 0.1]
    assert found[2].get("delay_seconds") is None
    assert not found[1].keys() & {"role", "content", "system", "tool_results", "max_new_tokens"}


def test_only_what_a_turn_adds_is_to_be_checked(conversations):
    found = conversations(AGENT)
    assert [[one["role"] for one in found.to_check(row)["messages"]] for row in range(3)] == [
        ["system", "user"],
        ["system", "user", "assistant", "tool", "tool"],
        ["system", "user", "assistant", "user"],
    ]


def test_the_middle_turn_of_each_conversation(conversations):
    lines = [*AGENT, line(1, "user", "c2", content="alone")]
    found = conversations(lines).of_each()
    assert [len(found), found[0]["turn"], found[1]["messages"]] == [2, 3, [{"role": "user", "content": "alone"}]]
    assert found.where(1) == "c.jsonl line 6"


def test_memory_grows_with_the_file_and_not_with_its_histories(conversations):
    text = "x" * 2000
    lines = [user(turn, text) if turn % 2 else line(turn, "assistant", content=text) for turn in range(1, 401)]
    tracemalloc.start()
    found = conversations(lines)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found[199]["messages"]) == 399
    assert held < 3 * 400 * 2000  # all histories together are a hundred times as much


SECOND = {"conversation_id": "c1", "turn": 2, "role": "assistant"}
FAULTS = {
    "no conversation": ([{"prompt": "x"}], "line 1 (conversation None, turn None): has no conversation_id; each line"),
    "a name no header may have": ([line(1, "user", "cé", content="x")], "line 1 (conversation 'cé', turn 1): its conv"),
    "a name with blanks": (
        [line(1, "user", " c", content="x")],
        "line 1 (conversation ' c', turn 1): its conversation",
    ),
    "not contiguous": (
        [user(1), line(1, "user", "c2", content="x"), user(2)],
        "line 3 (conversation 'c1', turn 2): its conversation has other lines further up; put all lines of",
    ),
    "a turn left out": (
        [user(1), line(3, "assistant", content="x")],
        "line 2 (conversation 'c1', turn 3): its turn sho",
    ),
    "a turn twice": (
        [user(1), line(1, "assistant", content="x")],
        "line 2 (conversation 'c1', turn 1): its turn should",
    ),
    "a turn that is no number": ([user("1")], "line 1 (conversation 'c1', turn '1'): its turn should be 1"),
    "a turn that is true": ([user(True)], "line 1 (conversation 'c1', turn True): its turn should be 1"),
    "the assistant first": (
        [line(1, "assistant", content="x")],
        "line 1 (conversation 'c1', turn 1): a line of assista",
    ),
    "two users": (
        [user(1), user(2)],
        "line 2 (conversation 'c1', turn 2): a line of user cannot follow one of user; it",
    ),
    "an unknown role": (
        [line(1, "system", content="x")],
        "line 1 (conversation 'c1', turn 1): its role is none of user",
    ),
    "no content": ([line(1, "user")], "line 1 (conversation 'c1', turn 1): a line of user needs content"),
    "an empty reply": (
        [user(1), SECOND],
        "line 2 (conversation 'c1', turn 2): a line of assistant needs content or too",
    ),
    "no calls": (
        [user(1), {**SECOND, "tool_calls": []}],
        "line 2 (conversation 'c1', turn 2): its tool_calls are no lis",
    ),
    "a broken call": (
        [user(1), {**SECOND, "tool_calls": [{}]}],
        "line 2 (conversation 'c1', turn 2): tool_calls[0] is n",
    ),
    "results without a call": (
        [user(1), {**SECOND, "content": "x"}, line(3, "tool", tool_results=[RESULT])],
        "line 3 (conversation 'c1', turn 3): a line of tool must follow one of assistant with tool_calls",
    ),
    "no results": (
        [*AGENT[:2], line(3, "tool", content="x")],
        "line 3 (conversation 'c1', turn 3): a line of tool needs tool_results, a list of",
    ),
    "a result without an id": (
        [*AGENT[:2], line(3, "tool", tool_results=[{"content": "x"}])],
        "line 3 (conversation 'c1', turn 3): tool_results[0] needs a tool_call_id and a content",
    ),
    "a user in the tool's place": (
        [*AGENT[:2], user(3)],
        "line 3 (conversation 'c1', turn 3): the assistant has called",
    ),
    "a delay below 0": (
        [user(1, delay_seconds=-1)],
        "line 1 (conversation 'c1', turn 1): its delay_seconds is no number",
    ),
    "a delay without end": (
        [user(1, delay_seconds=1e300)],
        "line 1 (conversation 'c1', turn 1): its delay_seconds is no number of seconds from 0 to 604,800",
    ),
    "a delay in words": (
        [user(1, delay_seconds="2")],
        "line 1 (conversation 'c1', turn 1): its delay_seconds is no numb",
    ),
    "a system prompt in parts": (
        [user(1, system=[])],
        "line 1 (conversation 'c1', turn 1): its system prompt is no text",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_wrong_is_named_with_its_line(fault, name):
    lines, told = FAULTS[name]
    assert fault(lines).startswith(f"c.jsonl {told}")


def test_a_file_without_conversations(fault):
    assert fault([{"_type": "dataset_metadata"}]) == "c.jsonl: holds no conversation; check that this is the right file"


@pytest.mark.parametrize("config", [{"samples": 1}, {"parser": {"prompt": "content"}}], ids=["samples", "parser"])
def test_keys_of_rows_have_no_meaning(fault, config):
    assert fault(AGENT, **config).startswith(f"data set 'c': {next(iter(config))} has no meaning for conversations; ")
