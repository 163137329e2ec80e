"""An endpoint that is named without a YAML is audited all the same; and YAMLs may be arguments, as test files are."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from . import options

if TYPE_CHECKING:
    from ..load.discover import Asked
    from ..session.start import Started

_YAML: Final = "mlperf_started_yaml"
#: With any of these pytest tells something about itself, and no endpoint is asked.
_INFORMING: Final = ("help", "version", "markers", "showfixtures", "cacheshow", "mlperf_schema", "mlperf_init")
_SUFFIXES: Final = frozenset({".yaml", ".yml"})
#: What begins a line of a YAML of ours, and of no other tool's.
_OURS: Final = re.compile(rb"^(?:audit|endpoint_config|model_params)[ \t]*:", re.MULTILINE)
_MOST_BYTES: Final = 2**20


class Start:
    """Says before the run what was found, and behind it how to keep it. `node_id` is that of the YAML."""

    def __init__(self, started: Started, node_id: str) -> None:
        self._started = started
        self.node_id = node_id

    @pytest.hookimpl(trylast=True)
    def pytest_report_header(self) -> list[str]:
        """Say what was found."""
        return [f"mlperf-audit: {line}" for line in self._started.lines]

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say how to keep it."""
        if keep := self._started.keep:
            files = f"{shlex.quote(os.path.relpath(keep))}.*l"
            again = shlex.join(["pytest", self._started.yaml.name])
            terminalreporter.write_line(f"mlperf-audit: to keep this audit: cp {files} . && {again}")

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: pytest.Session) -> None:
        """Tell a worker the YAML, so that the endpoint is asked once."""
        node.workerinput[_YAML] = str(self._started.yaml)  # type: ignore[attr-defined]


def yaml_of_endpoint(config: pytest.Config, *, nothing_runs: bool) -> list[Path]:
    """Return the YAML that was written for an endpoint that is named without one; none where that is not asked for.

    Where `nothing_runs` it lies in a directory that ends with the session. Raises UserError.
    """
    if any(getattr(config.option, name, None) for name in _INFORMING) or not (url := _asked_for(config)):
        return []
    if told := getattr(config, "workerinput", {}).get(_YAML):
        return [Path(told)]
    from ..session.plan import node_id
    from ..session.start import start, stem

    directory = options.report_dir(config) or Path(config.invocation_params.dir, "mlperf-reports", stem(url))
    into = _passing(config) if nothing_runs else None
    started = start(_asked(config, url), directory, os.environ, into=into)
    name = node_id(directory.with_name(started.yaml.name), config.rootpath)
    config.pluginmanager.register(Start(started, name), "mlperf_start")
    return [started.yaml]


def _asked_for(config: pytest.Config) -> str | None:
    """Return the endpoint; that of an ini file is left out beside arguments, as its YAMLs are."""
    explicit = config.args_source is pytest.Config.ArgsSource.ARGS
    return None if explicit and not config.option.mlperf_endpoint else options.endpoint(config)


def _passing(config: pytest.Config) -> Path:
    """Return a directory that ends with the session."""
    directory = tempfile.mkdtemp(prefix="mlperf-start-")
    config.add_cleanup(partial(shutil.rmtree, directory, ignore_errors=True))
    return Path(directory).resolve()


def node_id_of(config: pytest.Config) -> str | None:
    """Return the node id of the YAML that was written for an endpoint, None where there is none."""
    plugin = config.pluginmanager.get_plugin("mlperf_start")
    return plugin.node_id if plugin else None


def where_keys_are(config: pytest.Config) -> str:
    """Return where to correct keys of a YAML that the user has not written, "" where there is none."""
    plugin = config.pluginmanager.get_plugin("mlperf_start")
    return f". The keys are those of {plugin.node_id}, which was written for this run" if plugin else ""


def write_init(config: pytest.Config) -> int:
    """Do what --mlperf-init asks for. Raises pytest.UsageError."""
    from ..errors import UserError
    from ..session.init import init

    cwd = Path(config.invocation_params.dir)
    folder = options.absolute(cwd / config.option.mlperf_init)
    asked = _asked(config, config.option.mlperf_endpoint or "")
    try:
        lines = init(folder, asked, os.environ, cwd)
    except UserError as error:
        raise pytest.UsageError(str(error)) from error
    print("\n".join(lines))  # noqa: T201 - what was asked for
    return 0


def _asked(config: pytest.Config, url: str) -> Asked:
    from ..load.discover import Asked

    return Asked(url, options.value(config, "mlperf_api"), options.value(config, "mlperf_model"))


def take_arguments(config: pytest.Config) -> None:
    """Have arguments that are YAMLs of ours, `wan22.yaml` or `wan22.yaml::test04`, be as if --mlperf-config named them.

    None is looked for in directories. In every process, since a worker has the same arguments.
    """
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        return
    known = options.config_files(config)
    named = [options.absolute(Path(config.invocation_params.dir, arg.split("::")[0])) for arg in config.args]
    ours = [path for path in dict.fromkeys(named) if path not in known and _is_ours(path)]
    if not ours:
        return
    if config.option.mlperf_config and not set(named) & set(known):
        config.args.extend(map(str, known))  # asked for whole, beside those that are named
    config.option.mlperf_config = [*config.option.mlperf_config, *map(str, ours)]


def _is_ours(path: Path) -> bool:
    if path.suffix not in _SUFFIXES or not path.is_file():
        return False
    with path.open("rb") as file:
        return _OURS.search(file.read(_MOST_BYTES)) is not None


def refuse_alone(config: pytest.Config, paths: Sequence[Path]) -> None:
    """Raise pytest.UsageError for options that say something of an endpoint without a YAML, beside one."""
    for name in ("mlperf_model", "mlperf_api"):
        if paths and getattr(config.option, name):
            option = f"--{name.replace('_', '-')}"
            key = {"mlperf_model": "model_params.name", "mlperf_api": "endpoint_config.api_type"}[name]
            raise pytest.UsageError(f"{option} is for an endpoint without a YAML; in the YAML, correct {key}")
