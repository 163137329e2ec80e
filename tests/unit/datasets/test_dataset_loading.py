"""Where a data set is looked for, how much of it is used, how its columns are named, what it costs to hold."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pytest_mlperf_audit.config.dataset import DatasetConfig
from pytest_mlperf_audit.datasets import load_dataset
from pytest_mlperf_audit.datasets.dataset import parser_line, renamed
from pytest_mlperf_audit.errors import DatasetError

ROWS = "".join(f'{{"prompt": "p{at}"}}\n' for at in range(5))


def fault_of(config: DatasetConfig, *search: Path) -> str:
    with pytest.raises(DatasetError) as caught:
        load_dataset(config, search)
    return str(caught.value)


def test_the_first_directory_that_has_the_file_wins(tmp_path: Path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "both.jsonl").write_text(f'{{"prompt": "{name}"}}\n')
    (tmp_path / "two" / "second.jsonl").write_text('{"prompt": "two"}\n')
    search = [tmp_path / "one", tmp_path / "two"]
    assert load_dataset(DatasetConfig(path=Path("both.jsonl")), search)[0] == {"prompt": "one"}
    assert load_dataset(DatasetConfig(path=Path("second.jsonl")), search).path == tmp_path / "two" / "second.jsonl"
    absolute = DatasetConfig(path=tmp_path / "two" / "both.jsonl", name="mine")
    assert load_dataset(absolute, search)[0] == {"prompt": "two"}
    assert load_dataset(absolute, search).name == "mine"


def test_a_missing_file_names_every_place(tmp_path: Path):
    message = fault_of(DatasetConfig(path=Path("a/no.jsonl")), tmp_path / "x", tmp_path / "y", tmp_path / "x")
    assert message == (
        f"data set 'no': no such file; looked for {tmp_path}/x/a/no.jsonl, {tmp_path}/y/a/no.jsonl; "
        "correct path, or put it there"
    )


def test_no_path():
    message = fault_of(DatasetConfig(name="open_orca::llama2_70b"))
    assert message == (
        "data set 'open_orca::llama2_70b': has no path, and nothing is downloaded; name the directory that holds its "
        "file by --mlperf-data-dir, or give the path of a JSONL, JSON, CSV, TSV or Parquet file"
    )


def test_a_directory(tmp_path: Path):
    assert fault_of(DatasetConfig(path=tmp_path)) == (
        f"data set {tmp_path.name!r}: {tmp_path} is a directory; give a file in it"
    )


def test_an_unknown_suffix(fault):
    message = "x.txt: its suffix names no known format; add 'format:' with one of jsonl, json, csv, tsv, parquet"
    assert fault("x.txt", "a") == message


def test_samples_truncates_and_reads_no_further(rows):
    dataset = rows("x.jsonl", ROWS + "not json\n", samples=3)
    assert len(dataset) == 3
    assert dataset[2] == {"prompt": "p2"}
    assert len(rows("x.jsonl", ROWS, samples=5)) == 5


def test_more_samples_than_rows(fault):
    assert fault("x.jsonl", ROWS, samples=6) == (
        "x.jsonl: samples asks for 6 rows, but the file has 5; lower samples to at most 5, or add rows"
    )


def test_lines_are_those_of_the_file(rows):
    dataset = rows("prompts.jsonl", '\n\n{"prompt": "a"}\n\n{"prompt": "b"}\n')
    assert [dataset.where(0), dataset.where(1)] == ["prompts.jsonl line 3", "prompts.jsonl line 5"]
    assert rows("x.json", '[{"a": 1},\n\n{"a": 2}]').where(1) == "x.json row 2"


@pytest.mark.parametrize("index", [-1, 5, 10**9])
def test_a_row_that_is_not_there(rows, index: int):
    with pytest.raises(IndexError, match=f"row {index} of a data set of 5 rows"):
        rows("x.jsonl", ROWS)[index]


def test_a_changed_file_does_not_change_a_loaded_data_set(rows, tmp_path: Path):
    dataset = rows("x.jsonl", ROWS)
    (tmp_path / "x.jsonl").write_text("gone")
    assert dataset[4] == {"prompt": "p4"}


@pytest.mark.parametrize(
    ("row", "parser", "result"),
    [
        ({"prompt": "a"}, {}, {"prompt": "a"}),
        ({"article": "a", "n": 1}, {"prompt": "article"}, {"prompt": "a", "n": 1}),
        ({"article": "a", "prompt": "old"}, {"prompt": "article"}, {"prompt": "a"}),
        ({"a": 1, "b": 2}, {"a": "b", "b": "a"}, {"a": 2, "b": 1}),
        ({"input_tokens": [1]}, {"input_tokens": "input_tokens"}, {"input_tokens": [1]}),
        ({"question": "q", "system_prompt": "s"}, {}, {"prompt": "q", "system": "s"}),
        ({"prompt": "p", "question": "q"}, {}, {"prompt": "p", "question": "q"}),
        ({"query": "q", "input": "i"}, {}, {"prompt": "i", "query": "q"}),
        ({"question": "q", "x": "p"}, {"prompt": "x"}, {"question": "q", "prompt": "p"}),
        ({"question": "q"}, {"question": "question"}, {"question": "q"}),
    ],
)
def test_columns(row: dict[str, object], parser: dict[str, str], result: dict[str, object]):
    assert renamed(row, parser, "f line 1") == result


def test_a_row_that_needs_no_change_is_not_copied():
    row = {"prompt": "a"}
    assert renamed(row, {"prompt": "prompt"}, "f line 1") is row


def test_a_missing_column_names_line_and_columns(fault):
    content = '{"article": "a"}\n\n{"prompt": "b", "n": 1}\n'
    assert fault("x.jsonl", content, parser={"prompt": "article"}) == (
        "x.jsonl line 3: has no column 'article', which parser names; its columns are 'prompt', 'n'"
    )
    assert "its columns are none" in fault("x.jsonl", "{}\n", parser={"prompt": "article"})


def test_renamed_columns_in_a_file(rows):
    dataset = rows("x.csv", "article,id\nhello,7\n", parser={"prompt": "article"})
    assert dataset[0] == {"id": "7", "prompt": "hello"}


MEASURE = """
import resource, sys
from pathlib import Path
from pytest_mlperf_audit.config.dataset import DatasetConfig
from pytest_mlperf_audit.datasets import load_dataset

