"""Numbers that no clock, counter or message can hold are one short line, before anything is sent."""

from __future__ import annotations

import pytest

ONLINE = "type: online\nmodel_params: {name: m}\ndatasets: [{path: rows.jsonl}]\nsettings:\n"
POISSON = ONLINE + "  load_pattern: {type: poisson, target_qps: RATE}\n"
LOAD = "  load_pattern: {type: concurrency, target_concurrency: 1}\n"
WAITS = (
    *("run_timeout_s", "endpoint_response_idle_timeout_s", "service_ready_timeout_s"),
    *("warmup_drain_timeout_s", "performance_drain_timeout_s", "accuracy_drain_timeout_s"),
)


@pytest.mark.parametrize("key", WAITS)
@pytest.mark.parametrize("value", ["1.0e+308", "9.1e+15"])
def test_a_wait_that_would_overflow_its_clock(fault, key, value):
    told = fault(f"{ONLINE}{LOAD}  timeouts: {{{key}: {value}}}\n")
    assert f"settings.timeouts.{key}: is longer than any run; leave it out for no limit, or give less" in told


@pytest.mark.parametrize("key", ["query_timeout_s", "connect_timeout_s", "max_idle_time"])
def test_a_wait_of_the_client(fault, key):
    assert "is longer than any run" in fault(f"{ONLINE}{LOAD}  client: {{{key}: 1.0e+300}}\n")


def test_a_wait_as_long_as_any_is_one(load):
    settings = load(f"{ONLINE}{LOAD}  timeouts: {{run_timeout_s: 9.0e+15}}\n").benchmark.settings
    assert settings.timeouts.run_timeout_s == 9e15


@pytest.mark.parametrize("rate", ["1.0e-320", "1.0e-7", "1.0e+10", "1.0e+300"])
def test_a_rate_that_nobody_can_send(fault, rate):
    told = fault(POISSON.replace("RATE", rate) + "  runtime: {min_issue_duration_ms: 1000000000000}\n")
    assert "settings.load_pattern.target_qps: is no rate that can be sent; give 1e-06 to 1e+09 queries a second" in told


@pytest.mark.parametrize(
    "text",
    [
        ONLINE + LOAD + "submission_ref: {model: m, ruleset: NAME}\n",
        ONLINE + LOAD + "submission_ref: {model: m, ruleset: mlperf-inference-v6.1, division: NAME}\n",
        ONLINE + LOAD + "audit: {test: test04, samples: 4, dataset: NAME}\n",
        "type: online\nmodel_params: {name: m}\nsettings:\n" + LOAD + "datasets: [{name: NAME, path: a}, "
        "{name: NAME, path: a}]\n",
    ],
    ids=["ruleset", "division", "data set of an audit", "data set twice"],
)
def test_a_name_without_end_is_no_message_without_end(fault, text):
    assert len(fault(text.replace("NAME", "n" * 100_000))) < 1500


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (ONLINE.replace("path: rows.jsonl", "path: rows.jsonl, name: NAME") + LOAD, "datasets[0].name: becomes a part"),
        (ONLINE + LOAD + "audit: {test: test04, samples: 4, name: NAME}\n", "audit.name: is a marker, and part of"),
    ],
)
def test_a_name_that_no_file_may_have(fault, load, text, key):
    assert key in fault(text.replace("NAME", "n" * 101))
    assert load(text.replace("NAME", "n" * 100))


SYSTEM = """{system_name: a, system_availability_status: b, max_supported_concurrency: 64, system_size: c,
    system_node_ensemble_count: 1, system_node_ensemble_total: 1, shortened_system_name: s, node_types: [n]EXTRA}"""
POINT = "{model_precision: fp8, link_to_model: a, dataset_link: b, shared_src: c, shared_docs: dEXTRA}"


def rolling(system="", point="", load=LOAD, division="serviced"):
    reference = f"{{model: m, ruleset: mlperf-endpoints-v1.0-2026-10-C1-A, division: {division}}}"
    block = f"  system: {SYSTEM.replace('EXTRA', system)}\n  point: {POINT.replace('EXTRA', point)}\n"
    return f"{ONLINE}{load}submission_ref: {reference}\nrolling_submission:\n{block}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            rolling(load="  load_pattern: {type: poisson, target_qps: 1}\n"),
            "rolling_submission: is for a point, which keeps a fixed number of queries in flight",
        ),
        (rolling(point=", offline: dedicated"), "point.offline: says 'dedicated', and this is load_pattern concurrenc"),
        (rolling(system=", division: RDI"), "system.division: says 'RDI', and submission_ref serviced; change one"),
        (rolling(point=", division: Standardized"), "point.division: says 'Standardized', and submission_ref serviced"),
        (rolling(point=", max_supported_concurrency: 128"), "point.max_supported_concurrency: is another than that"),
        (rolling(point=", dataset_type: Performance"), "point.dataset_type: is told by the run itself; take it out"),
    ],
)
def test_a_point_that_contradicts_its_run_is_an_error(fault, text, message):
    assert message in fault(text)


def test_a_point_that_says_what_the_run_does_is_none(load):
    point = ", offline: elected, division: serviced, max_supported_concurrency: 64"
    assert load(rolling(system=", division: Serviced", point=point)).benchmark.rolling_submission is not None
