"""Every TEST04 of the sample of MLPerf Inference v4.1, against what upstream's script says of it."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest

from pytest_mlperf_audit.audits.test04.published import verify
from tests.support.judged import (
    SCORE,
    SUMMARY,
    Pair,
    changed,
    judge,
    judged,
    published_directory,
    rescored,
    without_score,
)


@pytest.fixture(scope="module")
def cases(expected: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = [case for case in expected if case["test"] == "TEST04"]
    assert len(found) == 72
    return found


def test_verdicts_and_scores_are_upstreams(published: Path, cases: list[dict[str, Any]]) -> None:
    for case in cases:
        ours, upstream = judged(verify, published_directory(published, case)), case["upstream_now"]
        if upstream["verdict"] == "MISSING_INPUT":
            assert ours.status == "SKIPPED"
            assert f"{case['reference_dir']}/performance/run_1/mlperf_log_summary.txt" in ours.reason
            assert (ours.checks, ours.upstream, ours.differences) == ((), (), ())
            continue
        scores = [float(upstream["reference_score"]), float(upstream["test_score"])]
        assert ours.status == upstream["verdict"] == ours.upstream[0].verdict
        assert [ours.figures["reference_score"], ours.figures["audit_score"]] == scores
        assert [ours.upstream[0].reference_score, ours.upstream[0].audit_score] == scores
        assert ours.figures["ratio"] == pytest.approx(case["ratio"], rel=1e-12)
        assert ours.differences == ()
        assert ours.recorded == case["recorded"]["verdict"]
        assert ours.log_scenario is not None
        assert ours.log_scenario.lower() == case["scenario_dir"].lower()


def test_what_the_sample_is_known_to_hold_is_noted(published: Path, cases: list[dict[str, Any]]) -> None:
    for case in cases:
        ours = judged(verify, published_directory(published, case))
        notes = " ".join(ours.notes)
        assert ("much slower" in notes) == ("test_much_slower_than_reference" in case["quirks"])
        assert ("load is paced" in notes) == (ours.log_scenario == "Server" and ours.status != "SKIPPED")
        assert "of other runs" not in notes
        assert "one is of another run" not in notes
        assert "The directory is named" not in notes


def test_a_directory_costs_less_than_two_milliseconds(published: Path, cases: list[dict[str, Any]]) -> None:
    """CPU time of this process, not wall time; 200 directories a second need 5 ms each, collection included."""
    found = [published_directory(published, case) for case in cases]
    spent_s = []
    for _ in range(3):
        before_s = time.process_time()
        for one in found:
            verify(one)
        spent_s.append(time.process_time() - before_s)
    assert min(spent_s) / len(found) < 0.002


def test_every_published_case_mutated(published: Path, expected: list[dict[str, Any]], tmp_path: Path) -> None:
    for at, case in enumerate(case for case in expected if case["upstream_now"].get("verdict") == "PASS"):
        if case["test"] != "TEST04":
            continue
        source = published_directory(published, case)
        logs = (source.results / SUMMARY).read_bytes(), (source.path / SUMMARY).read_bytes()
        for name, wanted in _published_mutations(logs, relaxed=b"Stream\n" in logs[0]):
            ours = judge(tmp_path / str(at), name, source.scenario)
            assert ours.status in wanted, (case["path"], ours)
            assert all(difference.defect for difference in ours.differences)


def _published_mutations(logs: Pair, *, relaxed: bool) -> list[tuple[Pair, tuple[str, ...]]]:
    plain, none, failed = ("PASS",), ("NO_VERDICT",), ("FAIL",)
    both: list[tuple[Pair, tuple[str, ...]]] = [
        (_scaled(logs, 1.11), plain if relaxed else failed),
        (_scaled(logs, 1.21), failed),
    ]
    for which in ("reference", "audit"):
        both += [
            (changed(logs, lambda log: log.replace(b": VALID", b": INVALID"), which), failed),
            (changed(logs, without_score, which), none),
            (changed(logs, lambda log: log.replace(b"\n", b"\r\n"), which), plain),
            (changed(logs, lambda log: log.replace(b"\n", b"\r"), which), plain),
            (changed(logs, lambda log: log + b"\0" * 512, which), plain),
            (changed(logs, lambda log: log.replace(b"SUT name : ", b"SUT name : \xfc"), which), plain),
            (changed(logs, lambda log: re.sub(rb"Scenario : \w+", b"Scenario : Other", log), which), failed),
            (changed(logs, lambda _: b"", which), none),
        ]
        length = len(logs[0] if which == "reference" else logs[1])
        both += [
            (changed(logs, lambda log, cut=cut: log[:cut], which), none)  # type: ignore[misc]
            for cut in range(0, length - 40, 100)
        ]
    both.append((changed(logs, lambda log: log.replace(b"same : 1", b"same : 0"), "audit"), failed))
    return both


def _scaled(logs: Pair, factor: float) -> Pair:
    """The audit run `factor` times as fast as the reference run."""
    score = SCORE.search(logs[0])
    assert score
    is_latency = b"Early stopping" in score[1]
    value = float(score[2]) / factor if is_latency else float(score[2]) * factor
    return logs[0], rescored(str(round(value)) if is_latency else f"{value:.9g}")(logs[1])
