"""What several workers have of a load, and what they knew of themselves."""

from __future__ import annotations

from pytest_mlperf_audit.load.workers.shares import together
from pytest_mlperf_audit.runs.phase import ClientState


def _state(figure: float, count: int) -> ClientState:
    return ClientState(
        lag_p99_s=figure,
        lag_max_s=figure,
        lag_mean_s=figure,
        lag_samples=count,
        delay_share=figure,
        cpu_share=figure,
        opened=count,
        reused=count,
        resent=count,
    )


def test_the_worst_of_each_counts_and_connections_are_added_up():
    found = together([_state(0.25, 7), None, _state(0.5, 3)])
    assert found == ClientState(
        lag_p99_s=0.5,
        lag_max_s=0.5,
        lag_mean_s=0.5,
        lag_samples=3,
        delay_share=0.5,
        cpu_share=0.5,
        opened=10,
        reused=10,
        resent=10,
    )


def test_nobody_knew_anything():
    assert together([None, None]) is None
