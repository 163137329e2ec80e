"""Limits in the YAML: each phase says how many queries kept them, and the main run is judged where a share is asked."""

from __future__ import annotations

import pytest

_LOAD = {"load_pattern": {"type": "concurrency", "target_concurrency": 4}, "runtime": {"n_samples_to_issue": 16}}


def simulated(audit, **goodput):
    audit.config(
        None, audit=None, type="online", model_params={"name": "m", "streaming": "on"},
        settings={**_LOAD, "goodput": goodput}, endpoint_config={"api_type": "openai"},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("goodput", "outcomes", "good"),
    [
        ({"ttft_ms": 60000, "tpot_ms": 60000, "min_share": 1}, {"passed": 3}, 16),
        ({"latency_ms": 0.001, "min_share": 0.5}, {"passed": 2, "failed": 1}, 0),
        ({"latency_ms": 0.001}, {"passed": 2}, 0),
    ],
    ids=["kept", "broken", "not judged"],
)
def test_goodput_is_judged_only_where_a_share_is_asked(audit, goodput, outcomes, good):
    simulated(audit, **goodput)
    audit.run().assert_outcomes(**outcomes)
    (main,) = audit.verdict()["audits"]
    figures = main["phases"][0]["figures"]
    assert (figures["goodput"]["n"], figures["goodput"]["n_good"]) == (16, good)
    assert figures["tokens"]["n"] == 16
    assert figures["tokens"]["time_per_output_token"]["n"] == 16
    again = audit.run(f"--mlperf-recheck={audit.report()}", config=None)
    again.stdout.fnmatch_lines(["*CONFIRMED*"])


def test_goodput_without_a_limit_is_refused(audit):
    simulated(audit, min_share=0.5)
    result = audit.run()
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*settings.goodput*has no limit; give ttft_ms, tpot_ms or latency_ms*"])
