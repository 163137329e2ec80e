"""What takes too long for every change: run with `pytest -m nightly`."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(config, items):
    if "nightly" in config.option.markexpr:
        return
    for item in items:
        if item.get_closest_marker("nightly"):
            item.add_marker(pytest.mark.skip(reason="takes long: run it with -m nightly"))
