"""Replies of all phases of an audit in the order they were sent, each with its identity: its id and its output."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from ....runs.query import QueryRecord

#: What to do where ids do not tell.
CURE_OF_IDS: Final = "give every reply an id of its own, or empty all caches, and run the audit again"

#: Blocks of the probe that are sent at once, by their first letter: bursts, late repeats, the pair.
_TOGETHER: Final = frozenset("bklpq")
_Identity = tuple[str | None, str | None]


class Sent(NamedTuple):
    """A query that completed, `phase` the number of its phase, which began `began_ns` after the first one or later."""

    phase: int
    record: QueryRecord
    began_ns: int = 0

    @property
    def identity(self) -> _Identity:
        """The reply's id and the digest of its output."""
        return self.record.reply_id, self.record.reply

    @property
    def arm(self) -> str:
        """What the query is in the probe, without the mark that tells its two repeats apart; "" outside."""
        return (self.record.tag or "").partition("/")[2].partition(".")[0]

    @property
    def block(self) -> str:
        """The block of the probe that it belongs to; "" outside."""
        return (self.record.tag or "").partition("/")[0]

    @property
    def one_by_one(self) -> bool:
        """Whether it was not sent together with others by the probe, so that its time is its own."""
        return self.block[:1] not in _TOGETHER

    @property
    def fresh(self) -> bool:
        """Whether its request is one that nobody sent before: of the probe, no repeat and no row of the data set."""
        return bool(self.record.tag) and self.arm != "R" and (self.arm != "prime" or self.block.startswith("m"))

    def after(self, other: Sent) -> bool:
        """Whether it was sent when the other's reply had come."""
        return self.phase > other.phase or self.record.issued_ns >= other.record.completed_ns

    def since_s(self, other: Sent) -> float:
        """Return how long after the other's reply it was sent, in seconds, or longer where it is of a later phase."""
        return (self.began_ns + self.record.issued_ns - other.began_ns - other.record.completed_ns) / 1e9


def completed(phases: Sequence[Iterable[QueryRecord]]) -> list[Sent]:
    """Return the queries of phases that completed, in the order they were sent."""
    found: list[Sent] = []
    began_ns = 0
    for number, records in enumerate(phases):
        phase = sorted(records, key=lambda record: record.issued_ns)
        found += [Sent(number, record, began_ns) for record in phase if record.ok]
        began_ns += max((record.completed_ns for record in phase), default=0)
    return found
