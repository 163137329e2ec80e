"""What a server says of its model before the first query, where the wire format has a page for it."""

from __future__ import annotations

from ..endpoints.base import EndpointAdapter
from ..errors import EndpointError
from ..text import printable
from .loop import run_until_done
from .pages import page_behind
from .target import Target

_OK = 200


def check_metadata(adapter: EndpointAdapter, target: Target) -> None:
    """Read the model's page at every address, where the adapter names one, and have the adapter look at it.

    A page that is not there says nothing: gateways often pass queries on and no more, and the first query tells. Raises
    EndpointError, naming the address, what does not fit and the cure.
    """
    if (path := adapter.metadata_path()) is None:
        return

    async def read() -> list[tuple[int, bytes]]:
        return [await page_behind(target, url, path) for url in target.urls]

    for url, (status, page) in zip(target.urls, run_until_done(read), strict=True):
        if status == _OK and (problem := adapter.metadata_problem(page)):
            raise EndpointError(f"endpoint {target.shown(url)}{path}: {printable(target.redact(problem), 500)}")
