"""What a session's tests came to: an account for each run, finished run and submission tree that it collects.

Whoever has the tests' reports hands them over, in one order: `start`, `note` each report, `finish`; then `statuses`,
`problems` and `lines` say what to show, and with which exit status to end.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from ..audits.verdict import Figure


class Report(Protocol):
    """What pytest says of a part of a test: its setup, call or teardown, as `when` says."""

    nodeid: str
    when: Any
    longrepr: Any
    user_properties: Any

    @property
    def failed(self) -> bool:
        """Whether it failed."""

    @property
    def passed(self) -> bool:
        """Whether it passed."""

    @property
    def longreprtext(self) -> str:
        """What it says of a failure."""


class Account(Protocol):
    """What the tests of one thing came to. `title` heads its `lines` in the summary, each of which has a kind."""

    title: str

    @property
    def problems(self) -> Sequence[str]:
        """Files that could not be written, each with the reason."""

    @property
    def statuses(self) -> Iterable[str]:
        """The statuses of what was judged; FAIL and NO_VERDICT decide on the exit status."""

    def start(self) -> None:
        """Claim what it writes to. Raises UserError."""

    def note(self, report: Report) -> bool:
        """Take a report in, and return whether it is on one of its tests: the failure of another is nobody's."""

    def finish(self) -> None:
        """Come to the verdict, and write it."""

    def lines(self) -> Iterable[tuple[str, str]]:
        """Return the summary's lines, each with its kind (pass, fail, warn, plain); none where nothing was run."""


def environment(pytest_version: str | None = None, workers: int | None = None) -> dict[str, Figure]:
    """Return what a reader needs to know of the machine, and of pytest and its xdist workers where it ran the tests."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        **({"pytest": pytest_version} if pytest_version is not None else {}),
        "pytest_mlperf_audit": version("pytest-mlperf-audit"),
        **({"xdist_workers": workers} if workers is not None else {}),
    }


def append_to_step_summary(markdown: str) -> None:
    """Show a summary on the page of the job, where GitHub runs it. Raises OSError."""
    if path := os.environ.get("GITHUB_STEP_SUMMARY"):
        from ..report import ci_summary

        ci_summary.append(markdown, Path(path))


def unwritten(report_dir: Path, error: OSError) -> str:
    """Return what to say of a report that could not be written."""
    return f"{report_dir}: the report could not be written ({error.strerror or error})"
