"""The text of a YAML to begin with. Whatever comes from outside is a quoted scalar, in which nothing has a meaning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import yaml

#: The wire formats whose inputs are built in.
KINDS: Final = (
    "openai", "openai_completions", "openai_responses", "anthropic", "sglang", "videogen", "openai_images",
    "openai_embeddings", "openai_rerank",
)  # fmt: skip
KEY: Final = "${MLPERF_API_KEY:-}"
_TEXTS: Final = frozenset({"openai", "openai_completions", "openai_responses", "anthropic", "sglang"})
_WIDE = 10**6


@dataclass(frozen=True)
class Starter:
    """What a YAML is to say. Without an `endpoint` the embedded simulated one serves.

    `data` is the data set's file, beside the YAML; with `test04` the audit is TEST04, else the cache probe alone.
    """

    name: str
    api_type: str
    model: str
    data: str
    endpoint: str = ""
    path: str | None = None
    test04: bool = False


def quoted(text: str) -> str:
    """Return a text as a YAML scalar that is read as just this text: variables in it are none."""
    scalar = yaml.safe_dump(text.replace("$", "$$"), default_style='"', allow_unicode=False, width=_WIDE)
    return str(scalar).rstrip("\n")


def yaml_text(of: Starter) -> str:
    """Return the YAML."""
    return _YAML.format(
        what=_WHAT_TEST04 if of.test04 else _WHAT_PROBE,
        name=quoted(of.name),
        type="offline" if _is_offline(of) else "online",
        params=_params(of),
        data=quoted(of.data),
        audit=_TEST04 if of.test04 else _PROBE,
        load=_OFFLINE if _is_offline(of) else _ONLINE,
        endpoint=_endpoint(of),
    )


def _is_offline(of: Starter) -> bool:
    return of.api_type in {"videogen", "openai_images"}


def _params(of: Starter) -> str:
    if of.api_type in _TEXTS:
        return f"  name: {quoted(of.model)}\n{_TEXT_PARAMS}"
    return f'  name: {quoted(of.model)}\n  streaming: "off"\n'


def _endpoint(of: Starter) -> str:
    path = "" if of.path is None else f"  path: {quoted(of.path)}\n"
    if of.endpoint:
        return f"  api_type: {of.api_type}\n  endpoints: [{quoted(of.endpoint)}]\n{path}{_API_KEY}"
    return f"  api_type: {of.api_type}\n{_SIMULATED}"


_WHAT_PROBE: Final = "Does the endpoint replay its answers? The cache probe sends repeats and fresh twins of them."
_WHAT_TEST04: Final = "MLPerf's TEST04: does the system answer a repeated prompt faster than different prompts?"
_YAML: Final = """\
# {what}
# Run it:        pytest --mlperf-config=THIS_FILE
# Look first:    pytest --mlperf-config=THIS_FILE --mlperf-plan   (sends nothing)
# All keys:      pytest --mlperf-schema, and docs/configuration.md
name: {name}
type: {type}

model_params:
{params}
datasets:
  - name: prompts
    path: {data} # put your own prompts there, one JSON object a line
    type: performance

{audit}
settings:
{load}
endpoint_config:
{endpoint}"""
_TEXT_PARAMS: Final = """\
  temperature: 0.0
  max_new_tokens: 32
  streaming: "on" # the time to the first token tells kinds of caches apart
"""
_PROBE: Final = """\
audit:
  test: cache_probe
  only: true # the audit alone; without this line a main performance run goes before it
"""
_TEST04: Final = """\
audit:
  test: test04
  only: true # the audit alone; without this line a main performance run goes before it
  samples: 64 # reference: 64 different prompts
  audit_samples: 64 # audit: one prompt 64 times
  sample_index: 3 # MLPerf's performance_issue_same_index
  threshold: 0.10 # the audit may be at most 10 % faster
"""
_ONLINE: Final = """\
  load_pattern:
    type: concurrency
    target_concurrency: 8
"""
_OFFLINE: Final = """\
  load_pattern:
    type: max_throughput # MLPerf's Offline: everything at once
  runtime:
    max_duration_ms: 4h
"""
_API_KEY: Final = f"""\
  api_key: {KEY} # the environment variable; without it no key is sent
"""
_SIMULATED: Final = f"""\
  # endpoints: ["http://127.0.0.1:8000"]   # yours; then take out the block `simulated`
  # api_key: {KEY}
  simulated: # an endpoint that starts and ends with the run; SIMULATED_CACHE=exact shows the audit fail
    service_time_ms: 50
    lanes: 8
    cache: ${{SIMULATED_CACHE:-none}}
"""
