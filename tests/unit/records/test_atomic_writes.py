from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from pytest_mlperf_audit.records.files import sha256_file, write_atomic


def test_a_file_is_written_with_its_directories(tmp_path):
    path = tmp_path / "a" / "b" / "verdict.json"
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert [entry.name for entry in path.parent.iterdir()] == ["verdict.json"]


def test_an_old_file_is_replaced(tmp_path):
    path = tmp_path / "verdict.json"
    write_atomic(path, b"old" * 1000)
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_leaves_the_old_file_and_no_scratch(tmp_path, monkeypatch, step):
    path = tmp_path / "verdict.json"
    write_atomic(path, b"old")

    def fail(*_):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        if step == "fsync":
            patch.setattr(os, "fsync", fail)
        else:
            patch.setattr(Path, "replace", fail)
        with pytest.raises(OSError, match="Input/output"):
            write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["verdict.json"]


def test_an_interrupt_leaves_no_scratch(tmp_path, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            write_atomic(tmp_path / "verdict.json", b"new")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_old_file_and_no_scratch(tiny_disk):
    path = tiny_disk / "verdict.json"
    write_atomic(path, b"old")
    with pytest.raises(OSError, match="No space left"):
        write_atomic(path, b"x" * 100_000)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tiny_disk.iterdir()] == ["verdict.json"]


def test_a_directory_that_cannot_be_synced_is_no_failure(tmp_path, monkeypatch):
    real = os.open

    def refuse(path, flags, *more, **named):
        if Path(path) == tmp_path:
            raise OSError(22, "Invalid argument")
        return real(path, flags, *more, **named)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        write_atomic(tmp_path / "verdict.json", b"new")
    assert (tmp_path / "verdict.json").read_bytes() == b"new"


def test_a_digest_is_that_of_the_bytes(tmp_path):
    data = os.urandom(3 * 2**20 + 7)
    (tmp_path / "file").write_bytes(data)
    assert sha256_file(tmp_path / "file") == hashlib.sha256(data).hexdigest()
