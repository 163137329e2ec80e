from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from pytest_mlperf_audit.audits.test04 import Test04Block
from pytest_mlperf_audit.runs.columns import QueryColumns
from pytest_mlperf_audit.runs.figures import figures
from pytest_mlperf_audit.runs.order import sequential
from pytest_mlperf_audit.runs.phase import PhaseRecord
from pytest_mlperf_audit.runs.query import QueryRecord
from pytest_mlperf_audit.runs.spec import Concurrency, RunSpec

S = 10**9


class Rows:
    """A data set of prompts; equal prompts are equal requests."""

    def __init__(self, prompts: Sequence[str]) -> None:
        self.prompts = prompts

    def __len__(self) -> int:
        return len(self.prompts)

    def fingerprint(self, index: int) -> str:
        return self.prompts[index]

    def where(self, index: int) -> str:
        return f"prompts.jsonl line {index + 1}"


@pytest.fixture
def rows() -> Callable[..., Rows]:
    """Make a data set of `n` distinct rows, or of the prompts given."""
    return lambda n=64, prompts=None: Rows(prompts or [f"prompt {row}" for row in range(n)])


@pytest.fixture
def block() -> Callable[..., Test04Block]:
    """Make the configuration of test04."""
    return lambda **keys: Test04Block.model_validate({"test": "test04", "samples": 20, **keys})


@pytest.fixture
def phase() -> Callable[..., PhaseRecord]:
    """Make the record of a phase: `n` queries back to back in `window_s`, the first `failed` of which fail.

    `row` None sends another row each time; `issued` is how many were sent of those that the plan asks for.
    """

    def make(
        label: str,
        *,
        n: int = 20,
        issued: int | None = None,
        window_s: float = 10.0,
        failed: int = 0,
        row: int | None = None,
        outcome: str = "http_500",
        cached: int | None = None,
        target: int = 8,
        floor_ms: int = 0,
        stopped_by: str = "count",
    ) -> PhaseRecord:
        sent = n if issued is None else issued
        step = window_s * S / max(sent, 1)
        queries = [
            QueryRecord(
                query=at,
                sample=at if row is None else row,
                issued_ns=round(at * step),
                completed_ns=round((at + 1) * step),
                request=f"{at if row is None else row:032x}",
                outcome=outcome if at < failed else "completed",
                cached_tokens=cached,
            )
            for at in range(sent)
        ]
        load = Concurrency(target=target)
        spec = RunSpec(label=label, n_samples=n, order=sequential(), load=load, min_duration_ms=floor_ms)
        return PhaseRecord(
            label=label,
            spec=spec,
            status="complete",
            figures=figures(QueryColumns(queries), load),
            stopped_by=stopped_by,  # type: ignore[arg-type]
        )

    return make
