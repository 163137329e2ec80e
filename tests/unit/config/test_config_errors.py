"""Every mistake in the YAML: file, line, key path, what was wrong, the cure; all of a file at once."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import field_validator

from pytest_mlperf_audit.config import explain
from pytest_mlperf_audit.config.block import AuditBlock
from pytest_mlperf_audit.config.load import load_config
from pytest_mlperf_audit.errors import ConfigError

#: What is appended to the minimal file (its first line is line 6), and the message.
MISTAKES = {
    "unknown key": ("audt: 1\n", "wan22.yaml:6: audt: unknown key; did you mean 'audit'?"),
    "unknown key below": (
        "settings:\n  runtime:\n    max_duration: 5\n",
        "wan22.yaml:8: settings.runtime.max_duration: unknown key; did you mean 'max_duration_ms'?",
    ),
    "unknown key, nothing near": (
        "settings:\n  drain:\n    zzz: 5\n",
        "wan22.yaml:8: settings.timeouts.zzz: unknown key; known here: run_timeout_s, endpoint_response_idle_timeout_s",
    ),
    "unknown key in the audit": (
        "audit:\n  test: test04\n  samples: 4\n  sampels: 3\n",
        "wan22.yaml:9: audit.sampels: unknown key; did you mean 'samples'?",
    ),
    "unknown key in a list of audits": (
        "audit:\n  - test: test04\n    samples: 4\n  - test: judged\n    onyl: true\n",
        "wan22.yaml:10: audit[1].onyl: unknown key; did you mean 'only'?",
    ),
    "unknown audit": (
        "audit:\n  test: test4\n",
        "wan22.yaml:7: audit.test: 'test4' is not one of test04, output_caching_test, judged; did you mean 'test04'?",
    ),
    "audit without a test": ("audit:\n  samples: 3\n", "wan22.yaml:6: audit.test: is required; it names the audit"),
    "audit whose test is misspelt": (
        "audit:\n  samples: 3\n  tset: test04\n",
        "wan22.yaml:8: audit.tset: unknown key; did you mean 'test'?",
    ),
    "required key, misspelt": (
        "audit:\n  test: test04\n  sampels: 3\n",
        "wan22.yaml:8: audit.sampels: unknown key; did you mean 'samples'?",
    ),
    "required key": ("audit:\n  test: test04\n", "wan22.yaml:6: audit.samples: is required; add it"),
    "audit is text": ("audit: test04\n", "wan22.yaml:6: audit: expected a list, got 'test04'"),
    "not a number": (
        "    samples: many\n",
        "wan22.yaml:6: datasets[0].samples: expected a whole number, got 'many'",
    ),
    "half a row": ("    samples: 2.5\n", "wan22.yaml:6: datasets[0].samples: expected a whole number, got 2.5"),
    "too small": ("    samples: 0\n", "wan22.yaml:6: datasets[0].samples: must be greater than 0, got 0"),
    "too large": (
        "audit: {test: test04, samples: 4, threshold: 10}\n",
        "wan22.yaml:6: audit.threshold: must be less than 1.0, got 10",
    ),
    "below its least": (
        "audit: {test: test04, samples: 0}\n",
        "wan22.yaml:6: audit.samples: must be at least 1, got 0",
    ),
    "one kind of two": (
        "audit: {test: test04, samples: 4, sample_index: x}\n",
        "wan22.yaml:6: audit.sample_index: expected a whole number or a list, got 'x'",
    ),
    "one kind of two, of which one is false": (
        "audit: {test: test04, samples: 4, probe: sometimes}\n",
        "wan22.yaml:6: audit.probe: expected a mapping of keys or false, got 'sometimes'",
    ),
    "a key of one kind of two": (
        "audit:\n  test: test04\n  samples: 4\n  probe:\n    gruops: 12\n",
        "wan22.yaml:10: audit.probe.gruops: unknown key; did you mean 'groups'?",
    ),
    "two keys of one kind of two that do not go together": (
        "audit:\n  test: test04\n  samples: 4\n  probe:\n    design: single\n    groups: 12\n",
        ("wan22.yaml:11: audit.probe.groups: has no effect with design: single"),
    ),
    "an item of a list": (
        "audit:\n  test: test04\n  samples: 4\n  sample_index:\n    - 1\n    - -2\n",
        "wan22.yaml:11: audit.sample_index[1]: must be at least 0, got -2",
    ),
    "not a choice": (
        "    type: performnce\n",
        "wan22.yaml:6: datasets[0].type: 'performnce' is not one of performance, accuracy; did you mean 'performance'?",
    ),
    "a choice of another kind": (
        "    type: 3\n",
        "wan22.yaml:6: datasets[0].type: expected one of performance, accuracy, got 3",
    ),
    "a load pattern of the endpoints tool that is not supported": (
        "settings:\n  load_pattern:\n    type: burst\n",
        (
            "wan22.yaml:8: settings.load_pattern.type: 'burst' is not one of max_throughput, "
            "concurrency, poisson, agentic_inference"
        ),
    ),
    "not a flag": (
        "settings:\n  warmup:\n    enabled: maybe\n",
        "wan22.yaml:8: settings.warmup.enabled: expected true or false, got 'maybe'",
    ),
    "a number for text": (
        "version: 1.0\n",
        "wan22.yaml:6: version: expected text, got 1.0; put it in quotes",
    ),
    "an empty block": (
        "settings:\n",
        "wan22.yaml:6: settings: expected a mapping of keys, got nothing; give it a value, or take the key out",
    ),
    "text for a block": (
        "settings:\n  load_pattern: poisson\n",
        "wan22.yaml:7: settings.load_pattern: expected a mapping of keys, got 'poisson'",
    ),
    "a list for a block": ("settings: [1]\n", "wan22.yaml:6: settings: expected a mapping of keys, got a list"),
    "a mapping for text": ("name: {a: b}\n", "wan22.yaml:6: name: expected text, got a mapping"),
    "not finite": (
        "settings:\n  load_pattern: {target_qps: .inf}\n",
        "wan22.yaml:7: settings.load_pattern.target_qps: expected a finite number, got inf",
    ),
    "a path that is none": ("report_dir: [a]\n", "wan22.yaml:6: report_dir: expected a file path, got a list"),
    "a long value is cut": (
        f"    format: {'x' * 200}\n",
        f"wan22.yaml:6: datasets[0].format: '{'x' * 56}... is not one of jsonl, json, csv, tsv, parquet",
    ),
    "not a duration": (
        "settings:\n  runtime:\n    min_duration_ms: 10 minutes\n",
        (
            "wan22.yaml:8: settings.runtime.min_duration_ms: expected milliseconds, or a number with a unit "
            "(600000ms, 600s, 10m, 4h), got '10 minutes'"
        ),
    ),
    "floor above ceiling": (
        "settings:\n  runtime:\n    min_duration_ms: 10m\n    max_duration_ms: 5m\n",
        (
            "wan22.yaml:9: settings.runtime.max_duration_ms: max_duration_ms (300000) is below "
            "min_duration_ms (600000); "
            "raise it, or set it to 0 for no limit"
        ),
    ),
    "poisson without a rate": (
        "settings:\n  load_pattern:\n    type: poisson\n",
        (
            "wan22.yaml:8: settings.load_pattern.type: poisson needs target_qps, the mean arrival rate; "
            "add 'target_qps: 10', say"
        ),
    ),
    "concurrency without a number": (
        "settings:\n  load_pattern:\n    type: concurrency\n",
        (
            "wan22.yaml:8: settings.load_pattern.type: concurrency needs target_concurrency, the queries in flight; "
            "add 'target_concurrency: 1', say"
        ),
    ),
    "no connection": (
        "settings:\n  client:\n    max_connections: 0\n",
        "wan22.yaml:8: settings.client.max_connections: no query can be sent over 0 connections; use -1 for no limit",
    ),
    "authorities that are not asked": (
        "settings:\n  client:\n    insecure: true\n    ca_file: ca.pem\n",
        "wan22.yaml:9: settings.client.ca_file: ca_file has no effect with insecure: true; drop one of them",
    ),
    "offline with concurrency": (
        "settings:\n  load_pattern:\n    type: concurrency\n    target_concurrency: 1\n",
        (
            "wan22.yaml:8: settings.load_pattern.type: an offline benchmark needs max_throughput, not concurrency; "
            "change it, or the type to online"
        ),
    ),
    "the same data set twice": (
        "  - path: rows.jsonl\n    type: accuracy\n  - path: other/rows.jsonl\n    type: accuracy\n",
        "wan22.yaml:8: datasets[2]: a second accuracy data set 'rows', as datasets[1]; rename or remove one",
    ),
    "two performance data sets": (
        "  - path: more.jsonl\n    type: performance\n",
        "wan22.yaml:7: datasets[1].type: a second performance data set, beside datasets[0], which the main run uses",
    ),
    "the same audit twice, under two names": (
        "audit:\n  - test: test04\n    samples: 4\n  - test: output_caching_test\n    samples: 4\n",
        (
            "wan22.yaml:9: audit[1].test: output_caching_test is asked for twice; give each a name, "
            "or cover several indices by one block with sample_index: [..]"
        ),
    ),
    "an override that is not one": (
        "    generation_config_override:\n      max_tokens: 3\n",
        "wan22.yaml:7: datasets[0].generation_config_override.max_tokens: unknown key; did you mean 'max_new_tokens'?",
    ),
    "an override of the model's name": (
        "    generation_config_override:\n      name: x\n",
        "wan22.yaml:7: datasets[0].generation_config_override.name: unknown key",
    ),
    "an override below the least output": (
        "    generation_config_override:\n      min_new_tokens: 2000\nendpoint_config:\n  api_type: mine\n",
        (
            "wan22.yaml:6: datasets[0].generation_config_override: does not go together with model_params: "
            "min_new_tokens exceeds max_new_tokens"
        ),
    ),
    "a completion control over chat": (
        "    generation_config_override:\n      min_new_tokens: 5\n",
        (
            "wan22.yaml:7: datasets[0].generation_config_override.min_new_tokens: "
            "is not part of api_type openai; take it out"
        ),
    ),
    "an endpoint without a scheme": (
        "endpoint_config:\n  endpoints:\n    - localhost:8000\n",
        (
            "wan22.yaml:8: endpoint_config.endpoints[0]: is not an http:// or https:// URL with a host; "
            "write it as http://host:port"
        ),
    ),
    "an endpoint with a bad port": (
        "endpoint_config:\n  endpoints: ['http://h:99999']\n",
        "wan22.yaml:7: endpoint_config.endpoints[0]: is not a URL; write it as http://host:port",
    ),
    "an endpoint with a fragment": (
        "endpoint_config:\n  endpoints: ['http://h/#x']\n",
        "wan22.yaml:7: endpoint_config.endpoints[0]: has a '#', a space or a control character",
    ),
    "a path without its slash": (
        "endpoint_config:\n  path: v1/chat\n",
        "wan22.yaml:7: endpoint_config.path: does not begin with '/'; write it as /v1/chat/completions",
    ),
    "a path with a blank": (
        "endpoint_config:\n  path: '/v1/ chat'\n",
        "wan22.yaml:7: endpoint_config.path: has a '#', a space or a control character",
    ),
    "one endpoint outside a list": (
        "endpoint_config:\n  endpoints: http://h\n",
        "wan22.yaml:7: endpoint_config.endpoints: expected a list",
    ),
    "a header of the client's own": (
        "endpoint_config:\n  headers:\n    content-length: '3'\n",
        (
            "wan22.yaml:8: endpoint_config.headers.content-length: "
            "belongs to the HTTP client and cannot be set; take it out"
        ),
    ),
    "not a header name": (
        "endpoint_config:\n  headers:\n    X Y: a\n",
        "wan22.yaml:8: endpoint_config.headers.(a key that is not shown): is not a header name",
    ),
    "a header with a line break": (
        'endpoint_config:\n  headers:\n    X-A: "a\\r\\nHost: evil"\n',
        "wan22.yaml:8: endpoint_config.headers.X-A: has a line break or a character outside Latin-1 in its value",
    ),
    "a simulated endpoint beside a real one": (
        "endpoint_config:\n  endpoints: ['http://h']\n  simulated:\n    lanes: 2\n",
        "wan22.yaml:8: endpoint_config.simulated: has no effect beside endpoints; drop 'simulated' or 'endpoints'",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_one_mistake(fault, minimal: str, mistake: str):
    appended, message = MISTAKES[mistake]
    told = fault(minimal + appended)
    assert told.startswith(message)
    assert "\n" not in told


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "type: offline\nmodel_params: {name: x}\n",
            "wan22.yaml:1: datasets: one data set of type performance is needed",
        ),
        (
            "type: offline\nmodel_params: {name: x}\ndatasets:\n  - {path: a, type: accuracy}\n",
            "wan22.yaml:3: datasets: one data set of type performance is needed; add it with its path",
        ),
        ("type: offline\ndatasets: [path: a]\n", "wan22.yaml:1: model_params.name: is required; add the model's name"),
        ("model_params: {name: x}\ndatasets: [path: a]\n", "wan22.yaml:1: type: is required; add it"),
        (
            "model_params: {name: x}\ndatasets: [path: a]\ntyp: offline\n",
            "wan22.yaml:3: typ: unknown key; did you mean 'type'?",
        ),
        (
            "type: submission\nmodel_params: {name: x}\ndatasets: [path: a]\n",
            "wan22.yaml:1: benchmark_mode: is required when type is submission",
        ),
        (
            "model_params: {name: x}\ndatasets: [path: a]\ntype: online\n",
            "wan22.yaml:1: settings.load_pattern.type: an online benchmark needs concurrency or poisson",
        ),
        (
            "type: offline\nmodel_params:\n  name: x\n  max_new_tokens: 2\n  min_new_tokens: 3\ndatasets: [path: a]\n",
            (
                "wan22.yaml:5: model_params.min_new_tokens: min_new_tokens (3) exceeds max_new_tokens (2); "
                "lower the first or raise the second"
            ),
        ),
        ("type: offline\ndatasets: 3\n", "wan22.yaml:2: datasets: expected a list, got 3"),
    ],
)
def test_whole_files(fault, text: str, message: str):
    told = fault(text)
    assert told.startswith(message)
    assert "\n" not in told


def test_all_mistakes_at_once_in_the_order_of_the_file(fault):
    message = fault("settings:\n  runtime:\n    n_samples_to_issue: -1\ntype: offlin\naudit: [{test: nope}]\nnam: x\n")
    assert [line.partition(": ")[0] for line in message.splitlines()] == [f"wan22.yaml:{line}" for line in (3, 4, 5, 6)]


def test_twenty_faults_are_told_and_the_others_counted(fault, minimal: str):
    *told, last = fault(minimal + "".join(f"key{at}: 1\n" for at in range(5000))).splitlines()
    assert told[19].startswith("wan22.yaml:25: key19: unknown key; known here: name")
    assert (len(told), last) == (20, "wan22.yaml: 4,980 more faults, shown once these are mended")


def test_the_nearest_key_is_sought_for_what_is_told_alone(fault, minimal: str, monkeypatch):
    sought: list[str] = []

    def closest(name: str, _names: object) -> str:
        sought.append(name)
        return ""

    monkeypatch.setattr(explain, "_closest", closest)
    fault(minimal + "".join(f"key{at}: 1\n" for at in range(500)))
    assert sought == [f"key{at}" for at in range(20)]


@pytest.mark.parametrize(
    "mistake",
    [
        "audit: {{test: test04, samples: {number}}}\n",
        "audit: {{test: test04, samples: -{number}}}\n",
        "audit: {{test: test04, samples: '{number}'}}\n",
        "audit: {{test: test04, samples: 4, sample_index: [1, '{number}']}}\n",
        "audit: {{test: test04, samples: 4, threshold: {number}.5}}\n",
        "audit: {{test: '{number}'}}\n",
        "? a{number}\n: 1\n",
        "settings: {{runtime: {{min_duration_ms: {number}}}}}\n",
        "settings: {{runtime: {{min_duration_ms: {number}s}}}}\n",
        "settings: {{runtime: {{n_samples_to_issue: '{number}'}}}}\n",
    ],
)
def test_a_number_of_thousands_of_digits_is_not_repeated(fault, minimal: str, mistake: str):
    message = fault(minimal + mistake.format(number="9" * 4000))
    assert message.startswith("wan22.yaml:6: ")
    assert "9" * 100 not in message
    assert len(message) < 300  # of which the list of known keys is 160


def test_checks_across_blocks_tell_all_they_found(fault):
    message = fault("type: submission\ndatasets:\n  - path: a\n  - path: a\n")
    assert [line.split(": ")[1] for line in message.splitlines()] == [
        "model_params.name",
        "benchmark_mode",
        "datasets[1]",
        "datasets[1].type",
    ]


def test_nothing_of_pydantic_shows(fault, minimal: str):
    told = [fault(minimal + appended) for appended, _ in MISTAKES.values()]
    for word in ("pydantic", "Input should", "validation error", "input_value", "type=", "https://errors", "Caching"):
        assert not [message for message in told if word in message]


def test_an_audits_own_rule_is_shown_as_it_says_it(tmp_path):
    class Even(AuditBlock):
        test: Literal["even"]
        n: int

        @field_validator("n")
        @classmethod
        def _even(cls, value: int) -> int:
            if value % 2:
                raise ValueError(f"must be even, and {value} is not")
            return value

    path = tmp_path / "e.yaml"
    path.write_text("type: offline\nmodel_params: {name: x}\ndatasets: [path: a]\naudit:\n  test: even\n  n: 3\n")
    with pytest.raises(ConfigError, match=r"^e\.yaml:6: audit\.n: must be even, and 3 is not$"):
        load_config(path, {"even": Even}, environ={})
