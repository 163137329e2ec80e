"""A credential shows in no message, repr, traceback, dump or resolved YAML, however it got into the file."""

from __future__ import annotations

import traceback

import pytest
from pydantic import ValidationError

from pytest_mlperf_audit.config.benchmark import Benchmark
from pytest_mlperf_audit.config.endpoint import EndpointConfig
from pytest_mlperf_audit.config.redact import resolved_yaml
from pytest_mlperf_audit.errors import ConfigError

SECRET = "hunter2"

GOOD = {
    "key": "endpoint_config:\n  api_key: hunter2\n",
    "key from the environment": "endpoint_config:\n  api_key: ${KEY}\n",
    "key as bare variable": "endpoint_config:\n  api_key: $KEY\n",
    "key as default": "endpoint_config:\n  api_key: ${NONE:-hunter2}\n",
    "headers": "endpoint_config:\n  headers: {Authorization: Bearer hunter2, X-Api-Key: hunter2, X-Any: '${KEY}'}\n",
    "query string": "endpoint_config:\n  endpoints: ['http://h/v1?key=hunter2']\n",
    "chat template": "model_params:\n  name: x\n  chat_template_kwargs: {api_key: hunter2, "
    "a: [{hf_token: '${KEY}'}]}\n",
    "scorer": "datasets:\n  - path: a\n    accuracy_config: {extras: {judge: "
    "{access_token: hunter2, password: [hunter2]}}}\n",
    "chat template, names that only look like it": "model_params:\n  name: x\n  chat_template_kwargs: {token: hunter2, "
    "myKey: hunter2, auth: {user: hunter2}, who: '${KEY}', cookies: {Cookie: [hunter2]}}\n",
    "between phases": "settings:\n  between_phases: {command: [curl, -H, 'Authorization: Bearer ${KEY}', $KEY]}\n",
    "command of a scorer": "datasets:\n  - path: a\n  - {path: b, type: accuracy, accuracy_config: "
    "{eval_method: x, command: [judge, '--key=${KEY}']}}\n",
    "ignored": "settings:\n  client: {api_key: hunter2}\n",
    "an audit's": "audit: {test: judged, judge_password: hunter2, hidden: '${KEY}'}\n",
}

BAD = {
    "key as a name": "name: run ${API_KEY}\n",
    "key in a path": "report_dir: out/$API_KEY\n",
    "key as a data set's name": "datasets: [{path: a, name: '${API_KEY}'}]\n",
    "key as the model": "model_params: {name: '${API_KEY}'}\n",
    "key is a list": "endpoint_config:\n  api_key: [hunter2]\n",
    "key is a mapping": "endpoint_config:\n  api_key: {hunter2: hunter2}\n",
    "key with a line break": 'endpoint_config:\n  api_key: "hunter2\\nx"\n',
    "key misspelt": "endpoint_config:\n  api_kee: hunter2\n",
    "key elsewhere": "api_key: hunter2\n",
    "block is the key": "endpoint_config: hunter2\n",
    "headers are text": "endpoint_config:\n  headers: 'Authorization: hunter2'\n",
    "header is a list": "endpoint_config:\n  headers: {X: [hunter2]}\n",
    "header of the client's": "endpoint_config:\n  headers: {Host: hunter2}\n",
    "header with a line break": 'endpoint_config:\n  headers: {X: "x\\r\\nY: hunter2"}\n',
    "password in the URL": "endpoint_config:\n  endpoints: ['http://me:hunter2@host']\n",
    "user in the URL": "endpoint_config:\n  endpoints: ['http://hunter2@host']\n",
    "URL of another kind": "endpoint_config:\n  endpoints: ['ftp://me:hunter2@host']\n",
    "URL with a bad port": "endpoint_config:\n  endpoints: ['http://me:hunter2@host:x']\n",
    "URL with an open bracket": "endpoint_config:\n  endpoints: ['http://[hunter2']\n",
    "endpoints are text": "endpoint_config:\n  endpoints: http://me:hunter2@host\n",
    "URL from the environment": "endpoint_config:\n  endpoints: ['${KEY}']\n",
    "anything from the environment": "datasets: [{path: a, samples: '${KEY}'}]\n",
    "duration from the environment": "settings: {runtime: {min_duration_ms: '${KEY}'}}\n",
    "audit's secret is a list": "audit: {test: judged, judge_password: [hunter2]}\n",
    "audit's secret without a telling name": "audit: {test: judged, hidden: [hunter2]}\n",
    "audit's secret is a number": "audit: {test: judged, hidden: !!str hunter2, judge_password: 7, only: 5}\n",
    "wrong beside a right key": "endpoint_config: {api_key: hunter2}\nsettings: {runtime: {min_duration_ms: x}}\n",
    "no YAML": 'endpoint_config:\n  api_key: "hunter2\n',
    "no YAML, in a flow": "endpoint_config: {api_key: hunter2, ]\n",
    "key as an alias": "endpoint_config: {api_key: *hunter2 }\n",
    "key as a tag": "endpoint_config: {api_key: !hunter2 }\n",
    "key as a tag of YAML": "endpoint_config: {api_key: !!hunter2 x}\n",
    "key in a header's name": "endpoint_config: {headers: {Authorization:hunter2}}\n",
    "key and scheme in a header's name": "endpoint_config: {headers: {'Authorization: Bearer hunter2': x}}\n",
    "key as a header's name, twice": "endpoint_config: {headers: {hunter2: x, hunter2: x}}\n",
    "key as a key": "endpoint_config: {api_key:hunter2: x}\n",
    "a tag": "endpoint_config: {api_key: !x hunter2}\n",
    "twice": "endpoint_config:\n  api_key: hunter2\n  api_key: hunter2\n",
    "checks across blocks": "type: submission\nendpoint_config: {api_key: hunter2, headers: {X: hunter2}}\n",
}

