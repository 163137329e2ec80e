"""What the hooks do, in the order pytest calls them: before conftests, configure, collected, prepared."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ..audits.shipped import ONLY_PUBLISHED, SHIPPED
from ..errors import UserError
from . import options, start
from .fixtures import NEED_ENDPOINT
from .keys import ALONE, RECHECKS, ROUNDS, RUNS, SESSION

if TYPE_CHECKING:
    from ..audits.registry import Registry
    from ..session.account import Account

#: With any of these nothing is sent and no file is written.
_SENDING_NOTHING = ("collectonly", "setupplan", "setuponly", "showfixtures", "show_fixtures_per_test", "mlperf_plan")


@contextmanager
def _usage_errors() -> Iterator[None]:
    """Turn a user's mistake into pytest.UsageError: exit status 4, and no traceback."""
    try:
        yield
    except UserError as error:
        raise pytest.UsageError(str(error)) from error


def before_conftests(config: pytest.Config, trees: list[Path], finished: list[Path]) -> None:
    """Keep pytest from executing what lies in directories to be judged, and from writing its cache into one.

    Raises pytest.UsageError.
    """
    with _usage_errors():
        for directory in finished:
            from ..session.finished import refuse_code, require_verdict

            require_verdict(directory)
            refuse_code(directory)
            if _caches_in(directory, config):
                for name in ("cacheprovider", "stepwise"):  # as -p no:cacheprovider does
                    config.pluginmanager.set_blocked(name)
                    config.pluginmanager.set_blocked(f"pytest_{name}")
        if trees and not config.known_args_namespace.noconftest:
            _keep_from_conftests(config, trees)


def _caches_in(directory: Path, config: pytest.Config) -> bool:
    """Whether pytest's cache would lie in a directory."""
    if not config.pluginmanager.hasplugin("cacheprovider"):
        return False
    return options.absolute(Path(config.rootpath, str(config.getini("cache_dir")))).is_relative_to(directory)


def _keep_from_conftests(config: pytest.Config, trees: list[Path]) -> None:
    from ..session.places import file_near, refuse_conftests

    given, cwd = config.known_args_namespace, Path(config.invocation_params.dir)
    refuse_conftests(trees, given.file_or_dir, cwd)
    if given.mlperf_results and not given.file_or_dir:
        # Without an argument pytest executes test*/conftest.py below the working directory: code beside the tree.
        given.file_or_dir = [str(file_near(cwd))]


def configure(config: pytest.Config) -> None:
    """Register markers; find out what is to be run and judged. Raises pytest.UsageError for a user's mistake."""
    config.addinivalue_line("markers", "mlperf: every check that --mlperf-config collects")
    config.addinivalue_line("markers", "performance: checks of the main performance run")
    config.addinivalue_line("markers", "accuracy: checks of the accuracy run")
    config.addinivalue_line("markers", "compare: figures of a run against an earlier one")
    trees, finished = options.result_trees(config), options.recheck_dirs(config)
    if trees or finished:
        _collect_nothing_else(config)
        if not options.config_files(config):
            options.refuse_compare(config)
    with _usage_errors():
        if trees:
            _find_rounds(config, trees)
        _configure_audits(config, [] if finished else _yamls(config, judging=bool(trees)), finished)
        if _records(config):
            _register_recorder(config)


def _yamls(config: pytest.Config, *, judging: bool) -> list[Path]:
    """Return the YAMLs to run: those asked for, or that of an endpoint that is named alone. Raises UserError."""
    if not judging:
        start.take_arguments(config)
    paths = options.config_files(config)
    start.refuse_alone(config, paths)
    if paths or judging:
        return paths
    return start.yaml_of_endpoint(config, nothing_runs=_nothing_runs(config))


def offered_audits(config: pytest.Config) -> Registry:
    """Return the shipped audits and those of third parties, by id. Raises ConfigError for what cannot be one."""
    from ..audits.registry import gather

    return gather(audit for offered in config.hook.pytest_mlperf_audits() for audit in offered)


def _configure_audits(config: pytest.Config, paths: list[Path], finished: list[Path]) -> None:
    third_parties = len(config.hook.pytest_mlperf_audits.get_hookimpls()) > 1
    if not (paths or finished or third_parties or config.getoption("markers", default=False)):
        # Reading the audits' titles would import them, which a session without a YAML need not pay for.
        for audit_id in (*SHIPPED, *ONLY_PUBLISHED):
            config.addinivalue_line("markers", f"{audit_id}: checks of the audit {audit_id}")
        return
    audits = offered_audits(config)
    for audit in audits.values():
        config.addinivalue_line("markers", f"{audit.id}: checks of {audit.title}")
    for audit_id in ONLY_PUBLISHED:
        config.addinivalue_line("markers", f"{audit_id}: checks of the audit {audit_id}")
    if paths:
        _plan_runs(config, paths, audits)
    if finished:
        _find_finished(config, finished, audits)


