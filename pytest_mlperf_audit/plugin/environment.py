"""What the files of a session say of the machine; and the exit status of a session without a verdict."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version

import pytest

from ..audits.verdict import Figure

EXIT_NO_VERDICT = 6


def environment(workers: int) -> dict[str, Figure]:
    """Return what a reader needs to know of the machine."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "pytest": pytest.__version__,
        "pytest_mlperf_audit": version("pytest-mlperf-audit"),
        "xdist_workers": workers,
    }
