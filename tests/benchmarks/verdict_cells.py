"""The cells of bench_verdicts.py: which server, asked how, and which exit statuses are right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.support.cheats import BEYOND_REACH, CHEATS
from tests.support.oddities import ODDITIES, VariableLength
from tests.support.plain_caches import PLAIN_CACHES

ROWS = 64
FORMATS = ("videogen", "chat", "streamed")
LOADS: dict[str, dict[str, Any]] = {
    "max_throughput": {"type": "max_throughput"},
    "concurrency 8": {"type": "concurrency", "target_concurrency": 8},
    "concurrency 1": {"type": "concurrency", "target_concurrency": 1},
}
ORDERS = ("cold", "warm", "main first")
#: The kind of cache that each cheat is, as far as it has a name.
CHEAT_KINDS = {
    "key24": "near_duplicate",
    "key64": "near_duplicate",
    "dedup4": "coalescing",
    "dedup16": "coalescing",
    "coalesce8": "coalescing",
    "semantic60": "semantic",
    "semantic40": "semantic",
    "one_key": "",
}


@dataclass(frozen=True)
class Cell:
    """A server, and how it is audited. `order` is one of ORDERS, or "probe" for the cache probe alone.

    `right` are the exit statuses that are right; `kind` is the class that a cache has to be given, where it has one.
    """

    group: str
    kind: str
    format: str
    load: str
    order: str
    busy: bool
    options: dict[str, Any] = field(default_factory=dict)
    right: tuple[int, ...] = (0, 6)
    expected: str = ""
    probe: bool = True
    cheap_row: bool = False

    @property
    def name(self) -> str:
        """Name it for a table, and for --only."""
        options = "".join(f", {name} {value}" for name, value in self.options.items())
        probe = "" if self.probe else ", ratio alone"
        machine = "busy" if self.busy else "quiet"
        return f"{self.group}: {self.kind}{options}; {self.format}, {self.load}, {self.order}{probe}; {machine}"


def honest() -> Iterator[Cell]:
    """An honest server of four lanes, by format, load, spread of its service times, and machine."""
    for busy in (False, True):
        for format_ in FORMATS:
            for load in LOADS:
                for cv in (0.05, 0.3, 0.6):
                    yield Cell("honest", "honest", format_, load, "cold", busy, {"cv": cv})


def cold_start() -> Iterator[Cell]:
    """An honest server whose first queries are slow, by format and load."""
    for format_ in FORMATS:
        for load in LOADS:
            yield Cell("cold start", "warming_up", format_, load, "cold", busy=False, options={"cv": 0.3})


def caches() -> Iterator[Cell]:
    """Each plain cache, cold, warm, and after a main run."""
    for busy in (False, True):
        for name, (expected, _) in PLAIN_CACHES.items():
            formats = {"prefix": ["streamed"], "exact": ["videogen", "chat"]}.get(name, ["chat"])
            for format_ in formats:
                for order in ORDERS:
                    yield Cell("caches", name, format_, "concurrency 8", order, busy, right=(1,), expected=expected)


def cheats() -> Iterator[Cell]:
    """Each cheat, as it may be met: both formats, cold, warm, after a main run, and the probe alone."""
    for name in CHEATS:
        for format_ in ("videogen", "chat"):
            for order in (*ORDERS, "probe"):
                expected = CHEAT_KINDS.get(name, "response")
                yield Cell("cheats", name, format_, "concurrency 8", order, False, right=(1, 6), expected=expected)


def beyond_reach() -> Iterator[Cell]:
    """What no black box can know: its kind must be named where it passes."""
    for name in BEYOND_REACH:
        for format_ in ("videogen", "chat"):
            yield Cell("beyond reach", name, format_, "concurrency 8", "cold", False, right=(0, 1, 6))


def oddities() -> Iterator[Cell]:
    """Each honest server that looks odd, with the probe after the phases, and one query at a time."""
    for name in ODDITIES:
        cheap = ODDITIES[name] is VariableLength
        formats = ("chat", "streamed") if cheap or name == "prefill_dominated" else ("videogen", "chat")
        for format_ in formats:
            for load in ("max_throughput", "concurrency 8"):
                yield Cell("oddities", name, format_, load, "cold", busy=False, options={"cv": 0.1}, cheap_row=cheap)


def single() -> Iterator[Cell]:
    """The probe's single design: replicas that a prompt's hash picks, of unequal speed; stalls; caches with stalls."""
    for speeds in ((1.0, 0.67), (1.0, 0.67, 0.67)):
        yield Cell("single", "hashed_replicas", "videogen", "concurrency 8", "probe", False, {"speeds": speeds})
    for stalls in (0.05, 0.2):
        yield Cell("single", "honest", "videogen", "concurrency 8", "probe", False, {"stalls": stalls})
        for order in ("probe", "warm"):
            options, right = {"stalls": stalls}, (1,)
            yield Cell("single", "exact", "videogen", "concurrency 8", order, False, options, right, "response")


def ratio() -> Iterator[Cell]:
    """The ratio alone, against a server whose every repeat is faster by so many times.

    Queries are long beside what server and client add to each, which no repeat is spared.
    """
    for times, cvs in ((1.25, (0.05, 0.3)), (1.5, (0.05, 0.3, 0.6))):
        for cv in cvs:
            for load in LOADS:
                options = {"cv": cv, "times": times, "service_ms": 30}
                yield Cell("ratio", "faster_repeats", "videogen", load, "cold", False, options, (1,), probe=False)
    for load in LOADS:
        options = {"cv": 0.3, "share": 0.2, "service_ms": 30}
        yield Cell("ratio", "hits_of_some", "videogen", load, "cold", False, options, (1,), probe=False)


GROUPS = {
    "honest": honest,
    "cold_start": cold_start,
    "caches": caches,
    "cheats": cheats,
    "beyond_reach": beyond_reach,
    "oddities": oddities,
    "ratio": ratio,
    "single": single,
}


def rows(*, cheap: bool) -> list[dict[str, str]]:
    """Return a data set of prompts in one form, as real ones are; with `cheap`, row 3 asks for a short answer."""
    looks = ("amber", "broken", "crimson", "dusty", "elegant", "frozen", "golden", "hollow", "icy", "jagged", "lonely")
    things = ("harbor", "violin", "glacier", "lantern", "orchard", "compass", "meadow", "falcon", "castle", "engine")
    acts = ("sinking", "turning", "burning", "resting", "falling", "drifting", "waiting", "spinning", "glowing")
    places = ("a valley", "the desert", "an old city", "the rain", "deep water", "a forest", "the night", "thin air")
    styles = ("oil paint", "noir film", "watercolor", "pencil", "neon", "claymation", "documentary")
    prompts = []
    for row in range(ROWS):
        a, b, c, d, e = (part[(row * step + row // 7) % len(part)] for part, step in (
            (looks, 3), (things, 7), (acts, 2), (places, 5), (styles, 3)
        ))  # fmt: skip
        length = " briefly" if cheap and row == 3 else ""
        prompts.append(f"{a.title()} {b} number {row}{length} {c} in {d}, a slow cinematic shot in the style of {e}")
    return [{"prompt": prompt} for prompt in prompts]
