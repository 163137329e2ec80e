"""The figures of audits.models are those of upstream's configurations and submission checker."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from pytest_mlperf_audit.audits.models import accuracy_delta_percent, find_model
from pytest_mlperf_audit.audits.test01 import SEED, n_sampled_outputs
from pytest_mlperf_audit.audits.test06 import SAMPLES
from pytest_mlperf_audit.audits.test07 import threshold_of
from pytest_mlperf_audit.audits.test09 import bounds_of
from pytest_mlperf_audit.loadgen.verify_files import read_scores


def _setting(upstream: Path, test: str, name: str) -> float:
    text = (upstream / "compliance" / test / "audit.config").read_text()
    found = re.findall(rf"^\*\.\*\.{name} = ([0-9.]+)$", text, re.MULTILINE)
    assert len(found) == 1, (test, name)
    return float(found[0])


@pytest.fixture(scope="module")
def checker(upstream: Path) -> dict[str, Any]:
    return runpy.run_path(str(upstream / "tools/submission/submission_checker/constants.py"))


def test_audit_configurations(upstream: Path) -> None:
    assert _setting(upstream, "TEST06", "accuracy_log_sampling_target") == SAMPLES
    threshold = threshold_of("gpt-oss-120b")
    assert threshold is not None
    assert threshold.score == _setting(upstream, "TEST07/gpt-oss-120b", "test07_accuracy_threshold")
    assert threshold.n_samples == _setting(upstream, "TEST07/gpt-oss-120b", "min_query_count")
    directories = sorted(path.parent.name for path in upstream.glob("compliance/TEST09/*/audit.config"))
    assert directories == ["e2e-rag-qna", "gpt-oss-120b"]
    for name in directories:
        bounds = bounds_of(name)
        assert bounds is not None
        assert bounds.min_tokens == _setting(upstream, f"TEST09/{name}", "test09_min_output_tokens")
        assert bounds.max_tokens == _setting(upstream, f"TEST09/{name}", "test09_max_output_tokens")
        assert bounds.n_samples == _setting(upstream, f"TEST09/{name}", "min_query_count")
        text = (upstream / "compliance/TEST09" / name / "audit.config").read_text()
        assert bounds.unique == ("performance_issue_unique = 1" in text)


def test_sampling_of_every_test01_model(upstream: Path) -> None:
    found = sorted(upstream.glob("compliance/TEST01/*/audit.config"))
    assert len(found) >= 12
    for path in found:
        test = f"TEST01/{path.parent.name}"
        assert f"*.*.accuracy_log_rng_seed = {SEED}\n" in path.read_text()
        model = find_model(path.parent.name)
        if model is not None:  # rnnt, and dlrm's first version, are of rounds without endpoints
            assert n_sampled_outputs(path.parent.name) == _setting(upstream, test, "accuracy_log_sampling_target"), path


def test_accuracy_types_and_deltas_of_every_test01_model(checker: dict[str, Any]) -> None:
    rounds = checker["MODEL_CONFIG"]
    assert rounds
    for config in rounds.values():
        for benchmark in config["models_TEST01"]:
            model = find_model(benchmark)
            assert model is not None, benchmark
            types = config["accuracy-target"].get(benchmark, ())[::2]
            assert not types or model.accuracy_types == types, benchmark
            for name in types:
                exceptions = config["accuracy-delta-perc"].get(benchmark, {})
                expected = exceptions.get(name, 0.1 if "99.9" in benchmark else 1)
                assert accuracy_delta_percent(benchmark, name) == expected


def test_every_model_of_every_round_is_known_with_its_scores(checker: dict[str, Any]) -> None:
    for config in checker["MODEL_CONFIG"].values():
        for benchmark in config["models"]:
            model = find_model(benchmark)
            assert model is not None, benchmark
            targets = config["accuracy-target"][benchmark]
            for target in targets.values() if isinstance(targets, dict) else (targets,):  # by scenario, or for all
                assert model.accuracy_types == target[::2], benchmark


def test_the_table_of_the_docs_has_every_model_of_every_round(checker: dict[str, Any]) -> None:
    rows = runpy.run_path(str(Path(__file__).parents[1] / "unit/config/test_audits_table.py"))["ROWS"]
    rounds = checker["MODEL_CONFIG"]
    for at, name in enumerate(("v5.0", "v5.1", "v6.0", "v6.1")):
        held = {re.sub(r"(-interactive)?(-99\.9|-99|-95)?$", "", benchmark) for benchmark in rounds[name]["models"]}
        told = {model for model, cells in rows.items() if cells[at] != "-"}
        assert held == told, name
    assert sorted(rounds) == ["v5.0", "v5.1", "v6.0", "v6.1"]


def test_every_language_model_of_test06_has_its_eos_tokens(checker: dict[str, Any]) -> None:
    for config in checker["MODEL_CONFIG"].values():
        for benchmark in config["models_TEST06"]:
            model = find_model(benchmark)
            assert model is not None, benchmark
            assert model.eos_ids, benchmark


def test_names_that_the_checker_maps_are_known(checker: dict[str, Any]) -> None:
    for config in checker["MODEL_CONFIG"].values():
        for name, official in config["model_mapping"].items():
            assert find_model(name) == find_model(official) != None, name  # noqa: E711 (a chain of comparisons)


_PRINTED = {
    "acc": ("accuracy=75.730%, good=37865, total=50000", 75.73),
    "AUC": ("AUC=80.23785974349185", 80.23785974349185),
    "mAP": ("mAP=37.343%", 37.343),
    "F1": ('{"exact_match": 26.65, "f1": 29.0996}', 29.0996),
    "ACCURACY": ("Word Error Rate: 2.06%, accuracy=97.94%", 97.94),
    "DICE": ("Accuracy: mean = 0.86175, kidney = 0.9293, tumor = 0.7942", 0.86175),
    "CLIP_SCORE": ("Accuracy Results: {'FID_SCORE': '23.3', 'CLIP_SCORE': '31.7'}", 31.7),
    "FID_SCORE": ("Accuracy Results: {'FID_SCORE': '23.3', 'CLIP_SCORE': '31.7'}", 23.3),
    "ROUGE1": ("{'rouge1': 44.43, 'rouge2': 22.03, 'rougeL': 28.61}", 44.43),
    "ROUGEL": ("{'rouge1': 44.43, 'rouge2': 22.03, 'rougeL': 28.61}", 28.61),
    "exact_match": ("{'exact_match': 81.3}", 81.3),
}


@pytest.mark.parametrize("name", _PRINTED)
def test_a_score_is_read_as_the_checker_reads_it(tmp_path: Path, checker: dict[str, Any], name: str) -> None:
    line, value = _PRINTED[name]
    match = re.match(checker["ACC_PATTERN"][name], line)
    assert match
    path = tmp_path / "accuracy.txt"
    path.write_text(f"a line\n{line}\nhash=00\n")
    assert read_scores(path, [name]) == {name: value} == {name: float(match[1])}


def test_the_last_score_counts_and_an_absent_one_is_absent(tmp_path: Path) -> None:
    path = tmp_path / "accuracy.txt"
    path.write_text("AUC=1\nAUC=2.5\n")
    assert read_scores(path, ["AUC", "mAP"]) == {"AUC": 2.5}
    assert read_scores(tmp_path / "missing.txt", ["AUC"]) == {}
