"""TEST07's and TEST09's common rule on plain values: every sample once.

Rules: mlcommons/inference `compliance/TEST07/README.md` and `compliance/TEST09/README.md`.
"""

from __future__ import annotations

from .verdict import Check


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
