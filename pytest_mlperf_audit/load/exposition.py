"""The counters on a page in Prometheus's text format that tell of caches, and what changed between two pages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from math import isfinite
from typing import Final, NamedTuple

#: Words of a name that has "cache" in it: vllm:prefix_cache_hits_total, nv_cache_num_misses_per_model,
#: trtllm_kv_cache_reused_blocks_total, sglang:cached_tokens_total.
_TELLING = re.compile(r"hits?|hitrate|miss(es|ed)?|query|queries|lookups?|reuse[sd]?|cached")
#: How long a lookup took, when a series began, or how a histogram is spread says nothing of whether a cache answers.
_SILENT: Final = frozenset(["duration", "latency", "time", "seconds", "ms", "us", "ns", "created", "bucket", "sum"])
_RATIOS: Final = frozenset(["rate", "ratio", "hitrate", "perc", "percent", "percentage", "fraction"])

_NAME = re.compile(r"[a-z_:][a-z0-9_:]{0,199}", re.ASCII | re.IGNORECASE)
_NAME_ENDS = re.compile(r"[{\s]")
#: The parser takes time that grows with the square of a line's length.
_MOST_CHARACTERS = 8192
_MOST_LINES = 10_000
_START = 2**16

_Series = tuple[str, frozenset[tuple[str, str]]]


class NotReadableError(Exception):
    """A page is not in Prometheus's text format."""


class _Page(NamedTuple):
    """What a page says of caches: `counts` grow while the server runs, `levels` go up and down."""

    counts: dict[_Series, float]
    levels: dict[_Series, float]


class _Change(NamedTuple):
    """What was added to each counter; `began_again` are those that were lower at the end."""

    added: dict[str, float]
    began_again: tuple[str, ...]


def require_exposition(text: str) -> None:
    """Raise NotReadableError when the start of a page is not in Prometheus's text format; an empty one is."""
    start = text if len(text) <= _START else text[:_START].rpartition("\n")[0] or text[:_START]
    if any(len(line) > _MOST_CHARACTERS for line in start.split("\n")):
        raise NotReadableError
    for _ in _samples(start):
        pass


def cache_page(text: str) -> _Page:
    """Return what a page says of caches. Raises NotReadableError."""
    lines = [line for line in text.split("\n") if _tells(_name(line))]
    if len(lines) > _MOST_LINES or any(len(line) > _MOST_CHARACTERS for line in lines):
        raise NotReadableError
    names = {_name(line) for line in lines if not line.startswith("#")}
    page = _Page({}, {})
    for kind, parsed, labels, value in _samples("\n".join(lines)):
        # The parser gives every counter the suffix that newer conventions ask for.
        name = parsed if parsed in names else parsed.removesuffix("_total")
        is_level = kind == "gauge" or not _RATIOS.isdisjoint(_words(name))
        if isfinite(value) and kind in ("counter", "gauge", "unknown"):
            (page.levels if is_level else page.counts)[name, frozenset(labels.items())] = value
    return page


def change(before: Mapping[_Series, float], after: Mapping[_Series, float]) -> _Change:
    """Return what was added between two pages, over all label sets.

    A label set appears with its first event. A counter that is lower than before began again at 0 in between.
    """
    added: dict[str, float] = {}
    began_again = set()
    for name, labels in {**before, **after}:
        was, now = before.get((name, labels), 0.0), after.get((name, labels), 0.0)
        if now < was:
            began_again.add(name)
        added[name] = added.get(name, 0.0) + (now - was if now >= was else now)
    return _Change(added, tuple(sorted(began_again)))


def _samples(text: str) -> Iterator[tuple[str, str, Mapping[str, str], float]]:
    """Yield each sample's type, name, labels and value."""
    from prometheus_client.parser import text_string_to_metric_families  # noqa: PLC0415 - 50 ms, and rarely needed

    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                yield family.type, sample.name, sample.labels, float(sample.value)
    except (ValueError, LookupError, ArithmeticError) as error:  # whichever its parser stumbles over
        raise NotReadableError from error


def _name(line: str) -> str:
    """Return the name that a sample or a TYPE line begins with, "" of any other line."""
    if line.startswith("#"):
        words = line.split(maxsplit=3)
        return words[2] if len(words) > 2 and words[1] == "TYPE" else ""
    return _NAME_ENDS.split(line.lstrip(), maxsplit=1)[0]


def _tells(name: str) -> bool:
    if not _NAME.fullmatch(name) or "cache" not in name.lower():
        return False
    words = _words(name)
    return any(map(_TELLING.fullmatch, words)) and _SILENT.isdisjoint(words)


def _words(name: str) -> Iterable[str]:
    return re.split("[_:]", name.lower())
