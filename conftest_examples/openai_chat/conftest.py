"""A check of one's own on every audit of this folder: the endpoint must stream."""

import pytest


@pytest.fixture(scope="session")
def first_token_latencies(mlperf_phases):
    """Time to first token of each phase of test04, as latency summaries."""
    return {label: record.figures.time_to_first_token for label, record in mlperf_phases["test04"].items()}
