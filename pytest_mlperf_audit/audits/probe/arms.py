"""The arms of a probe as rows: what was sent, how often, and the medians of how long it took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec
import numpy as np

from ...runs.query import QueryRecord
from ..verdict import ArmSummary
from .seen.contrasts import IMAGES, LATE, SINGLE, SINGLE_RUN, URLS
from .seen.evidence import Evidence, Measure, decode_s, first_s, makespan_s, total_s
from .seen.measured import AFTER, FIRST
from .sent.design import DATASET, MADE_UP
from .sent.names import ARMS, TWINS

BURSTS: Final = "bursts"
_AGAIN: Final = ", second series"
_OF: Final[Mapping[str, str]] = {MADE_UP: "made-up prompts", DATASET: "the data set's prompts", SINGLE_RUN: SINGLE}


def of_name(of: str, twins: str = "") -> str:
    """Return what was compared, in words; `twins` is not "" where inputs are no texts."""
    name = _OF.get(of, of)
    return name.replace("prompt", "input") if twins else name


def arms(evidence: Evidence, twins: str = "") -> tuple[ArmSummary, ...]:
    """Return the medians of each arm, in the order of the design, those of a second series last; bursts by makespan.

    `twins` is what twins of inputs that are no text have, "" for texts.
    """
    rows = (row for series, sent in _series(evidence) for row in _rows(series, sent))
    return tuple(_of_inputs(row, twins) for row in rows) if twins else tuple(rows)


def _of_inputs(row: ArmSummary, twins: str) -> ArmSummary:
    """Return an arm of inputs that are no text: all that are neither repeats nor new are twins with `twins`."""
    what = twins if row.arm in TWINS else row.what
    return msgspec.structs.replace(row, what=what, of=of_name(row.of, twins))


def seconds_by_arm(evidence: Evidence, measured: str = "") -> dict[tuple[str, str], list[float]]:
    """Return the seconds of every query by what it is of and its arm, bursts by their makespan: what `arms` sums up.

    `measured` is what a comparison is of: the whole reply, the first token, or what comes after it.
    """
    part_s = _part_of(evidence, measured)
    seconds: dict[tuple[str, str], list[float]] = {}
    for series, sent in _series(evidence):
        seconds |= {(of + series, arm): [part_s(record) for record in records] for of, arm, records in _by_arm(sent)}
        seconds |= {(BURSTS + series, kind): list(map(makespan_s, bursts)) for kind, bursts in sent.bursts.items()}
    return seconds


def _part_of(evidence: Evidence, measured: str) -> Measure:
    """Return what to take of a latency; the time after a first token has the floor that comparisons give it."""
    if measured == FIRST:
        return first_s
    if measured != AFTER:
        return total_s
    every = evidence.every()  # none where all that was sent are bursts, or prompts of one meaning
    usual_s = float(np.median([decode_s(record, 0.0) for record in every])) if every else 0.0
    return lambda record: decode_s(record, usual_s)


def _series(evidence: Evidence) -> list[tuple[str, Evidence]]:
    """Return what was sent, and what the second series has, each with what stands behind the name of its prompts."""
    return [("", evidence), *([(_AGAIN, evidence.again)] if evidence.again else [])]


def _rows(series: str, evidence: Evidence) -> Iterator[ArmSummary]:
    for of, arm, records in _by_arm(evidence):
        yield _arm(arm, of + series, records)
    for kind, bursts in evidence.bursts.items():
        what = f"{len(bursts[0])} {'identical' if kind == 'same' else 'different'} at once"
        median_s = float(np.median(list(map(makespan_s, bursts))))
        yield ArmSummary(arm=kind, what=what, of=BURSTS + series, n=len(bursts), median_s=median_s)


def _by_arm(evidence: Evidence) -> Iterator[tuple[str, str, list[QueryRecord]]]:
    blocks = {_OF[of]: groups for of, groups in evidence.groups.items()}
    alone = {SINGLE if evidence.strata else "one prompt": [evidence.single]} if evidence.single else {}
    blocks |= alone | {"one group after another": evidence.bets}
    late = [pair for pairs in evidence.late.values() for pair in pairs]
    blocks[LATE] = [{"R": [again], "Y": [twin]} for again, twin in late]
    blocks[URLS] = [evidence.urls]
    blocks[IMAGES] = [evidence.images]
    for of, groups in blocks.items():
        for arm in ARMS:
            if records := [record for block in groups for record in block.get(arm, ())]:
                yield of, arm, records


def _arm(arm: str, of: str, records: list[QueryRecord]) -> ArmSummary:
    streamed = all(record.first_token_ns is not None for record in records)
    return ArmSummary(
        arm=arm,
        what=ARMS[arm],
        of=of,
        n=len(records),
        median_s=float(np.median([total_s(record) for record in records])),
        first_token_s=float(np.median([first_s(record) for record in records])) if streamed else None,
    )
