"""Nothing is needed here: the plugin loads itself. This file adds one fact to the head of the run."""

from importlib.metadata import version


def pytest_report_header():
    return f"wan22_offline example, pytest-mlperf-audit {version('pytest-mlperf-audit')}"
