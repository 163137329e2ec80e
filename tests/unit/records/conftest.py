from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_mlperf_audit.runs.columns import QueryColumns
from pytest_mlperf_audit.runs.order import single
from pytest_mlperf_audit.runs.phase import PhaseRecord, figures
from pytest_mlperf_audit.runs.query import QueryRecord
from pytest_mlperf_audit.runs.spec import Concurrency, RunSpec


def make_query(number: int, **changes: object) -> QueryRecord:
    fields = {"query": number, "sample": number, "issued_ns": number * 10, "completed_ns": number * 10 + 5}
    return QueryRecord(**{**fields, "request": f"{number:032x}", **changes})  # type: ignore[arg-type]


@pytest.fixture
def query() -> Callable[..., QueryRecord]:
    """Make the record of a query by its number."""
    return make_query


@pytest.fixture
def record() -> Callable[..., PhaseRecord]:
    """Make the record of a phase of three queries."""

    def make(**changes: object) -> PhaseRecord:
        load = Concurrency(target=1)
        fields: dict[str, object] = {
            "label": "reference",
            "spec": RunSpec(label="reference", n_samples=3, order=single(1), load=load),
            "status": "complete",
            "figures": figures(QueryColumns(make_query(number) for number in range(3)), load),
            "stopped_by": "count",
        }
        return PhaseRecord(**{**fields, **changes})  # type: ignore[arg-type]

    return make


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 KiB."""
    if os.geteuid():
        pytest.skip("only root may mount a small file system")
    place = tmp_path / "tiny"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", place], check=False)
    if mounted.returncode:
        pytest.skip("this machine mounts no tmpfs")
    yield place
    subprocess.run(["umount", place], check=True)
