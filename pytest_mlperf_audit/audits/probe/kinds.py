"""What became of each kind of cache: found, excluded to a stated speed-up, undecided, or not looked for, and why.

A kind that was not looked for may well be there, so every place that shows a verdict says which those are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, get_args

import msgspec
import numpy as np

from ..verdict import KindState, Seen
from .judges.bursts import SIZES, queues
from .judges.judgement import Judgement
from .planned import Probe
from .seen.contrasts import STARTS, coalescing
from .seen.evidence import Evidence, has_decode
from .sent.design import BURST_SIZES, MADE_UP
from .settings import FLOOR, KINDS, NOT_OF_INPUTS, Excluded, Kind

TITLES: Final[Mapping[Kind, str]] = {
    "response": "response cache",
    "near_duplicate": "near-duplicate cache",
    "prefix": "prefix cache",
    "semantic": "semantic cache",
    "coalescing": "request coalescing",
    "url_keyed": "URL-keyed cache",
    "multimodal": "multimodal cache",
    "reuse": "reuse of some kind",
}
#: The keys of the design that looks for every kind.
_ALL: Final = "design: groups and bursts: true"
_NO_PROBE: Final = "no cache probe was sent; set probe: true"
#: Reuse is what has no name: it is only there where queries were compared.
_NAMED: Final = tuple(kind for kind in KINDS if kind not in ("multimodal", "reuse"))


def without_probe() -> tuple[KindState, ...]:
    """Return the kinds of a run whose `probe` is false: none was looked for. All count as forbidden, as by default."""
    return tuple(_state(kind, "not looked for", _NO_PROBE, forbidden=True) for kind in _NAMED)


def kinds(
    probe: Probe, evidence: Evidence, judgement: Judgement, proofs: Mapping[Kind, str] = {}
) -> tuple[KindState, ...]:
    """Return what became of each kind of cache; `proofs` say by what those were proved that were found."""
    states = [_kind(kind, probe, evidence, judgement, proofs) for kind in KINDS]
    return tuple(state for state in states if state.kind in _NAMED or _is_of_interest(state, probe, judgement))


def _is_of_interest(state: KindState, probe: Probe, judgement: Judgement) -> bool:
    """Whether a kind is to be told of that not every probe can meet.

    That is a cache of images where rows have some, and reuse without a name where it was found, or may be what was.
    """
    if state.kind == "multimodal" and probe.image_row is not None:
        return True
    return state.state == "found" or state.kind in judgement.may_be


def words(states: Iterable[KindState]) -> str:
    """Return what became of all kinds in a line: 'excluded: response >= 1.5x at 50 % hits; not looked for: ...'."""
    parts: dict[Seen, list[str]] = {}
    states = list(states)
    for state in states:
        parts.setdefault(state.state, []).append(f"{short(state)}{_from(state)}")
    reasons: dict[str, list[str]] = {}
    for state in states:
        if state.state == "not looked for":
            reasons.setdefault(state.why.rpartition("; ")[2], []).append(short(state))
    parts["not looked for"] = [f"{', '.join(names)} ({why})" for why, names in reasons.items()]
    return "; ".join(f"{word}: {', '.join(parts[word])}" for word in get_args(Seen) if parts.get(word))


def short(state: KindState) -> str:
    """Return a kind's name in a word: 'near-duplicate'."""
    return state.title.removesuffix(" cache").removeprefix("request ").removesuffix(" of some kind")


def _from(state: KindState) -> str:
    if state.times is None:
        return ""
    at = f" at {state.share:.0%} hits" if state.share is not None and state.share < 1 else ""
    least = f">= {state.times:.3g}x{at}"
    return f" {least}" if state.state == "excluded" else f" (not {least})"


def _kind(kind: Kind, probe: Probe, evidence: Evidence, judgement: Judgement, proofs: Mapping[Kind, str]) -> KindState:
    forbidden = kind in probe.barred
    if kind in judgement.kinds:
        return _state(kind, "found", proofs.get(kind) or f"the probe found a {TITLES[kind]}", forbidden=forbidden)
    if why := why_not(kind, probe, evidence, judgement):
        return _state(kind, "not looked for", why, forbidden=forbidden)
    bound, others = bound_of(kind, judgement), _explained_by(kind, judgement)
    in_doubt = judgement.word in ("INCONCLUSIVE", "ERROR") or kind in judgement.may_be
    if in_doubt or bound is None or others:
        why = judgement.reason or "the data leave every speed-up possible"
        why = f"what would show it is taken for the {others} that was found" if others and not in_doubt else why
        state = _state(kind, "undecided", why, forbidden=forbidden)
        known = judgement.excluded.get(kind)
        return msgspec.structs.replace(state, times=known.times, share=known.share) if known else state
    return KindState(
        kind=kind,
        title=TITLES[kind],
        state="excluded",
        forbidden=forbidden,
        why=f"the data exclude that {_hits(bound)} {bound.times:.3g} times as fast or more"
        + (_of_response(evidence, judgement) if kind == "response" else ""),
        times=bound.times,
        share=bound.share,
    )


