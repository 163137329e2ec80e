"""For pytest sessions in tests that were forked: so are their workers and simulated endpoints; see warm_python.py."""

import os
import shlex
from typing import Any

from pytest_mlperf_audit.endpoints.simulated import process

_cold = process._command
process._command = lambda *args: [*shlex.split(os.environ["WARM_PYTHON"]), *_cold(*args)[1:]]


def pytest_xdist_setupnodes(specs: list[Any]) -> None:
    for spec in specs:
        spec.python = os.environ["WARM_PYTHON"]