BASE = {
    "type": "type: offline\n",
    "model_params": "model_params: {name: x}\n",
    "datasets": "datasets: [path: a]\n",
}


def whole(text: str) -> str:
    return text + "".join(line for key, line in BASE.items() if f"\n{key}:" not in f"\n{text}")


@pytest.mark.parametrize("way", GOOD)
def test_a_loaded_secret_does_not_show(load, way: str):
    loaded = load(whole(GOOD[way]), {"KEY": SECRET})
    benchmark = loaded.benchmark
    shown = [
        repr(loaded),
        str(loaded),
        repr(benchmark),
        str(benchmark),
        repr(benchmark.endpoint_config),
        str(benchmark.endpoint_config),
        *loaded.warnings,
        loaded.where("endpoint_config", "api_key"),
        resolved_yaml(benchmark, loaded.written),
    ]
    for text in shown:
        assert SECRET not in text
    assert SECRET not in repr(vars(loaded.source))


@pytest.mark.parametrize("way", BAD)
def test_a_secret_shows_in_no_error(load, way: str):
    with pytest.raises(ConfigError) as caught:
        load(whole(BAD[way]), {"KEY": SECRET, "API_KEY": SECRET})
    assert SECRET not in str(caught.value)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__cause__ is None
    chain = caught.value.__context__
    assert chain is None or not isinstance(chain, ValidationError)


def test_a_secret_shows_in_no_unexplained_error_of_pydantic():
    for data in ({"api_key": ["hunter2"]}, {"endpoints": ["http://me:hunter2@h"]}, {"headers": "hunter2"}):
        with pytest.raises(ValidationError) as caught:
            EndpointConfig.model_validate(data)
        assert SECRET not in str(caught.value)


def test_the_secret_is_there_for_the_client(load):
    text = whole("endpoint_config:\n  api_key: ${KEY}\n  headers: {X-Any: '${KEY}'}\n")
    endpoint = load(text, {"KEY": SECRET}).benchmark.endpoint_config
    assert endpoint.api_key.get_secret_value() == SECRET
    assert endpoint.headers["X-Any"].get_secret_value() == SECRET


def test_json_and_python_dumps_keep_it_masked():
    benchmark = Benchmark.model_validate(
        {
            "type": "offline",
            "model_params": {"name": "x"},
            "datasets": [{"path": "a"}],
            "endpoint_config": {"api_key": SECRET},
        }
    )
    assert SECRET not in benchmark.model_dump_json()
    assert SECRET not in str(benchmark.model_dump())
