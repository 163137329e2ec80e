"""What --mlperf-schema prints: the JSON Schema of a YAML, for an editor."""

from __future__ import annotations

import json

import pytest


def show_schema(config: pytest.Config) -> int:
    """Print the schema of a YAML that may name the shipped audits and those of this folder's conftest.py."""
    from ..audits.registry import models
    from ..config.schema import json_schema
    from .setup import offered_audits

    print(json.dumps(json_schema(models(offered_audits(config))), indent=2))  # noqa: T201 - what was asked for
    return 0
