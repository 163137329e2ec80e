"""The hooks third parties may implement, in a conftest.py or a plugin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ..audits.contract import Audit
    from ..endpoints.base import EndpointAdapter


@pytest.hookspec
def pytest_mlperf_audits() -> Iterable[Audit[Any]]:  # type: ignore[empty-body]
    """Return audits to offer beside the shipped ones; the YAML's `audit:` picks by id.

    Example::

        def pytest_mlperf_audits():
            return [LatencyFloor()]
    """


@pytest.hookspec
def pytest_mlperf_endpoint_adapters() -> Iterable[type[EndpointAdapter]]:  # type: ignore[empty-body]
    """Return endpoint adapters; the YAML's `endpoint_config.api_type` picks by `api_type`.

    Example::

        def pytest_mlperf_endpoint_adapters():
            return [TritonAdapter]
    """


@pytest.hookspec
def pytest_mlperf_between_phases(before: str, after: str, urls: tuple[str, ...]) -> None:
    """Restart or flush the SUT between two phases, say; an exception ends the run without a verdict.

    `before` and `after` are the labels of the phase that has ended and of the one to come; `urls` are the endpoint's.
    Without an implementation phases are sent back to back.

    Example::

        def pytest_mlperf_between_phases(before, after, urls):
            subprocess.run(["systemctl", "restart", "vllm"], check=True)
    """
