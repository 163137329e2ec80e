"""Rows of the data set that come back much faster than their twins the first time that the probe sends them.

The phases before it, or a main run, sent these rows, and nobody sent the twins: a cache that knows the rows, and serves
them now and then, or what is not recent, shows here though repeats do not. So does a prefix cache.
"""

from __future__ import annotations

from statistics import median
from typing import Final

import numpy as np

from ....stats.ranks import stratified_u
from ..judges.judgement import Judgement
from ..seen.evidence import Block, Evidence, are_twins_comparable, is_comparable, total_s
from ..sent.design import DATASET

_FEWEST: Final = 6
_FASTER: Final = 2.0
#: Six rows against six twins reach 0.0011, where every row is faster than every twin.
_SURE: Final = 0.002


def known_rows(evidence: Evidence, judgement: Judgement) -> str:
    """Say that rows were known before the probe sent them, "" where that is not seen or another cache explains it."""
    arm, comparable = ("Y", are_twins_comparable) if evidence.twins else ("P", is_comparable)
    blocks = [block for block in evidence.groups[DATASET] if block.get("prime") and block.get(arm)]
    reported = any(record.cached_tokens for record in evidence.every())
    if len(blocks) < _FEWEST or judgement.kinds or reported or not comparable(blocks):
        return ""
    rows_s, twins_s = [_first_s(block, "prime") for block in blocks], [_first_s(block, arm) for block in blocks]
    p = stratified_u(np.log([rows_s]), np.log([twins_s]))
    if p > _SURE or median(twins_s) < _FASTER * median(rows_s):
        return ""
    return (
        f"rows of the data set came back {median(twins_s) / median(rows_s):.3g} times as fast as their twins when the "
        f"probe sent them for the first time (p {p:.2g}), and no faster when it repeated them: they were known from "
        "before, or rows are cheaper than twins of their length; empty the endpoint's caches and run the audit again"
    )


def _first_s(block: Block, arm: str) -> float:
    return total_s(min(block[arm], key=lambda record: record.query))
