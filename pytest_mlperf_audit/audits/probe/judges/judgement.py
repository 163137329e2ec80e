"""What the evidence shows: contrasts with their corrected p, the word that they come to, and what ids say of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ..seen.contrast import EVERYWHERE, Contrast
from ..seen.contrasts import STARTS
from ..seen.evidence import Block
from ..seen.naming import reaches_floors
from ..seen.outputs import faster_replays, replays, shared_ids
from ..sent.design import MADE_UP
from ..settings import ALPHA, FLOOR, FLOOR_S, Excluded, Kind

Word = Literal["ERROR", "CACHE", "INCONCLUSIVE", "CLEAN"]
TOO_FAST = "a sure difference is one of less than a millisecond: the endpoint answers too fast to be judged from here"
_DERIVED_IDS = (
    "every repeat came back under the id of its first reply, though no faster: the endpoint derives ids from the "
    "request, or replays at its own pace"
)


@dataclass(frozen=True)
class Judged:
    """A contrast with its corrected p. `found` is what tests say, `named` what is left when one explains another."""

    contrast: Contrast
    p_corrected: float
    found: bool
    named: Kind | None = None


@dataclass(frozen=True)
class Judgement:
    """What the evidence shows. `settled`: no more queries are needed. `may_be`: what reuse is, if it has no name.

    `told`: ids or token counts say what was found, not times alone.
    """

    word: Word
    judged: tuple[Judged, ...] = ()
    proofs: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = ()
    settled: bool = True
    null_p: float | None = None
    reason: str = ""
    notes: tuple[str, ...] = field(default=())
    may_be: tuple[Kind, ...] = ()
    told: bool = False
    excluded: Mapping[Kind, Excluded] = field(default_factory=dict)

    def proved(self, forbidden: Sequence[Kind]) -> tuple[Kind, ...]:
        """Return the forbidden kinds that are found; reuse without a name only where all it may be is forbidden."""
        any_is = set(self.may_be) <= set(forbidden)
        return tuple(kind for kind in self.kinds if kind in forbidden and (any_is or kind != "reuse"))


def kinds_of(judged: Sequence[Judged], proofs: Sequence[str]) -> tuple[Kind, ...]:
    """Return the kinds that are named; replayed ids without one are a response cache."""
    kinds: dict[Kind, None] = {one.named: None for one in judged if one.named}
    if proofs and not kinds:
        kinds["response"] = None
    return tuple(kinds)


def is_too_fast(one: Judged) -> bool:
    """Whether a contrast is sure and large, and only the floor in seconds keeps it from being a finding."""
    sure = one.p_corrected <= ALPHA and one.contrast.effect.factor >= FLOOR and one.contrast.kind != "coalescing"
    return sure and not one.found and one.contrast.gain_s < FLOOR_S


def proofs_of(blocks: Sequence[Block], judged: Sequence[Judged], of: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what reply ids prove, and what they only suggest.

    An endpoint may draw ids from few numbers, from the clock, or from the request, and what serves it or the time
    besides. So an id proves a replay only where ids tell all other replies apart, and where what came back under it was
    also faster. What ids show of several phases is for `identity`.
    """
    if shared := shared_ids(blocks):
        return (), (f"{shared} ids stand on replies to different requests: not unique, or replies that were reused",)
    again = [replayed for block in blocks for replayed in replays(block)]
    n_replayed = sum(again)
    compared = [one for one in judged if one.contrast.kind == "response"]
    responses = [one for one in compared if not of or one.contrast.of in (of, EVERYWHERE)]
    faster = [*responses, *(one for one in judged if one.contrast.of == STARTS and of == MADE_UP)]
    if n_replayed > 1 and (any(one.found for one in responses) or told_by_ids(blocks)):
        return (f"{n_replayed} of {len(again)} repeats came back under the id of an earlier reply",), ()
    if n_replayed and n_replayed == len(again) and not any(reaches_floors(one.contrast) for one in faster):
        return (), (_DERIVED_IDS,)
    return (), ()


def told_by_ids(blocks: Sequence[Block]) -> bool:
    """Whether ids alone prove replays: they come back for some repeats and not for others, and those are faster."""
    again = [replayed for block in blocks for replayed in replays(block)]
    return 1 < sum(again) < len(again) and not shared_ids(blocks) and faster_replays(blocks)
