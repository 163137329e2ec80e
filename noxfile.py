"""What a contributor runs, a part at a time, and the matrix: every supported Python with the latest pytest, and the
lowest two with the oldest that is supported.

What can differ between interpreters and releases runs in the matrix; the whole suite runs once, by the README's
command. The tests themselves run pytest with xdist, without it (-n 0) and with it switched off (-p no:xdist).
"""

from __future__ import annotations

from pathlib import Path

import nox

nox.options.default_venv_backend = "uv|venv"  # uv makes an environment in seconds, pip in half a minute
nox.options.sessions = ["matrix", "oldest"]

UNIT = [f"tests/unit/{room}" for room in ("config", "datasets", "runs", "records", "report", "scoring")]
UNIT += [f"tests/unit/audits/test_{rule}.py" for rule in ("output_length", "outputs", "score", "tokens")]
LOCKS = ".github/requirements"
PLUGIN = ["tests/plugin/test_selection.py", "tests/plugin/test_fail.py", "tests/load/test_on_the_wire.py"]


@nox.session(python=["3.10", "3.12", "3.13"])
def matrix(session: nox.Session) -> None:
    """Run the subset with the latest pytest."""
    session.install("-q", "-e", ".[test]")
    session.run("python", "-m", "pytest", "-q", *UNIT, *PLUGIN)


@nox.session(python=["3.10", "3.11"])
def oldest(session: nox.Session) -> None:
    """Run what touches pytest with the oldest."""
    session.install("-q", "-e", ".[test]", "pytest==9.0.0")
    session.run("python", "-m", "pytest", "-q", *PLUGIN)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, types and the direction of imports: half a minute."""
    session.install("-q", "-e", ".[test,lint]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("lint-imports")


@nox.session
def unit(session: nox.Session) -> None:
    """Run what needs no server: the rules, the statistics, the readers."""
    _pytest(session, "tests/unit", "tests/fuzz")


@nox.session
def load(session: nox.Session) -> None:
    """Run the load engine and the wire formats against real servers."""
    _pytest(session, "tests/load", "tests/endpoints")


@nox.session
def plugin(session: nox.Session) -> None:
    """Run real pytest sessions with the plugin: the longest part."""
    _pytest(session, "tests/plugin", "tests/session")


@nox.session
def mlperf(session: nox.Session) -> None:
    """Run MLPerf's files, in and out; with MLPERF_INFERENCE set, beside upstream's own scripts."""
    _pytest(session, "tests/mlperf")


@nox.session(name="all")
def everything(session: nox.Session) -> None:
    """Run the whole suite."""
    _pytest(session)


@nox.session
def real_servers(session: nox.Session) -> None:
    """Audit servers that nobody here wrote: 10 GB of packages, kept in nox's cache, and an hour."""
    folder = str((session.cache_dir / "real-servers").absolute())
    session.install("-q", "-e", ".[test]")
    session.run("python", "-m", "tests.support.real_servers", folder)
    session.run("python", "-m", "tests.support.kserve_servers", folder)
    tests = [f"tests/nightly/test_{kind}_servers.py" for kind in ("real", "image", "text", "audio", "kserve", "vision")]
    session.run("python", "-m", "pytest", "-m", "nightly", "-n", "0", *tests, env={"REAL_SERVERS": folder})


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation site in dist/site; a warning or a dead link inside it is an error."""
    session.install("-q", "-e", ".[docs]")
    session.run("sphinx-build", "-W", "--keep-going", "-q", "-b", "html", "docs", "dist/site")


@nox.session
def package(session: nox.Session) -> None:
    """Build the wheel and the source archive in dist/, check them, and run the wheel in an environment of its own."""
    session.install("-q", "build", "hatchling", "twine", "check-wheel-contents", "cyclonedx-bom")
    made = Path(session.create_tmp()).absolute()
    session.run("python", "-m", "build", "-n", "-o", str(made), silent=True)
    wheel, archive = (str(next(made.glob(name))) for name in ("*.whl", "*.tar.gz"))
    session.run("twine", "check", "--strict", wheel, archive)
    session.run("check-wheel-contents", wheel)
    session.run("python", "-m", "venv", "--clear", f"{made}/installed")
    python = f"{made}/installed/bin/python"
    session.run(python, "-m", "pip", "install", "-q", wheel, external=True)
    session.run("cyclonedx-py", "environment", python, "--of", "JSON", "-o", f"{made}/sbom.cdx.json")
    session.chdir(made / "installed")
    session.run(python, "-m", "pytest", "--mlperf-schema", external=True, silent=True)


@nox.session
def advisories(session: nox.Session) -> None:
    """Look whether a package that an installation brings has a known weakness; needs the network."""
    session.install("-q", ".", "pip-audit")
    session.run("pip-audit", "--local", "--skip-editable")


@nox.session
def lock(session: nox.Session) -> None:
    """Write the packages that CI pins, with their hashes, anew: the newest of today."""
    session.install("-q", "uv")
    wanted = {"release": [f"{LOCKS}/release.in"], "test": ["pyproject.toml", "--extra", "test"]}
    for name, source in wanted.items():
        how = ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-header", "--no-annotate", "-U"]
        session.run("uv", "pip", "compile", "-q", *how, *source, "-o", f"{LOCKS}/{name}.txt", silent=True)


def _pytest(session: nox.Session, *paths: str) -> None:
    session.install("-q", "-e", ".[test]")
    session.run("python", "-m", "pytest", *paths, *session.posargs)
