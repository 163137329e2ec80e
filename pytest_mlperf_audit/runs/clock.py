"""The time of day as a run tells it: read once, then counted on; setting the machine's clock changes nothing."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from time import perf_counter_ns

import msgspec
from typing_extensions import Self

#: Less than this is how exactly the two clocks are read, and how they are steered, one against the other.
_STEERED_S = 2.0


class Clock(msgspec.Struct, frozen=True):
    """`read_ns` is the time of day, since 1970, when the counter that nobody can set stood at `counted_ns`.

    That counter is the same one in all processes of a machine, so processes that share a Clock agree on every order.
    """

    read_ns: int
    counted_ns: int

    @classmethod
    def read(cls) -> Self:
        """Return a clock that is right now."""
        return cls(_machine_ns(), perf_counter_ns())

    def now(self, timespec: str = "seconds") -> str:
        """Return the time in UTC, ISO 8601."""
        microseconds = self._now_ns() // 1000
        moment = datetime.fromtimestamp(microseconds // 10**6, timezone.utc).replace(microsecond=microseconds % 10**6)
        return moment.isoformat(timespec=timespec)

    def set_by(self) -> str:
        """Return a sentence where the machine's clock has gone another way meanwhile, "" where it has not."""
        ahead_s = (_machine_ns() - self._now_ns()) / 1e9
        if abs(ahead_s) < _STEERED_S:
            return ""
        return (
            f"the machine's clock was set by {ahead_s:+.0f} s while the run lasted, or the machine slept; times "
            "of the run are those of the clock at its beginning, and no duration is measured with that clock"
        )

    def _now_ns(self) -> int:
        return self.read_ns + perf_counter_ns() - self.counted_ns


def _machine_ns() -> int:
    return time.time_ns()  # noqa: TID251 - the one place that reads it
