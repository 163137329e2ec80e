"""What the cache probe says of real model servers, their caches off and on, as bench_verdicts.py does of small ones.

    python -m tests.support.real_servers FOLDER llama.cpp vllm      # once
    python -m tests.benchmarks.bench_real_verdicts FOLDER --sessions 10 [--only vllm]

Each serves a model of random weights. vLLM: 180-word prompts, prefix caching off and on, streamed and not. llama.cpp:
24 rows of 12 words, 8 output tokens, its prompt cache off and on. A server is started once for all sessions of its
cells; each session has prompts of its own. Exit status 1 when a session said something else than what is expected.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from pytest_mlperf_audit import VerdictDocument, run_audits
from tests.support.real_servers import LLAMA, VLLM, RealServer, installed, serving, write_model

_TOKENS = 8
_CONCURRENCY = 4


class State(NamedTuple):
    """A server with its cache on or off, its data set, and the kinds of cache that the probe has to name.

    `times`: how wide its model is; wide enough for a prompt to take longer than its reply.
    """

    name: str
    server: RealServer
    times: int
    rows: int
    words: int
    streaming: tuple[str, ...]
    expected: str


def _replaced(server: RealServer, change: Callable[[list[str]], list[str]]) -> RealServer:
    return server._replace(command=lambda *where: change(server.command(*where)))


def _with_prefixes(command: list[str]) -> list[str]:
    return [part.replace("--no-enable-prefix-caching", "--enable-prefix-caching") for part in command]


_LLAMA_ON = _replaced(LLAMA, lambda command: [*command, "cache"])
_VLLM_ON = _replaced(VLLM, _with_prefixes)
STATES = (
    State("llama.cpp, caches off", LLAMA, 4, 24, 12, ("off",), ""),
    State("llama.cpp, prompt cache on", _LLAMA_ON, 4, 24, 12, ("off",), "prefix"),
    State("vllm, prefix caching off", VLLM, 4, 64, 180, ("on", "off"), ""),
    State("vllm, prefix caching on", _VLLM_ON, 4, 64, 180, ("on", "off"), "prefix"),
)


def prompts(state: State, number: int) -> list[dict[str, str]]:
    """Return a data set of its own for each session, all of real words."""
    words = (Path(__file__).parents[1] / "README.md").read_text().split()
    rng = random.Random(f"{state.name} {number} {time.time_ns()}")
    return [{"prompt": " ".join(rng.choice(words) for _ in range(state.words))} for _ in range(state.rows)]


def session(state: State, number: int, url: str, model: str, streaming: str) -> VerdictDocument:
    """Run one probe."""
    Path("prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in prompts(state, number)))
    content: dict[str, Any] = {
        "type": "online",
        "model_params": {"name": model, "streaming": streaming, "max_new_tokens": _TOKENS, "temperature": 0.0},
        "datasets": [{"path": "prompts.jsonl"}],
        "audit": {"test": "cache_probe", "only": True},
        "settings": {"load_pattern": {"type": "concurrency", "target_concurrency": _CONCURRENCY}},
        "endpoint_config": {"api_type": "openai"},
    }
    Path("real.yaml").write_text(yaml.safe_dump(content))
    return run_audits("real.yaml", endpoint=url, report_dir="report")


def measure(state: State, folder: Path, sessions: int) -> bool:
    """Run the sessions of a state, print a line for each cell, and return whether all were right."""
    bin_dir = installed(state.server, folder)
    right = True
    with tempfile.TemporaryDirectory() as name:
        where = Path(name)
        model = write_model(state.server, bin_dir, where, times=state.times)
        os.chdir(where)
        with serving(state.server, bin_dir, str(model), where) as url:
            for streaming in state.streaming:
                right &= _cell(state, url, str(model), streaming, sessions)
        os.chdir(folder)
    return right


def _cell(state: State, url: str, model: str, streaming: str, sessions: int) -> bool:
    said, n_right = Counter[str](), 0
    queries, seconds = [], []
    for number in range(sessions):
        began_s = time.monotonic()
        verdict = session(state, number, url, model, streaming)
        seconds.append(time.monotonic() - began_s)
        (audit,) = verdict.audits
        word, kinds = str(audit.figures.get("probe")), str(audit.figures.get("probe_kinds", ""))
        queries.append(int(audit.figures.get("probe_queries") or 0))
        said[f"{word} {kinds}".strip()] += 1
        n_right += (word, kinds) == (("CACHE", state.expected) if state.expected else ("CLEAN", ""))
    words = ", ".join(f"{what} {count}" for what, count in said.most_common())
    figures = f"{statistics.median(queries):.0f} | {statistics.median(seconds):.1f}"
    print(f"| {state.name} | {streaming} | {n_right}/{sessions} | {words} | {figures} |", flush=True)
    return n_right == sessions


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=lambda text: Path(text).absolute())
    parser.add_argument("--sessions", type=int, default=10)
    parser.add_argument("--only", default="", help="states whose name has this in it")
    options = parser.parse_args()
    print("| server | streaming | right | probe | queries | s |\n|---|---|---|---|---|---|")
    states = [state for state in STATES if options.only in state.name]
    outcomes = [measure(state, options.folder, options.sessions) for state in states]
    return 0 if outcomes and all(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
