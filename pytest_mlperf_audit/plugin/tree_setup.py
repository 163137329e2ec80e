"""Wiring of --mlperf-results: find the audits, choose those that arguments name, have pytest collect the tree."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from ..errors import ConfigError, UserError
from ..session.places import check_harmless, file_near, refuse_conftests
from ..session.round import Round, choose, find_rounds
from . import options
from .keys import ROUNDS


def before_conftests(config: pytest.Config, trees: Iterable[Path]) -> None:
    """Keep pytest from executing what lies in the trees. Raises pytest.UsageError."""
    given = config.known_args_namespace
    if given.noconftest:
        return
    cwd = Path(config.invocation_params.dir)
    try:
        refuse_conftests(trees, given.file_or_dir, cwd)
    except ConfigError as error:
        raise pytest.UsageError(str(error)) from error
    if given.mlperf_results and not given.file_or_dir:
        # Without an argument pytest executes test*/conftest.py below the working directory: code beside the tree.
        given.file_or_dir = [str(file_near(cwd))]


def configure(config: pytest.Config, trees: list[Path], *, records: bool) -> None:
    """Find the audits of the trees. Raises pytest.UsageError for a tree that holds none, and for a report directory.

    `records`: whether this process writes the report.
    """
    cwd = Path(config.invocation_params.dir)
    report_dir = options.report_dir(config) or Path(cwd, "mlperf-reports", trees[0].name)
    try:
        rounds = find_rounds(trees, report_dir)
        for found in rounds:
            check_harmless(found.report_dir, [found.tree, cwd, config.rootpath])
    except UserError as error:
        raise pytest.UsageError(str(error)) from error
    config.stash[ROUNDS] = rounds = _collect_too(config, rounds)
    if records:
        from .tree_recorder import RoundRecorder

        config.pluginmanager.register(RoundRecorder(rounds, options.workers(config)), "mlperf_round_recorder")


def _collect_too(config: pytest.Config, rounds: list[Round]) -> list[Round]:
    """Have pytest collect the trees, and return them with only what is to be collected of them.

    Arguments that name a part of a tree choose it. Beside arguments that do not, trees of the ini file are left out:
    `pytest tests/test_x.py` means just that.
    """
    args = list(config.args)
    if config.args_source is pytest.Config.ArgsSource.ARGS:
        rounds, args = choose(rounds, args, Path(config.invocation_params.dir), config.rootpath)
        if len(args) == len(config.args) and not config.getoption("mlperf_results"):
            return rounds
    trees = [str(found.tree) for found in rounds]
    config.args[:] = [*(arg for arg in args if arg not in trees), *trees]
    return rounds
