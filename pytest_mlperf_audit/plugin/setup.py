"""What the hooks do, in the order pytest calls them: configure, collected, and the same across xdist's processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ..audits.shipped import SHIPPED
from ..errors import UserError
from . import options
from .fixtures import NEED_ENDPOINT
from .keys import ALONE, RUNS, SESSION

if TYPE_CHECKING:
    from ..session.prepare import AuditSession

#: With any of these nothing is sent and no file is written.
_SENDING_NOTHING = ("collectonly", "setupplan", "setuponly", "showfixtures", "show_fixtures_per_test", "mlperf_plan")


def configure(config: pytest.Config) -> None:
    """Register markers; with a YAML, plan its run. Raises pytest.UsageError for a user's mistake."""
    config.addinivalue_line("markers", "mlperf: every check that --mlperf-config collects")
    config.addinivalue_line("markers", "performance: checks of the main performance run")
    config.addinivalue_line("markers", "accuracy: checks of the accuracy run")
    trees, finished = options.result_trees(config), options.recheck_dirs(config)
    if trees or finished:
        _collect_nothing_else(config)
    if trees:
        from . import tree_setup as results

        results.configure(config, trees, records=_records(config))
    paths = [] if finished else options.config_files(config)
    third_parties = len(config.hook.pytest_mlperf_audits.get_hookimpls()) > 1
    if not (paths or finished or third_parties or config.getoption("markers", default=False)):
        # Reading the audits' titles would import them, which a session without a YAML need not pay for.
        for audit_id in SHIPPED:
            config.addinivalue_line("markers", f"{audit_id}: checks of the audit {audit_id}")
        return
    try:
        _configure_audits(config, paths, finished)
    except UserError as error:
        raise pytest.UsageError(str(error)) from error


def _configure_audits(config: pytest.Config, paths: list[Path], finished: list[Path]) -> None:
    from ..audits import registry

    audits = registry.gather(audit for offered in config.hook.pytest_mlperf_audits() for audit in offered)
    for audit in audits.values():
        config.addinivalue_line("markers", f"{audit.id}: checks of {audit.title}")
    if paths:
        _plan(config, paths, audits)
    if finished:
        from . import recheck_setup as recheck

        files = recheck.configure(config, finished, audits, records=_records(config))
        _collect_too(config, files, "mlperf_recheck")


def _plan(config: pytest.Config, paths: list[Path], audits: Any) -> None:
    from ..session.inputs import gather_adapters
    from ..session.plan import Request, plan_runs
    from .limits import lifted

    offered = config.hook.pytest_mlperf_endpoint_adapters()
    adapters = gather_adapters(adapter for some in offered for adapter in some)
    request = Request(
        configs=tuple(paths),
        endpoint=options.endpoint(config),
        report_dir=options.report_dir(config),
        cwd=Path(config.invocation_params.dir),
        rootpath=config.rootpath,
        environ=os.environ,
        between=_between_phases(config),
    )
    runs = plan_runs(request, audits, adapters)
    config.stash[RUNS] = runs
    for run in runs:
        run.without_limit = partial(lifted, config)
    _collect_too(config, paths)
    if hasattr(config, "workerinput"):
        from ..runs.clock import Clock

        for run in runs:
            run.session_dir = Path(config.workerinput["mlperf_session_dir"])
            run.controller = os.getppid()
            run.clock = Clock(*config.workerinput["mlperf_clock"])
    elif _records(config):
        _open_session(config)


def _between_phases(config: pytest.Config) -> Callable[[str, str, tuple[str, ...]], object] | None:
    """Return the hook that is called between two phases, None where nobody implements it."""
    hook = config.hook.pytest_mlperf_between_phases
    if not hook.get_hookimpls():
        return None
    return lambda before, after, urls: hook(before=before, after=after, urls=urls)


