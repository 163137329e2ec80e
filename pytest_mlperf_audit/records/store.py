"""Where the phases of a run lie, reading and writing them, and whether a phase's records agree with each other.

    <directory>/phase.json      written once, when the phase has ended however it ended
    <directory>/queries.jsonl   appended while it runs
    <directory>/score.json      what an external scorer made of it, where one was asked for
    <directory>/tokens.json     its replies' official tokens, where a tokenizer was given
    <directory>/queries.worker-<n>.jsonl   of several processes, until they are put together as queries.jsonl

A directory with queries but no phase.json is a phase whose process was killed: it is never read as a result.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from ..errors import NoVerdictError, RecordError
from ..runs.official import OfficialTokens
from ..runs.phase import MeasuredPhase, PhaseRecord, as_recorded, figures
from ..runs.spec import RunSpec, Score
from .differences import differences
from .files import read_limited, sha256_file, write_atomic
from .log import read_columns, read_queries

PHASE_FILE = "phase.json"
QUERIES_FILE = "queries.jsonl"
SCORE_FILE = "score.json"
TOKENS_FILE = "tokens.json"
_FILES = (QUERIES_FILE, PHASE_FILE, SCORE_FILE, TOKENS_FILE)
_SCHEMA_VERSION = 1


class _Version(msgspec.Struct):
    schema_version: int


class _Scored(msgspec.Struct, frozen=True, kw_only=True):
    """score.json. `queries_sha256` is the digest, in hex, of the queries.jsonl that was scored."""

    score: Score
    queries_sha256: str
    schema_version: int = _SCHEMA_VERSION


class _Counted(msgspec.Struct, frozen=True, kw_only=True):
    """tokens.json. `queries_sha256` is the digest, in hex, of the queries.jsonl whose replies were counted."""

    tokens: OfficialTokens
    queries_sha256: str
    schema_version: int = _SCHEMA_VERSION


_Beside = TypeVar("_Beside", _Scored, _Counted)

_decode_version = msgspec.json.Decoder(_Version).decode
_decode_phase = msgspec.json.Decoder(PhaseRecord).decode
_decode_score = msgspec.json.Decoder(_Scored).decode
_decode_tokens = msgspec.json.Decoder(_Counted).decode


def write_phase(directory: Path, record: PhaseRecord) -> None:
    """Write phase.json atomically. Raises OSError."""
    _write(directory / PHASE_FILE, record)


def read_phase(directory: Path) -> PhaseRecord | None:
    """Return the record of a phase that ended, None when there is none.

    Raises RecordError when phase.json is not one this version wrote.
    """
    path = directory / PHASE_FILE
    try:
        raw = read_limited(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RecordError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        # Before the rest is looked at, which in another version may have another shape.
        _require_version(path, _decode_version(raw).schema_version)
        return _decode_phase(raw)
    except (ValueError, RecursionError) as error:  # msgspec's own errors are ValueErrors
        raise RecordError(f"{path}: not a phase record ({error})") from error


def started(directory: Path) -> bool:
    """Whether a phase was begun here, ended or not."""
    return (directory / QUERIES_FILE).exists() or (directory / PHASE_FILE).exists()


def complete_phase(directory: Path) -> PhaseRecord:
    """Return a phase record that a verdict may rest on. Raises NoVerdictError, saying why, or RecordError."""
    record = read_phase(directory)
    if record is None:
        what = "was cut short: its process ended in mid-phase" if started(directory) else "was not run"
        raise NoVerdictError(f"phase {directory.name} {what} (records: {directory})")
    if not record.complete:
        raise NoVerdictError(f"phase {record.label}: {record.reason or record.status} (records: {directory})")
    return record


def set_aside(directory: Path) -> int:
    """Move what an earlier attempt at a phase left to `attempt-<k>` within it; return the next attempt's number."""
    attempt = 1
    while (directory / f"attempt-{attempt}").exists():
        attempt += 1
    leftovers = [path for name in _FILES if (path := directory / name).exists()]
    leftovers += sorted(directory.glob(worker_file("*")))
    if not leftovers:
        return attempt
    kept = directory / f"attempt-{attempt}"
    kept.mkdir()
    for path in leftovers:
        path.rename(kept / path.name)
    return attempt + 1


