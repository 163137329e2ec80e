"""Phases that several processes send. Two workers are shared by all tests that leave them alive."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from pytest_mlperf_audit.load.target import Target
from pytest_mlperf_audit.load.workers.crew import Crew
from pytest_mlperf_audit.runs.spec import RunSpec


class Joint:
    """Drives phases as the fixture `engine` does, over the workers of a crew."""

    def __init__(self, engine: Any, crew: Crew) -> None:
        self.engine = engine
        self.crew = crew
        self.source = engine.source
        type(engine).source = property(lambda _: self.source)  # workers know a source by its identity

    def drive_all(self, target: Target | str, specs: list[RunSpec], **options: Any) -> list[Any]:
        self.crew.equip([(self.source, spec) for spec in specs], None)
        return list(self.engine.drive_all(target, specs, crew=self.crew, **options))

    def drive(self, target: Target | str, **changes: Any) -> Any:
        [ended] = self.drive_all(target, [self.engine.spec(**changes)])
        return ended

    def pids(self) -> list[int]:
        return [member.gateway.made._io.popen.pid for member in self.crew.members]


@pytest.fixture(scope="session")
def _shared_crew() -> Iterator[Callable[[], Crew]]:
    crews: list[Crew] = []

    def get() -> Crew:
        if not crews or not crews[-1].can_send:
            crews.append(Crew(["popen", "popen"]))
        return crews[-1]

    yield get
    for crew in crews:
        crew.close()


@pytest.fixture
def joint(engine: Any, _shared_crew: Callable[[], Crew], monkeypatch: pytest.MonkeyPatch) -> Joint:
    """Two workers, which the test leaves as they are."""
    monkeypatch.setattr(type(engine), "source", engine.source)
    return Joint(engine, _shared_crew())


@pytest.fixture
def own_crew(engine: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Joint]]:
    """Workers of the test's own, to be hurt; at the end none of their processes may be left."""
    monkeypatch.setattr(type(engine), "source", engine.source)
    crews: list[Crew] = []
    pids: list[int] = []

    def start(*specs: str) -> Joint:
        crews.append(Crew(specs or ("popen", "popen")))
        found = Joint(engine, crews[-1])
        pids.extend(found.pids())
        return found

    yield start
    for crew in crews:
        crew.close()
    assert [pid for pid in pids if psutil.pid_exists(pid)] == []


@pytest.fixture
def fake_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program `ssh` that runs the command here, and knows no host called absent; returns where it logs its calls."""
    directory = tmp_path / "bin"
    directory.mkdir()
    log = tmp_path / "ssh.log"
    program = directory / "ssh"
    program.write_text(
        "#!/bin/sh\n"
        f'echo "$@" >> {log}\n'
        'case "$*" in *absent*) echo "ssh: Could not resolve hostname absent" >&2; exit 255;; esac\n'
        'for last; do :; done\nexec sh -c "$last"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}{os.pathsep}{os.environ['PATH']}")
    return log


@pytest.fixture
def python() -> str:
    """This Python, as a specification names it."""
    return f"//python={sys.executable}"
