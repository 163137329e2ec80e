"""RunSpec: how one phase is driven. It says nothing about which audit wants it or how it is judged."""

from __future__ import annotations

from typing import Literal

import msgspec

from .order import SampleOrder, Scripted

Nonce = Literal["none", "prefix", "suffix"]


class MaxThroughput(msgspec.Struct, frozen=True, tag_field="type", tag="max_throughput"):
    """MLPerf Offline: everything at once, as far as `max_in_flight` connections allow (-1: as many as queries)."""

    max_in_flight: int = -1


class Concurrency(msgspec.Struct, frozen=True, tag_field="type", tag="concurrency"):
    """`target` queries in flight at any time; 1 is MLPerf SingleStream."""

    target: int


class Poisson(msgspec.Struct, frozen=True, tag_field="type", tag="poisson"):
    """MLPerf Server: arrivals at `target_qps` queries per second, gaps drawn from an exponential by `seed`."""

    target_qps: float
    seed: int


Load = MaxThroughput | Concurrency | Poisson


class RunSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One phase to drive against the endpoint.

    A phase ends when at least `n_samples` queries were issued AND `min_duration_ms` have passed, or when
    `max_duration_ms` (0: no ceiling) or the sample order ends it; queries in flight are always waited for,
    at most `drain_timeout_s` (None: without limit). A scripted phase sends at most `n_samples` queries, at most as many
    at once as its load says, and ends when its script does.
    """

    label: str
    n_samples: int
    order: SampleOrder | Scripted
    load: Load
    min_duration_ms: int = 0
    max_duration_ms: int = 0
    drain_timeout_s: float | None = None
    query_timeout_s: float | None = None
    nonce: Nonce = "none"
    nonce_seed: int | None = None
    keep_outputs: bool = False
