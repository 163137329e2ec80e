"""The cells of simulate_ratio.py, in groups, and by what each group's tables are laid out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from .ratio_endpoints import LAWS, Model, Stalls

#: Queries in flight, lanes, and how they are served.
_LANES: tuple[dict[str, Any], ...] = (
    {"in_flight": 1, "lanes": 1},
    {"in_flight": 8, "lanes": 8},
    {"in_flight": 8, "lanes": 1},
    {"in_flight": 64, "lanes": 1},
    {"in_flight": 64, "lanes": 8},
    {"in_flight": 64, "lanes": 64},
)
_SHARED: tuple[dict[str, Any], ...] = (
    {"in_flight": 8, "lanes": 2, "serves": "sharing"},
    {"in_flight": 64, "lanes": 8, "serves": "sharing"},
    {"in_flight": 8, "lanes": 4, "serves": "batches"},
    {"in_flight": 64, "lanes": 16, "serves": "batches"},
)
_LOADS = _LANES + _SHARED
_FEW = (_LANES[0], _LANES[1], _LANES[4], _LANES[5], _SHARED[0], _SHARED[3])
_CVS = (0.05, 0.30, 0.60)
_NOISES = (("lognormal", 0.05), ("lognormal", 0.3), ("lognormal", 0.6), ("pareto", 0.3))
_DISTURBED: dict[str, dict[str, Any]] = {
    "first 16 queries 3x slower": {"warm": (16, 3.0)},
    "first 8 10x slower": {"warm": (8, 10.0)},
    "drift -30 % over the first pair, going on": {"drift": -0.3},
    "drift +30 %": {"drift": 0.3},
    "stalls, 30 % of queries, 3x, 16 long": {"stalls": Stalls(0.3, 3.0, 16.0)},
    "stalls, 20 % of queries, 5x, 64 long": {"stalls": Stalls(0.2, 5.0, 64.0)},
    "stalls, 50 % of queries, 2x, 6 long": {"stalls": Stalls(0.5, 2.0, 6.0)},
    "successive queries alike": {"alike": True},
}
_CLIENT: dict[str, Any] = {"warm": (20, 5.0), "stalls": Stalls(0.3, 3.0, 10.0), "lanes": 1}


def _honest() -> Iterator[Model]:
    for load in _LOADS:
        for law in LAWS:
            for cv in _CVS:
                yield Model(law=law, cv=cv, **load)


def _disturbed() -> Iterator[Model]:
    for how in _DISTURBED.values():
        for load in _FEW:
            for law, cv in _NOISES:
                yield Model(law=law, cv=cv, **load, **how)
    for in_flight in (8, 64):  # the client is the one lane
        for cv in (0.3, 0.6):
            yield Model(cv=cv, in_flight=in_flight, **_CLIENT)


def _how(model: Model) -> str:
    if model.stalls.share and model.warm[0]:
        return "client-bound"
    for name, how in _DISTURBED.items():
        if all(getattr(model, field) == value for field, value in how.items()):
            return name
    return "undisturbed"


def _rows() -> Iterator[Model]:
    """Honest, and the data set's rows differ in cost: they are the reference of the first pair, twins of the blocks."""
    for content in (0.1, 0.2, 0.3):
        for load in _FEW:
            for cv in (0.05, 0.3):
                yield Model(cv=cv, content=content, **load)


def _caches() -> Iterator[Model]:
    yield from _cached((1.25, 1.5, 2.0, 10.0))


def _between() -> Iterator[Model]:
    yield from _cached((1.02, 1.05, 1.08, 1.10, 1.15, 1.20))


def _cached(ratios: tuple[float, ...]) -> Iterator[Model]:
    for cache in ("scale", "hits"):
        for ratio in ratios:
            for load in _FEW:
                for law, cv in (("lognormal", 0.05), ("lognormal", 0.3), ("gamma", 0.3), ("lognormal", 0.6)):
                    yield Model(law=law, cv=cv, cache=cache, ratio=ratio, **load)


def _name(model: Model) -> str:
    what = "all repeats faster" if model.cache == "scale" else f"{1 - 1 / model.ratio:.0%} hits"
    return f"{model.ratio:g}, {what}, {model.law} {model.cv:.0%}"


_Keys = dict[str, Callable[[Model], str]]
GROUPS: dict[str, tuple[Callable[[], Iterator[Model]], _Keys]] = {
    "honest": (
        _honest,
        {
            "CV": lambda model: f"CV {model.cv:.0%}",
            "law": lambda model: model.law,
            "load": lambda model: model.load,
            "all": lambda _: "all",
        },
    ),
    "disturbed": (_disturbed, {"what disturbs": _how, "load": lambda model: model.load, "all": lambda _: "all"}),
    "rows": (_rows, {"what rows differ by": lambda model: f"{model.content:.0%}"}),
    "caches": (_caches, {"ratio": _name, "load": lambda model: f"{model.cache} {model.ratio:g}, {model.load}"}),
    "between": (_between, {"ratio": _name}),
}
