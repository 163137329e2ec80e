"""The servers' metrics pages: read before a group of phases and after each, understood when all are over.

Between two phases a page is only fetched. One that fails costs its figures, never the run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import fmean
from urllib.parse import urlsplit

from yarl import URL

from ..errors import EndpointError
from ..runs.phase import ServerCounters
from ..text import printable
from .exposition import NotReadableError, cache_page, change, require_exposition
from .loop import run_until_done
from .pages import Pages
from .target import Target
from .transport import TransportError

#: A page lies between two phases, so it is not waited for long, and not again once it was waited for in vain.
_PATIENCE_S = 2.0
_MOST_BYTES = 4 * 2**20
#: Names that a phase's record holds; real servers have up to ten.
_MOST_NAMES = 64

_OK = 200
_ASKED_FOR = {"Accept": "text/plain;version=0.0.4"}
_NOT_A_PAGE = "is not a page in Prometheus's text format"


class _PageError(Exception):
    """A page could not be fetched."""


@dataclass(frozen=True)
class _Fetched:
    """One page: its URL as it may be shown, and either its text or what went wrong."""

    url: str
    text: str = ""
    problem: str | None = None


Snapshot = Sequence[_Fetched]


class MetricsReader:
    """Fetches a target's metrics pages; to be made and used on one loop. Without any it does nothing."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._given_up: dict[str, _Fetched] = {}
        self._pages = Pages(target) if target.metrics else None

    async def read(self) -> Snapshot:
        """Return every page as it is now; raises nothing for a page that cannot be had."""
        return await asyncio.gather(*(self._read(url) for url in self._target.metrics))

    async def close(self) -> None:
        """Close the connections."""
        if self._pages is not None:
            await self._pages.close()

    async def _read(self, url: str) -> _Fetched:
        shown = self._target.shown(url)
        if url in self._given_up:
            return self._given_up[url]
        try:
            return _Fetched(shown, await asyncio.wait_for(self._fetch(url), _PATIENCE_S))
        except (asyncio.TimeoutError, TimeoutError):
            problem = f"was not read within {_PATIENCE_S:g} s, and not asked again"
            return self._given_up.setdefault(url, _Fetched(shown, problem=problem))
        except _PageError as error:
            return _Fetched(shown, problem=str(error))
        except (TransportError, OSError, ValueError) as error:
            why = printable(self._target.redact(str(error) or type(error).__name__))
            return _Fetched(shown, problem=f"cannot be read ({why})")

    async def _fetch(self, url: str) -> str:
        assert self._pages is not None
        status, page = await self._pages.get(URL(url), _headers(self._target, url), _MOST_BYTES)
        if status != _OK:
            raise _PageError(f"answers {status}")
        if len(page) > _MOST_BYTES:
            raise _PageError(f"exceeds {_MOST_BYTES} bytes")
        return page.decode("utf-8", "replace")


def check_metrics(target: Target) -> None:
    """Read every metrics page once. Raises EndpointError naming the page and the cure."""
    if not target.metrics:
        return

    async def read() -> Snapshot:
        reader = MetricsReader(target)
        try:
            return await reader.read()
        finally:
            await reader.close()

    for page in run_until_done(read):
        if problem := page.problem or _not_a_page(page.text):
            raise EndpointError(f"endpoint_config.metrics: {page.url}: {problem}; {_cure(problem)}")


def server_counters(before: Snapshot, after: Snapshot, target: Target) -> ServerCounters | None:
    """Return what the pages say of the time between two snapshots, None without pages."""
    if not after:
        return None
    added: dict[str, float] = {}
    levels: dict[str, list[float]] = {}
    problems = []
    for earlier, later in zip(before, after, strict=True):
        if problem := earlier.problem or later.problem:
            problems.append(f"{later.url} {problem}")
            continue
        try:
            was, now = cache_page(earlier.text), cache_page(later.text)
        except NotReadableError:
            problems.append(f"{later.url} {_NOT_A_PAGE}")
            continue
        grown = change(was.counts, now.counts)
        problems += [f"{name} at {later.url} went back; its server was started again" for name in grown.began_again]
        for name, value in grown.added.items():
            added[name] = added.get(name, 0.0) + value
        for (name, _), value in now.levels.items():
            levels.setdefault(name, []).append(value)
    return ServerCounters(
        added=_storable(added, target),
        levels=_storable({name: fmean(values) for name, values in levels.items()}, target),
        problems=tuple(target.redact(problem) for problem in problems[:_MOST_NAMES]),
    )


def _storable(values: Mapping[str, float], target: Target) -> dict[str, float]:
    """Return what JSON can hold; a server may echo anything in a name, or count beyond what a float holds."""
    return {target.redact(name): values[name] for name in sorted(values)[:_MOST_NAMES] if isfinite(values[name])}


def _headers(target: Target, url: str) -> dict[str, str]:
    """Return the request's headers: the endpoint's own for its own host, and never less protected than there."""
    page = urlsplit(url)
    for endpoint in map(urlsplit, target.urls):
        if endpoint.hostname == page.hostname and page.scheme in (endpoint.scheme, "https"):
            return {**_ASKED_FOR, **target.headers}
    return _ASKED_FOR


def _not_a_page(text: str) -> str | None:
    try:
        require_exposition(text)
        cache_page(text)
    except NotReadableError:
        return _NOT_A_PAGE
    return None


def _cure(problem: str) -> str:
    if problem == _NOT_A_PAGE:
        return "correct the URL (vLLM, SGLang, Triton: /metrics; trtllm-serve: /prometheus/metrics), or drop it"
    if problem in ("answers 401", "answers 403"):
        return "credentials go to the hosts of endpoint_config.endpoints alone; name the page there, or drop it"
    return "correct the URL, or drop it"
