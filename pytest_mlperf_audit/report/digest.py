"""The digest in verdict.json over verdict.json itself, so that any altered byte of it is found.

It is the SHA-256 of the file's bytes with the 64 digits of the digest's own value as zeros. `digest` is the last
field, so that the digits stand at one place and no text in the document can pass for them. It is no signature: whoever
rewrites the file can compute it anew.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

UNSEALED: Final = "0" * 64

_END = re.compile(rb'"digest": "([0-9a-f]{64})"\n\}\n\Z')


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
