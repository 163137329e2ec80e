"""Contrasts to a verdict: which of them are found, and whether more queries are needed.

False alarms: each look at the groups has an equal share of LOOKS_ALPHA, divided by Holm's rule among those contrasts
that so many groups can show at all (Tarone 1990); the bursts are looked at once, with BURST_ALPHA. Together they stay
within ALPHA, whatever the latencies' distribution.
A speed-up also has to reach the floors, so that what is statistically real and practically nothing is no finding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ....stats.ranks import Floats, excluded_together_p, holm
from ..seen import contrasts
from ..seen.beginning import reported
from ..seen.contrast import EVERYWHERE, Contrast
from ..seen.contrasts import AT_LAST
from ..seen.evidence import Evidence
from ..seen.naming import named, named_of_inputs, reaches_floors
from ..sent.apart import LATE_AGAIN
from ..sent.design import DATASET, MADE_UP
from ..settings import (
    ALPHA,
    FLOOR,
    FLOOR_S,
    IMAGES_ALPHAS,
    LATE_ALPHAS,
    LOOKS_ALPHA,
    LOOKS_ALPHA_OF_BEFORE,
    URLS_ALPHAS,
    Excluded,
    Kind,
)
from . import bursts
from .doubts import CLEAR_P, LUCKY_LEAD, SUSPECT_P, doubt_of
from .judgement import Judged, Judgement, Word, kinds_of, proofs_of, told_by_ids

#: Reuse that shows in no contrast of one kind is as likely chance, unless p corrected is this, or less.
_SURE_P = 0.001
_NO_KIND = (
    "exact repeats are faster than twins with a new beginning, though not surely, and no comparison of one kind of "
    "cache says so: run it again, or with the probe's thorough: true"
)
#: A look before the last says CLEAN of inputs of no text only where twins are not so many times as fast as new inputs.
_TWINS_TIMES = 2.0
_MAY_BE_LUCKY = ("response", "semantic")
#: Failed queries a probe may have: this many, or this share.
_FEW_FAILURES = 2
_FAILURE_SHARE = 0.10


#: What is looked for: a look before the last needs one of the first _N_SURE to be excluded to be CLEAN, the last any.
_CLAIMS = tuple(Excluded(times, share, "repeats") for times, share in ((1.5, 0.5), (2.0, 0.5), (3.0, 0.5), (2.0, 1.0)))
_N_SURE = 2
#: At each look.
_EXCLUDED_P = 0.005
_NO_POWER = (
    "latencies spread so widely that even a cache which makes repeats twice as fast may be there; set probe.groups to "
    "more (96), or audit a quieter system"
)


def too_many_failures(evidence: Evidence) -> bool:
    """Whether so many queries failed that nothing can be concluded."""
    return len(evidence.failed) > max(_FEW_FAILURES, _FAILURE_SHARE * evidence.n_queries)


def groups_judgement(
    evidence: Evidence, looks: Sequence[int], forbidden: Sequence[Kind], *, thorough: bool = False
) -> Judgement:
    """Judge the groups that are there, as they were looked at: after each number of `looks`, until an answer.

    A later look cannot take back what an earlier one found.
    """
    judgement = Judgement("INCONCLUSIVE", settled=False, reason="the budget ended before an answer")
    nameless: Judgement | None = None
    for number, n_groups in enumerate(looks, start=1):
        if evidence.n_groups() < n_groups:
            break
        last = number == len(looks)
        judgement = _look(evidence, n_groups, len(looks), forbidden, last=last, thorough=thorough)
        if not last and _may_get_a_name(judgement):
            judgement = nameless = replace(judgement, settled=False)  # further groups may say which cache it is
        elif judgement.settled or judgement.proved(forbidden):
            answer = judgement if judgement.kinds else nameless or judgement
            is_open = answer.word == "CACHE" and bool(answer.reason)
            return replace(answer, settled=not is_open or bool(answer.proved(forbidden)))
    return judgement if judgement.kinds else nameless or judgement


def _may_get_a_name(judgement: Judgement) -> bool:
    """Whether more groups may tell which cache it is: so far only reuse is found, or only repeats of the data set are.

    A cache that looks at meaning, or at all but the last word, answers those repeats as well.
    """
    found = {one.contrast.name for one in judgement.judged if one.named}
    if judgement.kinds == ("reuse",):
        return True
    if not found or not found <= {f"response[{DATASET}]", f"response[{EVERYWHERE}]"}:
        return False
    wider = [one.contrast for one in judgement.judged if one.contrast.kind in ("near_duplicate", "semantic")]
    return any(contrast.p <= SUSPECT_P and reaches_floors(contrast) for contrast in wider)


def _look(
    evidence: Evidence, n_groups: int, n_looks: int, forbidden: Sequence[Kind], *, last: bool, thorough: bool
) -> Judgement:
    tested = contrasts.family(evidence, n_groups)
    judged = _judge(tested, (LOOKS_ALPHA if evidence.apart else LOOKS_ALPHA_OF_BEFORE) / n_looks)
    shared = bursts.proof(evidence)
    if (at_once := contrasts.coalescing(evidence)) is not None:
        one = _judge([at_once], bursts.alpha(evidence))[0]
        if one.found or shared or bursts.would_show(evidence):
            judged.append(replace(one, found=one.found or bool(shared)))
    late_alpha = LATE_ALPHAS[str(LATE_AGAIN) in evidence.late]
    at_last = (
        (contrasts.late(evidence), late_alpha),
        (contrasts.urls(evidence), URLS_ALPHAS[0]),
        (contrasts.images(evidence), IMAGES_ALPHAS[0]),
    )
    judged += [_judge([one], alpha)[0] for one, alpha in at_last if one is not None]
    found = {one.contrast.name: one.contrast for one in judged if one.found}
    blocks = {of: evidence.groups[of][:n_groups] for of in evidence.sources()}
    names, nature = named_of_inputs(found, blocks, evidence.twins) if evidence.twins else named(found, blocks)
    judged = [replace(one, named=names.get(one.contrast.name)) for one in judged]
    proofs, notes = _replayed(evidence, n_groups, judged)
    if nature.kind == "near_duplicate":
        proofs = (*proofs, nature.why)
    proofs = (*proofs, shared) if shared else proofs
    kinds = kinds_of(judged, proofs)
    told = reported(blocks)
    if told and "near_duplicate" not in kinds:
        kinds = tuple(dict.fromkeys((*(kind for kind in kinds if kind != "reuse"), "prefix")))
        proofs = (*proofs, told)
    null = _null(evidence, n_groups)
    if null[1]:
        reason = "the null control shows a difference between queries of one kind, so no comparison can be trusted"
        doubted = tuple(replace(one, found=False, named=None) for one in judged)
        return Judgement("INCONCLUSIVE", doubted, settled=last, null_p=null[0], reason=reason, notes=notes)
    if kinds and not proofs and not nature.may_be and not any(map(_is_sure, judged)):
        doubted = tuple(replace(one, found=False, named=None) for one in judged)
        return Judgement("INCONCLUSIVE", doubted, settled=last, null_p=null[0], reason=_NO_KIND, notes=notes)
    if kinds:
        clear = all(_is_clear(one.contrast) for one in judged if not one.found)
        settled, reason = (last or clear, "") if nature.kind else (False, nature.why)
        of_ids = bool(shared or told or nature.told or _told_by_ids(evidence, n_groups))
        return Judgement("CACHE", tuple(judged), proofs, kinds, settled, null[0], reason, notes, nature.may_be, of_ids)
    if doubt := doubt_of(judged, evidence.twins, forbidden, last=last):
        return Judgement("INCONCLUSIVE", tuple(judged), settled=last, null_p=null[0], reason=doubt, notes=notes)
    return _clean(evidence, n_groups, tuple(judged), last=last, thorough=thorough, null_p=null[0], notes=notes)


def _is_sure(one: Judged) -> bool:
    """Whether a finding counts: by the contrast of a kind, or, by the one that is of no kind, if it is surer still."""
    return one.named is not None and (one.contrast.kind != "reuse" or one.p_corrected <= _SURE_P)


def _clean(
    evidence: Evidence,
    n_groups: int,
    judged: tuple[Judged, ...],
    *,
    last: bool,
    thorough: bool,
    **kept: Any,
) -> Judgement:
    """Return CLEAN where nothing was found, and the data exclude what would matter; else more groups are needed."""
    excluded: Excluded | None = None
    if evidence.apart:
        claims = _CLAIMS if last else _CLAIMS[:_N_SURE]
        repeats = contrasts.of_repeats(evidence, n_groups)
        excluded = next((claim for claim in claims if _is_excluded(repeats, claim)), None)
    is_open = thorough or (evidence.twins and not all(map(_excludes_twins, judged)))
    settled = last or (not is_open and all(_is_clear(one.contrast) for one in judged))
    if evidence.apart and excluded is None:
        reason = _NO_POWER if last else "the budget ended before an answer"
        return Judgement("INCONCLUSIVE", judged, settled=last, reason=reason, **kept)
    word: Word = "CLEAN" if settled else "INCONCLUSIVE"
    reason = "" if settled else "the budget ended before an answer"
    bounds: dict[Kind, Excluded] = {"response": excluded} if excluded else {}
    return Judgement(word, judged, settled=settled, reason=reason, excluded=bounds, **kept)


def _excludes_twins(one: Judged) -> bool:
    """Whether a comparison is not that of twins with new inputs, or leaves them no speed-up that further looks show."""
    return one.contrast.kind != "near_duplicate" or one.contrast.effect.high < _TWINS_TIMES


def _is_excluded(repeats: Sequence[tuple[Floats, Floats]], claim: Excluded) -> bool:
    return excluded_together_p(repeats, claim.times, claim.share) <= _EXCLUDED_P


def needs_more(contrast: Contrast | None, alpha: float) -> bool:
    """Whether what was looked at for the first time, at `alpha`, is neither found nor clear, and so has to go on."""
    if contrast is None or contrast.p <= alpha:
        return False
    return contrast.p <= CLEAR_P and reaches_floors(contrast)


def _judge(tested: Sequence[Contrast], alpha: float) -> list[Judged]:
    """Return contrasts with p values corrected so that ALPHA is the limit of each.

    Which contrasts are in the family depends on the numbers of queries alone, so that Holm's rule holds among them.
    """
    least = [contrast.least_p for contrast in tested]
    size = next((size for size in range(1, len(least) + 1) if sum(p <= alpha / size for p in least) <= size), 1)
    in_family = [contrast for contrast in tested if contrast.least_p <= alpha / size]
    adjusted: Mapping[str, float] = holm({contrast.name: contrast.p for contrast in in_family})
    judged = []
    for contrast in tested:
        # Those left out cannot fall below this either: their least p times their number is more than alpha.
        corrected = adjusted.get(contrast.name, contrast.p * len(tested))
        corrected = min(1.0, corrected * ALPHA / alpha)
        found = corrected <= ALPHA and reaches_floors(contrast) and not contrast.held_back
        judged.append(Judged(contrast, corrected, found, contrast.kind if found else None))
    return judged


def _is_clear(contrast: Contrast) -> bool:
    """Whether a contrast that was not found needs no further groups."""
    if contrast.kind == "coalescing" or contrast.of in AT_LAST:
        return True  # further groups bring no more of them
    lucky = contrast.kind in _MAY_BE_LUCKY and contrast.lead >= LUCKY_LEAD
    return not lucky and (contrast.p > CLEAR_P or not reaches_floors(contrast))


def _replayed(evidence: Evidence, n_groups: int, judged: Sequence[Judged]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    proofs: list[str] = []
    notes: list[str] = []
    for of in evidence.sources():
        proved, noted = proofs_of(evidence.groups[of][:n_groups], judged, of)
        proofs += proved
        notes += noted
    return tuple(proofs), tuple(notes)


def _told_by_ids(evidence: Evidence, n_groups: int) -> bool:
    return any(told_by_ids(evidence.groups[of][:n_groups]) for of in evidence.sources())


def _null(evidence: Evidence, n_groups: int) -> tuple[float | None, bool]:
    """Return the null control's p, and whether it fired."""
    blocks = evidence.groups[MADE_UP][:n_groups]
    if not blocks:
        return None, False
    control = contrasts.null_control(blocks)
    times = max(control.effect.factor, 1 / control.effect.factor)  # either direction counts
    return control.p, control.p <= ALPHA and times >= FLOOR and control.gain_s >= FLOOR_S
