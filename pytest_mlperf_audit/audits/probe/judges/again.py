"""The second series: what times alone have found is looked for once more, in fresh prompts, before it accuses anybody.

The tests of a probe err in 1 % of honest runs, and where ids, headers and token counts tell nothing there is nothing to
hold against them. So unless times are beyond doubt, the comparison that decided is made once more, of prompts drawn
anew, against AGAIN_P. Both together err in SURE_P + 0.01 x AGAIN_P = 0.1 % at most. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import inf, sqrt
from typing import Final

from ....stats.ranks import Effect
from ..seen import contrasts
from ..seen.contrast import Contrast
from ..seen.contrasts import AT_LAST, IMAGES, LATE, SINGLE, SINGLE_RUN, URLS
from ..seen.evidence import Block, Evidence, total_s
from ..seen.naming import reaches_floors
from ..sent.design import AGAIN
from ..settings import Kind
from .judgement import Judged, Judgement
from .repeats import STRATA, beat_their_first

#: A finding by times alone that is as likely by chance as this, or less, needs no second series.
SURE_P: Final = 0.0005
#: Error of the anytime design, which goes on for as long as it takes and so needs no second series.
ANYTIME_P: Final = 0.001
#: Error of the second series, all its looks together.
AGAIN_P: Final = 0.05
#: Groups of the second series that may take the place of those with a failed query.
SPARE: Final = 2
#: Tests of the single design's second series: one after the first stratum, two at each later look.
_N_TESTS: Final = 2 * len(STRATA) - 1
#: Repeats and twins that are apart by this factor, every one of them, are beyond doubt where the first sendings are all
#: on one side as well: a server with two paces brings that about by chance in fewer than one of ten thousand runs.
_GAP: Final = 2.0
#: What is compared where few prompts are repeated.
FEW: Final = (SINGLE, SINGLE_RUN)


def in_question(judgement: Judgement, evidence: Evidence, forbidden: Sequence[Kind]) -> Contrast | None:
    """Return the comparison by whose times alone a judgement accuses, if they leave a doubt; else None."""
    if evidence.bets or judgement.told or not judgement.proved(forbidden):
        return None
    accusing = [one for one in judgement.judged if one.named in forbidden]
    if not accusing or any(_is_sure(one, evidence) for one in accusing):
        return None
    return min(accusing, key=lambda one: one.p_corrected).contrast


def _is_sure(one: Judged, evidence: Evidence) -> bool:
    """Whether times are beyond doubt. The prompts of the single design are few, so there only a gap will do."""
    return _are_far_apart(evidence.single) if one.contrast.of in FEW else one.p_corrected <= SURE_P


def _are_far_apart(sent: Block) -> bool:
    """Whether a gap lies between repeats and twins that no two paces of a server bring about.

    Replicas that take turns split the first sendings, too; a pace that changes once has all repeats on one side of it.
    """
    again, twins, first = ([total_s(record) for record in sent[arm]] for arm in ("R", "P", "prime"))
    if max(again) * _GAP > min(twins):
        return False
    middle_s = sqrt(max(again) * min(twins))
    at = [[record.query for record in sent[arm]] for arm in "RP"]
    is_one_change = max(at[0]) < min(at[1]) or max(at[1]) < min(at[0])
    return len({one > middle_s for one in first}) == 1 and not is_one_change


def looks_again(contrast: Contrast, looks: Sequence[int]) -> Sequence[int]:
    """Return after how many groups, or strata, of the second series its answer is looked for; `looks`: of the first."""
    return STRATA if contrast.of in FEW else looks


def uses(evidence: Evidence) -> int:
    """Return how often a prompt of the single design had been sent when it was last repeated: some caches need that."""
    return (len(evidence.strata) + 1) // 2


def of_twins(evidence: Evidence) -> bool:
    """Whether the single design found twins faster when repeated, rather than rows: a cache may know one kind alone."""
    kinds = filter(None, (evidence.strata[::2], evidence.strata[1::2]))
    factors = [contrasts.strata(strata)[0].effect.factor for strata in kinds]
    return len(factors) == 2 and factors[1] > factors[0]


def seen_again(contrast: Contrast, evidence: Evidence, looks: Sequence[int]) -> Contrast | None:
    """Return the comparison in the second series if it says the same there; None where it does not, or not yet.

    It has to reach the floors by itself: the first was found, among others, since it showed more than there is. Queries
    at once have the floor near what coalescing brings, so there the two have to reach it on average.
    """
    looks = looks_again(contrast, looks)
    if (least := _most_telling(contrast, evidence, looks)) is None:
        return None
    n_tests = _N_TESTS if contrast.of in FEW else len(looks) if _is_of_groups(contrast) else 1
    if least.held_back or least.p > AGAIN_P / n_tests or (least.effect.factor > 1) != (contrast.effect.factor > 1):
        return None
    both = Effect(sqrt(contrast.effect.factor * least.effect.factor), 0.0, inf)
    counts = replace(least, estimate=lambda: both) if contrast.kind == "coalescing" else least
    return least if reaches_floors(counts) else None


def _is_of_groups(contrast: Contrast) -> bool:
    return contrast.kind != "coalescing" and contrast.of not in (*FEW, *AT_LAST)


def _most_telling(contrast: Contrast, evidence: Evidence, looks: Sequence[int]) -> Contrast | None:
    """Return what shows most of what the second series has of a comparison, None where it has nothing of it."""
    return min(_tested(contrast, evidence, looks), key=lambda one: one.p, default=None)


def _tested(contrast: Contrast, evidence: Evidence, looks: Sequence[int]) -> list[Contrast]:
    """Return what the second series has of a comparison at the last of its looks that was reached."""
    second = evidence.again
    if second is None:
        return []
    second.short_rows, second.twins = evidence.short_rows, evidence.twins
    reached = [n for n in looks if n <= (len(second.strata) or second.n_groups())]
    if contrast.of in FEW:
        return _of_strata(second, reached[-1]) if reached else []
    if contrast.kind == "coalescing":
        found = contrasts.coalescing(second)
    elif contrast.of == LATE:
        found = contrasts.late(second, evidence.groups)
    elif contrast.of == URLS:
        found = contrasts.urls(second)
    elif contrast.of == IMAGES:
        found = contrasts.images(second)
    else:
        family = contrasts.family(second, reached[-1]) if reached else []
        found = next((one for one in family if one.name == contrast.name), None)
    return [found] if found else []


def _of_strata(second: Evidence, n_strata: int) -> list[Contrast]:
    """Return the tests of the single design; rows whose twins may cost more have to beat their own first sending."""
    tested = contrasts.strata(second.strata[:n_strata])[: 1 if n_strata == 1 else 2]
    return [
        replace(one, held_back=second.short_rows and not beat_their_first(second.single, one.effect.factor))
        for one in tested
    ]


def judged(judgement: Judgement, evidence: Evidence, forbidden: Sequence[Kind], looks: Sequence[int]) -> Judgement:
    """Return a judgement as it is after the second series, or as it was where it needed none."""
    contrast = in_question(judgement, evidence, forbidden)
    if contrast is None:
        return judgement
    what = "inputs" if evidence.twins else "prompts"
    if (again := seen_again(contrast, evidence, looks)) is not None:
        said = f"a second series, of fresh {what}, says the same: {again.effect.factor:.3g} times (p {again.p:.2g})"
        return replace(judgement, proofs=(*judgement.proofs, said))
    doubted = tuple(replace(one, found=False, named=None) for one in judgement.judged)
    seen = "could not be sent whole"
    if least := _most_telling(contrast, evidence, looks_again(contrast, looks)):
        seen = f"does not say so: {least.effect.factor:.3g} times (p {least.p:.2g})"
    reason = (
        f"repeats were faster by their times alone, and a second series, of fresh {what}, {seen}{_failed(evidence)}: "
        "chance, or a cache that serves now and then; run the audit again, on a quieter system and with no limit on "
        "the probe's queries"
    )
    return replace(
        judgement, word="INCONCLUSIVE", judged=doubted, proofs=(), kinds=(), settled=True, reason=reason, may_be=()
    )


def _failed(evidence: Evidence) -> str:
    """Say what failed in the second series, "" for nothing."""
    second = evidence.again
    if second and second.burst_refused:
        return f" (the endpoint answers {second.burst_refused} queries at once; set max_burst to what it takes)"
    failed = [record for record in evidence.failed if AGAIN in (record.tag or "")]
    return f" ({len(failed)} of its queries failed: {failed[0].outcome})" if failed else ""