def _plan_runs(config: pytest.Config, paths: list[Path], audits: Registry) -> None:
    from ..session.inputs import gather_adapters
    from ..session.plan import Request, plan_runs
    from .neighbours import join_session, without_limit

    offered = config.hook.pytest_mlperf_endpoint_adapters()
    adapters = gather_adapters(adapter for some in offered for adapter in some)
    request = Request(
        configs=tuple(paths),
        endpoint=options.endpoint(config),
        report_dir=options.report_dir(config),
        data_dir=options.data_dir(config),
        cwd=Path(config.invocation_params.dir),
        rootpath=config.rootpath,
        environ=os.environ,
        between=_between_phases(config),
    )
    config.stash[RUNS] = runs = plan_runs(request, audits, adapters)
    started = not options.config_files(config)
    if name := start.node_id_of(config):
        runs[0].node_id = name
    if against := options.compare_with(config):
        from ..session.compare import with_comparisons

        with_comparisons(runs, against, options.compare_threshold(config))
    for run in runs:
        _register(config, {planned.cfg.name: planned.id for planned in run.plans})
        run.without_limit = partial(without_limit, config)
        if _is_worker(config):
            join_session(run, config)
    _collect_too(config, paths, "mlperf_endpoint" if started else "mlperf_config")


def _between_phases(config: pytest.Config) -> Callable[[str, str, tuple[str, ...]], object] | None:
    """Return the hook that is called between two phases, None where nobody implements it."""
    hook = config.hook.pytest_mlperf_between_phases
    if not hook.get_hookimpls():
        return None
    return lambda before, after, urls: hook(before=before, after=after, urls=urls)


def _register(config: pytest.Config, entries: Mapping[str | None, str]) -> None:
    """Register the markers that are names which a YAML gives to its audits."""
    for name, entry in entries.items():
        if name:
            config.addinivalue_line("markers", f"{name}: checks of {entry}")


def _find_finished(config: pytest.Config, directories: list[Path], audits: Registry) -> None:
    from ..session.finished import find
    from ..session.plan import node_id
    from ..session.recheck import Recheck

    rechecks = [Recheck(find(directory), audits) for directory in directories]
    for recheck in rechecks:
        _register(config, {entry.name: entry.id for entry in recheck.run.stored.audits} if recheck.run.stored else {})
    files = [recheck.run.verdict_file for recheck in rechecks]
    config.stash[RECHECKS] = [
        (recheck, node_id(file, config.rootpath)) for recheck, file in zip(rechecks, files, strict=True)
    ]
    _collect_too(config, files, "mlperf_recheck")


def _find_rounds(config: pytest.Config, trees: list[Path]) -> None:
    """Find the audits of the trees, and have pytest collect those of them that arguments name: all, without any."""
    from ..session.places import check_harmless
    from ..session.round import choose, find_rounds
    from .tree_workers import TreeWorkers, surveyed

    cwd = Path(config.invocation_params.dir)
    report_dir = options.report_dir(config) or Path(cwd, "mlperf-reports", trees[0].name)
    rounds = find_rounds(trees, report_dir, surveyed(config))
    config.pluginmanager.register(TreeWorkers(rounds, is_worker=_is_worker(config)), "mlperf_tree_workers")
    for found in rounds:
        check_harmless(found.report_dir, [found.tree, cwd, config.rootpath])
    others = list(config.args)
    if config.args_source is pytest.Config.ArgsSource.ARGS:
        rounds, others = choose(rounds, others, cwd, config.rootpath)
    config.stash[ROUNDS] = rounds
    if len(others) < len(config.args):  # the trees stand for the arguments that name parts of them
        config.args[:] = [*others, *(str(found.tree) for found in rounds)]
    else:
        _collect_too(config, [found.tree for found in rounds], "mlperf_results")


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


