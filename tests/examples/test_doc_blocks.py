"""Blocks of README.md and docs/: our models read YAML, Python compiles, commands name options and files that exist.

A block that is none of these has its place in NOT_OURS, with the reason.
"""

from __future__ import annotations

import ast
import re

import pytest
import yaml

from pytest_mlperf_audit.audits.registry import models, shipped
from pytest_mlperf_audit.config.load import load_config
from tests.support.doc_blocks import ROOT, Block, blocks

BLOCKS = blocks()
#: First words of YAML-like blocks that no YAML of ours is: why.
NOT_OURS = {
    "name: endpoint audit": "a workflow of GitHub",
    "upstream: PASS": "a line of the terminal",
    "FAIL: 126 passed": "a line of the terminal",
    "command: [python, score.py": "the rest of the block above it",
}
#: What a part of a YAML is merged into.
WHOLE: dict[str, object] = {
    "type": "offline",
    "model_params": {"name": "m"},
    "datasets": [{"path": "prompts.jsonl"}],
    "audit": {"test": "test04", "samples": 64},
}
PERFORMANCE = {"name": "prompts", "path": "prompts.jsonl"}
#: What a block needs beside it, as its page says in words: more data sets, another type.
BESIDE: dict[str, dict[str, object]] = {
    "docs/audits.md: audit:": {"datasets": [PERFORMANCE, {"name": "gpqa", "path": "gpqa.jsonl", "type": "accuracy"}]},
    "docs/multi-turn.md: datasets:": {"type": "online"},
}
OPTIONS = set(re.findall(r"--mlperf-[\w-]+", (ROOT / "docs" / "options.md").read_text()))


def of_kind(kind: str) -> list[Block]:
    return [block for block in BLOCKS if block.kind == kind]


def test_every_block_has_a_kind():
    kinds = {"sh", "yaml", "python", "text", "{toctree}", "{eval-rst}"}
    assert [block.name for block in BLOCKS if block.kind not in kinds] == []


@pytest.mark.parametrize("block", of_kind("yaml"), ids=lambda block: block.name)
def test_yaml_is_read(block, tmp_path):
    if block.text.startswith(tuple(NOT_OURS)):
        return
    content = yaml.safe_load(block.text)
    content = {**WHOLE, **BESIDE.get(block.name, {}), **content}
    if all(dataset.get("type") == "accuracy" for dataset in content["datasets"]):
        content["datasets"] = [PERFORMANCE, *content["datasets"]]
    path = tmp_path / "doc.yaml"
    path.write_text(yaml.safe_dump(content))
    load_config(path, models(shipped()), environ={"VIDEO_API_KEY": "k"})


@pytest.mark.parametrize("block", of_kind("python"), ids=lambda block: block.name)
def test_python_compiles(block):
    ast.parse(block.text)


@pytest.mark.parametrize("block", of_kind("sh"), ids=lambda block: block.name)
def test_commands_name_what_exists(block):
    assert set(re.findall(r"--mlperf-[\w-]+", block.text)) <= OPTIONS
    files = [name.replace(".", "/") for name in re.findall(r"python -m (tests[\w.]+)", block.text)]
    for name in files:
        assert (ROOT / f"{name}.py").is_file() or (ROOT / name / "__main__.py").is_file(), name
    for name in re.findall(r"python ((?:tests|docs)/\S+\.py)", block.text):
        assert (ROOT / name).is_file(), name


def test_no_exception_is_left_over():
    texts = [block.text for block in of_kind("yaml")]
    assert [start for start in NOT_OURS if not any(text.startswith(start) for text in texts)] == []
    assert set(BESIDE) <= {block.name for block in BLOCKS}
