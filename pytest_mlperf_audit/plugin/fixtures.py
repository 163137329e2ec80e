"""Fixtures: for users' own tests, and the one our checks ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeVar

import pytest

from .keys import RUNS

if TYPE_CHECKING:
    from ..audits.verdict import Verdict
    from ..config.benchmark import Benchmark
    from ..load.target import Target
    from ..runs.phase import PhaseRecord
    from ..session.run import AuditRun

_T = TypeVar("_T")

#: A test that asks for any of these needs the endpoint.
NEED_ENDPOINT = frozenset({"mlperf_endpoint", "mlperf_phases", "mlperf_verdict"})


@pytest.fixture(scope="session")
def _mlperf_run(request: pytest.FixtureRequest) -> AuditRun:
    """The run of the YAML; with several YAMLs, tests are parametrized over them."""
    runs = request.config.stash.get(RUNS, [])
    if not runs:
        pytest.skip("needs --mlperf-config")
    return runs[getattr(request, "param", 0)]


@pytest.fixture(scope="session")
def mlperf_config(_mlperf_run: AuditRun) -> Benchmark:
    """The configuration that --mlperf-config names, as frozen models: `mlperf_config.settings.load_pattern.type`."""
    return _mlperf_run.benchmark


@pytest.fixture(scope="session")
def mlperf_endpoint(_mlperf_run: AuditRun) -> Target:
    """The endpoint under audit: `mlperf_endpoint.urls`, `.simulated`."""
    from ..errors import NoVerdictError

    try:
        return _mlperf_run.endpoint()
    except NoVerdictError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def mlperf_phases(_mlperf_run: AuditRun) -> Mapping[str, Mapping[str, PhaseRecord]]:
    """Phase records, run on first use: `mlperf_phases["test04"]["reference"].figures.qps`."""
    return _ByAudit(_mlperf_run, _mlperf_run.phases)


@pytest.fixture(scope="session")
def mlperf_verdict(_mlperf_run: AuditRun) -> Mapping[str, Verdict]:
    """Verdicts, their phases run on first use: `mlperf_verdict["test04"].figures["ratio"]`."""
    return _ByAudit(_mlperf_run, _mlperf_run.verdict)


@pytest.fixture
def _mlperf_check(request: pytest.FixtureRequest) -> Callable[[], None]:
    """The check this test stands for. Setting it up runs the audit's phases, unless some process has."""
    from .nodes import CheckFile

    prepared: Callable[[], None] = request.node.getparent(CheckFile).prepared(request.node)
    return prepared


class _ByAudit(Mapping[str, _T]):
    """What a run has of each audit, by audit id; got on first use, which may run the audit's phases."""

    def __init__(self, run: AuditRun, get: Callable[[str], _T]) -> None:
        self._run = run
        self._get = get

    def __getitem__(self, audit_id: str) -> _T:
        self._run.plan(audit_id)
        return self._get(audit_id)

    def __iter__(self) -> Iterator[str]:
        return iter([planned.id for planned in self._run.plans])

    def __len__(self) -> int:
        return len(self._run.plans)


def parametrize(metafunc: pytest.Metafunc) -> None:
    """Give a user's test one item for each YAML, where there are several."""
    runs = metafunc.config.stash.get(RUNS, [])
    if len(runs) > 1 and "_mlperf_run" in metafunc.fixturenames:
        names = [run.path.stem for run in runs]
        metafunc.parametrize("_mlperf_run", range(len(runs)), ids=names, indirect=True, scope="session")
