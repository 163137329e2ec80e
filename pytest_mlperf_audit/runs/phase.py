"""PhaseRecord: what one phase came to; phase.json on disk, the input of every verifier."""

from __future__ import annotations

from typing import Literal

import msgspec

from ..stats.latency import LatencySummary
from .counters import ServerCounters
from .spec import RunSpec

#: `complete` is the only status a verdict may rest on.
Status = Literal["complete", "interrupted", "endpoint_lost", "undrained", "crashed", "refused"]

#: What ended the issuing of queries.
StoppedBy = Literal["count", "ceiling", "samples_exhausted", "abort", "script"]


class PhaseFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Every figure of a phase, computed from its query records by `runs.figures.figures` and nothing else.

    `window_s` runs from the first issue to the last completion; `qps` is completed / window_s
    (None when nothing completed); latencies are of completed queries, in seconds. `models` counts the replies by the
    model that they name.
    """

    n_issued: int
    n_completed: int
    failures: dict[str, int]
    window_s: float | None
    issue_span_s: float
    qps: float | None
    latency: LatencySummary | None
    time_to_first_token: LatencySummary | None
    early_stopping_p90_s: float | None
    n_distinct_requests: int
    n_distinct_samples: int
    first_request: str | None
    output_tokens: int | None
    cached_tokens: int
    models: dict[str, int] = {}

    @property
    def n_failed(self) -> int:
        """Queries that did not complete, whatever the reason."""
        return self.n_issued - self.n_completed


class PhaseRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One phase: what was asked (`spec`), how it ended (`status`), what it measured (`figures`).

    `counters` is what the servers' metrics pages say of it, None where none were asked or the phase was cut short.
    `connections_taken` is how many connections the endpoint takes at a time, where it was offered more,
    and `starved` how many queries waited on a connection that it did not take while it answered on others.
    """

    label: str
    spec: RunSpec
    status: Status
    figures: PhaseFigures
    stopped_by: StoppedBy
    reason: str | None = None
    attempt: int = 1
    started_at: str = ""
    duration_s: float = 0.0
    endpoint: str = ""
    simulated: bool = False
    counters: ServerCounters | None = None
    connections_taken: int | None = None
    starved: int = 0
    schema_version: int = 1

    @property
    def complete(self) -> bool:
        """Whether a verdict may rest on this phase."""
        return self.status == "complete"