def _records(config: pytest.Config) -> bool:
    """Whether this process is the one that records: neither a worker, nor does the session run nothing."""
    nothing_runs = any(config.getoption(name, default=False) for name in _SENDING_NOTHING)
    return not (nothing_runs or hasattr(config, "workerinput"))


def _open_session(config: pytest.Config) -> None:
    from ..session.prepare import AuditSession
    from .recorder import Recorder

    layout = options.layout(config)  # before the session has anything to close
    session = AuditSession(config.stash[RUNS], _teller(config))
    config.stash[SESSION] = session
    recorder = Recorder(session, options.workers(config), layout)
    config.pluginmanager.register(recorder, "mlperf_recorder")


def _collect_nothing_else(config: pytest.Config) -> None:
    """Leave out what pytest collects without an argument: the code of whoever published what is to be judged.

    An ini file that declares `testpaths`, or an option --mlperf-config beside an ini twin, asks for more than that.
    """
    explicit = config.option.mlperf_results or config.option.mlperf_recheck
    source, sources = config.args_source, pytest.Config.ArgsSource
    if source is not sources.ARGS and (
        explicit or (source is sources.INVOCATION_DIR and not config.option.mlperf_config)
    ):
        config.args.clear()
        config.stash[ALONE] = True


def _teller(config: pytest.Config) -> Callable[[str], None]:
    """Return what shows a line that belongs to the header, and is known after it."""

    def tell(text: str) -> None:
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None and reporter.verbosity >= 0:
            reporter.ensure_newline()
            reporter.write_line(f"mlperf-audit: {text}")

    return tell


def _collect_too(config: pytest.Config, paths: list[Path], option: str = "mlperf_config") -> None:
    """Have pytest collect the files that `option` asks for, too. Needed in every process.

    Arguments that point at such a file, or into it, choose among them. Beside arguments that do not, those of the ini
    file are left out: `pytest tests/test_x.py` must not run an audit that the command line does not name.
    """
    explicit = config.args_source is pytest.Config.ArgsSource.ARGS
    named = {options.absolute(Path(config.invocation_params.dir, arg.split("::")[0])) for arg in config.args}
    if explicit and (named & set(paths) or not config.getoption(option)):
        return
    config.args.extend(str(path) for path in paths if path not in named)


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


def collected(session: pytest.Session) -> None:
    """Note which audits the selected tests need; prepare their runs, or have the controller do so."""
    from ..session.prepare import note_needed
    from .audit_nodes import AuditFile

    runs = session.config.stash[RUNS]
    needed = {run.node_id for run in runs if any(_asks_for_endpoint(item) for item in session.items)}
    for item in session.items:
        if file := item.getparent(AuditFile):
            needed.add(file.run.node_id)
            file.run.selected.add(item.getparent(pytest.Class).name)  # type: ignore[union-attr]
    if SESSION in session.config.stash:
        _prepare(session.config.stash[SESSION], needed)
    elif hasattr(session.config, "workerinput"):
        note_needed(Path(session.config.workerinput["mlperf_session_dir"]), needed)


def _asks_for_endpoint(item: pytest.Item) -> bool:
    return not NEED_ENDPOINT.isdisjoint(getattr(item, "fixturenames", ()))


def configure_worker(node: Any) -> None:
    """Give a worker the session's directory and clock."""
    session = node.config.stash[SESSION]
    node.workerinput["mlperf_session_dir"] = str(session.directory)
    node.workerinput["mlperf_clock"] = (session.clock.read_ns, session.clock.counted_ns)


def prepare_for_workers(config: pytest.Config) -> None:
    """Prepare what workers have noted as needed."""
    from ..session.prepare import noted_as_needed

    session = config.stash[SESSION]
    _prepare(session, noted_as_needed(session.directory))


def _prepare(session: AuditSession, needed: Iterable[str]) -> None:
    """Prepare runs. Raises pytest.UsageError."""
    try:
        session.prepare(needed)
    except UserError as error:
        raise pytest.UsageError(str(error)) from error
