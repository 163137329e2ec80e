"""A verdict as rows for spreadsheets: its phases with all figures, its checks, its audits' figures, and queries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from ..runs.query import QueryRecord
from ..verdicts.document import AuditEntry
from ..verdicts.round import RoundDocument

_NS_PER_MS: Final = 1e6
_SAID: Final = (
    "outcome", "status", "tokens", "prompt_tokens", "cached_tokens", "reply_bytes", "finish_reason", "model", "tag",
    "conversation", "turn", "late", "worker", "resent", "cache_header", "request", "reply", "detail",
)  # fmt: skip


def phases(audits: Iterable[AuditEntry]) -> Iterator[list[Any]]:
    """Yield a row a phase, with all its figures; a figure of figures has a dot in its name."""
    found = [(audit, phase) for audit in audits for phase in audit.phases]
    figures = [dict(_flat(msgspec.to_builtins(phase.figures))) for _, phase in found]
    names = list(dict.fromkeys(name for some in figures for name in some))
    head = ["audit", "audit_status", "phase", "judged", "status", "attempt", "started_at", "duration_s", "directory"]
    yield [*head, *names]
    for (audit, phase), some in zip(found, figures, strict=True):
        own = [phase.label, phase.judged, phase.status, phase.attempt, phase.started_at, phase.duration_s]
        yield [audit.id, audit.status, *own, phase.directory, *(some.get(name) for name in names)]


def checks(audits: Iterable[AuditEntry]) -> Iterator[list[Any]]:
    """Yield a row a check."""
    names = ("name", "status", "undecided", "tested", "observed", "limit", "reason", "node_id")
    yield ["audit", *names]
    for audit in audits:
        for check in audit.checks:
            yield [audit.id, *(getattr(check, name) for name in names)]


def audit_figures(audits: Iterable[AuditEntry]) -> Iterator[list[Any]]:
    """Yield a row a figure of an audit."""
    yield ["audit", "status", "figure", "value"]
    for audit in audits:
        for name, value in audit.figures.items():
            yield [audit.id, audit.status, name, value]


def queries(records: Iterable[QueryRecord]) -> Iterator[list[Any]]:
    """Yield a row a query, without outputs. Times are in ms; `issued_ms` is since the phase's first issue."""
    yield ["query", "sample", "issued_ms", "ttft_ms", "tpot_ms", "latency_ms", *_SAID]
    for one in records:
        first_ns, tokens = one.first_token_ns, one.tokens or 0
        ttft_ms = None if first_ns is None else (first_ns - one.issued_ns) / _NS_PER_MS
        streamed = one.ok and first_ns is not None and tokens > 1
        tpot_ms = (one.completed_ns - (first_ns or 0)) / (tokens - 1) / _NS_PER_MS if streamed else None
        times = (one.issued_ns / _NS_PER_MS, ttft_ms, tpot_ms, (one.completed_ns - one.issued_ns) / _NS_PER_MS)
        yield [one.query, one.sample, *times, *(getattr(one, name) for name in _SAID)]


def cases(document: RoundDocument) -> Iterator[list[Any]]:
    """Yield a row a case of a round, with all its figures."""
    own = ("division", "submitter", "system", "benchmark", "scenario", "test", "status", "recorded", "reason")
    names = list(dict.fromkeys(name for case in document.cases for name in case.figures))
    yield [*own, "directory", *names]
    for case in document.cases:
        said = [getattr(case, name) for name in own]
        yield [*said, case.directory, *(case.figures.get(name) for name in names)]


def _flat(figures: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield figures without depth; counts by outside names stand in a single cell."""
    for name, value in figures.items():
        if name in ("failures", "models"):
            yield name, "; ".join(f"{key}: {count}" for key, count in value.items())
        elif isinstance(value, Mapping):
            yield from ((f"{name}.{inner}", item) for inner, item in _flat(value))
        elif isinstance(value, (list, tuple)):
            yield name, "; ".join(map(str, value))
        elif value is not None:
            yield name, value
