"""Command line and ini options."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise argparse.ArgumentTypeError("not an http(s) URL; give for example http://127.0.0.1:8000")
    return text


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
        "--mlperf-endpoint", metavar="URL", type=_url, default=None, help="audit this endpoint instead of the YAML's"
    )
    group.addoption("--mlperf-report-dir", metavar="DIR", default=None, help="write verdict, report and records here")
    group.addoption(
        "--mlperf-plan",
        action="store_true",
        default=False,
        help="print phases, query counts and estimated cost; send nothing",
    )
    parser.addini("mlperf_config", "YAMLs whose audits to run (default of --mlperf-config)", type="paths", default=[])
    parser.addini("mlperf_endpoint", "endpoint to audit instead of the YAML's", default="")
    parser.addini("mlperf_report_dir", "directory of verdict, report and records", default="")


def config_files(config: pytest.Config) -> list[Path]:
    """Return the YAMLs asked for, by option else by ini, absolute and each once; a symbolic link keeps its own name."""
    given = [Path(config.invocation_params.dir, name) for name in config.getoption("mlperf_config")]
    paths = given or [Path(name) for name in config.getini("mlperf_config")]
    return list(dict.fromkeys(map(absolute, paths)))


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


def report_dir(config: pytest.Config) -> Path | None:
    """Return the report directory asked for: the option's relative to the working directory, the ini's to its file."""
    if given := config.getoption("mlperf_report_dir"):
        return Path(config.invocation_params.dir, given).resolve()
    declared = str(config.getini("mlperf_report_dir")).strip()
    base = config.inipath.parent if config.inipath else config.invocation_params.dir
    return Path(base, declared).resolve() if declared else None
