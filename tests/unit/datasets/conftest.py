"""`rows` writes a file and loads it; `fault` returns the message it fails with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_mlperf_audit.config.dataset import DatasetConfig
from pytest_mlperf_audit.datasets import Dataset, load_dataset
from pytest_mlperf_audit.errors import DatasetError


@pytest.fixture
def rows(tmp_path: Path):
    def rows(name: str, content: str | bytes, **config: Any) -> Dataset:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return load_dataset(DatasetConfig(path=path, **config), [])

    return rows


@pytest.fixture
def fault(rows, tmp_path: Path):
    def fault(name: str, content: str | bytes, **config: Any) -> str:
        with pytest.raises(DatasetError) as caught:
            rows(name, content, **config)
        return str(caught.value).replace(f"{tmp_path}/", "")

    return fault
