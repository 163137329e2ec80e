"""The matrix: every supported Python with the latest pytest, and the lowest two with the oldest that is supported.

What can differ between interpreters and releases runs here; the whole suite runs once, by the README's command. The
tests themselves run pytest with xdist, without it (-n 0) and with it switched off (-p no:xdist).
"""

from __future__ import annotations

import nox

nox.options.default_venv_backend = "venv"

UNIT = [f"tests/unit/{room}" for room in ("config", "datasets", "runs", "records", "scoring", "audits/rules")]
PLUGIN = ["tests/plugin/test_selection.py", "tests/plugin/test_fail.py", "tests/load/test_on_the_wire.py"]


@nox.session(python=["3.10", "3.12", "3.13"])
def matrix(session: nox.Session) -> None:
    """Run the subset with the latest pytest."""
    session.chdir("..")
    session.install("-q", "-e", ".[test]")
    session.run("python", "-m", "pytest", "-q", *UNIT, *PLUGIN)


@nox.session(python=["3.10", "3.11"])
def oldest(session: nox.Session) -> None:
    """Run what touches pytest with the oldest."""
    session.chdir("..")
    session.install("-q", "-e", ".[test]", "pytest==9.0.0")
    session.run("python", "-m", "pytest", "-q", *PLUGIN)


@nox.session(default=False)
def real_servers(session: nox.Session) -> None:
    """Audit servers that nobody here wrote: 10 GB of packages, kept in nox's cache, and a quarter of an hour."""
    folder = str((session.cache_dir / "real-servers").absolute())
    session.chdir("..")
    session.install("-q", "-e", ".[test]")
    session.run("python", "-m", "tests.support.real_servers", folder)
    tests = ["-m", "nightly", "-n", "0", "tests/nightly/test_real_servers.py"]
    session.run("python", "-m", "pytest", *tests, env={"REAL_SERVERS": folder})
