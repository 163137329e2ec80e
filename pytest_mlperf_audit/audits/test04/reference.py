"""What the repeated rows are compared with: other rows, as MLPerf does, or fresh twins of them, which cost the same.

MLPerf has TEST04 for models whose queries all cost the same. Of a language model one row may be cheaper than the mean
of all by any factor, so that no number of queries tells its low cost from a cache; its twins cost what it costs.

Inputs that are no text have twins as well, and these cost the same. Where replies are no text either, as an image's
classes, other rows are the reference all the same, as in MLPerf: a cache that takes twins for the row knows them, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Final, Literal

import msgspec
import numpy as np

from ...errors import NoVerdictError, PlanError
from ...runs.order import InTurn, WithoutReplacement, in_turn, without_replacement
from ...runs.phase import MeasuredPhase, figures
from ...runs.spec import Parameter, RunSpec
from ...runs.twins import twins
from ..contract import AuditContext, Samples
from ..disturbed import always_in_flight
from ..verdict import Check
from . import exempt_model, passes

LABEL: Final = "reference"
Kind = Literal["rows", "twins"]
#: A row of fewer words has longer twins: three words, at least, take the place of half of its own.
_FEWEST_WORDS: Final = 6
_EXEMPT: Final = "exempt_model"
_TEXT: Final = "text_output"
_TWINS: Final = "twins"


def planned(asked: Kind | None, rows: Sequence[int], count: int, samples: Samples, context: AuditContext) -> RunSpec:
    """Return the reference phase of `count` queries for the rows that are repeated.

    `asked` is what the YAML asks for, None for twins where replies are texts and the rows have the words for them.
    Raises PlanError where the phase cannot be sent.
    """
    kind = _kind(asked, rows, samples, context)
    order = without_replacement(context.sample_order_seed, wrap=context.min_duration_ms > 0)
    may_be_short = kind == "twins" and asked is None and _has_short(rows, samples)
    too_short = may_be_short and _are_distinct(order, count, samples)
    if kind == "twins" and not too_short:
        parameters: dict[str, Parameter] = {_TEXT: context.text_output}
        if name := exempt_model(context.model):
            parameters[_EXEMPT] = name
        return context.phase(LABEL, count, order=in_turn(rows), nonce="twin", parameters=parameters)
    passes.require_enough(count, samples)
    passes.require_distinct(order, count, samples)
    parameters = passes.parameters(len(samples)) if order.wrap else {}
    if too_short:
        parameters[_TEXT] = True
    if samples.twins:
        parameters[_TWINS] = samples.twins
    return context.phase(LABEL, count, order=order, parameters=parameters)


def _has_short(rows: Sequence[int], samples: Samples) -> bool:
    """Whether a repeated row has so few words that its twins would have more, and cost more; 0: not known."""
    return not samples.twins and any(0 < samples.n_words(row) < _FEWEST_WORDS for row in rows)


def _are_distinct(order: WithoutReplacement, count: int, samples: Samples) -> bool:
    """Whether there are enough rows, and no two of them are one request."""
    try:
        passes.require_enough(count, samples)
        passes.require_distinct(order, count, samples)
    except PlanError:
        return False
    return True


def _kind(asked: Kind | None, rows: Sequence[int], samples: Samples, context: AuditContext) -> Kind:
    if asked == "rows" or (asked is None and not (context.text_output or context.own_costs)):
        return "rows"
    if all(_has_twins(row, samples) for row in rows):
        return "twins"
    if asked is None:
        return "rows"
    change = "twin_seed an edit has" if samples.twins else "words are put into a row's prompt"
    raise PlanError(
        f"reference: twins: the adapter of api_type {context.api_type} sends the same request whatever {change}, so "
        "that there are no twins of it; have encode() apply its edit, or set reference: rows"
    )


def _has_twins(row: int, samples: Samples) -> bool:
    edits = list(islice(twins(0), 2))
    return len({samples.fingerprint(row), *(samples.fingerprint(row, edit) for edit in edits)}) == 1 + len(edits)


def kind_of(spec: RunSpec) -> Kind:
    """Return what a reference phase was sent with."""
    return "twins" if spec.nonce == "twin" else "rows"


def exempt(spec: RunSpec) -> str | None:
    """Return MLPerf's name of the model where MLPerf exempts it from TEST04, None of any other."""
    name = spec.parameters.get(_EXEMPT)
    return name if isinstance(name, str) else None


