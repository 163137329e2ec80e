"""Submission trees that tests write: LoadGen's summaries and logs, as far as the audits of a tree need them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SUMMARY = """\
================================================
MLPerf Results Summary
================================================
SUT name : {sut}
Scenario : {scenario}
Mode     : PerformanceOnly
{score}
Result is : {result}
  Min duration satisfied : Yes
  Min queries satisfied : Yes
  Early stopping satisfied: Yes

================================================
Additional Stats
================================================
Min latency (ns)                : 2886990545
Max latency (ns)                : 2851793802043

================================================
Test Parameters Used
================================================
samples_per_query : 5000
target_qps : {target_qps}
target_latency (ns): 0
min_duration (ms): 600000
min_query_count : 1
performance_issue_unique : 0
performance_issue_same : {same}
performance_issue_same_index : {index}
performance_sample_count : 5000

No warnings encountered during test.

No errors encountered during test.
"""

SCORE = {
    "Offline": "Samples per second: {score:g}",
    "Server": "Completed samples per second    : {score:g}",
    "SingleStream": "90th percentile latency (ns) : {ns}\nEarly Stopping Result:\n"
    " * Early stopping 90th percentile estimate: {ns}",
    "MultiStream": "99th percentile latency (ns) : {ns}\nEarly Stopping Result:\n"
    " * Early stopping 99th percentile estimate: {ns}",
}


def summary(scenario: str = "Offline", score: float = 100.0, *, same: bool = False, **changes: Any) -> str:
    """A summary; `score` is in samples per second in every scenario."""
    values = {"sut": "PySUT", "result": "VALID", "target_qps": 1, "same": int(same), "index": 3 * same, **changes}
    line = SCORE[scenario].format(score=score, ns=round(1e9 / score))
    return SUMMARY.format(scenario=scenario, score=line, **values)


class Submission:
    """A tree. A case is named as in its test's id: closed/Ours/system/resnet50/Offline."""

    def __init__(self, path: Path, old: bool = True) -> None:
        self.path = path
        self.old = old

    def directory(self, case: str, room: str = "results") -> Path:
        division, submitter, rest = case.split("/", 2)
        return self.path / division / submitter / room / rest

    def compliance(self, case: str) -> Path:
        return self.directory(case, "compliance" if self.old else "results")

    def reference(self, case: str, text: str | None = None, **values: Any) -> Path:
        """Write the reference run's summary."""
        scenario = case.rsplit("/", 1)[-1]
        return _write(
            self.directory(case) / "performance/run_1/mlperf_log_summary.txt", text or summary(scenario, **values)
        )

    def audit(self, case: str, text: str | None = None, test: str = "TEST04", **values: Any) -> Path:
        """Write the audit run's summary."""
        scenario = case.rsplit("/", 1)[-1]
        text = text or summary(scenario, **{"same": True, **values})
        return _write(self.compliance(case) / test / "performance/run_1/mlperf_log_summary.txt", text)

    def test04(self, case: str, ratio: float = 1.0) -> None:
        """Write both runs of a TEST04."""
        self.reference(case)
        self.audit(case, score=100.0 * ratio)

    def test06(self, case: str, outputs: list[list[int]]) -> Path:
        """Write a TEST06 accuracy log with int32 tokens."""
        entries = [
            {
                "seq_id": n,
                "qsl_idx": n,
                "data": _hex(tokens),
                "token_data": _hex(tokens[:1]),
                "token_count": len(tokens),
            }
            for n, tokens in enumerate(outputs)
        ]
        lines = ",\n".join(json.dumps(entry) for entry in entries)
        return _write(self.compliance(case) / "TEST06/accuracy/mlperf_log_accuracy.json", f"[\n{lines}\n]\n")

    def endpoints(self, case: str, name: str = "output_caching_test", **changes: Any) -> Path:
        """Write an endpoints submission's audit file, as the endpoints tool does."""
        figures = {"ref_qps": 10.0, "audit_qps": 10.1, "threshold": 0.1, "ref_completed": 64, "ref_requested": 64}
        content = {"test": name, "passed": True, **figures, "audit_completed": 64, "audit_requested": 64, **changes}
        return _write(self.directory(case) / f"audit/audit_{name}.json", json.dumps(content, indent=2))


def _hex(tokens: list[int]) -> str:
    return b"".join(token.to_bytes(4, "little", signed=True) for token in tokens).hex().upper()


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path
