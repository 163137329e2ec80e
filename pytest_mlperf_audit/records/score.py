"""score.json: what an external scorer made of a phase, tied to the query log that it was run on."""

from __future__ import annotations

from pathlib import Path

import msgspec

from ..errors import RecordError
from ..runs.scoring import Score
from .atomic import sha256_file, write_atomic
from .store import QUERIES_FILE, SCHEMA_VERSION, SCORE_FILE


class _Scored(msgspec.Struct, frozen=True, kw_only=True):
    """`queries_sha256` is the digest, in hex, of the queries.jsonl that was scored."""

    score: Score
    queries_sha256: str
    schema_version: int = SCHEMA_VERSION


_decoder = msgspec.json.Decoder(_Scored)


def write_score(directory: Path, score: Score) -> None:
    """Write score.json atomically beside the phase's queries.jsonl. Raises OSError."""
    scored = _Scored(score=score, queries_sha256=sha256_file(directory / QUERIES_FILE))
    write_atomic(directory / SCORE_FILE, msgspec.json.format(msgspec.json.encode(scored), indent=2) + b"\n")


def read_score(directory: Path) -> Score | None:
    """Return the score of the phase in a directory, None where no external scorer was run.

    Raises RecordError when score.json is not one this version wrote, or is of other queries than lie beside it.
    """
    path = directory / SCORE_FILE
    try:
        raw = path.read_bytes()
        digest = sha256_file(directory / QUERIES_FILE)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RecordError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        scored = _decoder.decode(raw)
    except (ValueError, RecursionError) as error:  # msgspec's own errors are ValueErrors
        raise RecordError(f"{path}: not the record of a score ({error}); remove it and run again") from error
    if scored.schema_version != SCHEMA_VERSION:
        raise RecordError(
            f"{path}: has schema version {scored.schema_version}, and this version of pytest-mlperf-audit reads "
            f"{SCHEMA_VERSION}; use the version that wrote it"
        )
    if scored.queries_sha256 != digest:
        raise RecordError(f"{path}: is the score of another {QUERIES_FILE} than lies beside it, so one was exchanged")
    return scored.score
