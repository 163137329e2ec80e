"""What speaks against CLEAN though no cache is found: comparisons in too few queries to be sure, and known rows."""

from __future__ import annotations

from collections.abc import Sequence

from ..seen.contrasts import LATE, URLS
from ..seen.naming import reaches_floors
from ..settings import ALPHA, Kind
from .judgement import TOO_FAST, Judged, is_too_fast

#: A contrast is clear when its speed-up is below the floor, or as likely by chance as this.
CLEAR_P = 0.05
#: A query that leads all it is compared with by this factor may be a hit of a cache that hits now and then.
LUCKY_LEAD = 2.0
#: A wider cache is suspected, never found, from this p on.
SUSPECT_P = 0.02
_KNOWN_ROWS = (
    "rows of the data set come back faster than their twins, but no faster than when first sent: the endpoint knew "
    "them, or twins have more to read; prompts of over six words, or replies that count prompt tokens, would tell"
)
_SUSPECTED = (
    "some repeats that came late, with others in flight, were far faster than any twin, in too few queries to be sure: "
    "a cache may serve under load only, or what is not recent; run the audit again, with thorough: true"
)
_TWINS_SUSPECTED = (
    "twins with {twins} are faster than all-new inputs, in too few queries to be sure: a cache may take inputs that "
    "are nearly alike for the same, or inputs differ in cost; run the audit again, with the probe's groups: 96"
)
_IMAGES_SUSPECTED = (
    "new prompts with an image that was sent before start sooner than those with a new image, in too few queries to be "
    "sure: a cache may keep what was made of an image; run the audit again, on a quieter system (a server's own "
    "counters, endpoint_config.metrics, may tell)"
)

_URLS_SUSPECTED = (
    "new prompts to the endpoint's own URL come back sooner than those to a changed URL, in too few queries to be "
    "sure: a cache may be keyed on the URL alone; run the audit again, on a quieter system"
)


def doubt_of(judged: Sequence[Judged], twins: str, forbidden: Sequence[Kind], *, last: bool) -> str:
    """Return what speaks against CLEAN though nothing was found, "" for nothing."""
    if any(map(_may_be_known, judged)):
        return _KNOWN_ROWS
    if last and any(map(is_too_fast, judged)):
        return TOO_FAST
    if last and twins and any(_may_know("near_duplicate", one) for one in judged):
        return _TWINS_SUSPECTED.format(twins=twins)
    if "multimodal" in forbidden and any(_may_know("multimodal", one) for one in judged):
        return _IMAGES_SUSPECTED
    if "url_keyed" in forbidden and any(one.contrast.of == URLS and _may_know("url_keyed", one) for one in judged):
        return _URLS_SUSPECTED
    return _SUSPECTED if any(map(_is_suspected, judged)) else ""


def _is_suspected(one: Judged) -> bool:
    """Whether late repeats are more often among the fastest than chance explains well, and by far."""
    contrast = one.contrast
    return contrast.of == LATE and not one.found and contrast.p <= CLEAR_P and contrast.lead >= LUCKY_LEAD


def _may_know(kind: Kind, one: Judged) -> bool:
    """Whether what a cache of a kind answers seems to be faster: twins of inputs of no text, or known images."""
    return one.contrast.kind == kind and one.contrast.p <= SUSPECT_P and reaches_floors(one.contrast)


def _may_be_known(one: Judged) -> bool:
    """Whether rows are surely faster than their twins, though they were so when they were first sent."""
    return one.contrast.held_back and one.p_corrected <= ALPHA and reaches_floors(one.contrast)
