"""Command line and ini options."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from ..layouts import LAYOUTS


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise argparse.ArgumentTypeError("not an http(s) URL; give for example http://127.0.0.1:8000")
    return text


def _percent(text: str) -> float:
    try:
        share = float(text.strip().removesuffix("%")) / 100
    except ValueError:
        share = 0.0
    if not 0 < share < 10:
        raise argparse.ArgumentTypeError(f"{text!r} is no share in per cent; give for example 10%")
    return share


def add_options(parser: pytest.Parser) -> None:
    """Add every --mlperf-* option and its ini twin."""
    group = parser.getgroup("mlperf-audit", "MLPerf endpoint audits")
    group.addoption(
        "--mlperf-config",
        metavar="FILE",
        action="append",
        default=[],
        help="run the audits that this YAML asks for (repeatable)",
    )
    group.addoption(
        "--mlperf-endpoint",
        metavar="URL",
        type=_url,
        default=None,
        help="audit this endpoint instead of the YAML's; without a YAML, ask it what it serves and probe it for caches",
    )
    group.addoption(
        "--mlperf-init",
        metavar="DIR",
        nargs="?",
        const=".",
        default=None,
        help="write a YAML, a data set and a CI workflow to begin with, for --mlperf-endpoint or for WAN2.2, and end",
    )
    group.addoption("--mlperf-model", metavar="NAME", default=None, help="the model to audit, where no YAML names it")
    group.addoption(
        "--mlperf-api",
        metavar="TYPE",
        default=None,
        help="the API to audit (openai, openai_embeddings, videogen, ...), where no YAML names it",
    )
    group.addoption("--mlperf-report-dir", metavar="DIR", default=None, help="write verdict, report and records here")
    group.addoption(
        "--mlperf-data-dir",
        metavar="DIR",
        default=None,
        help="look for data sets that the YAML knows by name alone in this directory; nothing is downloaded",
    )
    group.addoption(
        "--mlperf-plan",
        action="store_true",
        default=False,
        help="print phases, query counts and estimated cost; send nothing",
    )
    group.addoption(
        "--mlperf-compare",
        metavar="PATH",
        default=None,
        help="compare the speed with a finished run's directory, a history file, or another YAML of this session",
    )
    group.addoption(
        "--mlperf-compare-threshold",
        metavar="PERCENT",
        type=_percent,
        default=None,
        help="how much slower than that a run may be (default: 10 per cent)",
    )
    group.addoption("--mlperf-history", metavar="FILE", default=None, help="add each finished run to this file")
    parser.addini("mlperf_compare", "what to compare the speed with", default="")
    parser.addini("mlperf_compare_threshold", "how much slower than that a run may be", default="10%")
    parser.addini("mlperf_history", "file to which each finished run is added", default="")
    group.addoption(
        "--mlperf-schema",
        action="store_true",
        default=False,
        help="print the JSON Schema of the YAML, for editors",
    )
    group.addoption(
        "--mlperf-results",
        metavar="DIR",
        action="append",
        default=[],
        help="re-verify every audit of this published submission tree; send nothing (repeatable)",
    )
    parser.addini(
        "mlperf_results", "submission trees to re-verify (default of --mlperf-results)", type="paths", default=[]
    )
    group.addoption(
        "--mlperf-recheck",
        metavar="DIR",
        action="append",
        default=[],
        help="recompute the finished run in this report directory and compare; send nothing (repeatable)",
    )
    parser.addini(
        "mlperf_recheck", "report directories to recheck (default of --mlperf-recheck)", type="paths", default=[]
    )
    group.addoption(
        "--mlperf-csv",
        metavar="DIR",
        nargs="?",
        const="mlperf-csv",
        default=None,
        help="write phases, checks, figures and queries, or a round's cases, as CSV into this directory (mlperf-csv)",
    )
    parser.addini("mlperf_csv", "directory of CSV files (default of --mlperf-csv; empty: none are written)", default="")
    group.addoption(
        "--mlperf-layout",
        choices=LAYOUTS,
        default=None,
        help="which of MLPerf's submission files to write (default: endpoints)",
    )
    parser.addini("mlperf_config", "YAMLs whose audits to run (default of --mlperf-config)", type="paths", default=[])
    parser.addini("mlperf_endpoint", "endpoint to audit instead of the YAML's", default="")
    parser.addini("mlperf_model", "the model to audit, where no YAML names it", default="")
    parser.addini("mlperf_api", "the API to audit, where no YAML names it", default="")
    parser.addini("mlperf_report_dir", "directory of verdict, report and records", default="")
    parser.addini("mlperf_data_dir", "directory of data sets that YAMLs know by name alone", default="")
    parser.addini("mlperf_layout", "which of MLPerf's submission files to write", default=LAYOUTS[0])


def config_files(config: pytest.Config) -> list[Path]:
    """Return the YAMLs asked for."""
    return _paths(config, "mlperf_config")


def refuse_compare(config: pytest.Config) -> None:
    """Raise pytest.UsageError where only finished runs are judged, and a comparison is asked for."""
    if config.getoption("mlperf_compare") or config.getoption("mlperf_history"):
        raise pytest.UsageError(
            "--mlperf-compare and --mlperf-history are for runs of this session; leave out --mlperf-recheck and "
            "--mlperf-results"
        )


def recheck_dirs(config: pytest.Config, given: argparse.Namespace | None = None) -> list[Path]:
    """Return the report directories to recheck; one option on the command line leaves the other's ini twin out.

    `given` are the options where the configuration does not have them yet. Raises pytest.UsageError beside
    --mlperf-config, since a recheck promises to send nothing.
    """
    options = given or config.option
    if options.mlperf_config and not options.mlperf_recheck:
        return []
    directories = _paths(config, "mlperf_recheck", options)
    both = options.mlperf_config or (not options.mlperf_recheck and config.getini("mlperf_config"))
    if directories and both:
        raise pytest.UsageError(
            "--mlperf-recheck sends nothing and --mlperf-config runs audits; ask for one of them in a session"
        )
    return directories


def result_trees(config: pytest.Config, given: argparse.Namespace | None = None) -> list[Path]:
    """Return the submission trees asked for; `given` are the options where the configuration does not have them yet."""
    return _paths(config, "mlperf_results", given)


def _paths(config: pytest.Config, name: str, options: argparse.Namespace | None = None) -> list[Path]:
    """Return paths asked for by option, else by ini, absolute and each once; a symbolic link keeps its own name."""
    given = [Path(config.invocation_params.dir, path) for path in getattr(options or config.option, name)]
    paths = given or [Path(path) for path in config.getini(name)]
    return list(dict.fromkeys(map(absolute, paths)))


def workers(config: pytest.Config) -> int:
    """Return how many xdist workers there are, 0 without xdist."""
    return len(getattr(config.option, "tx", None) or ())


def absolute(path: Path) -> Path:
    """Return a path as pytest names the files it collects: without `..`, symbolic links not followed."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - Path.resolve follows links


