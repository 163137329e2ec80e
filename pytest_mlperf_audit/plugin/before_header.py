"""Endpoints asked before the session's header: where one is not to be used, a line says so, and no header stands above.

Only those of runs that will surely be wanted; others are asked when it is known which tests were selected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from ..errors import UserError
from . import options, start
from .keys import RUNS, SESSION

if TYPE_CHECKING:
    from ..session.run import AuditRun

#: With any of these it is not known before collection whether a test of ours is selected.
_NARROWING: Final = ("keyword", "deselect", "ignore", "ignore_glob", "lf", "stepwise", "stepwise_skip")


def ask_endpoints(config: pytest.Config) -> None:
    """Make sure of the endpoints of runs that the command line names whole. Raises pytest.UsageError."""
    option = config.option
    narrowed = any(getattr(option, name, None) for name in _NARROWING)
    if narrowed or not (option.mlperf_config or option.mlperf_endpoint):
        return
    runs = [run for run in config.stash[RUNS] if str(run.path) in config.args and _selects(option.markexpr, run)]
    try:
        config.stash[SESSION].ask_before(runs, sends_here=not options.workers(config))
    except UserError as error:
        raise pytest.UsageError(f"{error}{start.where_keys_are(config)}") from error


def _selects(expression: str, run: AuditRun) -> bool:
    """Whether -m surely selects a check of a run: there is none, or it is one marker of the run's."""
    return not expression or expression in run.markers
