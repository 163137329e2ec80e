"""ServerCounters: what the servers' own metrics pages say of caches, for one phase."""

from __future__ import annotations

import msgspec


class ServerCounters(msgspec.Struct, frozen=True, kw_only=True):
    """Evidence that decides nothing. `added` is what the phase added to each counter, over all label sets and pages.

    `levels` are gauges, such as a hit rate, as they stood when the phase was over: the mean of all label sets.
    `problems` say what is missing from either, and why.
    """

    added: dict[str, float] = {}
    levels: dict[str, float] = {}
    problems: tuple[str, ...] = ()
