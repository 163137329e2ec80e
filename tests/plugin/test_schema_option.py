"""--mlperf-schema prints the schema of a YAML, with the audits of the folder's own conftest.py."""

from __future__ import annotations

import json

import pytest
from jsonschema import Draft202012Validator

CONFTEST = """
from typing import Literal
from pytest_mlperf_audit import Audit, AuditBlock

class CeilingBlock(AuditBlock):
    test: Literal["ceiling"]
    p90_ms: float = 4

class Ceiling(Audit[CeilingBlock]):
    id = "ceiling"
    title = "Nothing takes long"
    config = CeilingBlock

    def plan(self, cfg, samples, context): ...
    def checks(self, cfg, phases): ...
    def verify(self, cfg, runs): ...

def pytest_mlperf_audits():
    return [Ceiling()]
"""
YAML = {"type": "online", "model_params": {"name": "m"}, "datasets": [{"path": "rows.jsonl"}]}


@pytest.mark.parametrize("args", [(), ("-n", "2"), ("-p", "no:terminal")])
def test_the_schema_knows_audits_of_the_conftest(audit, args):
    audit.pytester.makeconftest(CONFTEST)
    result = audit.run("--mlperf-schema", *args, config=None)
    assert result.ret == 0
    validator = Draft202012Validator(json.loads(result.stdout.str()))
    assert validator.is_valid({**YAML, "audit": [{"test": "ceiling", "p90_ms": 5}, {"test": "test06"}]})
    assert validator.is_valid({**YAML, "audit": {"test": "of_somebody_else", "limit": 5}})
    assert not validator.is_valid({**YAML, "audit": {"test": "ceiling", "p9_ms": 5}})
