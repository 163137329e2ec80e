"""Ledger: what went in and out of the server, 17 bytes a request. The ground truth that tests compare with."""

from __future__ import annotations

import time
from array import array


class Ledger:
    """Counts requests received, those in flight, and keeps [received_ns, sent_ns, computed] of each reply.

    Times are of the monotonic clock: `received` when a request's head was read, `sent` when its reply was written.
    """

    def __init__(self) -> None:
        self._in_flight = 0
        self.reset()

    def reset(self) -> None:
        """Forget everything but what is in flight."""
        self._received_ns = array("q")
        self._sent_ns = array("q")
        self._computed = bytearray()
        self.received = 0
        self.first_received_ns: int | None = None
        self.max_in_flight = self._in_flight

    def receive(self) -> int:
        """Note a request; return the time."""
        now_ns = time.monotonic_ns()
        self.received += 1
        self._in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self._in_flight)
        if self.first_received_ns is None:
            self.first_received_ns = now_ns
        return now_ns

    def send(self, received_ns: int, *, computed: bool) -> None:
        """Note that the reply to a request was written."""
        self._received_ns.append(received_ns)
        self._sent_ns.append(time.monotonic_ns())
        self._computed.append(computed)

    def release(self) -> None:
        """Note that a request is no longer in flight, whether or not its reply could be written."""
        self._in_flight -= 1

    @property
    def last_sent_ns(self) -> int | None:
        """When the last reply was written."""
        return self._sent_ns[-1] if self._sent_ns else None

    def rows(self) -> list[tuple[int, int, bool]]:
        """Return (received_ns, sent_ns, computed) of each reply, in the order they were sent."""
        return list(zip(self._received_ns, self._sent_ns, map(bool, self._computed), strict=True))
