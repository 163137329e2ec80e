"""TEST07's and TEST09's rules on plain values: every sample once, and a mean output length within bounds.

Rules: mlcommons/inference `compliance/TEST07/README.md` and `compliance/TEST09/README.md`.
"""

from __future__ import annotations

from ..verdict import Check


class SampleCount:
    """Which samples were logged: give it each entry's index, then ask for the check. Memory grows by distinct ones."""

    def __init__(self) -> None:
        self.n_entries = 0
        self._seen: set[int] = set()
        self._repeated = 0
        self._first_repeated: int | None = None
        self._unnamed = 0

    def add(self, index: int | None) -> None:
        """Take in one entry; None for one that names no sample."""
        self.n_entries += 1
        if index is None:
            self._unnamed += 1
        elif index in self._seen:
            self._repeated += 1
            self._first_repeated = index if self._first_repeated is None else self._first_repeated
        else:
            self._seen.add(index)

    def check(self, expected: int, *, unique: bool) -> Check:
        """Require that `expected` samples were logged, each once where `unique`, at least so many entries otherwise."""
        n, distinct = self.n_entries, len(self._seen)
        if self._unnamed:
            passed, reason = None, f"{self._unnamed} of {n} entries name no sample, so none can be counted"
        elif not unique:
            passed = n >= expected
            reason = f"{n} outputs of {distinct} distinct samples are logged, at least {expected} outputs needed"
        elif self._repeated:
            passed = False
            reason = f"{self._repeated} of {n} entries repeat a sample ({self._first_repeated}); each must come once"
        else:
            passed = distinct == expected
            reason = f"{distinct} of {expected} samples are logged, each once"
        return Check(name="samples", passed=passed, observed=n, limit=expected, reason=reason)


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
