"""Many tests at once: the correction that keeps false alarms of the whole family within alpha."""

from __future__ import annotations

from collections.abc import Mapping


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """Return Holm's adjusted p values (Holm 1979): reject those at most alpha, whatever the tests' dependence."""
    adjusted: dict[str, float] = {}
    worst = 0.0
    for rank, name in enumerate(sorted(p, key=p.__getitem__)):
        worst = max(worst, min(1.0, (len(p) - rank) * p[name]))
        adjusted[name] = worst
    return adjusted
