"""One test of a curve, judged: the rule that it is named after."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from ..published.case import AuditDirectory, Reverified
from ..verdict import Check
from . import accuracy, caching, figures, measured, submitted
from .point import Curve, curve_of

_RULES: Final[Mapping[str, Callable[[Curve], Check | str]]] = {
    rule.__name__: rule
    for rule in (
        submitted.complete,
        submitted.shared_paths,
        submitted.points,
        submitted.max_concurrency,
        submitted.coverage,
        submitted.in_range,
        measured.load_pattern,
        measured.duration,
        measured.query_count,
        measured.streaming,
        measured.warm_up,
        figures.metrics,
        accuracy.accuracy,
        submitted.seeds,
        caching.salt,
        submitted.consistency,
        caching.caching,
    )
}


def verify(found: AuditDirectory) -> Reverified:
    """Judge a curve by one rule. A rule that has nothing to judge says why, and is skipped. Raises OSError."""
    told = _RULES[found.test](curve_of(found.path))
    return Reverified(skipped=told) if isinstance(told, str) else Reverified(checks=[told])
