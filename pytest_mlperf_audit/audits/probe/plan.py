"""From the `probe:` block to a planned probe and its RunSpec, and whether records are what its seed plans.

PlanError is raised before anything is sent. Records are checked by running the script once more, on them.
"""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median
from typing import Any, Final

import msgspec

from ...errors import NoVerdictError, PlanError
from ...runs.order import Scripted
from ...runs.query import QueryRecord
from ...runs.script import FEWEST_MOVED
from ...runs.spec import Concurrency, MaxThroughput, RunSpec
from ..contract import AuditContext, Samples
from ..replayed import replayed
from .judges.repeats import BETS, FEWEST_STRATA, STRATA
from .planned import Probe
from .script import script
from .sent.apart import MOST_AT_ONCE
from .sent.design import BURST_SIZES, DATASET, MADE_UP
from .sent.few import N_SINGLE
from .sent.prompts import FEWEST_WORDS
from .settings import FEWEST_GROUPS, KINDS, NOT_OF_INPUTS, Kind, ProbeSettings

PHASE: Final = "cache_probe"
TRIAL: Final = "cache_probe_trial"

#: Wire formats of which one query takes a minute or more, and costs the same whatever the prompt.
_SLOW_FORMATS: Final = frozenset({"videogen"})

#: Rows whose words are counted, about; in a data set of more every so many.
_MOST_MEASURED: Final = 500
#: Longer prompts than this tell no more of prefixes.
_MOST_WORDS: Final = 4096


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
    at_once = _most_at_once(context)
    bursts = settings.bursts if settings.bursts is not None else not slow and at_once > 1
    sources = (MADE_UP, DATASET) if settings.samples == "both" else (settings.samples,)
    planned_looks = settings.looks()
    if DATASET in sources and "groups" not in settings.model_fields_set:  # as far as there is a row for each group
        planned_looks = tuple(look for look in planned_looks if look <= len(samples)) or planned_looks[:1]
    image_row = samples.image_row()
    probe = Probe(
        design=design,
        looks=planned_looks,
        sources=sources,
        forbidden=_forbidden_of_rows(settings, context, image_row),
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
        moved=DATASET in sources and not samples.twins,
        apart=design == "groups",
        n_words=FEWEST_WORDS if samples.twins else _words(samples),
        short_rows=not (slow or samples.twins) and DATASET in sources and min(_lengths(samples)) <= FEWEST_MOVED,
        twins=samples.twins,
        image_row=image_row,
        bets=BETS,
        max_burst=settings.max_burst,
        again=True,
    )
    if design == "single":
        pair = at_once > 1 and probe.max_queries is None
        probe = _with_strata(msgspec.structs.replace(probe, moved=probe.moved and not slow, pair=pair))
    _require_budget(probe, where)
    shown = _forbidden(probe, settings, where)
    unseen = tuple(kind for kind in probe.forbidden if kind not in shown)
    return msgspec.structs.replace(probe, forbidden=shown, unseen=unseen)


def _forbidden_of_rows(settings: ProbeSettings, context: AuditContext, image_row: int | None) -> tuple[Kind, ...]:
    """Return the forbidden kinds; of images that no row has nothing is said, unless the YAML does."""
    forbidden = settings.forbidden(context.ruleset, context.division, conversations=context.conversations)
    says_nothing = image_row is None and settings.forbid is None
    return tuple(kind for kind in forbidden if not (says_nothing and kind == "multimodal"))


