"""Verdicts of the designs that compare exact repeats with twins, and nothing else: the single and the anytime design.

The single design is looked at after some strata, each of five repeats and five twins in random order. At each look:

    CACHE         repeats are faster: Mann-Whitney's U over the strata, or, from the second look on, the leading run
    CLEAN         from ten against ten on: the data exclude that half of the repeats are 1.5 times as fast, or more;
                  at the last look, the wider twins spread, that half of them are 2, 3 or 5 times as fast
    INCONCLUSIVE  neither: it goes on, or the budget ended

Both answers are exact where repeats and twins are exchangeable without a cache: each prompt is drawn anew, so also
where a prompt has a cost, or a replica, of its own. A stall costs power and nothing else. All looks together accuse an
honest server in 1 / 252 + 6 x 0.001 = 0.997 % at most, and call a cache of the excluded kind CLEAN in 0.85 + 2 x 0.3 =
1.45 % at most: what excludes a speed-up excludes larger ones as well, so that trying several at one look costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import sqrt
from typing import Final

import numpy as np

from ....stats.ranks import Floats, excluded_in_pool_p, excluded_p, wealth
from ..seen import contrasts
from ..seen.contrast import Contrast
from ..seen.evidence import Block, Evidence, columns, total_s
from ..seen.measures import whole
from ..seen.naming import reaches_floors
from ..seen.outputs import answered_alike, computed_anew
from ..sent.few import N_RIVALS, N_SINGLE
from ..settings import ALPHA, Excluded, Kind
from .judgement import TOO_FAST, Judged, Judgement, is_too_fast, kinds_of, proofs_of, told_by_ids

#: After how many strata the single design looks for its answer, and the anytime design after how many groups.
STRATA: Final = (1, 2, 4, 6)
BETS: Final = (11, 16, 24)

#: At five against five only the perfect order will do; later looks have a sixth of the rest each, for one test of two.
_FIRST_ALPHA = 1 / 252
_LATER_ALPHA = 0.001
#: Errors of CLEAN at its first look, which is after so many strata, and at each later one.
_CLEAN_FIRST, _CLEAN_LATER = 0.0085, 0.003
FEWEST_STRATA = 2
#: What has to be excluded for CLEAN: times as fast, and which share of the repeats.
_TIMES, _SHARE = 1.5, 0.5
#: Where twins spread by more than so much (standard deviation of log latencies, of which stalls are no part), so many
#: times as fast will do at the last look.
_AT_LAST: Final = ((0.10, 2.0), (0.25, 3.0), (0.45, 5.0))
#: The standard deviation of a normal law, in median absolute deviations.
_OF_MAD = 1.4826
#: What a probe that ends undecided may exclude after all, the most telling first.
_LADDER: Final = ((2.0, 0.5), (3.0, 0.5), (1.5, 0.9), (2.0, 0.9), (3.0, 0.9), (10.0, 0.9))

_ENDED = "the budget ended before an answer"
_ONE_REPLY = (
    "replies to {n} different requests are one and the same, id and output: the endpoint answers everything alike, or "
    "keeps replies by something else than the request, such as its URL; set the probe's design: groups, which tells"
)
_NO_FASTER = (
    "repeats are faster than twins, though no faster than their own first sending: the endpoint knew them before, or "
    "{what} have a server, or a cost, of their own; {cure}"
)
#: A finding by times alone that outputs contradict is as likely chance, unless p corrected is this, or less.
_SURE_P: Final = 0.001
_NEW_OUTPUTS = (
    "repeats are faster than twins, though not surely, and each came with an output of its own, as if it were computed "
    "anew: run it again"
)
_MORE_PROMPTS = "five {what} would tell, so leave max_queries out"
_LONGER_ROWS = "prompts of over six words, or design: groups, would tell"
#: The design of before: one look at five against five, which ended when all repeats took less than half the fastest of
#: four twins. Its error was ALPHA as well; that it found nothing said little.
_EARLY_TWINS, _EARLY_FACTOR = 4, 2.0
#: Below this wealth the anytime design of before gave up.
_RUINED = 0.02
_WEAK = "this record is of an older version, which sent too few queries to rule a cache out; run it again"

#: What CLEAN leaves open whatever is sent, and what it does where few prompts are repeated: to be said beside it.
BEYOND_REACH: Final = (
    "no probe shows a cache that waits as long as the work would have taken, or that serves only from the thousandth "
    "request on"
)
BEYOND_REPEATS: Final = (
    "hits of fewer than half of the repeats may go unseen, and those of a cache that serves only under load, only "
    f"what is not recent, or only from the third use on; and {BEYOND_REACH}"
)

_Test = Callable[[float, float], float]


def single_judgement(evidence: Evidence, looks: Sequence[int], n_prompts: int) -> Judgement:
    """Judge the single design as it was looked at: after each number of strata in `looks`, until an answer."""
    judgement = Judgement("INCONCLUSIVE", settled=False, reason=_ENDED)
    for number, n_strata in enumerate(looks, start=1):
        if len(evidence.strata) < n_strata:
            break
        if n_strata not in evidence.families:
            evidence.families[n_strata] = _look(evidence, n_strata, n_prompts, last=number == len(looks))
        judgement = evidence.families[n_strata]
        if judgement.settled:
            break
    return judgement


def _look(evidence: Evidence, n_strata: int, n_prompts: int, *, last: bool) -> Judgement:
    blocks = evidence.strata[:n_strata]
    sent: Block = {"prime": evidence.single.get("prime", [])}
    sent |= {arm: [record for block in blocks for record in block[arm]] for arm in "RP"}
    tested = contrasts.strata(blocks)
    alpha = _LATER_ALPHA if n_strata > 1 else _FIRST_ALPHA
    judged = [_judged(contrast, alpha) for contrast in (tested if n_strata > 1 else tested[:1])]
    surely = any(one.found for one in judged)
    doubtful = n_prompts < N_SINGLE or evidence.short_rows
    held_back = doubtful and not beat_their_first(sent, tested[0].effect.factor)
    if surely and held_back:
        judged = [replace(one, found=False, named=None) for one in judged]
    proofs, notes = proofs_of([sent], judged, "")
    kinds = kinds_of(judged, proofs)
    if kinds and not proofs and computed_anew(sent) and all(one.p_corrected > _SURE_P for one in judged):
        doubted = tuple(replace(one, found=False, named=None) for one in judged)
        return Judgement("INCONCLUSIVE", doubted, settled=last, reason=_NEW_OUTPUTS, notes=notes)
    if kinds:
        return Judgement("CACHE", tuple(judged), proofs, kinds, notes=notes, told=told_by_ids([sent]))
    if n_alike := answered_alike(blocks):
        return Judgement("INCONCLUSIVE", tuple(judged), reason=_ONE_REPLY.format(n=n_alike), notes=notes)
    if any(is_too_fast(one) for one in judged):
        return Judgement("INCONCLUSIVE", tuple(judged), settled=last, reason=TOO_FAST, notes=notes)
    if surely:
        cure = _MORE_PROMPTS if n_prompts < N_SINGLE else _LONGER_ROWS
        what = "inputs" if evidence.twins else "prompts"
        reason = _NO_FASTER.format(what=what, cure=cure.format(what=what))
        return Judgement("INCONCLUSIVE", tuple(judged), settled=last, reason=reason, notes=notes)

    pooled = [tuple(columns(blocks, (arm,), one).ravel() for arm in "RP") for one in whole(blocks)]

    def excludes(times: float, share: float) -> float:
        return max(excluded_in_pool_p(again, twins, times, share) for again, twins in pooled)

    error = _CLEAN_FIRST if n_strata <= FEWEST_STRATA else _CLEAN_LATER
    judgement = Judgement("INCONCLUSIVE", tuple(judged), notes=notes)
    if n_strata < FEWEST_STRATA:
        return _undecided(judgement, excludes, error, last=last)
    spread = _spread(columns(blocks, ("P",), total_s)) if last else 0.0
    return _excluding(judgement, excludes, error, spread, last=last)


def _judged(contrast: Contrast, alpha: float) -> Judged:
    corrected = min(1.0, contrast.p * ALPHA / alpha)
    found = contrast.p <= alpha * (1 + 1e-9) and reaches_floors(contrast)
    return Judged(contrast, min(corrected, ALPHA) if found else corrected, found, "response" if found else None)


def beat_their_first(block: Block, factor: float) -> bool:
    """Whether half of the repeats came back as much faster than their own first sending as than twins, or nearly so."""
    first: dict[str, float] = {}
    for record in sorted((*block.get("prime", ()), *block.get("P", ())), key=lambda record: record.query):
        first.setdefault(record.request, total_s(record))
    gains = [first[again.request] / total_s(again) for again in block.get("R", ()) if again.request in first]
    least = sqrt(max(factor, 1.0))
    n_beaten = sum(gain >= least for gain in gains)
    return 2 * n_beaten >= max(len(gains), 1)


def _spread(twins: Floats) -> float:
    return _OF_MAD * float(np.median(np.abs(twins - np.median(twins))))


def _excluding(judgement: Judgement, excludes: _Test, error: float, spread: float, *, last: bool) -> Judgement:
    """Return CLEAN where the data exclude enough, else what they exclude, with the question left open."""
    for times in (_TIMES, *(times for least, times in _AT_LAST if spread > least)):
        if excludes(times, _SHARE) <= error:
            return replace(judgement, word="CLEAN", excluded={"response": Excluded(times, _SHARE, "repeats")})
    return _undecided(judgement, excludes, error, last=last)


def _undecided(judgement: Judgement, excludes: _Test, error: float, *, last: bool) -> Judgement:
    least = next(((times, share) for times, share in _LADDER if excludes(times, share) <= error), None)
    if least is None:
        return replace(judgement, settled=last, reason=f"{_ENDED}; the data exclude no speed-up")
    times, share = least
    said = "half of" if share == _SHARE else "nine in ten of"
    reason = f"{_ENDED}; the data exclude no more than that {said} the repeats are {times:g} times as fast"
    return replace(judgement, settled=last, reason=reason, excluded={"response": Excluded(times, share, "repeats")})


def bets_judgement(evidence: Evidence, looks: Sequence[int], most: int, alpha: float = ALPHA) -> Judgement:
    """Judge the anytime design: an e-process against `alpha`, valid whenever it is stopped, and looks for CLEAN.

    Behind the last look it goes on, up to `most` groups, while the bets have lost nothing on the whole.
    """
    blocks = evidence.bets
    if not blocks:
        return Judgement("INCONCLUSIVE", settled=False, reason=_ENDED)
    judgement, money = _bet(blocks, alpha)
    if judgement.kinds or judgement.reason:
        return judgement
    judgement = replace(judgement, word="INCONCLUSIVE", settled=False, reason=_ENDED)
    for number, n_groups in enumerate(looks, start=1):
        if len(blocks) < n_groups:
            break
        again, twins = (columns(blocks[:n_groups], (arm,), total_s) for arm in "RP")
        last, error = number == len(looks), _CLEAN_FIRST if number == 1 else _CLEAN_LATER
        spread = _spread(twins - np.median(twins, axis=1, keepdims=True)) if last else 0.0
        judgement = _excluding(judgement, _within(again, twins), error, spread, last=last)
        if judgement.word == "CLEAN":
            return replace(judgement, settled=True)
    goes_on = judgement.settled and money >= 1 and len(blocks) < most
    return replace(judgement, settled=False) if goes_on else judgement


def _within(again: Floats, twins: Floats) -> _Test:
    return lambda times, share: excluded_p(again, twins, times, share)


def _bet(blocks: Sequence[Block], alpha: float = ALPHA) -> tuple[Judgement, float]:
    """Return what the bets so far prove, CLEAN for nothing, and the wealth they are at."""
    money = wealth(contrasts.won(blocks), N_RIVALS + 1)
    contrast, p = contrasts.bets(blocks), min(1.0, 1 / money)
    return _one_test(contrast, blocks, found=money >= 1 / alpha, p=p), money


def _one_test(contrast: Contrast, blocks: Sequence[Block], *, found: bool, p: float) -> Judgement:
    name: Kind | None = "response" if found and reaches_floors(contrast) else None
    judged = (Judged(contrast, p, name is not None, name),)
    proofs, notes = proofs_of(blocks, judged, "")
    kinds = kinds_of(judged, proofs)
    if not kinds and (n_alike := answered_alike(blocks)):
        return Judgement("INCONCLUSIVE", judged, proofs, reason=_ONE_REPLY.format(n=n_alike), notes=notes)
    return Judgement("CACHE" if kinds else "CLEAN", judged, proofs, kinds, notes=notes)


def single_judgement_of_before(evidence: Evidence) -> Judgement:
    """Judge a record of one prompt, five repeats and up to five twins: it may prove a cache, not that there is none."""
    block = evidence.single
    if len(block.get("R", ())) < N_SINGLE or not (is_early(evidence) or len(block.get("P", ())) == N_SINGLE):
        return Judgement("INCONCLUSIVE", settled=False, reason=_ENDED)
    contrast = contrasts.single(block)
    found = is_early(evidence) or contrast.p <= ALPHA
    return _not_clean(_one_test(contrast, [block], found=found, p=contrast.p))


def is_early(evidence: Evidence) -> bool:
    """Whether a record of before ended here: all repeats took less than half the fastest of four twins."""
    again, twins = evidence.single.get("R", ()), evidence.single.get("P", ())
    if len(again) < N_SINGLE or len(twins) < _EARLY_TWINS:
        return False
    return max(map(total_s, again)) * _EARLY_FACTOR < min(map(total_s, twins))


def bets_judgement_of_before(evidence: Evidence, most: int) -> Judgement:
    """Judge a record of up to `most` groups that ended at three losses in a row: it proves no absence."""
    blocks = evidence.bets
    if not blocks:
        return Judgement("INCONCLUSIVE", settled=False, reason=_ENDED)
    judgement, money = _bet(blocks)
    if judgement.kinds or judgement.reason or money <= _RUINED:
        return _not_clean(judgement)
    return replace(_not_clean(judgement), settled=len(blocks) >= most)


def _not_clean(judgement: Judgement) -> Judgement:
    return replace(judgement, word="INCONCLUSIVE", reason=_WEAK) if judgement.word == "CLEAN" else judgement
