from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_mlperf_audit.runs.query import QueryRecord

MakeQuery = Callable[..., QueryRecord]


@pytest.fixture
def query() -> MakeQuery:
    """Make one query record; times in nanoseconds."""

    def make(issued: int = 0, completed: int = 10, sample: int = 0, **changes: object) -> QueryRecord:
        fields = {"query": 0, "sample": sample, "issued_ns": issued, "completed_ns": completed}
        return QueryRecord(**{**fields, "request": f"{sample:032x}", **changes})  # type: ignore[arg-type]

    return make