path = Path(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
dataset = load_dataset(DatasetConfig(path=path), [])
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert len(dataset) == 1_000_000 and dataset[999_999]["prompt"].startswith("row 999999 ")
print((after - before) * 1024 / path.stat().st_size)
"""


def test_a_million_rows_cost_less_than_twice_their_file(tmp_path: Path):
    path = tmp_path / "million.jsonl"
    with path.open("w") as file:
        file.writelines(f'{{"prompt": "row {at} {"x" * 80}"}}\n' for at in range(1_000_000))
    environment = {"PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    command = [sys.executable, "-c", MEASURE, str(path)]
    result = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=120)
    assert float(result.stdout) < 2


SHAREGPT = '[{"id": 1, "conversations": [{"from": "system", "value": "be kind"}, {"from": "human", "value": "why?"}]}]'
BATCH = '{"custom_id": "1", "body": {"model": "m", "messages": [{"role": "user", "content": "why?"}]}}'


def test_a_path_of_parser_leads_into_a_column(rows):
    assert rows("x.json", SHAREGPT, parser={"prompt": "conversations[1].value"})[0]["prompt"] == "why?"
    assert rows("x.json", SHAREGPT, parser={"prompt": "conversations.1.value"})[0]["prompt"] == "why?"
    batch = rows("x.jsonl", BATCH, parser={"messages": "body.messages", "model": "body.model"})[0]
    assert (batch["messages"], batch["model"]) == ([{"role": "user", "content": "why?"}], "m")


@pytest.mark.parametrize("path", ["conversations[7].value", "conversations.value", "conversation[0]", "[", ""])
def test_a_path_that_leads_nowhere(fault, path):
    assert "has no column" in fault("x.json", SHAREGPT, parser={"prompt": path})


def test_instruction_and_input_are_one_prompt(rows):
    both = rows(
        "x.jsonl", '{"instruction": "Sum up.", "input": "News", "output": "-"}\n{"instruction": "Say", "input": ""}'
    )
    assert [row["prompt"] for row in (both[0], both[1])] == ["Sum up.\n\nNews", "Say"]
    assert rows("x.jsonl", '{"instruction": "x", "input": "y", "prompt": "p"}')[0]["prompt"] == "p"


@pytest.mark.parametrize(
    ("row", "line"),
    [
        (
            {"id": 1, "conversations": [{"from": "gpt", "value": "hi"}, {"from": "human", "value": "q"}]},
            "prompt: conversations[1].value",
        ),
        ({"custom_id": "a", "body": {"messages": [{"role": "user", "content": "q"}]}}, "messages: body.messages"),
        ({"question_id": 1, "turns": ["q"]}, "prompt: turns[0]"),
        ({"id": "a long identifier, longer than the text", "Text": "q"}, "prompt: Text"),
        ({"id": "1", "story": "once upon a time"}, "prompt: story"),
    ],
)
def test_the_parser_that_a_message_proposes(row, line):
    assert parser_line(row) == f"parser: {{{line}}}"


def test_no_parser_for_a_row_without_text():
    assert parser_line({"n": 1, "ids": [1, 2]}) is None
