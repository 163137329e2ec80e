"""Replies that are longer than the limit sent with them: the endpoint was measured on other work than was asked for."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..endpoints.source import RequestSource
from ..runs.columns import QueryColumns


class LongReplies:
    """Look at each phase's queries, then ask for `warnings`. A count of tokens is the server's own.

    `source` has the rows of phases that do not bring their own.
    """

    def __init__(self, source: RequestSource) -> None:
        self._source = source
        self._warnings: list[str] = []

    @property
    def warnings(self) -> tuple[str, ...]:
        """One sentence for each phase with such replies."""
        return tuple(self._warnings)

    def look(self, label: str, queries: QueryColumns, source: RequestSource | None) -> None:
        """Take in a phase."""
        source = source or self._source
        tokens = queries.tokens
        longer = _longer(source, tokens.tolist(), queries.samples.tolist())
        if not longer:
            return
        sample, most, limit = longer[0]
        self._warnings.append(
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
