"""Rows of the data set whose replies name a model that no fresh request's reply names: kept from another model's work.

MLServer's cache looks at the input and not at the model, so that one model's row may get the reply that another has
given to it; its `model_name` tells. A router to several models names each of them for fresh requests, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb
from typing import Final, NamedTuple

from ..seen.outputs import surely_faster
from .replies import Sent

_FEWEST: Final = 3
_FEWEST_FRESH: Final = 8
#: By chance alone the requests with the other name would all be rows this seldom.
_SURE: Final = 0.005


class OfModels(NamedTuple):
    """What the models' names show: what proves a response cache, or else leaves it in doubt."""

    proof: str = ""
    doubt: str = ""


def of_models(sent: Sequence[Sent]) -> OfModels:
    """Judge the names of the models that replies say they come from; each request counts once."""
    named = {one.record.request: one for one in reversed(sent) if one.record.model}
    fresh = [one for one in named.values() if one.fresh]
    rows = [one for one in named.values() if not one.fresh]
    known = {one.record.model for one in fresh}
    others = [one for one in rows if one.record.model not in known]
    if len(others) < _FEWEST or len(fresh) < _FEWEST_FRESH or len(known) != 1:
        return OfModels()
    n_all = len(rows) + len(fresh)
    if comb(len(rows), len(others)) > _SURE * comb(n_all, len(others)):
        return OfModels()
    said = (
        f"replies to {len(others)} of {len(rows)} rows of the data set name model {others[0].record.model!r}, and none "
        f"of {len(fresh)} fresh requests' does, which name {fresh[0].record.model!r}"
    )
    theirs = {one.record.model for one in others}
    alone = [one.record for one in sent if one.arm == "prime" and one.record.model in theirs]
    if surely_faster(alone, [one.record for one in fresh if one.one_by_one]):
        return OfModels(proof=f"{said}; they came faster: a cache that does not look at the model")
    return OfModels(
        doubt=f"{said}: a cache that does not look at the model, or a router that sends these rows elsewhere; have one "
        "model behind the endpoint, empty all caches, and run the audit again"
    )
