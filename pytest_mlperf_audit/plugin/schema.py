"""What --mlperf-schema prints: the JSON Schema of a YAML, for an editor."""

from __future__ import annotations

import json

import pytest


def show_schema(config: pytest.Config) -> int:
    """Print the schema of a YAML that may name the shipped audits and those of this folder's conftest.py."""
    from ..audits import registry
    from ..config.schema import json_schema

    audits = registry.gather(audit for offered in config.hook.pytest_mlperf_audits() for audit in offered)
    print(json.dumps(json_schema(registry.models(audits)), indent=2))  # noqa: T201 - what was asked for
    return 0
