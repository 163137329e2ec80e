"""TEST09: are outputs as long as they should be? The rule, the live audit, the published one.

And what MLPerf fixes for it. Source: mlcommons/inference `compliance/TEST09/<model>/audit.config` at commit b66003e1.
"""

from __future__ import annotations

from typing import Final

import msgspec

from ..models import figure_of
from ..verdict import Check


class LengthBounds(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of the mean output length in tokens, both allowed, and the number of samples to be logged.

    `unique` is whether the audit.config has LoadGen issue each sample once; otherwise samples may come twice.
    """

    min_tokens: float
    max_tokens: float
    n_samples: int
    unique: bool


_BOUNDS: Final = {
    "gpt-oss-120b": LengthBounds(min_tokens=1150.38, max_tokens=1406.02, n_samples=6396, unique=True),
    "e2e-rag-qna": LengthBounds(min_tokens=246.43, max_tokens=301.19, n_samples=824, unique=False),
}


def bounds_of(benchmark: str) -> LengthBounds | None:
    """Return a benchmark's bounds, None for one that has no TEST09."""
    return figure_of(benchmark, _BOUNDS)


def mean_within(n_tokens: int, n_outputs: int, low: float, high: float) -> Check:
    """Require that the mean of `n_outputs` outputs of `n_tokens` tokens in all is within the bounds, both allowed."""
    if not n_outputs:
        reason = "no output is logged, so there is no mean length"
        return Check(name="output_length", passed=None, observed=None, limit=high, reason=reason)
    return mean_check(n_tokens / n_outputs, n_outputs, low, high)


def mean_check(mean: float, n_outputs: int, low: float, high: float) -> Check:
    """Require that a mean output length in tokens is within the bounds, both allowed."""
    passed = low <= mean <= high
    limit = low if mean < low else high
    reason = f"the mean of {n_outputs} outputs is {mean:.2f} tokens, {low:g} to {high:g} allowed"
    return Check(name="output_length", passed=passed, observed=mean, limit=limit, reason=reason)
