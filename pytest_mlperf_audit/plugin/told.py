"""What the tests of this session said of each check, and which worker was lost meanwhile."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from ..verdicts.document import CheckStatus
from .audit_nodes import carried

#: The parts of a test that report; xdist's report on a killed worker is of none.
_PARTS = ("setup", "call", "teardown")
_WORST_FIRST: tuple[CheckStatus, ...] = ("error", "failed", "passed")


class Told:
    """Statuses by a check's id. Of a test's reruns the last counts, of several tests of one check the worst."""

    def __init__(self, checks: Iterable[str]) -> None:
        self._tests: dict[str, dict[str, CheckStatus]] = {check: {} for check in checks}
        self._lost: dict[str, str] = {}

    def note(self, report: pytest.TestReport) -> None:
        """Note what a report says of the checks that it is on."""
        status = _status(report)
        if status is None:
            return
        for check in self._on(report):
            self._tests[check][report.nodeid] = status
            if report.when not in _PARTS:
                self._lost[check] = str(report.longrepr).partition(" while running")[0]

    def status(self, check: str) -> CheckStatus:
        """Return what became of a check."""
        said = self._tests.get(check, {}).values()
        return next((status for status in _WORST_FIRST if status in said), "not_run")

    def lost(self, checks: Iterable[str]) -> str:
        """Return why tests of these checks never ended, "" where all did: "worker 'gw0' crashed"."""
        return "; ".join(dict.fromkeys(self._lost[check] for check in checks if check in self._lost))

    def _on(self, report: pytest.TestReport) -> list[str]:
        """Return the checks that a report is on. That on a killed worker has an id alone, which may have more in it."""
        said = carried(report) or report.nodeid
        if said in self._tests:
            return [said]
        return [check for check in self._tests if check.partition("[")[0] == said.partition("[")[0]]


def _status(report: Any) -> CheckStatus | None:
    if report.failed:
        return "failed" if report.when == "call" else "error"
    return "passed" if report.when == "call" and report.passed else None
