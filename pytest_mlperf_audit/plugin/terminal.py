"""Lines of the terminal summary, coloured by kind."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import pytest

_COLOURS: Final[dict[str, dict[str, bool]]] = {
    "pass": {"green": True},
    "fail": {"red": True},
    "warn": {"yellow": True},
    "plain": {},
}


def write_lines(terminalreporter: pytest.TerminalReporter, lines: Iterable[tuple[str, str]]) -> None:
    """Write lines, each with its kind: pass, fail, warn or plain."""
    for line, kind in lines:
        terminalreporter.write_line(line, **_COLOURS[kind])
