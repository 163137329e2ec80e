"""Where a failure of ours points: at the audit's line of the YAML, not at the line of our code that failed the test."""

from __future__ import annotations

from typing import Any

import pytest


def point(item: pytest.Item, call: pytest.CallInfo[None], longrepr: Any) -> None:
    """Have a failure name the line of its audit, and nothing but the first line of its account.

    The short summary, annotations, JUnit and json-report show these; the whole account stands under FAILURES.
    """
    error, crash = call.excinfo and call.excinfo.value, getattr(longrepr, "reprcrash", None)
    if not isinstance(error, pytest.fail.Exception) or error.pytrace or crash is None:
        return
    path, line, _ = item.reportinfo()
    crash.path, crash.lineno, crash.message = str(path), (line or 0) + 1, str(error.msg).partition("\n")[0]