def _explained_by(kind: Kind, judgement: Judgement) -> str:
    """Return the cache by which a comparison that would show a kind is explained, "" where none is."""
    if kind in judgement.excluded:
        return ""
    explained = any(one.found and one.named != kind and one.contrast.kind == kind for one in judgement.judged)
    return " and ".join(TITLES[other] for other in judgement.kinds) if explained else ""


def _of_response(evidence: Evidence, judgement: Judgement) -> str:
    """Say what the bound on whole replies is of where they are streamed: what comes after the first token."""
    if not any(has_decode(blocks) for blocks in evidence.groups.values() if blocks):
        return ""
    starts = [one.contrast.effect.high for one in judgement.judged if one.contrast.of == STARTS]
    start = f", and that made-up repeats start {max(*starts, FLOOR):.3g} times as fast or more" if starts else ""
    return f" after the first token{start}"


def _hits(bound: Excluded) -> str:
    return f"{bound.of} come back" if bound.share >= 1 else f"{bound.share:.0%} of {bound.of} or more come back"


def bound_of(kind: Kind, judgement: Judgement) -> Excluded | None:
    """Return the least speed-up of a kind that the data exclude, FLOOR or more, None where they exclude none."""
    if kind in judgement.excluded:
        return judgement.excluded[kind]
    contrasts = [one.contrast for one in judgement.judged if one.contrast.kind == kind and one.contrast.steady]
    if kind == "prefix" and not contrasts:  # of the data set's prompts it shows as a repeat that beats a new beginning
        return bound_of("reuse", judgement)
    times = max((max(contrast.effect.high, FLOOR) for contrast in contrasts), default=np.inf)
    return Excluded(float(times), 1.0, "queries that could hit") if np.isfinite(times) else None


def why_not(kind: Kind, probe: Probe, evidence: Evidence, judgement: Judgement) -> str:
    """Return why a kind was not looked for, and what looks for it; "" where it was, or was about to be."""
    shown_by = ("prefix", "reuse") if kind == "prefix" and MADE_UP not in probe.sources else (kind,)
    if any(one.contrast.kind in shown_by for one in judgement.judged) or kind in judgement.excluded:
        return ""
    if why := _by_design(kind, probe, evidence):
        return why
    if kind in ("coalescing", "url_keyed", "multimodal") and (proved := judgement.proved(probe.barred)):
        return f"the probe ended when {', '.join(proved)} was proved"
    if judgement.word in ("INCONCLUSIVE", "ERROR"):
        return ""
    if kind == "coalescing":
        return why_no_bursts(probe, evidence)
    if kind == "multimodal":
        return "too few queries with images were answered"
    if kind == "url_keyed" and evidence.url_refused:
        return f"the endpoint answers {evidence.url_refused} to a changed URL"
    return "replies differ in length and do not say how many tokens they have, so that nothing can be compared"


def _by_design(kind: Kind, probe: Probe, evidence: Evidence) -> str:
    """Return why this design sends nothing that would show a kind, and the keys that make it; "" where it does."""
    more = " and bursts: true" if kind == "coalescing" else ""
    if kind == "response":
        return ""
    if probe.twins and kind in NOT_OF_INPUTS:
        return NOT_OF_INPUTS[kind]
    if probe.design == "groups" and evidence.bets:
        return f"queries that take over 20 s are compared with their repeats alone; set {_ALL}"
    if probe.design != "groups":
        return f"design {probe.design} sends repeats alone; set {_ALL}"
    if kind == "coalescing" and not probe.bursts:
        return "one query in flight coalesces with none" if probe.at_once < BURST_SIZES[0] else "set bursts: true"
    if MADE_UP not in probe.sources and kind not in ("prefix", "reuse"):
        of = "rows" if probe.twins else "prompts"
        return f"of the data set's {of} only repeats are sent; set samples: both{more}"
    if probe.twins and kind == "reuse":
        return "where replies come whole, it would show as a response cache"
    return "set url: true" if kind == "url_keyed" and not probe.url else ""


def why_no_bursts(probe: Probe, evidence: Evidence) -> str:
    """Return why coalescing was not tested though identical queries were to be sent at once."""
    most = max(probe.burst_sizes(), default=0)
    if evidence.burst_refused:
        return f"the endpoint answers {evidence.burst_refused} queries at once; set max_burst to what it takes"
    if evidence.bursts:
        if coalescing(evidence) is None:
            return "replies to queries at once differ in length"
        if queues(evidence, evidence.bursts.get("twins", ())):
            return "queries at once spread too much to tell"
        return f"{len(evidence.bursts['twins'][0])} different queries at once did not have to queue after all"
    if max(evidence.sizing, default=0) < most:
        return "the budget ended before queries could be sent at once"
    own = "" if probe.max_burst else ", the benchmark's own concurrency,"
    more = f", max_burst: {SIZES[-1]} tries more" if probe.max_burst and most < SIZES[-1] else ""
    return f"up to {most} different queries at once{own} did not have to queue{more}"


def _state(kind: Kind, state: Seen, why: str, *, forbidden: bool) -> KindState:
    return KindState(kind=kind, title=TITLES[kind], state=state, forbidden=forbidden, why=why)
