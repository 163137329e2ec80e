"""Every example runs as it lies there, in a directory of its own, and gives the verdict it promises."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "conftest_examples"
CONFIGS = {
    "wan22_offline": "wan22.yaml",
    "wan22_single_stream": "wan22.yaml",
    "openai_chat": "chat.yaml",
    "custom_audit": "ceiling.yaml",
    "cache_probe": "probe.yaml",
    "wan22_submission": "submission.yaml",
    "llm_audits": "audits.yaml",
    "openai_responses": "responses.yaml",
    "anthropic_messages": "messages.yaml",
    "resnet50_kserve": "resnet50.yaml",
    "sdxl_offline": "sdxl.yaml",
    "http_json": "predict.yaml",
    "openai_embeddings": "embeddings.yaml",
    "openai_rerank": "rerank.yaml",
    "whisper_audio": "audio.yaml",
}
QUIET = ["-p", "no:randomly", "-p", "no:asyncio", "-p", "no:cacheprovider"]


def run(
    example: str, tmp_path: Path, *args: str, **environ: str
) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    folder = shutil.copytree(EXAMPLES / example, tmp_path / example)
    result = subprocess.run(
        [sys.executable, "-m", "pytest", f"--mlperf-config={CONFIGS[example]}", *QUIET, *args],
        cwd=folder,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    (verdict,) = folder.glob("mlperf-reports/*/verdict.json")
    return result, json.loads(verdict.read_text())


def test_all_examples_are_known() -> None:
    assert {path.name for path in EXAMPLES.iterdir() if path.is_dir()} == set(CONFIGS)


@pytest.mark.parametrize("example", CONFIGS)
def test_example_passes(example: str, tmp_path: Path) -> None:
    result, verdict = run(example, tmp_path)
    assert result.returncode == 0, result.stdout
    assert (verdict["status"], verdict["simulated"]) == ("PASS", True)
    assert not list((tmp_path / example).rglob("audit_*.json")), "a simulated run leaves no submission file"


@pytest.mark.parametrize(
    ("dishonest", "caught"),
    [("double_eos", "test06"), ("cheap_model", "test07"), ("padded", "test09"), ("wrong_usage", "test06")],
)
def test_example_catches_a_dishonest_model(dishonest: str, caught: str, tmp_path: Path) -> None:
    result, verdict = run("llm_audits", tmp_path, SIMULATED_DISHONEST=dishonest)
    assert result.returncode == 1, result.stdout
    assert caught in [audit["id"] for audit in verdict["audits"] if audit["status"] == "FAIL"]


@pytest.mark.parametrize(
    "example",
    [
        "wan22_offline",
        "openai_chat",
        "wan22_submission",
        "openai_responses",
        "anthropic_messages",
        "resnet50_kserve",
        "sdxl_offline",
        "whisper_audio",
    ],
)
def test_example_catches_a_cache(example: str, tmp_path: Path) -> None:
    result, verdict = run(example, tmp_path, "-m", "test04", SIMULATED_CACHE="exact")
    assert result.returncode == 1, result.stdout
    assert verdict["status"] == "FAIL"
    audit = next(entry for entry in verdict["audits"] if entry["id"] == "test04")
    failed = {check["name"].partition("[")[0] for check in audit["checks"] if not check["passed"]}
    assert failed == {"throughput_ratio", "cache_probe"}


def test_prompts_are_enough_and_distinct() -> None:
    rows = (EXAMPLES / "wan22_offline" / "prompts.jsonl").read_text().splitlines()
    assert len(set(rows)) == len(rows) >= 64


def test_readme_has_exactly_the_two_commands() -> None:
    first_screen = (ROOT / "README.md").read_text().partition("## ")[0]
    commands = [line.strip() for line in first_screen.splitlines() if line.startswith("    ")]
    assert commands == [
        "pip install . && cd conftest_examples/wan22_offline && pytest --mlperf-config=wan22.yaml -m test04",
        'pip install -e ".[test]" && pytest',
    ]
