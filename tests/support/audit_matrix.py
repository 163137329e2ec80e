"""Audits against the simulated endpoint, honest and dishonest: plan, real engine, real sockets, records, verdict."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_mlperf_audit.audits.contract import AuditContext
from pytest_mlperf_audit.audits.registry import shipped
from pytest_mlperf_audit.audits.scored import scoring_of
from pytest_mlperf_audit.audits.verdict import Verdict
from pytest_mlperf_audit.config.dataset import AccuracyConfig, DatasetConfig
from pytest_mlperf_audit.config.endpoint import SimulatedConfig
from pytest_mlperf_audit.config.model_params import ModelParams
from pytest_mlperf_audit.datasets import load_dataset
from pytest_mlperf_audit.endpoints.simulated import process
from pytest_mlperf_audit.endpoints.source import RequestSource
from pytest_mlperf_audit.endpoints.text.openai import OpenAIChatAdapter, OpenAICompletionsAdapter
from pytest_mlperf_audit.endpoints.text.sglang import SGLangAdapter
from pytest_mlperf_audit.load.group import PlannedPhase, run_group
from pytest_mlperf_audit.load.target import Target
from pytest_mlperf_audit.records.store import consistent
from pytest_mlperf_audit.runs.spec import Concurrency

#: TEST01 compares throughputs: fewer queries, each of which takes longer than the machine's noise.
ROWS = {"test01": 48, "test06": 128, "test07": 128, "test09": 128}
_SERVICE_MS = {"test01": 200.0}
_TOKENS = 40
_KINDS = (OpenAIChatAdapter, OpenAICompletionsAdapter, SGLangAdapter)
_ASKED: dict[str, dict[str, Any]] = {
    "test01": {"sampling_target": 32},
    "test06": {},
    "test07": {"dataset": "questions", "threshold": 60.698},
    "test09": {"min_output_tokens": 0.9 * (_TOKENS + 1), "max_output_tokens": 1.1 * (_TOKENS + 1)},
}


@dataclass(frozen=True)
class Cell:
    """An audit, what the endpoint is dishonest in, and the checks that must fail for it: all others must pass."""

    audit: str
    mode: str = "none"
    fails: frozenset[str] = frozenset()
    asked: dict[str, Any] = field(default_factory=dict)
    after: int = 0

    def __str__(self) -> str:
        return f"{self.audit}-{self.mode}{''.join(f'-{value}' for value in self.asked.values())}"


CELLS = (
    Cell("test01"),
    Cell("test01", asked={"match": "tokens"}),
    Cell("test01", "other_model", frozenset({"matches", "outputs_match"}), after=ROWS["test01"]),
    Cell(
        "test01",
        "other_model",
        frozenset({"matches", "outputs_match"}),
        asked={"match": "tokens"},
        after=ROWS["test01"],
    ),
    Cell("test06"),
    Cell("test06", "double_eos", frozenset({"eos"})),
    Cell("test06", "wrong_first_token", frozenset({"first_token"})),
    Cell("test06", "wrong_usage", frozenset({"token_count"})),
    Cell("test06", "skipped_error", frozenset({"completion[test06]"}), after=7),
    Cell("test07"),
    Cell("test07", "cheap_model", frozenset({"score"})),
    Cell("test07", "skipped_error", frozenset({"completion[test07]"}), after=7),
    Cell("test07", "skipped_empty", frozenset({"completion[test07]"}), after=7),
    Cell("test09"),
    Cell("test09", "truncated", frozenset({"output_length"})),
    Cell("test09", "padded", frozenset({"output_length"})),
    Cell("test09", "wrong_usage", frozenset({"token_count"})),
    Cell("test09", "skipped_error", frozenset({"completion[test09]", "samples"}), after=7),
    Cell("test09", "skipped_empty", frozenset({"completion[test09]", "samples"}), after=7),
)


def judge(cell: Cell, seed: int, directory: Path, **asked: Any) -> Verdict:
    """Run an audit once, its records under `directory`; `asked` are further keys of its block.

    The seed draws the wire format, the order of the rows, and what the model knows.
    """
    rows = directory / "questions.jsonl"
    rows.write_text(
        "".join(
            json.dumps({"prompt": f"question {at}", "answer": "ABCD"[at % 4]}) + "\n" for at in range(ROWS[cell.audit])
        )
    )
    audit = shipped()[cell.audit]
    cfg = audit.config.model_validate({"test": cell.audit, **_ASKED[cell.audit], **cell.asked, **asked})
    streaming = cell.audit == "test06" or seed % 2 == 0
    source = RequestSource(
        load_dataset(DatasetConfig(path=rows), []), _KINDS[seed % 3](ModelParams(name="m"), streaming=streaming)
    )
    specs = audit.plan(cfg, source, _context(seed, rows, streaming=streaming))
    phases = [PlannedPhase(spec, directory / spec.label) for spec in specs]
    with process.start(_simulated(cell, seed, rows), watch_pid=os.getpid()) as running:
        records = run_group(phases, source, Target(urls=(running.url,), simulated=True))
    assert [record.status for record in records] == ["complete"] * len(specs)
    runs = {record.label: consistent(phase.directory, record) for phase, record in zip(phases, records, strict=True)}
    return audit.verify(cfg, runs)


def mistake(cell: Cell, verdict: Verdict) -> str:
    """Return what is wrong with a verdict, "" if nothing: a check that fails in vain, or the other way round."""
    failed = {check.name for check in verdict.checks if check.passed is False}
    undecided = {check.name: check.reason for check in verdict.checks if check.passed is None}
    if undecided:
        return f"undecided: {undecided}"
    if failed == cell.fails:
        return ""
    reasons = {check.name: check.reason for check in verdict.checks if check.name in failed ^ cell.fails}
    return f"failed: {sorted(failed)}, due: {sorted(cell.fails)}; {reasons}"


def _context(seed: int, rows: Path, *, streaming: bool) -> AuditContext:
    questions = DatasetConfig(
        name="questions",
        path=rows,
        type="accuracy",
        accuracy_config=AccuracyConfig(eval_method="exact_match", ground_truth="answer", extractor="multiple_choice"),
    )
    return AuditContext(
        load=Concurrency(target=8),
        sample_order_seed=seed,
        streaming=streaming,
        model="llama2-70b",
        scorings={"questions": scoring_of(questions)},
    )


def _simulated(cell: Cell, seed: int, rows: Path) -> SimulatedConfig:
    return SimulatedConfig.model_validate(
        {
            "service_time_ms": _SERVICE_MS.get(cell.audit, 1.0),
            "output_tokens": _TOKENS,
            "eos_id": 2,
            "seed": seed,
            "dishonest": cell.mode,
            "dishonest_after": cell.after,
            **({"known_prompts": rows, "answer_column": "answer", "accuracy": 0.85} if cell.audit == "test07" else {}),
        }
    )
