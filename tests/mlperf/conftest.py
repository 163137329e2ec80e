from __future__ import annotations

import json
import os
import runpy
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

_REPOSITORY = Path(__file__).parents[2]
_DATA = Path(os.environ.get("MLPERF_V41_SAMPLE", _REPOSITORY.parent / "shared/data/mlperf_inference_v4.1"))
_MIRROR = _REPOSITORY.parent / ".mirror/mlcommons+inference/repo"
_UPSTREAM = (
    "compliance",
    "loadgen/mlperf.conf",
    "tools/submission/log_parser.py",
    "tools/submission/submission_checker",
)

_runs = runpy.run_path(str(Path(__file__).parents[1] / "unit/report/conftest.py"))
make_run = _runs["make_run"]
make_phase = _runs["make_phase"]


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sample of MLPerf Inference v4.1 as published: the root of its tree."""
    packed = _DATA / "tree.tar.xz"
    if not packed.is_file():
        pytest.skip(
            "set MLPERF_V41_SAMPLE to a folder with tree.tar.xz, directories of mlcommons/inference_results_v4.1, "
            "and expected.jsonl, what upstream's scripts say of each"
        )
    root = tmp_path_factory.mktemp("published")
    with tarfile.open(packed) as tar:
        tar.extractall(root, filter="data")
    return root


@pytest.fixture(scope="session")
def expected(published: Path) -> list[dict[str, Any]]:
    """What upstream's scripts say of each case of the sample, and what its submitter recorded."""
    assert published.is_dir()
    return [json.loads(line) for line in (_DATA / "expected.jsonl").read_text().splitlines()]


@pytest.fixture(scope="session")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Upstream's scripts: $MLPERF_INFERENCE, a checkout of mlcommons/inference, or out of the mirror's objects."""
    checkout = os.environ.get("MLPERF_INFERENCE")
    if checkout:
        return Path(checkout)
    if not _MIRROR.is_dir():
        pytest.skip("set MLPERF_INFERENCE to a checkout of mlcommons/inference to compare with its scripts")
    root = tmp_path_factory.mktemp("upstream")
    archive = ["git", "--git-dir", str(_MIRROR), "archive", "HEAD", *_UPSTREAM]
    with subprocess.Popen(archive, stdout=subprocess.PIPE) as git:
        assert git.stdout is not None
        with tarfile.open(fileobj=git.stdout, mode="r|") as tar:
            tar.extractall(root, filter="data")
    assert git.returncode == 0
    return root
