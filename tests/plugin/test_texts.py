"""What --help, --markers, --fixtures and the header say; and that saying nothing costs nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ["pydantic", "aiohttp", "httptools", "numpy", "scipy", "yaml", "jinja2", "msgspec", "tqdm", "ziaplot"]
PRINT_HEAVY = f"""
import sys
def pytest_unconfigure():
    print("heavy:", [name for name in {HEAVY} if name in sys.modules])
"""


def test_help(audit, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    result = audit.run("--help", config=None)
    result.stdout.fnmatch_lines(
        [
            "MLPerf endpoint audits:",
            "*--mlperf-config=FILE*run the audits that this YAML asks for (repeatable)",
            "*--mlperf-endpoint=URL",
            "*audit this endpoint instead of the YAML's; without a YAML, ask it what it serves and *",
            "*--mlperf-init=*write a YAML, a data set and a CI workflow to begin with, *",
            "*--mlperf-model=NAME *the model to audit, where no YAML names it",
            "*--mlperf-api=TYPE *the API to audit (openai, *), where no YAML names it",
            "*--mlperf-report-dir=DIR",
            "*write verdict, report and records here",
            "*--mlperf-plan *print phases, query counts and estimated cost; send nothing",
            "*--mlperf-recheck=DIR *recompute the finished run in this report directory and compare; send nothing *",
            "*--mlperf-layout={endpoints,classic,both}",
            "*which of MLPerf's submission files to write (default: endpoints)",
            "*mlperf_recheck (paths):*",
            "*mlperf_config (paths):*",
            "*mlperf_endpoint (string):*",
            "*mlperf_report_dir (string):*",
            "*mlperf_layout (string):*",
        ]
    )


@pytest.mark.parametrize("args", [(), ("--mlperf-config=wan22.yaml",)], ids=["bare", "yaml"])
def test_markers(audit, sut, args):
    audit.config(sut)
    result = audit.run("--markers", *args, config=None)
    result.stdout.fnmatch_lines_random(
        [
            "@pytest.mark.mlperf: every check that --mlperf-config collects",
            "@pytest.mark.performance: checks of the main performance run",
            "@pytest.mark.test04: checks of *caching*",
        ]
    )
    assert result.outlines.count(result.outlines[0]) == 1
    assert sum("@pytest.mark.test04" in line for line in result.outlines) == 1
    assert sut.received == 0


def test_fixtures(audit):
    result = audit.run("--fixtures", config=None)
    result.stdout.fnmatch_lines_random(
        [
            "mlperf_config [[]session scope]*",
            "mlperf_endpoint [[]session scope]*",
            "mlperf_phases [[]session scope]*",
            "mlperf_verdict [[]session scope]*",
            "*Phase records, run on first use: *",
        ]
    )
    result.stdout.no_fnmatch_line("_mlperf_*")


def test_header(audit, sut):
    audit.config(sut, settings={"load_pattern": {"type": "concurrency", "target_concurrency": 1}}, type="online")
    result = audit.run("--co", "-n", "2")
    result.stdout.fnmatch_lines(
        [
            "mlperf-audit: wan22.yaml: test04 (8 + 8 queries, SingleStream, limit 1.9x)",
            f"mlperf-audit: endpoint {sut.url} (videogen)",
        ]
    )


def test_header_names_a_simulated_endpoint(audit):
    audit.config(None)
    audit.run("--co").stdout.fnmatch_lines(["mlperf-audit: endpoint SIMULATED: *"])


@pytest.mark.own_process
@pytest.mark.parametrize("args", [(), ("-n", "2"), ("--strict-markers",)], ids=["plain", "n2", "strict"])
def test_a_session_without_a_yaml_imports_nothing_heavy(audit, args):
    (audit.path / "conftest.py").write_text(PRINT_HEAVY)
    (audit.path / "test_own.py").write_text(
        "import sys, pytest\n@pytest.mark.test04\ndef test_own():\n"
        f"    assert [name for name in {HEAVY} if name in sys.modules] == []\n"
    )
    result = audit.run(*args, config=None)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["heavy: []"])
    result.stdout.no_fnmatch_line("mlperf-audit*")


def test_importing_the_package_and_the_plugin_imports_nothing_heavy():
    code = f"import sys, pytest_mlperf_audit.plugin.hooks; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_showing_fixtures_touches_nothing(audit, sut):
    audit.config(sut)
    audit.pytester.makeini("[pytest]\nmlperf_config = wan22.yaml\n")
    audit.run("--fixtures", config=None)
    assert not audit.report().exists()
    assert sut.received == 0
