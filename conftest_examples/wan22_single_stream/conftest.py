"""Fixtures of one's own may build on the plugin's."""

import pytest


@pytest.fixture(scope="session")
def scenario(mlperf_config):
    """MLPerf's name of the load this YAML asks for."""
    return mlperf_config.scenario
