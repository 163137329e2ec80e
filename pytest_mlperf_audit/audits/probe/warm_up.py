"""The first query of a probe, and whether the endpoint takes it, as whatever else a probe sends would be taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import RefusedError
from ...runs.query import QueryRecord
from ...runs.script import Round, Script, Step
from .sent.design import MADE_UP, Designer

if TYPE_CHECKING:
    from .planned import Probe


def trial(probe: Probe, seed: int) -> Script:
    """Send one prompt of our own, before the phases that cost time. Raises RefusedError when it is turned down."""
    (reply,) = yield Round((warm_up(probe, probe.designer(seed)),), expected=1)
    require_taken(probe, reply)


def require_taken(probe: Probe, reply: QueryRecord) -> None:
    """Raise RefusedError when a warm-up was turned down, as whatever else a probe sends would be."""
    if not reply.outcome.startswith("http_4") or reply.outcome in ("http_408", "http_429"):
        return
    words = f" ({reply.detail})" if reply.detail else ""
    changed = probe.twins or "other first words"
    if keeps_rows(probe):
        raise RefusedError(
            f"the endpoint answers {reply.outcome} to a row of the data set with {changed}{words}; if it takes "
            "the rows as they are alone, nothing can be told of its caches"
        )
    what, part = ("an input", "a small part of a row") if probe.twins else ("a prompt", "a row's first words")
    raise RefusedError(
        f"the endpoint answers {reply.outcome} to {what} that is not of the data set{words}; if it takes the data "
        f"set's, set the probe's design: single, which changes only {part}"
    )


def warm_up(probe: Probe, designer: Designer) -> Step:
    """Return a fresh query: a row with other first words where no prompt is made up."""
    return designer.twin_to_warm_up(probe.row) if keeps_rows(probe) else designer.warm_up(0)


def keeps_rows(probe: Probe) -> bool:
    """Whether no prompt is made up."""
    return MADE_UP not in probe.sources or (probe.design != "groups" and not probe.only_made_up)
