"""Figures of output tokens in time, and goodput: how many queries kept the limits that the YAML sets. Pure.

Time per output token is LoadGen's: (latency - time to first token) / (tokens - 1), of streamed replies of two tokens
or more (mlcommons/inference `loadgen/results.cc`). A piece of a stream may hold several tokens, and no time of a
single piece is recorded, so that nothing here is a gap between two pieces.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..stats.percentiles import LatencySummary, summarize
from .columns import QueryColumns

_NS_PER_MS = 1e6


class TokenFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Output tokens as the replies report them, of completed queries that were issued in time.

    `n` replies report tokens; `tokens_per_s` is their sum over the phase's window, of all users together.
    `time_per_output_token` is None where no streamed reply reports two tokens. `tokens_per_s_per_user` is one over its
    median, None where that is 0: all tokens came in one piece.
    """

    n: int
    mean: float
    tokens_per_s: float | None
    time_per_output_token: LatencySummary | None
    tokens_per_s_per_user: float | None


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a query must keep to count as good, in ms, and the least share of good queries, None where none is asked."""

    ttft_ms: float | None = None
    tpot_ms: float | None = None
    latency_ms: float | None = None
    min_share: float | None = None


class Goodput(msgspec.Struct, frozen=True, kw_only=True):
    """How many of `n` queries that were issued in time completed and kept every limit.

    `n_unmeasured` completed and lack what a limit is about: no stream, or no number of tokens. They are not good. Where
    that is so of all that completed, `share` and `qps` are None.
    """

    n: int
    n_good: int
    n_unmeasured: int
    share: float | None
    qps: float | None


def token_figures(queries: QueryColumns, window_s: float | None) -> TokenFigures | None:
    """Return the token figures of queries that were issued in time; None where no completed reply reports tokens."""
    tokens = queries.tokens
    counted = queries.ok & (tokens >= 0)
    n = int(counted.sum())
    if not n:
        return None
    total = int(tokens[counted].sum())
    per_token_ns = _per_token_ns(queries)
    measured = per_token_ns[~np.isnan(per_token_ns)]
    summary = summarize(measured / 1e9) if measured.size else None
    return TokenFigures(
        n=n,
        mean=total / n,
        tokens_per_s=total / window_s if window_s else None,
        time_per_output_token=summary,
        tokens_per_s_per_user=1 / summary.p50_s if summary and summary.p50_s > 0 else None,
    )


def goodput(queries: QueryColumns, limits: Limits | None, window_s: float | None) -> Goodput | None:
    """Return how many queries kept the limits; None without one. A limit is kept by what equals it.

    A streamed reply of at most one token has no time between two tokens, and keeps the limit of that.
    """
    if limits is None or not len(queries):
        return None
    ok, tokens, first_ns = queries.ok, queries.tokens, queries.first_token_ns
    kept, known = ok.copy(), ok.copy()
    streamed = first_ns >= 0
    if limits.latency_ms is not None:
        kept &= queries.completed_ns - queries.issued_ns <= limits.latency_ms * _NS_PER_MS
    if limits.ttft_ms is not None:
        known &= streamed
        kept &= first_ns - queries.issued_ns <= limits.ttft_ms * _NS_PER_MS
    if limits.tpot_ms is not None:
        known &= streamed & (tokens >= 0)
        kept &= ~(_per_token_ns(queries) > limits.tpot_ms * _NS_PER_MS)
    n_good, n_unmeasured = int((kept & known).sum()), int((ok & ~known).sum())
    said = bool(known.any()) or not n_unmeasured
    return Goodput(
        n=len(queries),
        n_good=n_good,
        n_unmeasured=n_unmeasured,
        share=n_good / len(queries) if said else None,
        qps=n_good / window_s if said and window_s else None,
    )


def _per_token_ns(queries: QueryColumns) -> NDArray[np.float64]:
    """Return the time per output token of each query, in ns; NaN where it has none."""
    tokens, first_ns = queries.tokens, queries.first_token_ns
    found = np.full(len(queries), np.nan)
    decoded = queries.ok & (first_ns >= 0) & (tokens > 1)
    found[decoded] = (queries.completed_ns - first_ns)[decoded] / (tokens[decoded] - 1)
    return found
