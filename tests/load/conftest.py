"""The load engine against servers in processes of their own (tests/support/sut.py)."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from pytest_mlperf_audit.config.dataset import DatasetConfig
from pytest_mlperf_audit.config.model_params import ModelParams
from pytest_mlperf_audit.datasets import load_dataset
from pytest_mlperf_audit.endpoints.base import EndpointAdapter
from pytest_mlperf_audit.endpoints.media.videogen import VideoGenAdapter
from pytest_mlperf_audit.endpoints.source import RequestSource
from pytest_mlperf_audit.load.group import PlannedPhase, run_group
from pytest_mlperf_audit.load.progress import Progress
from pytest_mlperf_audit.load.target import Target
from pytest_mlperf_audit.records.log import read_queries
from pytest_mlperf_audit.runs.order import Scripted, without_replacement
from pytest_mlperf_audit.runs.phase import PhaseRecord
from pytest_mlperf_audit.runs.query import QueryRecord
from pytest_mlperf_audit.runs.script import Script
from pytest_mlperf_audit.runs.spec import Concurrency, RunSpec
from tests.support.scripted_server import Server

ROWS = 64
_SUPPORT = Path(__file__).parents[1] / "support"


@dataclass
class Ended:
    """A phase that ended: its record, and its queries as they stand on disk."""

    record: PhaseRecord
    queries: list[QueryRecord]

    @property
    def outcomes(self) -> set[str]:
        return {query.outcome for query in self.queries}


@dataclass(frozen=True)
class Request:
    """A request as the server got it, byte for byte."""

    raw: bytes

    @property
    def head(self) -> bytes:
        return self.raw.partition(b"\r\n\r\n")[0]

    @property
    def body(self) -> bytes:
        return self.raw.partition(b"\r\n\r\n")[2]

    @property
    def headers(self) -> dict[bytes, bytes]:
        fields = (line.split(b": ", 1) for line in self.head.split(b"\r\n")[1:])
        return {name.lower(): value for name, value in fields}


class Engine:
    """Drives phases as an audit does."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.adapter: EndpointAdapter = VideoGenAdapter(ModelParams(name="wan22"))
        prompts = directory / "prompts.jsonl"
        prompts.write_text("".join(json.dumps({"prompt": f"scene {row}"}) + "\n" for row in range(ROWS)))
        self.dataset = load_dataset(DatasetConfig(name="prompts", path=prompts), [directory])
        self._runs = 0

    @property
    def source(self) -> RequestSource:
        return RequestSource(self.dataset, self.adapter)

    def spec(self, label: str = "phase", **changes: Any) -> RunSpec:
        fields: dict[str, Any] = {
            "n_samples": 16,
            "order": without_replacement(1, wrap=True),
            "load": Concurrency(target=4),
            "query_timeout_s": 30.0,
        }
        return RunSpec(label=label, **{**fields, **changes})

    def planned(self, specs: list[RunSpec]) -> list[PlannedPhase]:
        self._runs += 1
        return [PlannedPhase(spec, self.directory / f"run-{self._runs}" / spec.label) for spec in specs]

    def drive_all(self, target: Target | str, specs: list[RunSpec], **options: Any) -> list[Ended]:
        planned = self.planned(specs)
        target = Target(urls=(target,)) if isinstance(target, str) else target
        records = run_group(planned, self.source, target, **options)
        places = [phase.directory / "queries.jsonl" for phase in planned]
        return [Ended(record, list(read_queries(place))) for record, place in zip(records, places, strict=False)]

    def drive_script(
        self,
        target: Target | str,
        script: Callable[[], Script],
        report: Callable[[Progress], None] = lambda _: None,
        **changes: Any,
    ) -> Ended:
        """Drive a scripted phase of at most 64 queries, 8 at once."""
        spec = self.spec(**{"n_samples": 64, "order": Scripted(), "load": Concurrency(target=8), **changes})
        [planned] = self.planned([spec])
        target = Target(urls=(target,)) if isinstance(target, str) else target
        [record] = run_group([replace(planned, script=script)], self.source, target, report=report)
        return Ended(record, list(read_queries(planned.directory / "queries.jsonl")))

    def drive(self, target: Target | str, **changes: Any) -> Ended:
        [ended] = self.drive_all(target, [self.spec(**changes)])
        return ended


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that answers as a test scripts it, and notes what it was sent."""
    server = Server()
    yield server
    server.close()


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """A load engine with a data set of 64 rows, writing under tmp_path."""
    return Engine(tmp_path)


@pytest.fixture
def wire() -> Callable[[Any], list[Request]]:
    """Return every request that a server got, in order."""
    return lambda sut: [Request(base64.b64decode(raw)) for raw in sut._get("wire")]


@pytest.fixture
def connections() -> Callable[[Any], dict[str, list[int]]]:
    """Return when a server accepted its connections and got its GETs; asking adds one connection."""
    return lambda sut: dict(sut._get("connections"))


@pytest.fixture
def phase_process(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a phase in a process of its own; see tests/support/phase_process.py."""
    processes: list[subprocess.Popen[str]] = []

    def start(url: str, **options: Any) -> subprocess.Popen[str]:
        given = {"url": url, "directory": str(tmp_path), "n": 16, "target": 4, **options}
        command = [sys.executable, "-W", "error", str(_SUPPORT / "phase_process.py"), json.dumps(given)]
        processes.append(
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
        )
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def ended() -> Callable[[subprocess.Popen[str]], dict[str, Any]]:
    """Wait for a phase process and return what it says of its end; it must have had nothing to complain of."""

    def wait(process: subprocess.Popen[str]) -> dict[str, Any]:
        out, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (0, "")
        return dict(json.loads(out.splitlines()[-1]))

    return wait
