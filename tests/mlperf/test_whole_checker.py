"""The report directory of a `type: submission` run as a scenario directory, before MLCommons' whole checker."""

from __future__ import annotations

import json

import pytest

from tests.support.submission_tree import SEEDS, add_videos, checker_says, layout_of, tree_of

MODEL = "wan-2.2-t2v-a14b"
ROWS = 248


def submission(audit, sut, scenario, prompts="prompts.jsonl"):
    """Write the YAML of a submission of WAN2.2, and return its report directory."""
    offline = scenario == "Offline"
    single = {"load_pattern": {"type": "concurrency", "target_concurrency": 1}}
    load = {"client": {"max_connections": 2}} if offline else single
    accuracy = {"ground_truth": "prompt", "command": ["echo", "vbench_score: 70.48"]}
    audit.config(
        sut,
        f"{scenario}.yaml",
        type="submission",
        benchmark_mode="offline" if offline else "online",
        submission_ref={"model": MODEL, "ruleset": "mlperf-inference-v6.1"},
        datasets=[
            {"name": "perf", "path": prompts, "samples": 70},
            {"name": "vbench", "path": prompts, "type": "accuracy", "accuracy_config": accuracy},
        ],
        audit={"only": False, "samples": 66, "threshold": 0.1 if offline else 0.2},
        settings={"runtime": {"min_duration_ms": 0}, **load},
    )
    return audit.report(scenario)


@pytest.mark.parametrize("cached", [False, True], ids=["honest", "caching"])
def test_mlcommons_whole_checker_takes_a_submission_for_what_it_is(audit, start_sut, upstream, tmp_path, cached):
    """v6.0 of the checker knows no score of an endpoints submission, and refuses every one."""
    # Repeats are slower than the first time, or not computed at all, by more than noise can hide.
    sut = start_sut(service_ms=2, lanes=2, repeat_ms=6, cache="exact" if cached else "none")
    audit.rows(ROWS)
    others = (json.dumps({"prompt": f"another scene {row}"}) + "\n" for row in range(ROWS))
    (audit.path / "others.jsonl").write_text("".join(others))
    prompts = {"Offline": "prompts.jsonl", "SingleStream": "others.jsonl"}
    reports = {name: submission(audit, sut, name, rows) for name, rows in prompts.items()}
    result = audit.run(*(f"--mlperf-config={name}.yaml" for name in reports), "--mlperf-layout=both", config=None)
    assert result.ret == int(cached)
    for report in reports.values():
        add_videos(report)
    for layout in ("endpoints", "classic", "both"):
        scenarios = {name: layout_of(report, layout, tmp_path) for name, report in reports.items()}
        for version in ("v6.0", "v6.1"):
            tree = tree_of(tmp_path / layout / version, MODEL, scenarios)
            answer = checker_says(upstream, tree, version, SEEDS if version == "v6.0" else None)
            accepted = not cached and (layout, version) != ("endpoints", "v6.0")
            assert answer["status"] == (0 if accepted else 1), (layout, version, answer["errors"])
            assert set(answer["accepted"]) == (set(reports) if accepted else set()), (layout, version)
            if cached and layout != "endpoints":
                assert any("Compliance test performance check" in line for line in answer["errors"])


@pytest.mark.parametrize("layout", ["classic", "both"])
def test_a_run_that_is_no_whole_submission_ends_no_checker(audit, sut, upstream, tmp_path, layout):
    """A performance log without an accuracy log beside it ended it in a traceback, for every submission of a tree."""
    report = submission(audit, sut, "Offline")
    audit.rows(70)
    audit.run(f"--mlperf-layout={layout}", "-m", "not accuracy", config="Offline.yaml")
    tree = tree_of(tmp_path / "tree", MODEL, {"Offline": report})
    for version in ("v6.0", "v6.1"):
        answer = checker_says(upstream, tree, version)
        assert (answer["status"], answer["refused"]) == (1, ["Offline"])
