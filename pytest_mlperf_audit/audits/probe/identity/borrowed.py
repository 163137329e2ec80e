"""Replies to one request that have the identity of a reply to another: what that proves, or leaves in doubt."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from math import comb
from statistics import median
from typing import Final, NamedTuple

from ....runs.cache_headers import says_hit
from ..seen.evidence import total_s
from ..settings import Kind
from .replies import CURE_OF_IDS, Sent

_FEWEST: Final = 3
#: What was computed is slower than what was borrowed: by this factor, and that surely.
_SLOWER: Final = 1.5
_SURE: Final = 0.005
#: The first queries of a phase may be slow for another reason, and those so far apart differ by a drift.
_FIRST: Final = 8
_NEAR: Final = 10
_HITS: Final = 2
_UNRELATED: Final = frozenset({"P", "N", "S", "T", "V"})
#: Made-up prompts of a text that no other has, and how many of them tell that a text does not matter.
_TEXTS: Final = frozenset({"S", "T", "V"})
_FEWEST_TEXTS: Final = 4
#: Arms that have no beginning in common with the others of their block.
_APART: Final = frozenset({"", "P", "N", "S", "T", "F", "U", "V", "size"})


class Borrowed(NamedTuple):
    """What borrowed replies show: the kind of cache, and what proves it or else leaves it in doubt."""

    kind: Kind
    proof: str = ""
    doubt: str = ""


def borrowed(told: Sequence[Sent]) -> Borrowed | None:
    """Judge replies with an id; None where fewer than three are borrowed, or where ids may come from the clock."""
    pairs, own = _by_origin(told)
    if len(pairs) < _FEWEST:
        return None
    kind = kind_of(told, pairs, {id(one) for one, _ in pairs})
    if len(own) == 1:
        n = len({one.record.request for one in told})
        return Borrowed(
            kind,
            doubt=f"replies to {n} different requests are one and the same, id and output: the endpoint answers "
            "everything alike, or keeps replies by something else than the request, such as its URL; " + CURE_OF_IDS,
        )
    said = (
        f"{len(pairs)} of {len(told)} replies bear the id and the output of an earlier reply to another request; "
        f"{len(own)} have one of their own"
    )
    if of_headers := _of_headers([one for one, _ in pairs], own):
        return Borrowed(kind, proof=f"{said}; {of_headers}")
    if of_times := _of_times(told, {id(one) for one, _ in pairs}, {id(one) for one in own}):
        return Borrowed(kind, proof=f"{said}; {of_times}")
    if _are_of_time(told):
        return None
    return Borrowed(
        kind,
        doubt=f"{said}, and are not seen to take longer: a cache that knew these requests before, or an endpoint that "
        f"makes ids and outputs from a part of the request; {CURE_OF_IDS}",
    )


def _by_origin(told: Sequence[Sent]) -> tuple[list[tuple[Sent, Sent]], list[Sent]]:
    """Return borrowed replies, each with the one whose identity it has, and those that were the first of theirs."""
    origins: dict[tuple[str | None, str | None], Sent] = {}
    pairs, own = [], []
    for one in told:
        origin = origins.setdefault(one.identity, one)
        if origin is one:
            own.append(one)
        elif origin.record.request != one.record.request:
            pairs.append((one, origin))
    return pairs, own


def _are_of_time(told: Sequence[Sent]) -> bool:
    """Whether ids may come from the clock: each stands on neighbours alone, and some output under several of them."""
    order: dict[str | None, list[int]] = {}
    for at, one in enumerate(told):
        order.setdefault(one.record.reply_id, []).append(at)
    runs = all(places[-1] - places[0] == len(places) - 1 for places in order.values())
    return runs and len({one.record.reply for one in told}) < len(order)


def kind_of(told: Sequence[Sent], pairs: Sequence[tuple[Sent, Sent]], kept: Container[int]) -> Kind:
    """Return the kind of cache that would take these requests for the same.

    `pairs` are borrowed replies and where they are from; `kept` says which of all, by identity, came from the cache.
    """
    if all(_shares_beginning(*pair) for pair in pairs):
        return "near_duplicate"
    changed = [id(one) in kept for one in told if one.arm == "U"]
    unchanged = [id(one) in kept for one in told if one.arm in _UNRELATED]
    if changed and not any(changed) and all(unchanged):
        return "url_keyed"
    # What takes one made-up text for any other looks at no meaning, and at the URL without its query at most.
    texts = [id(one) in kept for one in told if one.arm in _TEXTS]
    return "url_keyed" if len(texts) >= _FEWEST_TEXTS and all(texts) else "semantic"


def _shares_beginning(one: Sent, origin: Sent) -> bool:
    """Whether two requests of the probe have their beginning in common, by design."""
    return (one.phase, one.block) == (origin.phase, origin.block) and _APART.isdisjoint({one.arm, origin.arm})


def _of_headers(kept: Sequence[Sent], own: Sequence[Sent]) -> str:
    hits = [one for one in kept if says_hit(one.record.cache_header)]
    if len(hits) < _HITS or any(says_hit(one.record.cache_header) for one in own):
        return ""
    return f"{len(hits)} of those say in their headers that they come from a cache, and none of these does"


def _of_times(told: Sequence[Sent], kept: set[int], own: set[int]) -> str:
    """Say by how much replies of their own took longer than borrowed ones sent around them, "" where that is not sure.

    Each is compared with the nearest borrowed one before it and behind it, none used twice. Were all computed alike, it
    would be the slowest of the three in a third of the cases, and in fewer where a drift or stalls moved all three.
    """
    triples = [triple for phase in _in_phases(told) for triple in _triples(phase, kept, own)]
    if not triples:
        return ""
    n = len(triples)
    wins = sum(middle > max(before, behind) for before, middle, behind in triples)
    p = sum(comb(n, k) * 2 ** (n - k) for k in range(wins, n + 1)) / 3**n
    fast_s = median(value for before, _, behind in triples for value in (before, behind))
    slow_s = median(middle for _, middle, _ in triples)
    if p > _SURE or slow_s < _SLOWER * fast_s:
        return ""
    return f"those took {fast_s * 1000:.3g} ms where these around them took {slow_s * 1000:.3g} (p {p:.2g})"


def _in_phases(told: Sequence[Sent]) -> Iterator[list[Sent]]:
    """Yield the queries of each phase that were not sent in a burst, less the first of them."""
    phases: dict[int, list[Sent]] = {}
    for one in told:
        if one.one_by_one:
            phases.setdefault(one.phase, []).append(one)
    yield from (phase[_FIRST:] for phase in phases.values())


def _triples(phase: Sequence[Sent], kept: set[int], own: set[int]) -> Iterator[tuple[float, float, float]]:
    """Yield latencies in seconds: of a reply of its own, between those of a borrowed one before and one behind it."""
    free = -1
    for at, one in enumerate(phase):
        if id(one) not in own:
            continue
        before = next((n for n in range(at - 1, max(free, at - 1 - _NEAR), -1) if id(phase[n]) in kept), None)
        behind = next((n for n in range(at + 1, min(len(phase), at + 1 + _NEAR)) if id(phase[n]) in kept), None)
        if before is not None and behind is not None:
            free = behind
            yield total_s(phase[before].record), total_s(one.record), total_s(phase[behind].record)
