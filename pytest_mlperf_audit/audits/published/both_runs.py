"""Checks of a pair of runs that TEST01 and TEST04 make alike, from different logs and so in different words."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from ..verdict import Check


def one_scenario(
    name: str, scenarios: tuple[str | None, str | None], ruled: Collection[str], *, test: str, missing: str
) -> Check:
    """Require that the reference and the audit run are of one scenario, and one that the test has a rule for.

    `missing` says which run names none, "" where both name one.
    """
    before, after = scenarios
    passed: bool | None = before == after
    if missing:
        passed, reason = None, missing
    elif not passed:
        reason = f"the reference run is of scenario {before}, the audit run of {after}"
    elif before not in ruled:
        passed, reason = None, f"{test} has no rule for scenario {before}"
    else:
        reason = f"both runs are of scenario {before}"
    return Check(name=name, passed=passed, observed=after, limit=before, reason=reason)


def both_valid(name: str, results: Mapping[str, str | None], unsaid: Callable[[str], str]) -> Check:
    """Require that LoadGen calls both runs VALID; `unsaid` words it for a run of which it says neither."""
    told = [
        f"LoadGen calls the {run} run INVALID" if result == "INVALID" else unsaid(run)
        for run, result in results.items()
        if result != "VALID"
    ]
    passed = False if "INVALID" in results.values() else None if told else True
    worst = next((result for result in results.values() if result != "VALID"), "VALID")
    reason = "; ".join(told) or "LoadGen calls both runs VALID"
    return Check(name=name, passed=passed, observed=worst, limit="VALID", reason=reason)
