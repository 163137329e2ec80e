"""Evidence to contrasts: who is compared with whom, by which test, on which part of the latency."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from ....runs.query import QueryRecord
from ....stats.ranks import Floats, least_u, paired_effect, signed_rank, stratified_effect, stratified_u
from ..sent.apart import LATE_AGAIN
from ..sent.design import DATASET, MADE_UP
from ..settings import FLOOR
from .contrast import (
    EVERYWHERE,
    Contrast,
    in_one_stratum,
    in_pairs,
    least_sure,
    medians_s,
    pair,
    run,
    sporadic,
    u_test,
    within_strata,
)
from .evidence import (
    Block,
    Evidence,
    Measure,
    are_twins_comparable,
    columns,
    first_s,
    has_decode,
    is_comparable,
    of_one_length,
    read_counted,
    total_s,
)
from .measures import after_first, per_prompt_token, replay_measures, whole

#: Where repeats of made-up prompts are compared by when they start, beside what comes after that.
STARTS = "made-up prompts, first token"

#: What the single design compares.
SINGLE = "single prompts"
SINGLE_RUN = "single prompts, leading run"

#: Repeats that come long after their primes, with others in flight.
LATE = "made-up prompts, late and at once"

#: Fresh queries to the URL as it is, and to changed ones.
URLS = "fresh prompts"

#: Fresh queries with a known image, and with new ones.
IMAGES = "fresh prompts with images"

#: What is sent behind the groups.
AT_LAST = (LATE, URLS, IMAGES)

#: The arm that shares only its beginning with an earlier query.
KNOWS_BEGINNING = {MADE_UP: "X", DATASET: "Y"}


def family(evidence: Evidence, n_groups: int) -> list[Contrast]:
    """Return the contrasts of the first `n_groups` groups."""
    if n_groups not in evidence.families:
        evidence.families[n_groups] = list(_family(evidence, n_groups))
    found: list[Contrast] = evidence.families[n_groups]
    return found


def _family(evidence: Evidence, n_groups: int) -> Iterator[Contrast]:
    repeats = []
    for of in evidence.sources():
        blocks = evidence.groups[of][:n_groups]
        if blocks and (of == MADE_UP or _may_compare(evidence, blocks)):
            measures = replay_measures(blocks)
            measures = measures if of == MADE_UP else [*measures, *per_prompt_token(blocks)]
            pairs = [(columns(blocks, ("R",), one), columns(blocks, ("Y",), one)) for one in measures]
            contrast = least_sure([u_test("response", of, again, twins) for again, twins in pairs])
            if of == DATASET and evidence.short_rows and not read_counted(blocks):
                contrast = _held_back(contrast, blocks, measures[0])
            yield contrast
            if contrast.held_back:
                continue
            repeats.append(pairs)
            if not evidence.twins:
                yield in_pairs("reuse", of, blocks, ("R", "P"), measures)
            if of == MADE_UP:
                yield from _input_contrasts(blocks) if evidence.twins else _made_up_contrasts(blocks)
    if repeats:
        yield sporadic(repeats)


def _may_compare(evidence: Evidence, blocks: Sequence[Block]) -> bool:
    """Whether rows of the data set may be compared with their twins."""
    return are_twins_comparable(blocks) if evidence.twins else is_comparable(blocks)


def of_repeats(evidence: Evidence, n_groups: int) -> list[tuple[Floats, Floats]]:
    """Return repeats and their twins, logs of latency, of each kind of prompt that can be compared."""
    found = []
    for of in evidence.sources():
        blocks = evidence.groups[of][:n_groups]
        if blocks and (of == MADE_UP or _may_compare(evidence, blocks)):
            measure = replay_measures(blocks)[0]
            found.append((columns(blocks, ("R",), measure), columns(blocks, ("Y",), measure)))
    return found


def _made_up_contrasts(blocks: Sequence[Block]) -> Iterator[Contrast]:
    total, first = whole(blocks), [first_s]
    if has_decode(blocks):
        yield within_strata("reuse", STARTS, blocks, ("R",), ("Y",), first)
    yield _with_repeats(near_first(blocks), within_strata("near_duplicate", MADE_UP, blocks, ("R",), ("X",), first))
    yield _with_repeats(
        in_pairs("prefix", MADE_UP, blocks, ("X", "P"), first),
        within_strata("prefix", MADE_UP, blocks, ("R",), ("P",), first),
    )
    fresh = ("S", "T") if "T" in blocks[0] else ("S",)
    yield _with_repeats(
        in_one_stratum("semantic", MADE_UP, [with_later(block) for block in blocks], ("later",), fresh, total),
        in_one_stratum("semantic", MADE_UP, blocks, ("R",), fresh, total),
    )
    if all("U" in block for block in blocks):
        yield _with_repeats(
            within_strata("url_keyed", MADE_UP, blocks, ("P", "N"), ("U",), total),
            within_strata("url_keyed", MADE_UP, blocks, ("R",), ("U",), total),
        )


def _input_contrasts(blocks: Sequence[Block]) -> Iterator[Contrast]:
    """Yield what is compared of inputs of no text: twins of an input against all-new inputs, beside repeats.

    Inputs differ in cost, and twins of one do not: so one twin of each block is compared, with two new inputs.
    """
    total, fresh = whole(blocks), ("S", "T")
    if has_decode(blocks):
        yield within_strata("reuse", STARTS, blocks, ("R",), ("Y",), [first_s])
    yield _with_repeats(
        in_one_stratum("near_duplicate", MADE_UP, list(map(_with_last, blocks)), ("last",), fresh, total),
        in_one_stratum("near_duplicate", MADE_UP, blocks, ("R",), fresh, total),
    )


def _with_last(block: Block) -> Block:
    """Return a block with the twin that was sent last as an arm."""
    return {**block, "last": [max(block["Y"], key=lambda record: record.query)]}


def _with_repeats(contrast: Contrast, repeats: Contrast) -> Contrast:
    """Return a contrast that is no surer than exact repeats are faster than the same queries.

    A cache that answers queries which are nearly a prompt, or share its beginning, its meaning or its URL, answers the
    prompt itself. By chance both seldom look so.
    """
    return replace(contrast, p=max(contrast.p, repeats.p), least_p=max(contrast.least_p, repeats.least_p))


def near_first(blocks: Sequence[Block]) -> Contrast:
    """Return twins with another last word against those with a fresh tail, by the time to the first token."""
    return within_strata("near_duplicate", MADE_UP, blocks, ("Y",), ("X",), [first_s])


def near_after_first(blocks: Sequence[Block]) -> Contrast:
    """Return twins with another last word against those with a fresh tail, by the time after the first token."""
    return within_strata("near_duplicate", MADE_UP, blocks, ("Y",), ("X",), after_first(blocks))


def strata(blocks: Sequence[Block]) -> list[Contrast]:
    """Return repeats against twins of the single design: within its strata, and the leading run of them all."""
    measures = whole(blocks)
    pairs = [(columns(blocks, ("R",), one), columns(blocks, ("P",), one)) for one in measures]
    return [
        within_strata("response", SINGLE, blocks, ("R",), ("P",), measures),
        replace(sporadic([pairs]), of=SINGLE_RUN),
    ]


def single(block: Block) -> Contrast:
    """Return repeats against twins of one prompt, as they were sent before there were strata."""
    return in_one_stratum("response", "one prompt", [block], ("R",), ("P",), whole([block]))


def bets(blocks: Sequence[Block]) -> Contrast:
    """Return repeats against twins of many prompts; its p is that of a fixed design, for the reader."""
    return within_strata("response", "anytime", blocks, ("R",), ("P",), whole(blocks))


def won(blocks: Sequence[Block]) -> list[bool]:
    """Return for each group of the anytime design whether its repeat was the fastest."""
    return [total_s(block["R"][0]) < min(map(total_s, block["P"])) for block in blocks]


def coalescing(evidence: Evidence) -> Contrast | None:
    """Return identical bursts against bursts of twins, two-sided: some caches make those who wait slower.

    That they are slower says nothing unless some of their replies share an id: one of several servers may have taken
    them all. None where replies differ in length: the longest of many twins would take longer than copies of one reply.
    """
    same, twins = (evidence.bursts.get(kind, []) for kind in ("same", "twins"))
    if not same and evidence.identical:
        same, twins = evidence.identical, evidence.sizing.get(len(evidence.identical[0]), [])
    if not same or not twins or not of_one_length([record for sent in (*same, *twins) for record in sent]):
        return None
    a, b = (np.log([[evidence.burst_s(burst) for burst in bursts]]) for bursts in (same, twins))
    slower_p = stratified_u(b, a) if _share_an_id(same) else 1.0
    p = min(1.0, 2 * min(stratified_u(a, b), slower_p))
    least_p = 2 * least_u(1, a.size, b.size)
    n = sum(map(len, same)) + sum(map(len, twins))
    return Contrast("coalescing", "bursts", p, least_p, partial(stratified_effect, a, b), *medians_s(a, b), n)


def _share_an_id(bursts: Sequence[Sequence[QueryRecord]]) -> bool:
    ids = [record.reply_id for burst in bursts for record in burst if record.reply_id]
    return len(set(ids)) < len(ids)


def late(evidence: Evidence, groups: Mapping[str, Sequence[Block]] | None = None) -> Contrast | None:
    """Return late repeats against the twins that were sent beside them; None without any.

    `groups` are those whose prompts are repeated, by default the evidence's own.

    The first two passes are tested each by itself, since their repeats are of the same prompts; the first one together
    with the last, whose are of others. Of all tests the one that shows most, times their number.
    """
    passes = evidence.late
    last = str(LATE_AGAIN)
    of = [[*passes["0"], *passes[last]]] if last in passes and "0" in passes else list(passes.values())
    measures = replay_measures((groups or evidence.groups)[MADE_UP]) if passes else []
    tested: list[Contrast] = []
    for pairs in of:
        block: Block = {"R": [again for again, _ in pairs], "Y": [twin for _, twin in pairs]}
        logs = [(columns([block], ("R",), one)[0], columns([block], ("Y",), one)[0]) for one in measures]
        tested.append(least_sure([pair("response", LATE, again, twins) for again, twins in logs]))
        tested.append(least_sure([run([(again[:, None], twins[:, None])], LATE) for again, twins in logs]))
    if not tested:
        return None
    least = min(tested, key=lambda contrast: contrast.p)
    factor, lead = len(tested), max(one.lead for one in tested)
    least_p = factor * min(one.least_p for one in tested)
    return replace(least, p=min(1.0, factor * least.p), least_p=least_p, lead=lead)


def urls(evidence: Evidence) -> Contrast | None:
    """Return fresh queries to the URL as it is against those to changed ones; None without any."""
    if len(evidence.urls) < 2:
        return None
    return in_one_stratum("url_keyed", URLS, [evidence.urls], ("V",), ("U",), whole([evidence.urls]))


def images(evidence: Evidence) -> Contrast | None:
    """Return fresh prompts with a known image against those with new ones, by when they start; None without any."""
    if not {"K", "I"} <= evidence.images.keys():
        return None
    return in_one_stratum("multimodal", IMAGES, [evidence.images], ("K",), ("I",), [first_s])


def null_control(blocks: Sequence[Block]) -> Contrast:
    """Return S against T, two fresh texts that no cache tells apart, two-sided; in blocks of before P against N.

    A difference here means that no test can be trusted.
    """
    one, other = ("S", "T") if "T" in blocks[0] else ("P", "N")
    p, n = columns(blocks, (one,), total_s)[:, 0], columns(blocks, (other,), total_s)[:, 0]
    both = min(1.0, 2 * min(signed_rank(p, n), signed_rank(n, p)))
    estimate = partial(paired_effect, p, n)
    return Contrast("reuse", "null control", both, 2 * 0.5 ** len(p), estimate, *medians_s(p, n), 2 * len(p))


def beginning(blocks: Mapping[str, Sequence[Block]], measures: Sequence[Measure] = (first_s,)) -> Contrast:
    """Return queries that share only their beginning with an earlier one against those that share nothing."""
    tested = []
    for measure in measures:
        a, b = (
            np.concatenate([columns(some, (arms[of],), measure)[:, 0] for of, some in blocks.items() if some])
            for arms in (KNOWS_BEGINNING, dict.fromkeys(blocks, "P"))
        )
        tested.append(pair("prefix", EVERYWHERE, a, b))
    return least_sure(tested)


def _held_back(contrast: Contrast, blocks: Sequence[Block], measure: Measure) -> Contrast:
    """Return repeats of rows whose twins may have more to read: are they faster than what was sent first, too?"""
    again, first = (np.array([np.log(measure(block[arm][0])) for block in blocks]) for arm in ("R", "prime"))
    return replace(contrast, held_back=paired_effect(again, first).factor < FLOOR)


def with_later(block: Block) -> Block:
    """Return a block with the later of P and N as an arm: the other one, or the primes, have brought its text before.

    Which one it is hangs on the order alone. It comes later than S more often than not, by a place or two.
    """
    return {**block, "later": [max((*block["P"], *block["N"]), key=lambda record: record.query)]}
