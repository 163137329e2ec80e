"""What MLPerf's own comparison would be, where ours is with twins: said, not made."""

from __future__ import annotations

import re
from collections.abc import Iterable
from statistics import fmean
from typing import Final

from ...runs.phase import MeasuredPhase
from ...runs.query import QueryRecord
from .reference import exempt, kind_of

#: The first time that the probe sends a row of the data set.
_ROW: Final = re.compile(r"d\d+/prime")
#: Counts that differ by less are as many.
_ALIKE: Final = 0.05
#: Of fewer rows no mean is worth telling.
_FEW_ROWS: Final = 6


def beside_mlperf(reference: MeasuredPhase, repeats: MeasuredPhase, probe: MeasuredPhase | None) -> str:
    """Return what MLPerf would compare, "" where that was done; rows that the `probe` has sent say how they differ."""
    if kind_of(reference.spec) == "rows":
        return ""
    name = exempt(reference.spec)
    rule = f", and exempts {name} from TEST04" if name else ""
    return f"MLPerf compares with other rows, {_cost(repeats, probe)}{rule}"


def _cost(repeats: MeasuredPhase, probe: MeasuredPhase | None) -> str:
    rows = [one for one in probe.read() if one.ok and _ROW.fullmatch(one.tag or "")] if probe else []
    own = next((one for one in repeats.read() if one.ok), None)
    if own is None or len({one.sample for one in rows}) < _FEW_ROWS:
        return "whose cost may differ"
    read, written = (_times(count, rows, own) for count in ("prompt_tokens", "tokens"))
    told = [f"{_many(times)} to {do}" for do, times in (("read", read), ("write", written)) if times]
    return f"which have {' and '.join(told)}" if told else "whose cost may differ"


def _many(times: float) -> str:
    """Return how many tokens rows have, next to the repeated one."""
    return "as many tokens" if abs(times - 1) < _ALIKE else f"{times:.3g} times its tokens"


def _times(count: str, rows: Iterable[QueryRecord], own: QueryRecord) -> float | None:
    """Return the rows' mean count of tokens over the repeated row's own, None where some were not counted."""
    counts, of_own = [getattr(one, count) for one in rows], getattr(own, count)
    return fmean(counts) / of_own if of_own and all(counts) else None
