"""What the hooks do, in the order pytest calls them: configure, collected, and the same across xdist's processes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from . import options
from .fixtures import FOR_USERS
from .keys import RUNS, SESSION


def configure(config: pytest.Config) -> None:
    """Register markers; with a YAML, plan its run. Raises pytest.UsageError for a user's mistake."""
    from ..audits import registry
    from ..errors import UserError

    config.addinivalue_line("markers", "mlperf: every check that --mlperf-config collects")
    config.addinivalue_line("markers", "performance: checks of the main performance run")
    try:
        audits = registry.gather(audit for offered in config.hook.pytest_mlperf_audits() for audit in offered)
        for audit in audits.values():
            config.addinivalue_line("markers", f"{audit.id}: checks of {audit.title}")
        if paths := options.config_files(config):
            _plan(config, paths, audits)
    except UserError as error:
        raise pytest.UsageError(str(error)) from error


def _plan(config: pytest.Config, paths: list[Path], audits: Any) -> None:
    from .planning import Request, gather_adapters, plan_runs

    offered = config.hook.pytest_mlperf_endpoint_adapters()
    adapters = gather_adapters(adapter for some in offered for adapter in some)
    request = Request(
        configs=tuple(paths),
        endpoint=options.endpoint(config),
        report_dir=options.report_dir(config),
        cwd=Path(config.invocation_params.dir),
        rootpath=config.rootpath,
        environ=os.environ,
    )
    runs = plan_runs(request, audits, adapters)
    config.stash[RUNS] = runs
    _collect_too(config, paths)
    if hasattr(config, "workerinput"):
        for run in runs:
            run.session_dir = Path(config.workerinput["mlperf_session_dir"])
    elif not config.option.collectonly and not config.getoption("mlperf_plan"):
        _open_session(config)


def _open_session(config: pytest.Config) -> None:
    from .recorder import Recorder
    from .session import AuditSession

    session = AuditSession(config.stash[RUNS])
    config.stash[SESSION] = session
    workers = len(getattr(config.option, "tx", None) or ())
    config.pluginmanager.register(Recorder(session, workers), "mlperf_recorder")


def _collect_too(config: pytest.Config, paths: list[Path]) -> None:
    """Have pytest collect the YAMLs, unless the user points at one or into it. Needed in every process."""
    named = {Path(config.invocation_params.dir, arg.split("::")[0]).resolve() for arg in config.args}
    config.args.extend(str(path) for path in paths if path not in named)


def show_plan(config: pytest.Config) -> int:
    """Print the plan of every run and send nothing. Raises pytest.UsageError."""
    config._do_configure()  # noqa: SLF001 - as pytest's own --markers and --fixtures do
    try:
        if RUNS not in config.stash:
            raise pytest.UsageError("--mlperf-plan needs --mlperf-config=FILE")
        from .plan_view import plan_lines

        runs = config.stash[RUNS]
        for line in plan_lines(runs):
            print(line)  # noqa: T201 - what was asked for
    finally:
        config._ensure_unconfigure()  # noqa: SLF001
    return 0


def collected(session: pytest.Session) -> None:
    """Note which audits the selected tests need; prepare their runs, or have the controller do so."""
    from .collection import AuditFile
    from .session import note_needed

    runs = session.config.stash[RUNS]
    needed = {run.node_id for run in runs if any(_asks_for_endpoint(item) for item in session.items)}
    for item in session.items:
        if file := item.getparent(AuditFile):
            needed.add(file.run.node_id)
            file.run.selected.add(item.getparent(pytest.Class).name)  # type: ignore[union-attr]
    if SESSION in session.config.stash:
        session.config.stash[SESSION].prepare(needed)
    elif hasattr(session.config, "workerinput"):
        note_needed(Path(session.config.workerinput["mlperf_session_dir"]), needed)


def _asks_for_endpoint(item: pytest.Item) -> bool:
    return bool(set(FOR_USERS) & set(getattr(item, "fixturenames", ())))


def configure_worker(node: Any) -> None:
    """Give a worker the session's directory."""
    node.workerinput["mlperf_session_dir"] = str(node.config.stash[SESSION].directory)


def prepare_for_workers(config: pytest.Config) -> None:
    """Prepare what workers have noted as needed."""
    from .session import noted_as_needed

    session = config.stash[SESSION]
    session.prepare(noted_as_needed(session.directory))
