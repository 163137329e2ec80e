from __future__ import annotations

import runpy
from pathlib import Path

_runs = runpy.run_path(str(Path(__file__).parents[1] / "unit/report/conftest.py"))
make_run = _runs["make_run"]
make_phase = _runs["make_phase"]
