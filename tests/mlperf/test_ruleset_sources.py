"""The tables of config.rulesets are those of upstream's submission checker, LoadGen configuration and rules."""

from __future__ import annotations

import os
import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_mlperf_audit.audits.published.required import ENDPOINTS_MODELS, knows_model
from pytest_mlperf_audit.audits.test04 import SAMPLE_INDEX, least_queries
from pytest_mlperf_audit.config.rulesets import RULESETS, find_ruleset, least_offline_samples, required_audits
from pytest_mlperf_audit.layouts.videos import sample_rows


@pytest.fixture(scope="module")
def checker(upstream: Path) -> dict[str, Any]:
    return runpy.run_path(str(upstream / "tools/submission/submission_checker/constants.py"))


def test_every_version_of_the_checker_is_a_ruleset_and_every_figure_is_its(checker: dict[str, Any]) -> None:
    versions = {f"mlperf-inference-{version}" for version in checker["MODEL_CONFIG"]}
    assert versions == {ruleset.name for ruleset in RULESETS if ruleset.name.startswith("mlperf-inference-")}
    for version, config in checker["MODEL_CONFIG"].items():
        ruleset = find_ruleset(f"mlperf-inference-{version}")
        assert ruleset is not None
        seeds = ruleset.seeds
        assert config["seeds"] == {
            "qsl_rng_seed": seeds.qsl,
            "sample_index_rng_seed": seeds.sample_index,
            "schedule_rng_seed": seeds.schedule,
        }
        assert ruleset.min_duration_ms == checker["TEST_DURATION_MS"]
        required = {key[len("models_") :].lower(): set(config[key]) for key in config if key.startswith("models_TEST")}
        assert {test: set(benchmarks) for test, benchmarks in ruleset.audits.items()} == required
        for benchmark in config["models"]:
            least = checker["OFFLINE_MIN_SPQ_SINCE_V4"].get(benchmark, 0)
            assert least_offline_samples(ruleset, benchmark) == least, benchmark
        for name, official in config["model_mapping"].items():
            assert required_audits(ruleset, name) == required_audits(ruleset, official), name


def test_the_models_of_a_round_are_known_and_those_of_the_endpoints_tool_are_the_checkers(
    checker: dict[str, Any],
) -> None:
    assert set(checker["ENDPOINTS_ALLOWED_MODELS"]) == ENDPOINTS_MODELS
    for version, config in checker["MODEL_CONFIG"].items():
        assert [name for name in config["models"] if not knows_model(version, name)] == []


def test_the_newest_seeds_are_loadgens_own(upstream: Path) -> None:
    path = upstream / "loadgen/mlperf.conf"
    if not path.is_file():
        pytest.skip("this copy of mlcommons/inference has no loadgen/mlperf.conf")
    found = dict(re.findall(r"^\*\.\*\.(\w+_rng_seed) = (\d+)$", path.read_text(), re.MULTILINE))
    ruleset = find_ruleset("mlcommons-current")
    assert ruleset is not None
    for name, seed in (
        ("qsl_rng_seed", ruleset.seeds.qsl),
        ("sample_index_rng_seed", ruleset.seeds.sample_index),
        ("schedule_rng_seed", ruleset.seeds.schedule),
    ):
        assert int(found[name]) == seed


def test_the_counts_of_test04_are_its_audit_configs(upstream: Path) -> None:
    text = (upstream / "compliance/TEST04/audit.config").read_text()
    fixed = re.findall(r"^(\S+)\.(\w+)\.min_query_count = (\d+)$", text, re.MULTILINE)
    assert {(model, scenario): int(count) for model, scenario, count in fixed} == {
        ("stable-diffusion-xl", "Offline"): 500,
        ("wan-2.2-t2v-a14b", "Offline"): 20,
        ("wan-2.2-t2v-a14b", "SingleStream"): 20,
    }
    for model, scenario, count in fixed:
        assert least_queries(model, scenario) == int(count)
    assert least_queries("stable-diffusion-xl", "SingleStream") == least_queries("resnet50", "Offline") == 0
    assert set(re.findall(r"performance_issue_same_index = (\d+)", text)) == {str(SAMPLE_INDEX)}


def test_the_sample_videos_are_the_checkers(checker: dict[str, Any]) -> None:
    for benchmark, versions in checker["REQUIRED_ACC_BENCHMARK"].items():
        for version, wanted in versions.items():
            if "videos" in wanted:
                rows = sample_rows(benchmark, f"mlperf-inference-{version}")
                assert list(rows) == [int(row) for row in wanted["videos"]]


def test_the_seed_sets_of_endpoints_are_the_published_ones() -> None:
    checkout = os.environ.get("MLPERF_ENDPOINTS_POLICIES")
    if not checkout:
        pytest.skip("set MLPERF_ENDPOINTS_POLICIES to a checkout of mlcommons/endpoints_policies to compare with it")
    cohort = yaml.safe_load(Path(checkout, "seedset.yaml").read_text())["cohort"]
    for published in cohort["seed_sets"]:
        ruleset = find_ruleset(f"mlperf-endpoints-v{cohort['version']}-{cohort['cohort-id']}-{published['id']}")
        assert ruleset is not None
        assert ruleset.seeds.schedule == published["scheduler_rng_seed"]
        assert ruleset.seeds.sample_index == published["sample_index_rng_seed"]
        assert ruleset.seeds.model == published["model_seed"]
