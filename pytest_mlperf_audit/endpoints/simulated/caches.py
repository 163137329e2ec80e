"""The kinds of cache a SUT may have, by their names in the YAML. All but `prefix` are what TEST04 is there to find.

Every store is bounded and forgets what was used least recently.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from ...config.endpoint import SimulatedConfig
from .base import NoCache
from .responses import (
    AllowListCache,
    ExactCache,
    NearDuplicateCache,
    PrecomputedTable,
    SemanticCache,
    UrlCache,
)
from .reuse import Coalescer, PrefixCache


def make_caches(config: SimulatedConfig, known: Collection[str]) -> list[NoCache]:
    """Return one empty cache for each replica, all of the kind that is configured; `known` are the known prompts."""
    admit_after = config.admit_after
    kinds: dict[str, Callable[[], NoCache]] = {
        "none": NoCache,
        "exact": lambda: ExactCache(admit_after),
        "url": lambda: UrlCache(admit_after),
        "near_duplicate": lambda: NearDuplicateCache(admit_after),
        "allow_list": lambda: AllowListCache(known, admit_after),
        "precomputed": lambda: PrecomputedTable(known),
        "coalesce": Coalescer,
        "prefix": PrefixCache,
        "semantic": SemanticCache,
    }
    return [kinds[config.cache]() for _ in range(config.replicas)]
