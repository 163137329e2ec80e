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
