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

_ENTRY = "AuditEntry"
#: `audit:` is a list of entries, or one. Told apart by if and else, not by anyOf: an editor then names the wrong key in
#: the entry, where anyOf would say only that no kind fits.
_ONE_OR_MORE: _Schema = {
    "if": {"type": "array"},
    "then": {"items": {"$ref": f"#/$defs/{_ENTRY}"}},
    "else": {"if": {"type": "null"}, "else": {"$ref": f"#/$defs/{_ENTRY}"}},
}
#: What can only be a slip of an MLPerf test's name; any other name may be an audit of a third party.
_LIKE_A_TEST = r"^[Tt][Ee][Ss][Tt][ _-]?[0-9]+$"


def json_schema(audit_models: Mapping[str, type[AuditBlock]]) -> _Schema:
    """Return the schema (draft 2020-12) of a file whose `audit:` may name these audits, by id."""
    schema: _Schema = _canonical(benchmark_model(audit_models).model_json_schema(mode="validation"))
    definitions = schema.pop("$defs", {})
    for block in (schema, *definitions.values()):
        block["properties"] = {
            name: _or_variable(name, _untitled(value)) for name, value in block.get("properties", {}).items()
        }
    audit = schema["properties"]["audit"]
    schema["properties"]["audit"] = {"description": audit["description"], "default": audit["default"], **_ONE_OR_MORE}
    definitions[_ENTRY] = _entry(audit_models, definitions)
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


def _entry(audit_models: Mapping[str, type[AuditBlock]], definitions: Mapping[str, _Schema]) -> _Schema:
    """Return the schema of an entry of `audit:`: its test says which block it is."""
    names = {model.__name__: _names(definitions[model.__name__]) for model in audit_models.values()}
    known = sorted({test for tests in names.values() for test in tests})
    return {
        "description": "An audit: one of those shipped, or of a third party, whose keys only its own schema knows",
        "type": "object",
        "required": ["test"],
        "properties": {
            "test": {
                "description": "Which audit to run",
                "if": {"pattern": _LIKE_A_TEST},
                "then": {"enum": known},
                "anyOf": [{"enum": known}, {"type": "string"}],
            }
        },
        "allOf": [
            {
                "if": {"properties": {"test": {"enum": tests}}, "required": ["test"]},
                "then": {"$ref": f"#/$defs/{name}"},
            }
            for name, tests in names.items()
        ],
    }


def _names(block: _Schema) -> list[str]:
    """Return the names in `test` of an audit's block: its id and its aliases."""
    test = block["properties"]["test"]
    return list(test["enum"]) if "enum" in test else [test["const"]]


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
