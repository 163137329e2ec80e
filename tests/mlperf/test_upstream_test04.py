"""Our model of TEST04's verify_performance.py against the script itself."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_mlperf_audit.audits.test04.published import verify
from pytest_mlperf_audit.audits.test04.upstream import said
from tests.support.judged import SUMMARY, Pair, directory, judged, mutated, pair, words, write

SCENARIOS = ("Offline", "Server", "SingleStream", "MultiStream")
OPTIONS = ("-r", "-t")


def number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def pairs(count: int, seed: int) -> list[Pair]:
    """Pairs of logs with something wrong in either or both."""
    drawn = random.Random(seed)
    found = []
    for _ in range(count):
        scenario, ratio = drawn.choice(SCENARIOS), drawn.choice((0.5, 1.0, 1.09, 1.1, 1.11, 1.2, 1.21))
        reference, audit = pair(scenario, ratio)
        other = pair(drawn.choice(SCENARIOS))[1] if drawn.random() < 0.1 else audit
        found.append((mutated(reference, drawn), mutated(drawn.choice((audit, audit, other)), drawn)))
    return found


@pytest.fixture(scope="module")
def script(upstream: Path) -> Path:
    return upstream / "compliance/TEST04/verify_performance.py"


def test_the_model_says_what_the_script_says_and_every_difference_from_us_is_explained(
    script: Path, tmp_path: Path
) -> None:
    logs = pairs(900, seed=4)
    found = [directory(tmp_path / str(at)) for at in range(len(logs))]
    for one, both in zip(found, logs, strict=True):
        write(one, both)
    words_said = words(script, OPTIONS, [(one.results / SUMMARY, one.path / SUMMARY) for one in found])
    seen = set()
    for one, both, word in zip(found, logs, words_said, strict=True):
        ours = judged(verify, one)
        model = ours.upstream[0]
        told = (model.verdict, repr(model.reference_score), repr(model.audit_score))
        scores = [repr(number(word[name])) for name in ("reference", "audit")]
        assert told == (word["verdict"], *scores), (both, model)
        assert all(difference.defect for difference in ours.differences), (both, ours)
        if ours.status == "PASS":
            assert word["verdict"] != "FAIL" or ours.differences
        seen |= {(ours.status, word["verdict"]), *(difference.defect for difference in ours.differences)}
    assert {("PASS", "PASS"), ("FAIL", "FAIL"), ("NO_VERDICT", "CRASH"), ("NO_VERDICT", "PASS")} <= seen
    assert {"no_score_is_zero", "cut_log_unseen", "repeats_unseen", "traceback_on_text", "loose_patterns"} <= seen


def test_published_cases_in_processes_of_their_own(script: Path, published: Path) -> None:
    """As a reviewer runs it; the others run in one process, for speed."""
    audits = sorted(published.rglob("TEST04/performance/run_1/mlperf_log_summary.txt"))[::20]
    for audit in audits:
        reference = Path(str(audit).replace("/compliance/", "/results/").replace("/TEST04/", "/"))
        if not reference.exists():
            continue
        command = [sys.executable, str(script), "-r", str(reference), "-t", str(audit)]
        ran = subprocess.run(command, capture_output=True, text=True, check=True)
        model, _ = said(reference.read_bytes(), audit.read_bytes())
        assert model.verdict == ran.stdout.split()[-1]
        scores = [float(line.split(" = ")[1]) for line in ran.stdout.splitlines() if " = " in line]
        assert [model.reference_score, model.audit_score] == scores


def test_a_summary_that_is_not_there_is_a_traceback(script: Path, tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(pair()[0])
    asked = [(tmp_path / "one", tmp_path / "none"), (tmp_path / "none", tmp_path / "one")]
    assert [word["verdict"] for word in words(script, OPTIONS, asked)] == ["CRASH", "CRASH"]
    assert said(pair()[0], None)[0].verdict == said(None, pair()[0])[0].verdict == "CRASH"
