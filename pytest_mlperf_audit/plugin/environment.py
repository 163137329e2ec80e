"""What the files of a session say of the machine and the time; and the exit status of a session without a verdict."""

from __future__ import annotations

import os
import platform
from datetime import datetime, timezone
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


def now() -> str:
    """Return the time in UTC, ISO 8601 to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
