"""Shared fixtures: `start_sut` starts servers that are not ours, `audit` is a directory to run audits in.

Audits run in real pytest sessions, in the test's own process: with workers, or where a test is marked `own_process`, in
one of theirs. Only the plugins that a test names are loaded there, since a dozen others may be installed; -W error
makes a leaked socket or process a failure.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from hypothesis import HealthCheck, settings

from tests.support import forked
from tests.support.sut_process import PATIENCE_S, Sut, until

pytest_plugins = "pytester"

# A busy machine is slow to draw examples; that is no fault of what is tested.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

# Hundreds of processes are started here. Without bytecode in files each would compile the package anew, which takes
# as long as all else that it does; a container's PYTHONDONTWRITEBYTECODE is not meant for that.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# A shell without job control starts what it puts into the background with SIGINT ignored, and every process started
# from there inherits that, unless there is a handler: then Ctrl-C could not be tested.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROWS = 16
SAMPLES = 8
#: What test04 sends with the data set and counts that `Audit.config` writes.
QUERIES = 2 * SAMPLES
CHECKS = [
    "completion[reference]",
    "completion[output_caching]",
    "requests_distinct[reference]",
    "requests_identical[output_caching]",
    "throughput_ratio",
]
_SUPPORT = Path(__file__).parent / "support"


def pytest_unconfigure() -> None:
    forked.end()


@pytest.fixture(name="until")
def until_fixture() -> Callable[[Callable[[], object], str], None]:
    """Wait until a condition holds."""
    return until


@pytest.fixture
def start_sut() -> Iterator[Callable[..., Sut]]:
    """Start a server; without options it is honest, quick, and slower for repeats than a noisy machine can hide."""
    suts: list[Sut] = []

    def start(**options: Any) -> Sut:
        suts.append(Sut({"service_ms": 1, "lanes": 1, "repeat_ms": 20, **options}))
        return suts[-1]

    yield start
    for sut in suts:
        sut.kill()


@pytest.fixture
def sut(start_sut: Callable[..., Sut]) -> Sut:
    """An honest server."""
    return start_sut()


class Audit:
    """A directory, and pytest sessions in it."""

    def __init__(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pytester = pytester
        self.monkeypatch = monkeypatch
        self.path = pytester.path
        #: Whether a session needs no process of its own: all but those of tests marked `own_process`.
        self.in_process = True
        self.rows(ROWS)

    def rows(self, count: int, name: str = "prompts.jsonl") -> None:
        lines = (json.dumps({"prompt": f"scene {row}"}) + "\n" for row in range(count))
        (self.path / name).write_text("".join(lines))

    def config(self, sut: Sut | str | None = None, name: str = "wan22.yaml", **blocks: Any) -> Path:
        """Write a YAML: test04 alone, 8 + 8 queries. `blocks` are merged into it; None takes a key out."""
        url = sut.url if isinstance(sut, Sut) else sut
        content: dict[str, Any] = {
            "type": "offline",
            "model_params": {"name": "wan22", "streaming": "off"},
            "datasets": [{"path": "prompts.jsonl"}],
            "audit": {
                "test": "test04",
                "only": True,
                "samples": SAMPLES,
                "sample_index": 3,
                "threshold": 0.9,
                "probe": False,
            },
            "settings": {"client": {"connect_timeout_s": 5}},
            "endpoint_config": {"api_type": "videogen", "endpoints": [url] if url else None},
        }
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(_merged(content, blocks), sort_keys=False))
        return path

    def run(self, *args: str | Path, config: str | None = "wan22.yaml") -> pytest.RunResult:
        """Run a session to its end: in this process; in a fork of one that has imported all, where it has workers."""
        words = [str(arg) for arg in self._args(args, config)]
        if not self.in_process:
            return self.pytester.runpytest_subprocess(*words, timeout=4 * PATIENCE_S)
        if "-n" in words and words[words.index("-n") + 1] != "0":
            return self._run_with_workers(*words)
        result = self.pytester.runpytest_inprocess(*words)
        gc.collect()  # a socket that the session forgot is this test's failure, not one of a test to come
        return result

    def _run_with_workers(self, *words: str) -> pytest.RunResult:
        self.monkeypatch.setenv("WARM_PYTHON", shlex.join(forked.python()))
        command = [*forked.python(), "-m", "pytest", "-p", "warm_workers", *words]
        return self.pytester.run(*command, timeout=4 * PATIENCE_S)

    def run_with_pictures(self, *args: str | Path) -> pytest.RunResult:
        """Run a session whose report is complete."""
        return self.run(*args, "-p", "no:no_pictures")

    def start(self, *args: str | Path, config: str | None = "wan22.yaml", **options: Any) -> subprocess.Popen[str]:
        """Start a session, as the leader of its own process group."""
        command = [sys.executable, "-m", "pytest", *map(str, self._args(args, config))]
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, **options}
        return subprocess.Popen(command, cwd=self.path, text=True, start_new_session=True, **options)

    def report(self, name: str = "wan22") -> Path:
        return self.path / "mlperf-reports" / name

    def verdict(self, name: str = "wan22") -> dict[str, Any]:
        return dict(json.loads((self.report(name) / "verdict.json").read_text()))

    def phase(self, label: str, name: str = "wan22") -> dict[str, Any]:
        return dict(json.loads((self.report(name) / "audit" / label / "phase.json").read_text()))

    @staticmethod
    def leftovers() -> list[psutil.Process]:
        """Return processes that sessions of this test started and that still run."""
        return [process for process in psutil.process_iter() if process.pid != os.getpid() and _is_marked(process)]

    @staticmethod
    def _args(args: tuple[str | Path, ...], config: str | None) -> list[str | Path]:
        plugins = [name for name in ("mlperf_audit", "xdist", "no_pictures") if f"no:{name}" not in args]
        configs = [f"--mlperf-config={config}"] if config else []
        return ["-W", "error", *(part for name in plugins for part in ("-p", name)), *configs, *args]


def _merged(content: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(content)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both else value
    return {key: value for key, value in merged.items() if value is not None}


def _is_marked(process: psutil.Process) -> bool:
    try:
        environ = process.environ()
    except (psutil.Error, OSError):
        return False
    return environ.get(forked.MARK) == os.environ.get(forked.MARK) and process.status() != psutil.STATUS_ZOMBIE


@pytest.fixture(scope="session")
def _loaded() -> None:
    """Import the whole package: pytester forgets what a session in this process imported; numpy allows it once."""
    import pytest_mlperf_audit

    for module in pkgutil.walk_packages(pytest_mlperf_audit.__path__, "pytest_mlperf_audit."):
        importlib.import_module(module.name)
    gc.collect()
    gc.freeze()  # collecting all that again costs as much as a session


@pytest.fixture
def audit(
    request: pytest.FixtureRequest, _loaded: None, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Audit]:
    """A directory to run audits in; a process or temporary file that they leave fails the test."""
    monkeypatch.setenv(forked.MARK, str(pytester.path))
    (pytester.path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(pytester.path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.syspath_prepend(str(_SUPPORT))
    monkeypatch.setenv("PYTHONPATH", str(_SUPPORT), prepend=os.pathsep)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    for name in ("GITHUB_STEP_SUMMARY", "CI", "PYTEST_ADDOPTS", "WARM_PYTHON"):
        monkeypatch.delenv(name, raising=False)
    made = Audit(pytester, monkeypatch)
    made.in_process = request.node.get_closest_marker("own_process") is None
    forked.simulated_endpoints(monkeypatch)
    yield made
    left = Audit.leftovers()
    for process in left:
        process.kill()
    assert not left, f"processes were left running: {left}"
    assert not list((pytester.path / "tmp").glob("mlperf-audit-*")), "a session left its directory"


@pytest.fixture(
    params=[(), ("-n", "0"), ("-n", "2"), ("-p", "no:xdist")], ids=["plain", "n0", "n2", "no_xdist"], scope="session"
)
def spread(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Each way in which a run may be spread over processes."""
    return tuple(request.param)


@pytest.fixture(params=[(), ("-n", "2")], ids=["plain", "n2"])
def lone_or_spread(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """One process, or two workers."""
    return tuple(request.param)


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[str, str]:
    """A self-signed certificate for 127.0.0.1 and its key."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*make, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    return str(cert), str(key)
