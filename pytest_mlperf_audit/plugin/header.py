"""What a session shows before it runs: its header, and with --mlperf-plan the plan instead of a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from . import options
from .keys import RECHECKS, ROUNDS, RUNS, SESSION


def header_lines(config: pytest.Config) -> list[str]:
    """Return what will run, against what, and where the results go."""
    lines = _conftests_above(config)
    if RECHECKS in config.stash:
        from ..session.recheck_results import header_line

        rechecks = [header_line(recheck) for recheck, _ in config.stash[RECHECKS]]
        lines = [*rechecks, "recheck: nothing is sent, and nothing is written there", *lines]
    if RUNS in config.stash:
        from ..session.plan_view import run_lines

        session = config.stash.get(SESSION, None)
        lines += [line for run in config.stash[RUNS] for line in run_lines(run, writes=session is not None)]
        lines += session.heard if session else []
        if options.workers(config):
            lines.append("xdist: one worker measures; tests that others run meanwhile disturb it")
    return [f"mlperf-audit: {line}" for line in lines]


def _conftests_above(config: pytest.Config) -> list[str]:
    """Return a line for each conftest.py that pytest executes on its way to a directory that is only to be read."""
    judged = [tree_round.tree for tree_round in config.stash.get(ROUNDS, [])]
    judged += [recheck.directory for recheck, _ in config.stash.get(RECHECKS, [])]
    if config.option.noconftest or not judged:
        return []
    from ..session.places import conftests_above
    from ..text import plain

    return [
        f"pytest executes {plain(str(path), 4096)}, which lies above what is judged; --noconftest leaves it out"
        for path in conftests_above(judged, config.rootpath)
    ]


def teller(config: pytest.Config) -> Callable[[str], None]:
    """Return what shows a line that belongs to the header, and is known after it."""

    def tell(text: str) -> None:
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None and (reporter.verbosity >= 0 or text.startswith("waiting")):
            reporter.ensure_newline()
            reporter.write_line(f"mlperf-audit: {text}")
            reporter.flush()  # into a file or a pipe, too: what comes next may take long

    return tell


def fresh_line(config: pytest.Config) -> Callable[[], str]:
    """Return what says what ends the line that pytest has left unfinished, and has pytest begin a new one."""

    def fresh() -> str:
        reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
        try:
            unfinished = bool(reporter._tw.width_of_current_line)  # noqa: SLF001 - nothing public says so
            reporter._tw._current_line, reporter.currentfspath = "", None  # noqa: SLF001
        except AttributeError:  # -p no:terminal, or somebody else's
            return "\n"
        return "\n" if unfinished else ""

    return fresh


def show_plan(config: pytest.Config) -> int:
    """Print the plan of every run and send nothing. Raises pytest.UsageError."""
    config._do_configure()  # noqa: SLF001 - as pytest's own --markers and --fixtures do
    try:
        if RUNS not in config.stash:
            raise pytest.UsageError("--mlperf-plan needs --mlperf-config=FILE")
        from ..session.plan_view import plan_lines

        runs = config.stash[RUNS]
        for line in plan_lines(runs):
            print(line)  # noqa: T201 - what was asked for
    finally:
        config._ensure_unconfigure()  # noqa: SLF001
    return 0
