"""Processes that tests are made of, forked from others that have imported all: a start takes 0.05 s instead of 1 s.

One forking process of each script for all tests of a process. It ends, and what it forked with it, when its stdin does.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from pytest_mlperf_audit.endpoints.simulated import process as simulated

#: The environment variable by which a test finds what its audits left.
MARK = "MLPERF_AUDIT_TEST"
_SUPPORT = Path(__file__).parent
_forking: dict[str, subprocess.Popen[str]] = {}


def start(script: str) -> subprocess.Popen[str]:
    """Return the forking process of a script of tests/support, which is started when it is first needed."""
    if script not in _forking:
        # It is no part of an audit, so it does not carry the mark.
        theirs = (MARK, "PYTHONPATH", "TMPDIR")
        environ = {name: value for name, value in os.environ.items() if name not in theirs}
        command = [sys.executable, str(_SUPPORT / script), "--fork"]
        _forking[script] = subprocess.Popen(
            command, env=environ, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
    return _forking[script]


def end() -> None:
    """End them."""
    for process in _forking.values():
        process.communicate()


@cache
def python() -> list[str]:
    """Return the command of a Python that has imported pytest and the package already; see warm_python.py."""
    process = start("warm_python.py")
    assert process.stdout is not None
    return [sys.executable, "-IS", str(_SUPPORT / "warm_start.py"), process.stdout.readline().strip()]


def simulated_endpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the simulated endpoints that this process starts forked."""
    cold = simulated._command
    monkeypatch.setattr(simulated, "_command", lambda *args: [*python(), *cold(*args)[1:]])
