"""verdict.json on disk: written with a digest of each file it rests on and of itself, read back, its JSON Schema.

The digest over verdict.json itself finds any altered byte of it. It is the SHA-256 of the file's bytes with the 64
digits of the digest's own value as zeros. `digest` is the last field, so that the digits stand at one place and no text
in the document can pass for them. It is not a signature: whoever rewrites the file can compute it anew.
"""

from __future__ import annotations

import hashlib
import inspect
import re
from pathlib import Path
from typing import Any, Final

import msgspec

from ..errors import RecordError
from ..records.artifacts import artifacts
from ..records.files import read_limited, write_atomic
from .document import DISTRIBUTION, SCHEMA_VERSION, VerdictDocument

VERDICT_FILE: Final = "verdict.json"
REPORT_FILE: Final = "report.html"
#: Files of the report directory that the verdict cannot hold a digest of, since they are written after it is known.
NO_ARTIFACTS: Final = (VERDICT_FILE, REPORT_FILE)
SCHEMA_FILE: Final = Path(__file__).with_name("verdict.schema.json")
UNSEALED: Final = "0" * 64

_END = re.compile(rb'"digest": "([0-9a-f]{64})"\n\}\n\Z')


class _Version(msgspec.Struct):
    schema_version: int


def with_artifacts(document: VerdictDocument, report_dir: Path) -> VerdictDocument:
    """Return a document with the digest of every file in `report_dir`. Raises OSError when one cannot be read."""
    return msgspec.structs.replace(document, artifacts=dict(artifacts(report_dir, NO_ARTIFACTS)))


def write_verdict(document: VerdictDocument, report_dir: Path) -> Path:
    """Write verdict.json atomically, with its digest, and return its path. Raises OSError."""
    path = report_dir / VERDICT_FILE
    unsealed = msgspec.structs.replace(document, digest=UNSEALED)
    write_atomic(path, sealed(msgspec.json.format(msgspec.json.encode(unsealed), indent=2) + b"\n"))
    return path


def read_verdict(path: Path | str) -> VerdictDocument:
    """Read a verdict.json. Raises RecordError when it is missing, broken, or of another schema version."""
    path = Path(path)
    try:
        raw = read_limited(path)
    except OSError as error:
        raise RecordError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        found = msgspec.json.decode(raw, type=_Version).schema_version
        if found != SCHEMA_VERSION:
            raise RecordError(
                f"{path}: schema version {found}, but this version reads {SCHEMA_VERSION}; "
                f"use the {DISTRIBUTION} that wrote it"
            )
        return msgspec.json.decode(raw, type=VerdictDocument)
    except (ValueError, RecursionError) as error:  # msgspec's own errors are ValueErrors
        raise RecordError(f"{path}: not a verdict ({error}); the file was edited or cut short") from error


def verdict_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of verdict.json; `verdict.schema.json` beside this file is its copy."""
    return document_schema(VerdictDocument, f"{DISTRIBUTION} verdict", SCHEMA_VERSION)


def document_schema(document: type[msgspec.Struct], title: str, version: int) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a document with that `schema_version`, the same under every Python."""
    schema = msgspec.json.schema(document)
    definitions = schema["$defs"]
    definitions[document.__name__]["properties"]["schema_version"] = {"const": version}
    for definition in definitions.values():
        if "description" in definition:  # a docstring, which some versions indent as the source does
            definition["description"] = inspect.cleandoc(definition["description"])
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title}
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(head | schema))  # defaults are tuples before
    return plain


def sealed(raw: bytes) -> bytes:
    """Return a document that ends in `"digest": UNSEALED` with its digest in place. Raises ValueError for another."""
    at = _digits_at(raw)
    if at is None or raw[at : at + 64] != UNSEALED.encode():
        raise ValueError("the document does not end in an empty digest")
    return raw[:at] + _digest(raw, at) + raw[at + 64 :]


def seal_problem(raw: bytes) -> str:
    """Return what is wrong with a document's digest, "" when it is that of its bytes."""
    at = _digits_at(raw)
    if at is None:
        return (
            "it has no digest at its end, so nobody can tell whether it was altered; it was edited, or written by a "
            "version of pytest-mlperf-audit before there were digests"
        )
    if raw[at : at + 64] != _digest(raw, at):
        return "it was altered after it was written: its digest is not that of its bytes"
    return ""


def _digits_at(raw: bytes) -> int | None:
    found = _END.search(raw, max(0, len(raw) - 100))
    return found.start(1) if found else None


def _digest(raw: bytes, at: int) -> bytes:
    hasher = hashlib.sha256(raw[:at])
    hasher.update(UNSEALED.encode())
    hasher.update(raw[at + 64 :])
    return hasher.hexdigest().encode()