def endpoint(config: pytest.Config) -> str | None:
    """Return the endpoint asked for instead of the YAML's. Raises pytest.UsageError for an ini value that is none."""
    given: str | None = config.getoption("mlperf_endpoint")
    if given or not (declared := str(config.getini("mlperf_endpoint")).strip()):
        return given
    try:
        return _url(declared)
    except argparse.ArgumentTypeError as error:
        raise pytest.UsageError(f"mlperf_endpoint in {config.inipath}: {error}") from error


def value(config: pytest.Config, name: str) -> str:
    """Return what an option says, else its ini twin, "" without either."""
    given: str | None = config.getoption(name)
    return given or str(config.getini(name)).strip()


def report_dir(config: pytest.Config) -> Path | None:
    """Return the report directory asked for: the option's relative to the working directory, the ini's to its file."""
    return _directory(config, "mlperf_report_dir")


def compare_with(config: pytest.Config) -> Path | None:
    """Return what to compare runs with: a directory, a history, or a YAML."""
    found = _given(config, "mlperf_compare")
    return absolute(found) if found else None


def history(config: pytest.Config) -> Path | None:
    """Return the file to which finished runs are added."""
    return _given(config, "mlperf_history")


def compare_threshold(config: pytest.Config) -> float:
    """Return how much slower a run may be, as a share. Raises pytest.UsageError for an ini value that is none."""
    given: float | None = config.getoption("mlperf_compare_threshold")
    if given is not None:
        return given
    try:
        return _percent(str(config.getini("mlperf_compare_threshold")))
    except argparse.ArgumentTypeError as error:
        raise pytest.UsageError(f"mlperf_compare_threshold in {config.inipath}: {error}") from error


def data_dir(config: pytest.Config) -> Path | None:
    """Return the directory of data sets, relative as the report directory is."""
    return _directory(config, "mlperf_data_dir")


def csv_dir(config: pytest.Config) -> Path | None:
    """Return where CSV files go, None for nowhere. Raises pytest.UsageError where a test's file was taken for it."""
    directory = _directory(config, "mlperf_csv")
    if directory and directory.exists() and not directory.is_dir():
        raise pytest.UsageError(
            f"--mlperf-csv: {directory} is a file; write --mlperf-csv=DIR, or put the option behind the other arguments"
        )
    return directory


def _directory(config: pytest.Config, name: str) -> Path | None:
    found = _given(config, name)
    return found.resolve() if found else None


def _given(config: pytest.Config, name: str) -> Path | None:
    """Return a path, relative to the working directory, or to the ini file where that names it."""
    if given := config.getoption(name):
        return Path(config.invocation_params.dir, given)
    declared = str(config.getini(name)).strip()
    base = config.inipath.parent if config.inipath else config.invocation_params.dir
    return Path(base, declared) if declared else None


def layout(config: pytest.Config) -> str:
    """Return which submission files to write. Raises pytest.UsageError for an ini value that is none of LAYOUTS."""
    given: str | None = config.getoption("mlperf_layout")
    declared = str(config.getini("mlperf_layout")).strip()
    if not given and declared not in LAYOUTS:
        raise pytest.UsageError(
            f"mlperf_layout in {config.inipath}: {declared!r} is no layout; give one of {', '.join(LAYOUTS)}"
        )
    return given or declared
