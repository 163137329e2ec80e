"""Configuration files: the examples and the formats of the endpoints tool, mutated as text and as data.

Oracle: a configuration, which written down as config.yaml loads again to the same, or a ConfigError whose message is
short; and neither takes long.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from pytest_mlperf_audit.audits.registry import models, shipped
from pytest_mlperf_audit.config.load import LoadedConfig, load_config
from pytest_mlperf_audit.config.redact import resolved_yaml
from pytest_mlperf_audit.errors import ConfigError

from .kind import require, scratch
from .mutate import mutate_json, mutated

_EXAMPLES = Path(__file__).parents[2] / "conftest_examples"
_MOST_CPU_S = 2.0
#: Lines of a message are at most this long, and there are at most so many.
_LONGEST_LINE, _MOST_LINES = 2000, 21

_EVERYTHING = """\
name: all
type: submission
benchmark_mode: online
model_params: &m {name: m, temperature: 0.5, top_p: 0.9, streaming: "on", chat_template_kwargs: {a: 1}}
datasets:
  - {name: p, path: p.jsonl, type: performance, samples: 64, parser: {prompt: text}}
  - {name: a, path: a.csv, type: accuracy, accuracy_config: {eval_method: exact_match, ground_truth: answer}}
audit:
  - {test: test04, samples: 16, sample_index: [1, 2], threshold: 0.1, probe: {groups: 12, forbid: [response]}}
  - {test: test01, samples: 32}
  - {test: test06, samples: 100, eos_ids: [2]}
  - {test: test09, min_output_tokens: 28, max_output_tokens: 38}
settings:
  runtime: {min_duration_ms: 1000, max_duration_ms: 60000, n_samples_to_issue: 64, dataloader_random_seed: 7}
  load_pattern: {type: poisson, target_qps: 12.5}
  client: {connect_timeout_s: 5, num_workers: 4}
  warmup: {enabled: true, n_requests: 8}
endpoint_config:
  endpoints: ["http://127.0.0.1:8000", "http://127.0.0.1:8001/v1"]
  api_type: openai
  api_key: ${KEY:-sk-0123456789}
  headers: {X-Team: blue}
"""
_ODD_TEXTS: Sequence[str] = (
    *(
        "!!python/object/apply:os.system [ls]",
        "&a [*a]",
        "*nothing",
        "<<: *m",
        "? {a: b}\n: c",
        "%YAML 9.9",
        "---",
        "...",
    ),
    *(
        "${HOME}",
        "${",
        "${A:-${B:-c}}",
        "\t",
        "\0",
        "\u2028",
        "\ufeff",
        "\ud7ff",
        "'",
        '"',
        "|",
        ">",
        "{",
        "[",
        "- ",
        ": ",
    ),
    *(
        "0o17",
        "0x1F",
        "1_000",
        "190:20:30",
        "2026-01-01",
        ".inf",
        "-.inf",
        ".nan",
        "~",
        "yes",
        "=",
        "1e999",
        "9" * 5000,
    ),
    *(
        "[" * 60,
        "{a: " * 60,
        "- " * 60,
        "a: &x [x, x]\nb: &y [*x, *x]\n",
        "x" * 3000,
        "\U0001f600",
        "!!binary aGk=",
        "!!set {a}",
    ),
)


class Yamls:
    """Configuration files."""

    name = "yaml"

    def __init__(self) -> None:
        self._scratch = scratch()
        self._path = Path(self._scratch.name, "mutated.yaml")
        self._again = Path(self._scratch.name, "config.yaml")
        self._models = models(shipped())
        texts = [_EVERYTHING, *(path.read_text() for path in sorted(_EXAMPLES.glob("*/*.yaml")))]
        self._texts = [_without_comments(text) for text in texts]
        self._data = [yaml.safe_load(text) for text in self._texts]

    def try_one(self, drawn: random.Random) -> None:
        """Make a file and load it."""
        raw = self._made(drawn)
        self._path.write_bytes(raw)
        began = time.process_time()
        try:
            loaded = self._load(self._path)
        except ConfigError as error:
            _require_short(str(error))
            loaded = None
        took_s = time.process_time() - began
        require(took_s < _MOST_CPU_S, f"{took_s:.1f} s of CPU for {raw!r}")
        if loaded is not None:
            self._require_same_again(loaded)

    def close(self) -> None:
        """Remove the files."""
        self._scratch.cleanup()

    def _made(self, drawn: random.Random) -> bytes:
        at = drawn.randrange(len(self._texts))
        kind = drawn.random()
        if kind < 0.4:
            data = json.loads(json.dumps(self._data[at]))
            mutate_json(data, drawn, 3)
            return json.dumps(data).encode("utf-8", "surrogatepass" if drawn.random() < 0.5 else "replace")
        if kind < 0.7:
            return _with_odd_text(self._texts[at], drawn).encode("utf-8", "replace")
        return mutated(self._texts[at].encode(), drawn)

    def _load(self, path: Path) -> LoadedConfig:
        return load_config(path, self._models, environ={"HOME": "/home/x", "KEY": "sk-abcdefgh"})

    def _require_same_again(self, loaded: LoadedConfig) -> None:
        text = resolved_yaml(loaded.benchmark)
        self._again.write_text(text)
        again = resolved_yaml(self._load(self._again).benchmark)
        require(again == text, f"config.yaml loads to another configuration: {text!r} {again!r}")


def _without_comments(text: str) -> str:
    """Return what decides: mutated comments are a waste."""
    return "".join(f"{line}\n" for line in text.splitlines() if not line.lstrip().startswith("#"))


def _with_odd_text(text: str, drawn: random.Random) -> str:
    lines = text.split("\n")
    for _ in range(drawn.randint(1, 2)):
        at, odd = drawn.randrange(len(lines)), drawn.choice(_ODD_TEXTS)
        key, colon, value = lines[at].partition(": ")
        indent = " " * drawn.choice((0, 2, 4))
        lines[at] = drawn.choice((f"{key}{colon}{odd}", f"{indent}{odd}", f"{odd}{colon}{value}", f"{lines[at]} {odd}"))
    return "\n".join(lines)


def _require_short(message: str) -> None:
    require(message, "an error without a message")
    lines = message.split("\n")
    require(len(lines) <= _MOST_LINES, f"{len(lines)} lines: {message[:500]}")
    longest = max(lines, key=len)
    require(len(longest) <= _LONGEST_LINE, f"a line of {len(longest)} characters: {longest[:500]}")
    require("Traceback" not in message, f"a traceback: {message[:500]}")


MAKE: Callable[[], Any] = Yamls
