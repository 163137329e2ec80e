"""Verdict and Check: what a verifier returns."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

Figure = bool | int | float | str | None


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was asserted: `observed` against `limit`, and a sentence for a person in `reason`."""

    name: str
    passed: bool
    observed: Figure
    limit: Figure
    reason: str


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What an audit concludes from complete phases. `figures` is evidence beside the rule and decides nothing."""

    audit: str
    checks: tuple[Check, ...]
    figures: Mapping[str, Figure] = {}
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every check passed; never true without a check."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    def check(self, name: str) -> Check:
        """Return the check of that name; KeyError when there is none."""
        for check in self.checks:
            if check.name == name:
                return check
        raise KeyError(name)
