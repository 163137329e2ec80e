"""Curves as MLCommons' own checker of rolling submissions judges them, where endpoints-submission-cli is installed."""

from __future__ import annotations

import pytest

from pytest_mlperf_audit.audits.curves.accuracy import TARGETS
from pytest_mlperf_audit.audits.published.case import verify
from pytest_mlperf_audit.audits.published.tree import find_audits
from tests.support.curve_tree import write_curve

checker = pytest.importorskip("submission_checker.checker", reason="endpoints-submission-cli is not installed")

#: Which of our tests answers a rule of theirs.
OURS = {
    "config-file-present": "complete",
    "result-summary-present": "complete",
    "point-disclosure-complete": "complete",
    "system-description-valid": "complete",
    "shared-path-resolution": "shared_paths",
    "point-count": "points",
    "offline-point-present": "points",
    "high-concurrency-coverage": "coverage",
    "load-pattern": "load_pattern",
    "min-query-count": "query_count",
    "warmup-present": "warm_up",
    "metric-consistency-accounting": "metrics",
    "metric-consistency-tpot-p90": "metrics",
    "accuracy-gate": "accuracy",
    "seed-runtime-match": "seeds",
    "config-consistency-dataset": "consistency",
}


def theirs(submission) -> set[str]:
    report = checker.SubmissionChecker(submission).run()
    return {one.rule for one in report.results if one.severity.name == "ERROR"}


def ours(submission) -> set[str]:
    return {audit.test for audit in find_audits(submission) if verify(audit).status == "FAIL"}


def test_the_targets_of_accuracy_are_theirs():
    targets = pytest.importorskip("submission_checker.accuracy_targets")
    for model, target in TARGETS.items():
        bounds, n_samples = targets.get_thresholds(model)
        assert target.n_samples == n_samples
        assert target.scores == {metric: least for metric, (least, most) in bounds.items() if most is None}


def test_a_curve_without_fault_is_one_for_both(tmp_path):
    submission = write_curve(tmp_path)
    assert theirs(submission) == ours(submission) == set()


@pytest.mark.parametrize("rule", OURS)
def test_what_they_refuse_we_refuse(tmp_path, rule):
    submission = write_curve(tmp_path, _SPOIL[rule])
    assert rule in theirs(submission)
    assert OURS[rule] in ours(submission)


def _set(file, **values):
    return lambda _, files: files[file].update(values)


def _runtime(**values):
    return lambda _, files: files["point.yaml"]["runtime_settings"].update(values)


_SPOIL = {
    "config-file-present": lambda _, files: files.update({"config.yaml": None}),
    "result-summary-present": lambda n, files: n == 4 and files.update({"result_summary.json": None}),
    "point-disclosure-complete": _set("point.yaml", dataset_link=None),
    "system-description-valid": _set("system_desc.json", node_types=None),
    "shared-path-resolution": _set("point.yaml", shared_src="src/none"),
    "point-count": _set("point.yaml", offline="dedicated"),
    "offline-point-present": _set("point.yaml", offline="none"),
    "high-concurrency-coverage": _set("system_desc.json", max_supported_concurrency=2**20),
    "load-pattern": _runtime(load_pattern="poisson"),
    "min-query-count": _set("result_summary.json", n_samples_completed=10),
    "warmup-present": _set("point.yaml", warmup=None),
    "metric-consistency-accounting": _set("result_summary.json", n_samples_failed=9),
    "metric-consistency-tpot-p90": _set("result_summary.json", tpot={"total": 1.0, "percentiles": {}}),
    "accuracy-gate": lambda n, files: (
        n == 16
        and files["accuracy_results.json"].update(
            accuracy_scores=[{"dataset_name": "gpqa", "score": 1.5, "unit_samples": 4395}]
        )
    ),
    "seed-runtime-match": _runtime(runtime={"scheduler_rng_seed": 42, "sample_index_rng_seed": 42, "model_seed": 42}),
    "config-consistency-dataset": lambda n, files: n == 4 and files["point.yaml"].update(dataset="gpqa"),
}
