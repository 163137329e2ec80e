"""GETs beside the queries, each on a connection of its own: metrics pages, and pages that explain a refusal."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from yarl import URL

from .connections import Pool
from .target import Target, joined, page_address
from .transport import TransportError

_MOST_BYTES = 2**20
_PATIENCE_S = 5.0


class Pages:
    """Fetches pages of a target's servers, to be made and used on one loop.

    The way there is the queries' own: the same certificates, the same proxy. No redirect is followed, nothing kept.
    """

    def __init__(self, target: Target) -> None:
        self._pool = Pool(target)

    async def get(self, url: URL, headers: Mapping[str, str], most_bytes: int) -> tuple[int, bytes]:
        """Return a page's status and its body; see `fetch`."""
        page = await self.fetch(url, headers, most_bytes)
        return page.status, page.body

    async def fetch(self, url: URL, headers: Mapping[str, str], most_bytes: int) -> Page:
        """Return a page, its body cut where it exceeds `most_bytes`; waits for as long as it is let.

        Raises TransportError, and OSError when this process may open no more files.
        """
        address, reply = page_address(url, headers), Page()
        connection = await self._pool.open(address, None)
        try:
            await connection.wait_for(address.get_head, reply, most_bytes)
        except TransportError as error:
            if error.reason != "too_large":
                raise
        finally:
            connection.abort()
        return reply

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.close()


async def page_behind(target: Target, base: str, path: str) -> tuple[int, bytes]:
    """Return the status and the body of the page at a path behind a base URL of the target's, (0, b"") without one.

    It is asked for with the target's own headers, waited for 5 s, and cut behind 1 MiB.
    """
    pages = Pages(target)
    try:
        url = URL(joined(base, path), encoded=True)
        return await asyncio.wait_for(pages.get(url, target.headers, _MOST_BYTES), _PATIENCE_S)
    except (TransportError, OSError, ValueError, asyncio.TimeoutError):
        return 0, b""
    finally:
        await pages.close()


class Page:
    """Takes a page, and is it; header names are in lower case."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self.body = b""

    def on_head(self, status: int, headers: Mapping[str, str]) -> None:
        """Note the head."""
        self.status = status
        self.headers = {name.lower(): value for name, value in headers.items()}

    def on_data(self, data: bytes, at_ns: int) -> None:  # noqa: ARG002 - one method of two
        """Add to the body."""
        self.body += data
