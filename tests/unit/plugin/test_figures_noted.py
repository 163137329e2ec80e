"""What JUnit is told of a test."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from pytest_mlperf_audit.plugin.nodes import _note_figures


def test_a_figure_that_is_not_there_is_left_out():
    item: Any = SimpleNamespace(user_properties=[])
    _note_figures(item, {"ratio": 1.02, "probe_null_p": None, "probe_groups": 0, "passed": False})
    assert item.user_properties == [("mlperf_ratio", 1.02), ("mlperf_probe_groups", 0), ("mlperf_passed", False)]
