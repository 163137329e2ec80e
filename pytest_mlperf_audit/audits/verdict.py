"""Verdict and Check: what a verifier returns."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

Figure = bool | int | float | str | None


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was asserted: `observed` against `limit`, and a sentence for a person in `reason`.

    `passed` is None where the records leave it in doubt, which is never a pass.
    """

    name: str
    passed: bool | None
    observed: Figure
    limit: Figure
    reason: str


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison of a family of tests, found or not.

    `p` is the raw p value, `p_corrected` that after the correction for the whole family; `effect` is a speed-up factor
    with its 95 % interval. `fast_s` and `slow_s` are median seconds of what was compared. `forbidden` says whether
    the rules forbid the kind. `n` is the number of queries compared. None stands for what could not be tested.
    """

    kind: str
    of: str
    found: bool
    forbidden: bool
    sentence: str
    p: float | None = None
    p_corrected: float | None = None
    effect: float | None = None
    effect_low: float | None = None
    effect_high: float | None = None
    fast_s: float | None = None
    slow_s: float | None = None
    n: int = 0


class ArmSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The queries of one kind in a scripted phase: what they were, how many, and median seconds."""

    arm: str
    what: str
    of: str
    n: int
    median_s: float
    first_token_s: float | None = None


class Diff(msgspec.Struct, frozen=True, kw_only=True):
    """Where two outputs that should be equal begin to differ: `of` says whose, `text` is a short unified diff."""

    of: str
    text: str


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What an audit concludes from complete phases. `figures` is evidence beside the rule and decides nothing."""

    audit: str
    checks: tuple[Check, ...]
    figures: Mapping[str, Figure] = {}
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    arms: tuple[ArmSummary, ...] = ()
    diffs: tuple[Diff, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every check passed; never true without a check."""
        return bool(self.checks) and all(check.passed is True for check in self.checks)

    def check(self, name: str) -> Check:
        """Return the check of that name; KeyError when there is none."""
        for check in self.checks:
            if check.name == name:
                return check
        raise KeyError(name)
