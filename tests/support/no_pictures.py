"""For pytest sessions in tests: leaves the pictures out of report.html, which have tests of their own.

Drawing them takes 0.06 s of CPU in each of hundreds of sessions.
"""

import sys
import types
from typing import Any

_PICTURES = "pytest_mlperf_audit.report.pictures"

_charts: Any = types.ModuleType("pytest_mlperf_audit.report.charts")
_charts.MAX_SERIES = _charts.N_COLOURS = 8
_charts.Floats = object
_charts.Strip = lambda *_, **__: None
_charts.dash = lambda _series: ""
for _picture in ("latency_distribution", "completions_over_time", "ratio_against_limit", "strips"):
    setattr(_charts, _picture, lambda *_, **__: None)

_in_use: Any = sys.modules.get(_PICTURES)
if _in_use is None:
    sys.modules[_charts.__name__] = _charts
else:  # a session in the test's process, where the module that draws is there already
    _drawn = _in_use.charts

    def pytest_configure() -> None:
        _in_use.charts = _charts

    def pytest_unconfigure() -> None:
        _in_use.charts = _drawn