def _collect_too(config: pytest.Config, paths: list[Path], option: str) -> None:
    """Have pytest collect what `option` asks for, too. Needed in every process.

    Arguments that point at such a file, or into it, choose among them. Beside arguments that do not, what the ini file
    asks for is left out: `pytest tests/test_x.py` must not run an audit that the command line does not name.
    """
    explicit = config.args_source is pytest.Config.ArgsSource.ARGS
    named = {options.absolute(Path(config.invocation_params.dir, arg.split("::")[0])) for arg in config.args}
    if explicit and (named & set(paths) or not config.getoption(option)):
        return
    config.args.extend(str(path) for path in paths if path not in named)


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def _records(config: pytest.Config) -> bool:
    """Whether this process is the one that records: neither a worker, nor does the session run nothing."""
    return not (_nothing_runs(config) or _is_worker(config))


def _nothing_runs(config: pytest.Config) -> bool:
    return any(config.getoption(name, default=False) for name in _SENDING_NOTHING)


def _register_recorder(config: pytest.Config) -> None:
    """Register the recorder, where there is something to be recorded."""
    runs, rounds = config.stash.get(RUNS, []), config.stash.get(ROUNDS, [])
    rechecks = config.stash.get(RECHECKS, [])
    if not (runs or rechecks or rounds):
        return
    from ..session.account import environment
    from .header import fresh_line, teller
    from .recorder import Recorder

    csv_dir = options.csv_dir(config)  # before the session has anything to close
    machine = environment(pytest.__version__, options.workers(config))
    accounts: list[Account] = []
    session = None
    if runs:
        from ..session.identity import command_line
        from ..session.prepare import AuditSession
        from ..session.run_account import RunAccount

        layout = options.layout(config)  # before the session has anything to close
        config.stash[SESSION] = session = AuditSession(runs, teller(config), fresh_line(config))
        typed = {**machine, "command": command_line(config.invocation_params.args, config.invocation_params.dir)}
        told = getattr(config.option, "tbstyle", "no") != "no"
        past = options.history(config)
        accounts += [RunAccount(session, run, typed, layout, told=told, history=past) for run in runs]
    if rechecks:
        from ..session.recheck_results import RecheckSummary

        accounts += [RecheckSummary(recheck, node_id) for recheck, node_id in rechecks]
    if rounds:
        from ..session.round import RoundAccount

        accounts += [RoundAccount(found, machine) for found in rounds]
    if csv_dir is not None:
        accounts += _csv_accounts(config, accounts, csv_dir)
    recorder = Recorder(accounts, session)
    config.add_cleanup(recorder.end)
    config.pluginmanager.register(recorder, "mlperf_recorder")


def _csv_accounts(config: pytest.Config, accounts: list[Account], directory: Path) -> list[Account]:
    """Return the accounts that write CSV files of what the others come to."""
    from ..session import csv_files
    from ..session.round import RoundAccount
    from ..session.run_account import RunAccount

    of_runs = (account for account in accounts if isinstance(account, RunAccount))
    of_rounds = (account for account in accounts if isinstance(account, RoundAccount))
    runs, rounds = config.stash.get(RUNS, []), config.stash.get(ROUNDS, [])
    return csv_files.apart(
        *(csv_files.of_run(account, run.report_dir, directory) for account, run in zip(of_runs, runs, strict=True)),
        *(csv_files.of_recheck(recheck, directory) for recheck, _ in config.stash.get(RECHECKS, [])),
        *(csv_files.of_round(account, found.tree, directory) for account, found in zip(of_rounds, rounds, strict=True)),
    )


def collected(session: pytest.Session) -> None:
    """Note which audits the selected tests need; prepare their runs, or have the controller do so."""
    from ..session.compare import COMPARE
    from ..session.prepare import note_needed
    from .nodes import AuditFile, group_of

    config = session.config
    needs_all = any(not NEED_ENDPOINT.isdisjoint(getattr(item, "fixturenames", ())) for item in session.items)
    needed = {run.node_id for run in config.stash[RUNS] if needs_all}
    for item in session.items:
        if file := item.getparent(AuditFile):
            needed.add(file.run.node_id)
            group = group_of(item)
            compared = file.run.comparison if group == COMPARE else None
            file.run.selected.add(compared.audit_id if compared else group)
    if SESSION in config.stash:
        _prepare(config, needed)
    elif _is_worker(config):
        from .neighbours import session_dir

        note_needed(session_dir(config), needed)


def prepare_for_workers(config: pytest.Config) -> None:
    """Prepare what workers have noted as needed."""
    from ..session.prepare import noted_as_needed

    _prepare(config, noted_as_needed(config.stash[SESSION].directory), sends_here=False)


def _prepare(config: pytest.Config, needed: Iterable[str], *, sends_here: bool = True) -> None:
    with _usage_errors():
        config.stash[SESSION].prepare(needed, sends_here=sends_here)