def unlike_cost(spec: RunSpec) -> str:
    """Say that the rows of a reference phase may cost more than the repeated one, "" where the YAML asks for rows."""
    alike = kind_of(spec) == "twins" or spec.parameters.get(_TEXT) is not True
    return "" if alike else "rows may cost more or less than the repeated one, whose twins would be longer"


def unlike_twins(spec: RunSpec) -> str:
    """Return what twins of rows that are no text have, where a reference phase was of rows; "" else."""
    twins = spec.parameters.get(_TWINS)
    return twins if isinstance(twins, str) else ""


def may_differ_in_length(spec: RunSpec) -> bool:
    """Whether a reference phase was of twins that may be answered at another length than the row."""
    return kind_of(spec) == "twins" and spec.parameters.get(_TEXT) is not False


def require_asked(asked: Kind | None, rows: Sequence[int], spec: RunSpec) -> None:
    """Raise NoVerdictError for a reference phase that was sent with something else than the block asks for."""
    sent = kind_of(spec)
    if asked not in (None, sent):
        raise NoVerdictError(f"phase {spec.label} was run with {sent}, {asked} are asked for")
    if isinstance(spec.order, InTurn) and set(spec.order.rows) != set(rows):
        of = ", ".join(map(str, spec.order.rows))
        raise NoVerdictError(f"phase {spec.label} was run with twins of row {of}, {', '.join(map(str, rows))} is due")


def of_row(reference: MeasuredPhase, row: int) -> MeasuredPhase:
    """Return what a repeated row is compared with: of twins of several rows, those of this row alone.

    Their throughput is that of the whole phase, by the mean latency of this row's twins where latencies are no waiting
    times: so fast the phase would have been with none but them.
    """
    spec, order = reference.spec, reference.spec.order
    if not isinstance(order, InTurn) or len(order.rows) < 2:
        return reference
    queries = reference.queries.where(reference.queries.samples == row)
    own = figures(queries, spec.load, spec.limits)
    qps, every = reference.figures.qps, reference.figures.latency
    if always_in_flight(reference) is not None and qps and every and own.latency:
        qps *= every.mean_s / own.latency.mean_s
    due = len(range(order.rows.index(row), spec.n_samples, len(order.rows)))
    record = msgspec.structs.replace(
        reference.record,
        spec=msgspec.structs.replace(spec, n_samples=due),
        figures=msgspec.structs.replace(own, qps=qps),
    )
    return MeasuredPhase(record, queries, lambda: (one for one in reference.read() if one.sample == row))


def requests_distinct(run: MeasuredPhase) -> Check:
    """Require that no two requests of the reference phase were the same on the wire, or none of a pass over its rows.

    A pass is complete before the next begins, so that each row has then been sent as often as any other, or once more.
    """
    sent, distinct = run.figures.n_issued, run.figures.n_distinct_requests
    name, reason = f"requests_distinct[{run.label}]", f"{distinct} different requests among {sent} on the wire"
    due, even = sent, True
    if (n_passes := passes.n_passes(run)) > 1:
        times = np.unique(run.queries.samples, return_counts=True)[1]
        due, even = passes.rows_of(run.spec) or 0, bool(times.max() - times.min() <= 1)
        reason += f", {due} rows gone through {n_passes:.3g} times, {'evenly' if even else 'unevenly'}"
    return Check(
        name=name,
        passed=0 < due == distinct and even,
        observed=distinct,
        limit=due,
        reason=f"{reason}, by hash of the bytes sent",
    )


def notes(reference: MeasuredPhase, *, probed: bool) -> tuple[str, ...]:
    """Return what a reader should know of a reference whose rows were sent again."""
    if not (again := passes.sent_again(reference)):
        return ()
    return (f"{again}; {'the cache probe tells whether there is one' if probed else 'blocks of fresh twins decide'}",)
