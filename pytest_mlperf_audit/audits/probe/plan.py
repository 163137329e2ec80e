"""From the `probe:` block to a planned probe and its RunSpec. Raises PlanError before anything is sent."""

from __future__ import annotations

import secrets
from typing import Any, Final

import msgspec

from ...errors import PlanError
from ...runs.order import Scripted
from ...runs.spec import Concurrency, MaxThroughput, RunSpec
from ..contract import AuditContext, Samples
from .design import BURST_SIZES, DATASET, MADE_UP
from .script import Probe
from .settings import ProbeSettings

PHASE: Final = "cache_probe"
TRIAL: Final = "cache_probe_trial"

#: Wire formats of which one query takes a minute or more, and costs the same whatever the prompt.
_SLOW_FORMATS: Final = frozenset({"videogen"})


def planned(
    settings: ProbeSettings,
    samples: Samples,
    context: AuditContext,
    *,
    where: str = "",
    row: int = 0,
    warmed: bool = False,
) -> Probe:
    """Return the probe that `settings` ask for; `where` leads to its block in messages. See Probe for the rest."""
    slow = context.api_type in _SLOW_FORMATS
    design = settings.design
    if design == "auto":
        asked_for_groups = bool({"groups", "thorough", "bursts"} & settings.model_fields_set)
        design = "single" if slow and not asked_for_groups else "groups"
    at_once = most_at_once(context)
    bursts = (settings.bursts if settings.bursts is not None else not slow) and at_once >= BURST_SIZES[0]
    sources = (MADE_UP, DATASET) if settings.samples == "both" else (settings.samples,)
    probe = Probe(
        design=design,
        looks=settings.looks(),
        sources=sources,
        forbidden=settings.forbidden(context.ruleset),
        n_rows=len(samples),
        thorough=settings.thorough,
        primes=2 if settings.thorough else 1,
        url=settings.url and design == "groups" and MADE_UP in sources,
        may_bet=settings.design == "auto" and not settings.thorough,
        bursts=bursts and design == "groups" and MADE_UP in sources,
        at_once=at_once,
        max_tokens=settings.max_output_tokens,
        max_queries=settings.max_queries,
        max_duration_ms=settings.max_duration_ms,
        row=row,
        warmed=warmed,
    )
    _require_budget(probe, where)
    return probe


def _require_budget(probe: Probe, where: str) -> None:
    """Raise PlanError when no answer is possible within the budget, or the data set has too few rows."""
    least = probe.least()
    if probe.max_queries is not None and probe.max_queries < least:
        raise PlanError(
            f"{where}max_queries: {probe.max_queries} queries give no answer; the design {probe.design!r} needs at "
            f"least {least}, so set max_queries: {least} or more, or leave it out"
        )
    needed = probe.looks[0] if probe.design == "groups" and DATASET in probe.sources else 1
    if probe.n_rows < needed:
        raise PlanError(
            f"{where}samples: {probe.n_rows} rows were loaded, and the first look needs {needed} different ones; add "
            "rows, or set samples: made_up"
        )


def most_at_once(context: AuditContext) -> int:
    """Return the benchmark's own concurrency, at most the largest burst: above it coalescing cannot help a score."""
    load = context.load
    if isinstance(load, Concurrency):
        return min(load.target, BURST_SIZES[-1])
    if isinstance(load, MaxThroughput) and load.max_in_flight > 0:
        return min(load.max_in_flight, BURST_SIZES[-1])
    return BURST_SIZES[-1]


def phase(probe: Probe, context: AuditContext) -> RunSpec:
    """Return the probe's phase. Its seed is fresh: with one used before, a warm cache would know every prompt."""
    return context.phase(
        PHASE,
        probe.most(),
        order=Scripted(at_least=probe.least(), parameters=_plain(probe)),
        load=Concurrency(target=max(1, probe.at_once if probe.bursts else 1)),
        min_duration_ms=0,
        max_duration_ms=0,
        drain_timeout_s=None,
        nonce_seed=secrets.randbits(63),
    )


def _plain(probe: Probe) -> dict[str, Any]:
    """Return a probe as the plain values that JSON has, so that the record on disk equals the plan."""
    values: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(probe))
    return values


def probe_of(spec: RunSpec) -> Probe:
    """Return the probe that a phase was planned with."""
    parameters = spec.order.parameters if isinstance(spec.order, Scripted) else {}
    return msgspec.convert(parameters, Probe)


def trial_phase(probe: Probe, context: AuditContext) -> RunSpec:
    """Return the phase of one query by which the endpoint shows, before the others, that it takes our prompts."""
    return context.phase(
        TRIAL,
        1,
        order=Scripted(at_least=1, parameters=_plain(probe)),
        load=Concurrency(target=1),
        min_duration_ms=0,
        max_duration_ms=0,
        drain_timeout_s=None,
        nonce_seed=secrets.randbits(63),
    )