def _lengths(samples: Samples) -> list[int]:
    """Return the words of some rows that stand for all of them."""
    step = max(1, len(samples) // _MOST_MEASURED)
    return [samples.n_words(index) for index in range(0, len(samples), step)] or [0]


def _with_strata(probe: Probe) -> Probe:
    """Return a probe of the single design with as many strata as its budget has room for, then as many prompts.

    With fewer prompts than repeats, one that has a server of its own weighs more; with fewer strata no cache is ruled
    out.
    """
    if probe.max_queries is None:
        return msgspec.structs.replace(probe, strata=STRATA, n_prompts=N_SINGLE)
    room = probe.max_queries - (not probe.warmed)
    fit = min(max(1, (room - 1) // (2 * N_SINGLE)), STRATA[-1])
    looks = (*(look for look in STRATA if look < fit), fit)
    n_prompts = min(max(1, room - 2 * N_SINGLE * fit), N_SINGLE)
    return msgspec.structs.replace(probe, strata=looks, n_prompts=n_prompts)


def _words(samples: Samples) -> int:
    """Return how many words a made-up prompt has: as many as the median row, and no fewer than tell caches apart."""
    return max(FEWEST_WORDS, min(int(median(_lengths(samples))), _MOST_WORDS))


def _forbidden(probe: Probe, settings: ProbeSettings, where: str) -> tuple[Kind, ...]:
    """Return the forbidden kinds that this design can show.

    Raises PlanError for one that the YAML names and this design cannot show: a check of it would say nothing.
    """
    shown = _shown(probe)
    if probe.twins and (alien := [kind for kind in settings.forbid or () if kind in NOT_OF_INPUTS]):
        why = "; ".join(NOT_OF_INPUTS[kind] for kind in alien)
        raise PlanError(f"{where}forbid: {', '.join(alien)} cannot be looked for: {why}; take it out of forbid")
    if settings.forbid is not None and (hidden := [kind for kind in settings.forbid if kind not in shown]):
        raise PlanError(
            f"{where}forbid: {', '.join(hidden)} cannot show in a probe of design {probe.design!r} set like this, "
            f"which shows {', '.join(shown)}; take it out of forbid, or set design: groups, samples: both, url: true "
            "and, for coalescing, bursts: true and a concurrency above 1"
        )
    return tuple(kind for kind in probe.forbidden if kind in shown)


def _shown(probe: Probe) -> tuple[Kind, ...]:
    """Return the kinds of cache that a probe sends queries for."""
    if probe.design != "groups":
        return ("response",)
    hidden: set[Kind] = set(NOT_OF_INPUTS) if probe.twins else set()
    if MADE_UP not in probe.sources:
        hidden |= {"near_duplicate", "semantic"}
    if not probe.url:
        hidden.add("url_keyed")
    if probe.image_row is None or MADE_UP not in probe.sources:
        hidden.add("multimodal")
    if not probe.bursts:
        hidden.add("coalescing")
    return tuple(kind for kind in KINDS if kind not in hidden)


def _clean_from(probe: Probe) -> str:
    """Return from how many queries on a probe of few prompts may say CLEAN, "" where it may with the least of them."""
    return f", and {probe.up_to_stratum(FEWEST_STRATA)} to say CLEAN" if probe.design == "single" else ""


def _require_budget(probe: Probe, where: str) -> None:
    """Raise PlanError when no answer is possible within the budget, or the data set has too few rows."""
    least = probe.least()
    if probe.max_queries is not None and probe.max_queries < least:
        raise PlanError(
            f"{where}max_queries: {probe.max_queries} queries give no answer; the design {probe.design!r} needs at "
            f"least {least} to find a cache{_clean_from(probe)}, so set max_queries: {least} or more, or leave it out"
        )
    needed = probe.looks[-1] if probe.design == "groups" and DATASET in probe.sources else 1
    if probe.n_rows < needed:
        raise PlanError(
            f"{where}samples: {probe.n_rows} rows were loaded, and each of {needed} groups needs one of its own; add "
            f"rows, set samples: made_up, or set groups to what the rows are enough for, at least {FEWEST_GROUPS}"
        )


def _most_at_once(context: AuditContext) -> int:
    """Return the benchmark's own concurrency, at most the largest burst: above it coalescing cannot help a score."""
    load = context.load
    if isinstance(load, Concurrency):
        return min(load.target, BURST_SIZES[-1])
    if isinstance(load, MaxThroughput) and load.max_in_flight > 0:
        return min(load.max_in_flight, BURST_SIZES[-1])
    return BURST_SIZES[-1]


def phase(probe: Probe, context: AuditContext) -> RunSpec:
    """Return the probe's phase. Its seed is drawn when it is sent: a cache may know the prompts of one used before."""
    return context.phase(
        PHASE,
        probe.most(),
        order=Scripted(at_least=probe.least(), parameters=_plain(probe)),
        load=Concurrency(target=_most_in_flight(probe)),
        min_duration_ms=0,
        max_duration_ms=0,
        drain_timeout_s=None,
    )


def _most_in_flight(probe: Probe) -> int:
    """Return how many queries a probe sends at once at most."""
    late = min(probe.at_once, MOST_AT_ONCE) if probe.n_at_last() else 1
    return max((1 + probe.pair, late, *probe.burst_sizes()))


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
    )


def as_planned(spec: RunSpec, records: Iterable[QueryRecord]) -> list[QueryRecord]:
    """Return a probe's records in the order they were sent. Raises NoVerdictError as `replayed` does."""
    probe = probe_of(spec)
    try:
        return replayed(spec.label, script(probe, spec.nonce_seed or 0), records)[0]
    except NoVerdictError as error:
        if probe.max_burst:
            raise
        raise NoVerdictError(
            f"{error}; or it is whole, for this record is of an older version, which judged otherwise when a probe may "
            "end: recheck it with that version, or run the audit again"
        ) from error
