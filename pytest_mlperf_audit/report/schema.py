"""The JSON Schema of a document that is written, the same under every Python and msgspec. Pure."""

from __future__ import annotations

import inspect
from typing import Any

import msgspec


def document_schema(document: type[msgspec.Struct], title: str, version: int) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a document, whose `schema_version` is that one."""
    schema = msgspec.json.schema(document)
    definitions = schema["$defs"]
    definitions[document.__name__]["properties"]["schema_version"] = {"const": version}
    for definition in definitions.values():
        if "description" in definition:  # a docstring, which some versions indent as the source does
            definition["description"] = inspect.cleandoc(definition["description"])
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title}
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(head | schema))  # defaults are tuples before
    return plain
