"""Replies to a request that have the identity of an earlier reply to that very request: replays, or ids made from it.

Identical requests never have two ids where ids are made from the request alone; their ids alternate where a server has
a part in them, and change with the time where that has. A cache gives one id to all that come when a reply was kept,
and others to what is sent before, at the same time, or while it does not serve.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from heapq import heappop, heappush
from itertools import pairwise
from typing import Final, NamedTuple

from ..seen.outputs import surely_faster
from .replies import CURE_OF_IDS, Sent

#: So many different requests without a shared id show that ids tell replies apart.
_TOLD_APART: Final = 10
#: So many replays may be proof; one is a doubt.
_FEWEST: Final = 5
#: From this share on, nearly all later replies are replays.
_NEARLY_ALL: Final = 0.8
#: A phase of one request under load: so many queries, so many of them at once.
_MANY: Final = 20
_UNDER_LOAD: Final = 4


_Pair = tuple[Sent, Sent]


class Replays(NamedTuple):
    """What replays show: what proves that they are such, or else leaves it in doubt."""

    proof: str = ""
    doubt: str = ""


def replays(told: Sequence[Sent]) -> Replays | None:
    """Judge replies with an id that no two different requests share; None where nothing tells replays from made ids."""
    of_request: dict[str, list[Sent]] = {}
    for one in told:
        of_request.setdefault(one.record.request, []).append(one)
    differ = [pair for same in of_request.values() for pair in pairwise(same) if pair[0].identity != pair[1].identity]
    if len(of_request) < _TOLD_APART or not differ or any(map(_alternates, of_request.values())):
        return None
    again = [pair for same in of_request.values() for pair in _again(same)]
    found = [(one, earlier) for one, earlier in again if one.identity == earlier.identity]
    if found:
        return _judged(found, again, told, of_time=not _too_far_apart(found, of_request.values()))
    if together := sum(map(_n_together, of_request.values())):
        return Replays(
            doubt=f"{together} identical requests that were under way at the same time were answered with one id and "
            "output, while others no less identical have ids of their own: requests were coalesced, or ids are made "
            f"from the request and the time; {CURE_OF_IDS}"
        )
    return None


def _judged(found: Sequence[_Pair], again: Sequence[_Pair], told: Sequence[Sent], *, of_time: bool) -> Replays:
    """Return what replays come to; `of_time`: ids may be made from the request and the time."""
    said = (
        f"{len(found)} of {len(again)} requests that had been answered before got the same id and output once more, "
        "while others no less identical have ids of their own"
    )
    alike = [*_of_one_request(again, told), *_across_phases(again)]
    if not of_time and (any(map(_are_replays, alike)) or _are_faster(found, told)):
        return Replays(proof=f"{said}: ids are not made from the request, so these are replays")
    return Replays(doubt=f"{said}: replays, or ids made from the request and a server or the time; {CURE_OF_IDS}")


def _too_far_apart(found: Sequence[_Pair], requests: Iterable[Sequence[Sent]]) -> bool:
    """Whether an id came back after longer than it took identical requests to get three: no tick of a clock does that.

    Ids made from the request and a clock that ticks every so often are one between two ticks. Three of them within a
    while mean two ticks within it; so the same one does not come back after longer than that while.
    """
    longest_s = max(one.since_s(earlier) for one, earlier in found)
    return any(
        _span_s(three) <= longest_s for same in requests for three in zip(same, same[1:], same[2:], strict=False)
    )


def _span_s(three: Sequence[Sent]) -> float:
    """Return from when until when three queries of one phase were under way, in seconds, if they have three ids."""
    if len({one.record.reply_id for one in three}) < 3 or len({one.phase for one in three}) > 1:
        return float("inf")
    return (max(one.record.completed_ns for one in three) - min(one.record.issued_ns for one in three)) / 1e9


def _again(same: Sequence[Sent]) -> Iterator[_Pair]:
    """Yield each query sent when an identical one had been answered, with the one that it replays, else the first."""
    answered: dict[tuple[str | None, str | None], Sent] = {}
    pending: list[tuple[int, int, int]] = []
    for at, one in enumerate(same):
        while pending and one.after(same[pending[0][2]]):
            earlier = same[heappop(pending)[2]]
            answered.setdefault(earlier.identity, earlier)
        if answered:
            yield one, answered.get(one.identity) or next(iter(answered.values()))
        heappush(pending, (one.phase, one.record.completed_ns, at))


def _n_together(same: Sequence[Sent]) -> int:
    """Return how many of identical requests have the identity of one that was under way when they were sent."""
    latest: dict[tuple[str | None, str | None], Sent] = {}
    count = 0
    for one in same:
        other = latest.get(one.identity)
        count += other is not None and not one.after(other)
        latest[one.identity] = one
    return count


def _alternates(same: Sequence[Sent]) -> bool:
    """Whether ids of identical requests that come more than once are mixed, as those of two servers would be.

    What a cache keeps it may exchange for what was computed at the same time, or while it did not serve: now and then.
    """
    places: dict[str | None, list[int]] = {}
    for at, one in enumerate(same):
        places.setdefault(one.record.reply_id, []).append(at)
    spans = sorted((at[0], at[-1]) for at in places.values() if len(at) > 1)
    if len(same) < _MANY:
        return any(one[1] > other[0] for one, other in pairwise(spans))
    several = [one.record.reply_id for one in same if len(places[one.record.reply_id]) > 1]
    return 4 * sum(one != other for one, other in pairwise(several)) > len(several)


def _of_one_request(again: Sequence[_Pair], told: Sequence[Sent]) -> Iterator[list[_Pair]]:
    """Yield the later queries of each phase that repeats one request, many of them, under load."""
    phases: dict[int, list[Sent]] = {}
    for one in told:
        phases.setdefault(one.phase, []).append(one)
    for number, phase in phases.items():
        alike = len({one.record.request for one in phase}) == 1
        if alike and len(phase) >= _MANY and _is_under_load(phase):
            yield [pair for pair in again if pair[0].phase == number]


def _is_under_load(phase: Sequence[Sent]) -> bool:
    """Whether so many queries were in flight for most of a phase."""
    pairs = list(zip(phase, phase[_UNDER_LOAD - 1 :], strict=False))
    return 2 * sum(not later.after(earlier) for earlier, later in pairs) > len(pairs)


def _across_phases(again: Sequence[_Pair]) -> Iterator[list[_Pair]]:
    """Yield what was asked again in a later phase, for each phase; each request counts once."""
    phases: dict[int, dict[str, _Pair]] = {}
    for pair in again:
        phases.setdefault(pair[0].phase, {}).setdefault(pair[0].record.request, pair)
    for number, first in phases.items():
        yield [pair for pair in first.values() if pair[1].phase < number]


def _are_replays(pairs: Sequence[_Pair]) -> bool:
    replayed = sum(one.identity == earlier.identity for one, earlier in pairs)
    return replayed >= max(_FEWEST, _NEARLY_ALL * len(pairs))


def _are_faster(found: Sequence[_Pair], told: Sequence[Sent]) -> bool:
    """Whether repeats of the probe that are replays came back faster than its fresh requests."""
    again = [one.record for one, _ in found if one.arm == "R" and one.one_by_one]
    fresh = [one.record for one in told if one.fresh and one.one_by_one]
    return len(again) >= _FEWEST and surely_faster(again, fresh)