def worker_file(worker: int | str) -> str:
    """Return the name of what one of several workers has recorded, until all of it is put together."""
    return f"queries.worker-{worker}.jsonl"


def write_score(directory: Path, score: Score) -> None:
    """Write score.json atomically beside the phase's queries.jsonl. Raises OSError."""
    _write(directory / SCORE_FILE, _Scored(score=score, queries_sha256=sha256_file(directory / QUERIES_FILE)))


def read_score(directory: Path) -> Score | None:
    """Return the score of the phase in a directory, None where no external scorer was run.

    Raises RecordError when score.json is not one this version wrote, or is of other queries than lie beside it.
    """
    scored = _read_beside(directory, SCORE_FILE, _decode_score, "score")
    return None if scored is None else scored.score


def write_tokens(directory: Path, tokens: OfficialTokens) -> None:
    """Write tokens.json atomically beside the phase's queries.jsonl. Raises OSError."""
    _write(directory / TOKENS_FILE, _Counted(tokens=tokens, queries_sha256=sha256_file(directory / QUERIES_FILE)))


def read_tokens(directory: Path) -> OfficialTokens | None:
    """Return the official tokens of the phase in a directory, None where none were counted.

    Raises RecordError when tokens.json is not one this version wrote, or is of other queries than lie beside it.
    """
    counted = _read_beside(directory, TOKENS_FILE, _decode_tokens, "count of tokens")
    return None if counted is None else counted.tokens


def _read_beside(directory: Path, name: str, decode: Callable[[bytes], _Beside], what: str) -> _Beside | None:
    """Return what was made of a phase's queries, which has their digest; None where there is none."""
    path = directory / name
    try:
        raw = read_limited(path)
        digest = sha256_file(directory / QUERIES_FILE)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RecordError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        made = decode(raw)
    except (ValueError, RecursionError) as error:  # msgspec's own errors are ValueErrors
        raise RecordError(f"{path}: not the record of a {what} ({error}); remove it and run again") from error
    _require_version(path, made.schema_version)
    if made.queries_sha256 != digest:
        raise RecordError(f"{path}: is the {what} of another {QUERIES_FILE} than lies beside it, so one was exchanged")
    return made


def require_planned(directory: Path, record: PhaseRecord, spec: RunSpec) -> None:
    """Raise RecordError when the record is of another phase than `spec` planned. A nonce's seed may differ."""
    if _seedless(record.spec) != _seedless(spec):
        other = f", called {record.spec.label!r}" if record.spec.label != spec.label else ""
        raise RecordError(
            f"{directory / PHASE_FILE}: the record of another phase than the one planned{other}; it was edited or "
            "exchanged"
        )


def consistent(directory: Path, record: PhaseRecord) -> MeasuredPhase:
    """Return the phase with its queries.

    Raises RecordError when the figures are not those of the query log, so that one of the two was edited.
    """
    path = directory / QUERIES_FILE
    queries = read_columns(path)
    recomputed = msgspec.to_builtins(
        as_recorded(figures(queries, record.spec.load, record.spec.limits), record.figures)
    )
    if found := list(differences(msgspec.to_builtins(record.figures), recomputed)):
        raise RecordError(
            f"{directory / PHASE_FILE}: its figures do not follow from {QUERIES_FILE}, so one of them was edited or "
            f"exchanged ({'; '.join(map(str, found[:3]))})"
        )
    tokens = read_tokens(directory)
    if tokens is not None and not tokens.n_queries * 4 == len(tokens.after_first) == 4 * len(queries):
        raise RecordError(
            f"{directory / TOKENS_FILE}: has not one count for each query of {QUERIES_FILE}; one was edited"
        )
    return MeasuredPhase(record, queries, lambda: read_queries(path), read_score(directory), tokens)


def _write(path: Path, record: PhaseRecord | _Scored | _Counted) -> None:
    write_atomic(path, msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n")


def _require_version(path: Path, version: int) -> None:
    if version != _SCHEMA_VERSION:
        raise RecordError(
            f"{path}: has schema version {version}, and this version of pytest-mlperf-audit reads "
            f"{_SCHEMA_VERSION}; use the version that wrote it"
        )


def _seedless(spec: RunSpec) -> RunSpec:
    return msgspec.structs.replace(spec, nonce_seed=None)
