"""accuracy/videos: what is copied, and that nothing is that an endpoint has no business to name."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_mlperf_audit.layouts.videos import keep_videos, sample_rows
from pytest_mlperf_audit.records.log import QueryLog
from pytest_mlperf_audit.runs.query import QueryRecord
from pytest_mlperf_audit.verdicts.document import AuditEntry

MP4 = b"\0\0\0\x18ftypisom" + b"\0" * 12
AVI = b"RIFF\x10\0\0\0AVI LIST"


@pytest.fixture
def keep(tmp_path: Path):
    """Have videos of rows 1 to 3 kept, their replies naming these paths; return what could not be had."""

    def run(*named: str) -> list[int]:
        report = tmp_path / "report"
        with QueryLog(report / "accuracy/vbench/queries.jsonl") as log:
            for row, path in enumerate(named, start=1):
                log.append(
                    QueryRecord(query=row, sample=row, issued_ns=0, completed_ns=1, request="0" * 32, output=path)
                )
        accuracy = cast("AuditEntry", SimpleNamespace(phases=[SimpleNamespace(directory="accuracy/vbench")]))
        return keep_videos(accuracy, (1, 2, 3), tmp_path / "videos", report)

    (tmp_path / "videos").mkdir()
    return run


def kept(tmp_path: Path) -> dict[str, Any]:
    place = tmp_path / "report/accuracy/videos"
    return {path.name: path.read_bytes() for path in place.iterdir()} if place.is_dir() else {}


def test_videos_are_called_by_their_rows(keep, tmp_path):
    (tmp_path / "videos/a.mp4").write_bytes(MP4)
    (tmp_path / "videos/b").write_bytes(AVI)
    # The second server sees the directory under another name.
    assert keep(str(tmp_path / "videos/a.mp4"), "/srv/out/b") == [3]
    assert kept(tmp_path) == {"1.mp4": MP4, "2.avi": AVI}


def test_nothing_outside_the_directory_is_copied(keep, tmp_path):
    (tmp_path / "secret.mp4").write_bytes(MP4)
    (tmp_path / "videos/link.mp4").symlink_to(tmp_path / "secret.mp4")
    assert keep(str(tmp_path / "secret.mp4"), "link.mp4", "../secret.mp4") == [1, 2, 3]
    assert kept(tmp_path) == {}


@pytest.mark.parametrize("name", ["a" * 300, "x\0y", "", ".", "missing.mp4"])
def test_what_is_no_file_is_lacking(keep, tmp_path, name):
    assert keep(name) == [1, 2, 3]
    assert kept(tmp_path) == {}


def test_what_does_not_begin_as_a_video_is_not_copied(keep, tmp_path):
    (tmp_path / "videos/key.pem").write_text("-----BEGIN PRIVATE KEY-----")
    assert keep("key.pem") == [1, 2, 3]
    assert kept(tmp_path) == {}


def test_rows_by_version():
    assert 123 in sample_rows("wan-2.2-t2v-a14b", "mlperf-inference-v6.1")
    assert 123 not in sample_rows("wan-2.2-t2v-a14b", "mlperf-inference-v6.0")
    assert len(sample_rows("wan-2.2-t2v-a14b", "")) == 15
    assert sample_rows("llama3.1-8b", "mlperf-inference-v6.1") == ()
