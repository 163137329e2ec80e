"""A report directory of one `type: submission` run, as a scenario directory of an endpoints submission."""

from __future__ import annotations

import pytest

from tests.mlperf.test_classic_layout import checker_says


@pytest.mark.parametrize("cached", [False, True], ids=["honest", "caching"])
def test_mlcommons_checker_takes_it_for_what_it_is(audit, start_sut, upstream, tmp_path, cached):
    """v6.1 only: earlier versions of the checker know no score of an endpoints submission.

    The seeds are those that the checker fixes: naming the ruleset is all it takes.
    """
    audit.rows(66)
    accuracy = {"ground_truth": "prompt", "command": ["echo", "vbench_score: 70.48"]}
    audit.config(
        start_sut(service_ms=8, lanes=2, repeat_ms=6, cache="exact" if cached else "none"),
        "Offline.yaml",
        type="submission",
        benchmark_mode="offline",
        datasets=[
            {"name": "perf", "path": "prompts.jsonl"},
            {"name": "vbench", "path": "prompts.jsonl", "type": "accuracy", "accuracy_config": accuracy},
        ],
        audit={"only": False, "samples": 64, "threshold": 0.1},
        submission_ref={"model": "wan-2.2-t2v-a14b", "ruleset": "mlperf-inference-v6.1"},
        settings={"runtime": {"min_duration_ms": 0}, "client": {"max_connections": 2}},
    )
    assert audit.run(config="Offline.yaml").ret == int(cached)
    # A closed division has both of WAN2.2's scenarios; the other one is there for its name alone.
    reports = dict.fromkeys(("Offline", "SingleStream"), audit.report("Offline"))
    _, answers = checker_says(upstream, tmp_path, "v6.1", reports, seeds=None)
    answer = answers["Offline"]
    assert answer["endpoints"] is True
    assert answer["performance"] is True, answer["errors"]
    assert answer["compliance"] is not cached, answer["errors"]
    assert answer["metric"] > 0
