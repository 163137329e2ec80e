"""The same runs with records on disk as the report's tests have."""

from __future__ import annotations

import runpy
from pathlib import Path

_runs = runpy.run_path(str(Path(__file__).parents[1] / "report/conftest.py"))
make_run = _runs["make_run"]
make_probe = _runs["make_probe"]
