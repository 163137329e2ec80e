"""Replies that are longer than the limit sent with them: the endpoint was measured on other work than was asked for."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..endpoints.source import RequestSource
from ..runs.columns import QueryColumns


def long_replies(label: str, queries: QueryColumns, source: RequestSource) -> str:
    """Return what to say of a phase with such replies, "" of any other. A count of tokens is the server's own."""
    tokens = queries.tokens
    longer = _longer(source, tokens.tolist(), queries.samples.tolist())
    if not longer:
        return ""
    sample, most, limit = longer[0]
    return (
        f"{label}: {len(longer)} of {int(np.count_nonzero(tokens >= 0))} replies report more tokens than "
        f"max_new_tokens allows (row {sample}: {most} for {limit}), so that longer outputs were measured than were "
        f"asked for; {source.adapter.limit_cure}"
    )


def _longer(source: RequestSource, tokens: Iterable[int], samples: Iterable[int]) -> list[tuple[int, int, int]]:
    """Return row, tokens and limit of each reply above its limit; each row's limit is worked out once."""
    limits: dict[int, int | None] = {}
    found = []
    for sample, n_tokens in zip(samples, tokens, strict=True):
        if n_tokens <= 0 or not 0 <= sample < len(source):
            continue
        if sample not in limits:
            limits[sample] = source.adapter.token_limit(source.dataset[sample])
        if (limit := limits[sample]) is not None and n_tokens > limit:
            found.append((sample, n_tokens, limit))
    return found
