"""The matrix: every supported Python that the machine has, both ends of the pytest range, with xdist and without."""

from __future__ import annotations

import nox

nox.options.default_venv_backend = "venv"

ROOT = ".."
PYTHONS = ["3.10", "3.11", "3.12", "3.13"]
#: What can differ between interpreters and pytest releases; the whole suite runs once, by the README's command.
SUBSET = ["tests/unit", "tests/load", "tests/plugin/test_matrix.py"]


@nox.session(python=PYTHONS)
@nox.parametrize("pytest", ["==9.0.0", ">=9"])
def matrix(session: nox.Session, pytest: str) -> None:
    """Run the subset on one interpreter with one pytest."""
    session.chdir(ROOT)
    session.install("-q", "-e", ".[test]", f"pytest{pytest}")
    subset = SUBSET if pytest != "==9.0.0" else SUBSET[-1:]
    session.run("python", "-m", "pytest", "-q", *subset)
