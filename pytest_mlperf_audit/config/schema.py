"""The JSON Schema of the configuration file, for editors; `config/schema.json` is this for the shipped audits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .benchmark import benchmark_model
from .block import AuditBlock
from .peer import IGNORED, MOVED
from .yaml_source import KeyPath

_SCHEMA_ID = "urn:pytest-mlperf-audit:config:1"
_VARIABLE = {
    "type": "string",
    "pattern": r"\$",
    "description": "A value from the environment: ${NAME} or ${NAME:-default}",
}
_IGNORED = {"description": "A key of the endpoints tool without meaning here: accepted and ignored", "deprecated": True}

_MOVED = {"description": "A key of the endpoints tool, read under the name that it has here", "deprecated": True}
#: A block of the endpoints tool that is no more.
_DRAIN = ("settings", "drain")

_Schema = dict[str, Any]


def json_schema(audit_models: Mapping[str, type[AuditBlock]]) -> _Schema:
    """Return the schema (draft 2020-12) of a file whose `audit:` may name these audits, by id."""
    schema: _Schema = _canonical(benchmark_model(audit_models).model_json_schema(mode="validation"))
    definitions = schema.pop("$defs", {})
    for block in (schema, *definitions.values()):
        block["properties"] = {
            name: _or_variable(name, _untitled(value)) for name, value in block.get("properties", {}).items()
        }
    audit = schema["properties"]["audit"]
    audit["anyOf"] = [audit["items"], {"type": "array", "items": audit.pop("items")}, {"type": "null"}]
    del audit["type"]
    for path in IGNORED:
        if path[:2] != _DRAIN:
            _allow(schema, definitions, path, _IGNORED)
    for path in (_DRAIN, *(old for old in MOVED if old[:2] != _DRAIN)):
        _allow(schema, definitions, path, _MOVED)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": _SCHEMA_ID,
        **schema,
        "title": "pytest-mlperf-audit configuration",
        "description": "The YAML of MLCommons' endpoints tool, with the keys of pytest-mlperf-audit",
        "$defs": definitions,
    }


def _canonical(value: Any) -> Any:
    """Even out what pydantic's releases write differently for the same model, so that the shipped file is one."""
    if isinstance(value, dict):
        return {
            key: _canonical(inner) for key, inner in value.items() if (key, inner) != ("additionalProperties", True)
        }
    if isinstance(value, list):
        return [_canonical(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _untitled(value: _Schema) -> _Schema:
    """Drop the titles pydantic makes of key names; they say nothing."""
    return {key: inner for key, inner in value.items() if key != "title"}


def _or_variable(name: str, value: _Schema) -> _Schema:
    """Allow a variable where a value that is not text is expected; `test` tells the audits apart and stays plain."""
    if name == "test":
        return value
    kinds = value.get("anyOf", [value])
    if not any(kind.get("type") in {"integer", "number", "boolean"} or "enum" in kind for kind in kinds):
        return value
    kept = {key: inner for key, inner in value.items() if key in {"default", "description"}}
    kind = {key: inner for key, inner in value.items() if key not in kept and key != "anyOf"}
    return {**kept, "anyOf": [*(value.get("anyOf") or [kind]), _VARIABLE]}


def _allow(schema: _Schema, definitions: Mapping[str, _Schema], path: KeyPath, value: _Schema) -> None:
    block = schema
    for part in path[:-1]:
        if part != "*":
            block = _definition(block["properties"][part], definitions)
    block["properties"].setdefault(str(path[-1]), dict(value))


def _definition(value: _Schema, definitions: Mapping[str, _Schema]) -> _Schema:
    """Return the block that a property refers to, as itself, as one kind of several, or as a list's item."""
    for kind in (value, value.get("items", {}), *value.get("anyOf", [])):
        if "$ref" in kind:
            return definitions[kind["$ref"].removeprefix("#/$defs/")]
    raise LookupError("an ignored key lies in no block")
