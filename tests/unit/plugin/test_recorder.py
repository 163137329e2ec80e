"""One rule for exit status 6, whatever a session's accounts are of: runs, finished runs, submission trees."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_mlperf_audit.errors import ReportDirError
from pytest_mlperf_audit.plugin.recorder import Recorder

OK, FAILED, INTERRUPTED = pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED


class Known:
    """An account that knows what it comes to; its tests are those below its name."""

    def __init__(self, name: str, statuses: Iterable[str] = (), problems: Sequence[str] = ()) -> None:
        self.title = name
        self.statuses = statuses
        self.problems = problems
        self.finished = False

    def start(self) -> None:
        """Claim nothing."""

    def note(self, report: Any) -> bool:
        return bool(report.nodeid.startswith(f"{self.title}::"))

    def finish(self) -> None:
        self.finished = True

    def lines(self) -> Iterable[tuple[str, str]]:
        return []


def report(node_id: str, *, failed: bool = True) -> Any:
    return SimpleNamespace(nodeid=node_id, failed=failed)


@pytest.mark.parametrize(
    ("accounts", "failing", "before", "after"),
    [
        ([Known("a", ["PASS"])], [], OK, OK),
        ([Known("a", ["NO_VERDICT"])], ["a::x"], FAILED, 6),
        ([Known("a", ["NO_VERDICT", "FAIL"])], ["a::x"], FAILED, FAILED),
        ([Known("a", ["NO_VERDICT"]), Known("b", ["PASS"])], ["a::x"], FAILED, 6),
        ([Known("a", ["NO_VERDICT"]), Known("b", ["NO_VERDICT"])], ["a::x", "b::x"], FAILED, 6),
        ([Known("a", ["NO_VERDICT"]), Known("b", ["FAIL"])], ["a::x", "b::x"], FAILED, FAILED),
        ([Known("a", ["NO_VERDICT"])], ["a::x", "test_own.py::test"], FAILED, FAILED),
        ([Known("a", ["INCOMPLETE", "NOT_RUN"])], [], OK, OK),
        ([Known("a", ["PASS"], ["a: the report could not be written"])], [], OK, 6),
        ([Known("a", ["PASS"], ["a: the report could not be written"])], ["test_own.py::test"], FAILED, FAILED),
        ([Known("a", ["NO_VERDICT"])], ["a::x"], INTERRUPTED, INTERRUPTED),
    ],
)
def test_exit_status(accounts: list[Known], failing: list[str], before: int, after: int) -> None:
    recorder = Recorder(accounts)
    recorder.pytest_runtest_logreport(report("test_own.py::test_good", failed=False))
    for node_id in failing:
        recorder.pytest_runtest_logreport(report(node_id))
    session: Any = SimpleNamespace(exitstatus=before)
    recorder.pytest_sessionfinish(session)
    assert session.exitstatus == after
    assert all(account.finished for account in accounts)


def test_a_directory_that_cannot_be_claimed_is_a_mistake_of_the_users() -> None:
    class Taken(Known):
        def start(self) -> None:
            raise ReportDirError("report_dir reports is in use by another run")

    with pytest.raises(pytest.UsageError, match="in use"):
        Recorder([Taken("a")]).pytest_sessionstart()
