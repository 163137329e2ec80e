"""Whether phases that did the same work took as long for it: remarks beside the ratio, which decide nothing.

A cache that serves some phases and not others leaves no ratio above its limit. But a machine that is busy meanwhile, a
warm-up, or replicas of which one takes all repeats look alike, so that only replies' identities are proof; see
audits/probe/identity.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Final

from ...runs.phase import MeasuredPhase
from .reference import kind_of

_FAR: Final = 1.5
_CURE: Final = "empty the endpoint's caches and run the audit again, without a main run before it"


def notes(
    main_run: MeasuredPhase | None, reference: MeasuredPhase, repeats: Mapping[str, MeasuredPhase]
) -> tuple[str, ...]:
    """Return a sentence for each two phases whose rates are far apart; `main_run` is the one sent before."""
    told = [_far_below(reference, run) for run in repeats.values()]
    told += [_known_before(main_run, reference)] if main_run else []
    return tuple(filter(None, told))


def _far_below(reference: MeasuredPhase, run: MeasuredPhase) -> str:
    before, after = reference.figures.qps, run.figures.qps
    if not before or not after or before < _FAR * after:
        return ""
    return (
        f"{run.label}: repeats came at {after / before:.2g} of the reference's rate: the reference was served from a "
        "cache that repeats did not meet, or the row is dear, one replica takes all repeats, or the machine was busy; "
        f"repeat another row as well (sample_index), or {_CURE}"
    )


def _known_before(main_run: MeasuredPhase, reference: MeasuredPhase) -> str:
    """Compare the reference phase with the later half of the main run, on rows of the same data set."""
    alike = main_run.spec.load == reference.spec.load and main_run.spec.dataset == reference.spec.dataset
    tenths = main_run.figures.qps_by_tenth
    if not alike or kind_of(reference.spec) != "rows" or not tenths or not reference.figures.qps:
        return ""
    settled = median(tenths[len(tenths) // 2 :])
    if not settled or reference.figures.qps < _FAR * settled:
        return ""
    return (
        f"{reference.label}: its rows came at {reference.figures.qps / settled:.2g} times the rate of the main run's "
        f"later half, which had sent them under the same load: a cache knew them, or the machine was busy then; {_CURE}"
    )
