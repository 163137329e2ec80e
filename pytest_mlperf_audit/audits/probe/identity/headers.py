"""Replies that say in their headers that they come from a cache: what that proves, leaves in doubt, or does not tell.

A hit on a repeat is one where fresh requests have none. A hit on a request that nobody had sent before is either that
of a cache that takes different requests for the same, or no hit at all: a gateway's constant header, or one that tells
of something else than whole replies. Outputs part the two: what came from the cache is the output of an earlier reply
to another request, what was computed is mostly a reply's own. Where few outputs are all that there is, the header is
believed if it does not stand everywhere, or if it is one that nobody sets by hand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from ....runs.cache_headers import Said, said
from ..settings import Kind
from .borrowed import kind_of
from .replies import Sent

#: Of fewer different requests nothing is concluded.
_FEWEST: Final = 4
#: So many repeats of the probe that are called hits may be proof; of a log that has no tags, more.
_HITS: Final = 2
_HITS_OF_LOG: Final = 5
#: A header is no evidence where more than this share of the hits on new requests have an output of their own.
_MOST_OWN: Final = 0.25
#: And it is believed where this share of the other new requests have one, so many of them at least.
_LEAST_OWN: Final = 0.75
_FEWEST_MISSES: Final = 3
#: An age that was seen to grow through so many values is one object's.
_FEWEST_AGES: Final = 3
#: Arms that are sent to a changed URL.
_CHANGED: Final = frozenset({"U", "url"})
_MOST_QUOTED: Final = 48
_CURE: Final = (
    "switch that cache off; or, where the header is set by configuration before a model of few outputs, take the "
    "header off; and run the audit again"
)


class OfHeaders(NamedTuple):
    """What headers show: the kind of cache, and what proves it or leaves it in doubt; else what to note."""

    kind: Kind = "response"
    proof: str = ""
    doubt: str = ""
    note: str = ""


class _New(NamedTuple):
    """Requests that nobody had sent before: those called hits, and the others; `origins` are of all replies."""

    hits: list[Sent]
    misses: list[Sent]
    origins: Mapping[int, Sent | None]

    def own(self, some: Sequence[Sent]) -> int:
        """Return how many have an output that no earlier reply to another request has."""
        return sum(one.record.reply is not None and self.origins[id(one)] is None for one in some)


def of_headers(sent: Sequence[Sent]) -> OfHeaders:
    """Judge what the headers of all replies say, in the order their queries were sent."""
    told = [said(one.record.cache_header) for one in sent]
    if sum(one.hit for one in told) < _HITS:
        return OfHeaders()
    tagged = any(one.record.tag for one in sent)
    first = _first_sent(sent)
    new = [one for one, is_first in zip(sent, first, strict=True) if is_first and (one.fresh or not tagged)]
    hits = [one for one in new if said(one.record.cache_header).hit]
    found = _New(hits, [one for one in new if not said(one.record.cache_header).hit], _origins(sent))
    if len(hits) >= _FEWEST and all(one.record.reply for one in hits):
        return _of_new(found, sent, tagged=tagged)
    if len(new) - len(hits) < _FEWEST or (hits and (found.own(hits) or not _are_apart(found))):
        return OfHeaders()
    again = [one for one, is_first in zip(sent, first, strict=True) if (one.arm == "R" if tagged else not is_first)]
    of_repeats = _of_repeats(again, found, tagged=tagged)
    return of_repeats if of_repeats.proof or not tagged else _of_rows(sent, found)


def _first_sent(sent: Sequence[Sent]) -> list[bool]:
    """Return for each query whether it is the first with its request."""
    first: dict[str, Sent] = {}
    return [first.setdefault(one.record.request, one) is one for one in sent]


def _origins(sent: Sequence[Sent]) -> dict[int, Sent | None]:
    """Return for each reply an earlier one to another request that has its output, None where it has its own."""
    earlier: dict[str | None, tuple[Sent, Sent | None]] = {}
    origins: dict[int, Sent | None] = {}
    for one in sent:
        output = one.record.reply
        first, other = earlier.get(output, (None, None)) if output else (None, None)
        is_same = first is None or first.record.request == one.record.request
        origins[id(one)] = other if is_same else first
        if first is None:
            earlier[output] = one, None
        elif not is_same and other is None:
            earlier[output] = first, one
    return origins


def _of_repeats(again: Sequence[Sent], new: _New, *, tagged: bool) -> OfHeaders:
    """Judge hits on repeats, where new requests have none, or none but what is borrowed."""
    hits = [one for one in again if said(one.record.cache_header).hit]
    if len(hits) < (_HITS if tagged else _HITS_OF_LOG):
        return OfHeaders()
    what = "exact repeats" if tagged else "repeated requests"
    of_new = f"none of {len(new.misses)} fresh requests does"
    if new.hits:
        n_new = len(new.hits) + len(new.misses)
        of_new = f"{len(new.hits)} of {n_new} fresh requests do, with the output of an earlier reply"
    return OfHeaders(
        proof=f"{len(hits)} of {len(again)} {what} say in their headers that they come from a cache "
        f"({_quoted(hits)}), and {of_new}"
    )


def _of_rows(sent: Sequence[Sent], new: _New) -> OfHeaders:
    """Judge hits on rows of the data set, where neither repeats nor fresh requests have any."""
    rows = [one for one in sent if not one.fresh and one.arm != "R"]
    hits = [one for one in rows if said(one.record.cache_header).hit]
    if len(hits) < _HITS_OF_LOG or new.hits:
        return OfHeaders()
    return OfHeaders(
        doubt=f"{len(hits)} of {len(rows)} replies to rows of the data set say in their headers that they come from a "
        f"cache ({_quoted(hits)}), and none of {len(new.misses)} fresh requests does: they were kept from before, or "
        "by a cache that does not always serve; empty the endpoint's caches, switch them off, and run the audit again"
    )


def _of_new(new: _New, sent: Sequence[Sent], *, tagged: bool) -> OfHeaders:
    """Judge hits on requests that nobody had sent before, four at least."""
    hits, own = new.hits, new.own(new.hits)
    n_new = len(hits) + len(new.misses)
    never = "that nobody had sent before" if tagged else "that the log holds for the first time"
    says = f"{len(hits)} of {n_new} requests {never} have replies that say they come from a cache ({_quoted(hits)}"
    if own > _MOST_OWN * len(hits) and not tagged:
        return OfHeaders(
            doubt=f"{says}), with outputs of their own: they were kept from before, or the header says it of every "
            "reply; empty all caches before the run, or take the header off"
        )
    if own > _MOST_OWN * len(hits):
        return OfHeaders(
            note=f"{says}), with outputs of their own: that header is constant, or tells of something else than whole "
            "replies, so it decides nothing"
        )
    says = f"{says}{_one_entry(hits)}), and {_borrowed_words(len(hits), own)}"
    if why := _believed(new):
        pairs = [(one, origin) for one in hits if (origin := new.origins[id(one)]) is not None]
        return OfHeaders(kind_of(sent, pairs, {id(one) for one in hits}), proof=f"{says}; {why}")
    return OfHeaders(
        doubt=f"{says}: a cache whose key leaves out what tells these requests apart, or a header that every reply "
        f"bears; {_CURE}"
    )


def _borrowed_words(n_hits: int, own: int) -> str:
    whose = "all of them" if not own else f"all but {own}"
    return f"{whose} have the output of an earlier reply to another request" if n_hits else ""


def _believed(new: _New) -> str:
    """Say why hits on new requests are such though there are but few outputs, "" where they may not be."""
    if _are_apart(new):
        return f"{new.own(new.misses)} of the {len(new.misses)} that do not say so have outputs of their own"
    changed = [one for one in new.misses if one.arm in _CHANGED]
    if (
        len(changed) >= _FEWEST
        and len(new.misses) - len(changed) <= 1
        and not any(one.arm in _CHANGED for one in new.hits)
    ):
        return f"{len(changed)} of the {len(new.misses)} that do not say so were sent to a changed URL, and no hit was"
    ids = [one.record.reply_id for one in new.hits if one.record.reply_id]
    if ids and len(set(ids)) == len(new.hits):
        return ""  # a cache may draw new ids; but so does a model that computes one output for all
    told = [said(one.record.cache_header) for one in new.hits]
    if all(one.own for one in told) and _are_entries(new.hits, told):
        return "that header is sent with hits alone"
    return "the age of what was kept grew from one request to the next" if _counts_up(new.hits, told) else ""


def _are_apart(new: _New) -> bool:
    """Whether most new requests that are no hits have an output of their own."""
    return len(new.misses) >= _FEWEST_MISSES and new.own(new.misses) >= _LEAST_OWN * len(new.misses)


def _are_entries(hits: Sequence[Sent], told: Sequence[Said]) -> bool:
    """Whether what names entries may do so: each stands on one output, until another takes its place."""
    seen: set[tuple[str, str | None]] = set()
    current: dict[str, str | None] = {}
    for one, says in zip(hits, told, strict=True):
        if says.entry is None or current.get(says.entry, "") == one.record.reply:
            continue
        if (says.entry, one.record.reply) in seen:
            return False
        seen.add((says.entry, one.record.reply))
        current[says.entry] = one.record.reply
    return True


def _counts_up(hits: Sequence[Sent], told: Sequence[Said]) -> bool:
    """Whether hits of one phase tell of an age that only grows, as that of one object does."""
    ages: dict[int, list[int]] = {}
    for one, says in zip(hits, told, strict=True):
        if says.age is None:
            return False
        if one.one_by_one:
            ages.setdefault(one.phase, []).append(says.age)
    phases = ages.values()
    grows = all(earlier <= later for phase in phases for earlier, later in pairwise(phase))
    return grows and max((len(set(phase)) for phase in phases), default=0) >= _FEWEST_AGES


def _quoted(hits: Sequence[Sent]) -> str:
    """Return the header of the first hit, cut short."""
    quoted = hits[0].record.cache_header or ""
    return quoted if len(quoted) <= _MOST_QUOTED else f"{quoted[:_MOST_QUOTED]}..."


def _one_entry(hits: Sequence[Sent]) -> str:
    """Say how many hits are of one entry, by its key or by what fetched it, "" where few are or none is named."""
    entries = Counter(said(one.record.cache_header).entry for one in hits)
    entry, count = entries.most_common(1)[0]
    return f", one entry for {count} of them" if entry is not None and 2 * count > len(hits) else ""
