"""Every pytest hook of the plugin; each hands over in a few lines. Loading this file imports nothing heavy."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from . import hookspecs, options
from .fixtures import (  # noqa: F401 - pytest finds fixtures here
    _mlperf_check,
    _mlperf_run,
    mlperf_config,
    mlperf_endpoint,
    mlperf_phases,
    mlperf_verdict,
    parametrize,
)
from .keys import ALONE, RECHECKS, ROUNDS, RUNS, SESSION

if TYPE_CHECKING:
    from ..audits.contract import Audit
    from ..endpoints.base import EndpointAdapter


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the --mlperf-* options."""
    options.add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Open audits and endpoint adapters to third parties."""
    pluginmanager.add_hookspecs(hookspecs)


def pytest_mlperf_audits() -> Iterable[Audit[Any]]:
    """Offer the shipped audits."""
    from ..audits.registry import shipped

    return shipped().values()


def pytest_mlperf_endpoint_adapters() -> Iterable[type[EndpointAdapter]]:
    """Offer the shipped adapters."""
    from ..endpoints.registry import shipped

    return shipped()


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Keep clear of what is to be judged: no code of theirs is run, no cache is written into a run's directory."""
    given = early_config.known_args_namespace
    trees, finished = options.result_trees(early_config, given), options.recheck_dirs(early_config, given)
    if trees or finished:
        from . import setup

        setup.before_conftests(early_config, trees, finished)


@pytest.hookimpl(trylast=True)  # after conftests and other plugins, so that what they offer is known
def pytest_configure(config: pytest.Config) -> None:
    """Plan the runs; a user's mistake ends here, before any worker starts."""
    from . import setup

    setup.configure(config)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Answer --mlperf-schema, --mlperf-init and --mlperf-plan."""
    if config.getoption("mlperf_schema"):
        from . import schema

        return schema.show_schema(config)
    if config.getoption("mlperf_init") is not None:
        from . import start

        return start.write_init(config)
    if not config.getoption("mlperf_plan"):
        return None
    from . import header

    return header.show_plan(config)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Ask the endpoints before the header is shown: where one is not to be used, that is all there is to say."""
    if SESSION in session.config.stash:
        from . import before_header

        before_header.ask_endpoints(session.config)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect the YAMLs and the finished runs that were asked for."""
    for run in parent.config.stash.get(RUNS, []):
        if run.path == file_path:
            from .nodes import AuditFile

            return AuditFile.of(run, parent)
    if RECHECKS in parent.config.stash:
        from .nodes import finished_at

        return finished_at(file_path, parent.config.stash[RECHECKS], parent)
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_collect_directory(path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect the submission trees that were asked for; a package on the way to one is a directory like others."""
    if ROUNDS in parent.config.stash:
        from .tree_nodes import tree_at

        if tree := tree_at(path, parent.config.stash[ROUNDS], parent):
            return tree
    if ALONE in parent.config.stash:
        directory: pytest.Dir = pytest.Dir.from_parent(parent, path=path)  # pytest.Package would import __init__.py
        return directory
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not ignore what leads to a tree or a run that was asked for: it may lie in a directory called build."""
    wanted = [tree_round.tree for tree_round in config.stash.get(ROUNDS, [])]
    wanted += [recheck.run.verdict_file for recheck, _ in config.stash.get(RECHECKS, [])]
    return False if any(collection_path in (path, *path.parents) for path in wanted) else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a report carry which check it is on, or what an audit directory came to, and point at its file."""
    report = yield
    if RUNS in item.config.stash or RECHECKS in item.config.stash:
        from . import nodes

        nodes.carry(item, call, report)
    if ROUNDS in item.config.stash:
        from . import tree_nodes

        tree_nodes.carry(item, call, report)
    return report


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> bool | None:
    """Have pytest-timeout leave our checks alone."""
    if RUNS not in item.config.stash:
        return None
    from . import neighbours

    return neighbours.set_timer(item, settings)


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_timeout_cancel_timer(item: pytest.Item) -> None:
    """Know whether a clock of pytest-timeout runs."""
    if RUNS in item.config.stash:
        from . import neighbours

        neighbours.forget_timer(item)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run users' tests once for each YAML."""
    parametrize(metafunc)


@pytest.hookimpl(tryfirst=True)  # on a worker, before xdist tells the controller that collection is over
def pytest_collection_finish(session: pytest.Session) -> None:
    """Learn which runs the selected tests need, and prepare them."""
    if RUNS in session.config.stash:
        from . import setup

        setup.collected(session)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker where the session's files are."""
    if RUNS in node.config.stash:
        from . import neighbours

        neighbours.configure_worker(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any) -> None:
    """Prepare what the workers' selected tests need, before the first of them starts."""
    if RUNS in node.config.stash:
        from . import setup

        setup.prepare_for_workers(node.config)


@pytest.hookimpl(tryfirst=True)  # before xdist waits for its workers
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Stop a phase that is still running."""
    if SESSION in session.config.stash:
        session.config.stash[SESSION].stop_measuring()


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say what will run."""
    if RUNS not in config.stash and RECHECKS not in config.stash and ROUNDS not in config.stash:
        return []
    from . import header

    return header.header_lines(config)
