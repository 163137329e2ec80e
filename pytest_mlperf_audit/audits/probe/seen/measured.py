"""What part of a latency a comparison is of, in words for a reader of its medians."""

from __future__ import annotations

from .contrast import Contrast
from .contrasts import IMAGES, STARTS
from .evidence import Evidence, has_decode

WHOLE, FIRST, AFTER, BURST = "whole reply", "first token", "after the first token", "whole burst"
_BURSTS = "bursts"


def measured(contrast: Contrast, evidence: Evidence) -> str:
    """Return which time a contrast's medians are of; a reply that was not streamed has its whole latency alone."""
    if contrast.of == _BURSTS:
        return BURST
    groups = [block for of in evidence.sources() for block in evidence.groups[of]]
    streamed = all(record.first_token_ns is not None for record in evidence.every())
    near = contrast.kind == "near_duplicate" and not evidence.twins
    if contrast.of in (STARTS, IMAGES) or contrast.kind == "prefix" or near:
        return FIRST if streamed else WHOLE
    if contrast.kind in ("response", "reuse") and groups:
        own = evidence.groups.get(contrast.of) or evidence.groups[evidence.sources()[0]]
        return AFTER if has_decode(own) else WHOLE
    return WHOLE
