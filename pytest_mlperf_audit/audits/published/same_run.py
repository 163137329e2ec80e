"""Are two logs of two runs, and of one system? One published twice may have been edited, to look like two."""

from __future__ import annotations

import filecmp
from collections.abc import Set as AbstractSet
from pathlib import Path

from ...text import plain
from ..verdict import Check

#: Latencies to the nanosecond that two logs must share to be of one run. In the sample of v4.1 no two runs share any.
_ENOUGH = 3
#: A clock that ticks in microseconds shows in multiples of these; two runs may well share such figures.
_COARSE_NS = 1000

Latencies = AbstractSet[tuple[str, int]]


def shared(one: Latencies, other: Latencies) -> int:
    """Return how many latencies, by name and to the nanosecond, two logs share."""
    return len({value for _, value in one & other if value % _COARSE_NS})


def is_same_run(one: Latencies, other: Latencies) -> bool:
    """Return whether two logs are of one run, by their latencies."""
    return shared(one, other) >= _ENOUGH


def separate_runs(name: str, log: str, latencies: tuple[Latencies, Latencies], *, same_bytes: bool) -> Check:
    """Require that two logs, called `log` in the plural, are of two runs."""
    edited = is_same_run(*latencies)
    if same_bytes:
        reason = f"the two {log} are the same file, byte for byte: one run was published twice"
    elif edited:
        reason = (
            f"the two {log} are of one run: {shared(*latencies)} of their latencies are the same to the nanosecond, so "
            "one of them is the other, edited"
        )
    else:
        reason = f"the two {log} are of different runs"
    same = same_bytes or edited
    return Check(name=name, passed=not same, observed=1 if same else 2, limit=2, reason=reason)


def same_file(one: Path, other: Path) -> bool:
    """Return whether two files have the same bytes, and any; false where one cannot be read."""
    try:
        return one.stat().st_size > 0 and filecmp.cmp(one, other, shallow=False)
    except OSError:
        return False


def of_systems(reference: str | None, audit: str | None) -> list[str]:
    """Return a note where two runs name different systems under test; in the sample of v4.1 none do."""
    if not reference or not audit or reference == audit:
        return []
    names = f"{plain(reference, 60)!r}, the audit run of {plain(audit, 60)!r}"
    return [f"The reference run is of the SUT {names}: unless that is one system, they cannot be compared."]
