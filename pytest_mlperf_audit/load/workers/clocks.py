"""Another process's monotonic clock on ours: its offset by the shortest of many round trips, its drift by two readings.

Nothing but delay makes a round trip longer, so the shortest says most, and half of it is how far off it can be. Times
are nanoseconds, ours of time.perf_counter_ns, theirs of whatever they count.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

#: Clocks are steered by 500 ppm at most (adjtimex(2)); a faster one was stopped, or is broken.
_FASTEST = 600e-6
#: How far a clock may be off, as a share of the phase's length.
_MOST_OFF = 1e-3


class Trip(NamedTuple):
    """A question sent and its answer received by our clock, and the other's clock between the two."""

    sent: int
    theirs: int
    received: int


class Reading(NamedTuple):
    """At `at` by our clock the other's was ahead by `offset`, give or take `error`."""

    at: int
    offset: int
    error: int


def reading(trip: Trip) -> Reading:
    """Return what one round trip says of a clock."""
    middle = (trip.sent + trip.received) // 2
    return Reading(middle, trip.theirs - middle, (trip.received - trip.sent + 1) // 2)


def best(trips: Iterable[Trip]) -> Reading:
    """Return what the shortest of several round trips says."""
    return reading(min(trips, key=lambda trip: trip.received - trip.sent))


class Mapping:
    """The other's times on our clock, by a line through a reading before a phase and one after it.

    With `one_machine`, where both clocks may be one, they are taken for one if both readings allow it, and times stay
    as they are.
    """

    def __init__(self, before: Reading, after: Reading, *, one_machine: bool) -> None:
        self._before = before
        self._after = after
        self.is_shared = one_machine and abs(before.offset) <= before.error and abs(after.offset) <= after.error

    @property
    def offset(self) -> int:
        """Nanoseconds that it was ahead before the phase."""
        return 0 if self.is_shared else self._before.offset

    @property
    def drift(self) -> float:
        """Nanoseconds that it gained per nanosecond of ours."""
        if self.is_shared:
            return 0.0
        return (self._after.offset - self._before.offset) / max(1, self._after.at - self._before.at)

    @property
    def error(self) -> int:
        """What no time between the two readings is further off than, if the clock went steadily."""
        return max(self._before.error, self._after.error)

    def ours(self, theirs: int) -> int:
        """Return the other's time on our clock."""
        if self.is_shared:
            return theirs
        since = theirs - (self._before.at + self._before.offset)
        # 53 bits are enough for the correction of a day, not for the time itself.
        return theirs - self._before.offset - round(since * (self.drift / (1 + self.drift)))

    def problem(self, length_ns: int, trips: Iterable[Trip]) -> str | None:
        """Return what keeps a phase of this length from being put together by this clock, or None.

        `trips` are round trips in mid-phase: long ones, each of which the line must agree with all the same.
        """
        if abs(self.drift) > _FASTEST:
            return f"its clock gained {self.drift * 1e6:+.0f} ppm on ours, and no clock that is in order gains so much"
        unsteady = [off for off in map(self._off, trips) if off > 0]
        if unsteady:
            return f"its clock did not go steadily: it was {max(unsteady) / 1e6:.3f} ms off in mid-phase"
        if not self.is_shared and self.error > _MOST_OFF * length_ns:
            return (
                f"its clock is known to {self.error / 1e6:.3f} ms only, and the phase took {length_ns / 1e6:.3f} ms; "
                "use a faster link, or a longer phase"
            )
        return None

    def _off(self, trip: Trip) -> int:
        """Return by how much more a trip is off the line than both of their errors allow."""
        seen = reading(trip)
        expected = self.offset + round(self.drift * (seen.at - self._before.at))
        return abs(seen.offset - expected) - seen.error - self.error
