"""Variables: ${NAME}, ${NAME:-default}, $NAME, $$."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlperf_audit.config.yaml_source import InterpolationError, interpolate

names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
no_dollar = st.text().filter(lambda text: "$" not in text)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("${A}", "one"),
        ("x${A}y${B}z", "xoneytwoz"),
        ("$A/$B", "one/two"),
        ("${A:-d}", "one"),
        ("${NO:-d}", "d"),
        ("${NO:-}", ""),
        ("${EMPTY:-d}", "d"),
        ("${EMPTY}", ""),
        ("${NO:-http://h:1/a-b}", "http://h:1/a-b"),
        ("$$A", "$A"),
        ("$${A}", "${A}"),
        ("$$$A", "$one"),
        ("costs $5 or 5$", "costs $5 or 5$"),
        ("${TRICKY}", "${A} $B $$"),
    ],
)
def test_replacement(text: str, result: str):
    assert interpolate(text, {"A": "one", "B": "two", "EMPTY": "", "TRICKY": "${A} $B $$"}) == result


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "${NO}",
            "the environment variable NO is not set; set it, write ${NO:-default}, or write $$ for a dollar sign",
        ),
        ("$NO", "the environment variable NO is not set"),
        ("${", "'${' begins no variable; write ${NAME} or ${NAME:-default}, or $${ for the text '${'"),
        ("${A", "'${' begins no variable"),
        ("${1}", "'${' begins no variable"),
        ("${A-b}", "'${' begins no variable"),
        ("${NO:-${A}}", "the default of NO holds another variable, which is not supported"),
    ],
)
def test_faults(text: str, message: str):
    with pytest.raises(InterpolationError) as caught:
        interpolate(text, {"A": "one"})
    assert str(caught.value).startswith(message)


@given(no_dollar)
def test_text_without_a_dollar_is_unchanged(text: str):
    assert interpolate(text, {}) == text


@given(st.text())
def test_doubling_every_dollar_gives_the_text_back(text: str):
    assert interpolate(text.replace("$", "$$"), {}) == text


@given(names, st.text(), no_dollar, no_dollar)
def test_a_value_is_put_in_once_and_never_searched(name: str, value: str, before: str, after: str):
    assert interpolate(f"{before}${{{name}}}{after}", {name: value}) == before + value + after


@given(names, no_dollar.filter(lambda text: "}" not in text))
def test_a_default_stands_for_an_unset_variable(name: str, default: str):
    assert interpolate(f"${{{name}:-{default}}}", {}) == default


def test_a_plain_value_is_typed_anew_and_a_quoted_one_is_text(load, minimal: str):
    text = minimal + (
        "    samples: ${ROWS}\nsettings:\n  client:\n    insecure: ${FLAG}\n    query_timeout_s: ${NONE:-null}\n"
        "    max_idle_time: ${IDLE:-2.5}\nreport_dir: 'out/${ROWS}'\nversion: \"${ROWS}\"\n"
    )
    benchmark = load(text, {"ROWS": "64", "FLAG": "true"}).benchmark
    assert benchmark.datasets[0].samples == 64
    assert benchmark.settings.client.insecure is True
    assert benchmark.settings.client.query_timeout_s is None
    assert benchmark.settings.client.max_idle_time == 2.5
    assert str(benchmark.report_dir) == "out/64"
    assert benchmark.version == "64"


@pytest.mark.parametrize("key", ["0123", "1e5", "true", "null", "2024-01-01", "0x1F"])
def test_a_key_from_the_environment_stays_text(load, minimal: str, key: str):
    text = minimal + "endpoint_config:\n  api_key: ${KEY}\n  headers:\n    X-Key: ${KEY}\n"
    endpoint = load(text, {"KEY": key}).benchmark.endpoint_config
    assert endpoint.api_key.get_secret_value() == endpoint.headers["X-Key"].get_secret_value() == key


def test_every_unset_variable_is_named_with_line_and_key(fault, minimal: str):
    message = fault(minimal + "endpoint_config:\n  api_key: ${KEY}\n  endpoints:\n    - $URL\n")
    assert [line.partition(" is not set")[0] for line in message.splitlines()] == [
        "wan22.yaml:7: endpoint_config.api_key: the environment variable KEY",
        "wan22.yaml:9: endpoint_config.endpoints[0]: the environment variable URL",
    ]


def test_a_value_from_the_environment_is_not_shown(fault, minimal: str):
    message = fault(minimal + "    samples: ${ROWS}\n    format: ${FMT}\n", {"ROWS": "hunter2", "FMT": "hunter2"})
    assert message.splitlines() == [
        "wan22.yaml:6: datasets[0].samples: expected a whole number",
        "wan22.yaml:7: datasets[0].format: expected one of jsonl, json, csv, tsv, parquet",
    ]
