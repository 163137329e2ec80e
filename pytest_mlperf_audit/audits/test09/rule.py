"""TEST09's rule on plain values: a mean output length within bounds.

Rule: mlcommons/inference `compliance/TEST09/README.md`.
"""

from __future__ import annotations

from ..verdict import Check


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
