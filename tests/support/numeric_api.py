"""A wire format whose inputs are no text: rows of numbers, of which a twin has one changed; and a server of it."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Hashable
from typing import Any

from pytest_mlperf_audit.endpoints.base import EndpointAdapter, Reply, Row, digest
from pytest_mlperf_audit.runs.script import NO_EDIT, Edit
from tests.support.scripted_server import Server

#: Numbers are whole up to here, and what a twin has is added to one of them as less than one.
_MOST = 1000
_BITS = 2.0**-40


class Numbers(EndpointAdapter):
    """`POST /sum` with a list of numbers."""

    api_type = "numbers"
    path = "/sum"
    twins = "one number changed by less than one"
    text_output = False

    def problem(self, row: Row) -> str | None:
        """Return what a row lacks."""
        return None if row.get("values") else "no 'values' column"

    def encode(self, row: Row, edit: Edit = NO_EDIT) -> bytes:
        """Return the numbers: those of the row, or drawn ones, or either with one of them changed."""
        values = [float(value) for value in row["values"]]
        if edit.made_up_seed is not None:
            rng = random.Random(edit.made_up_seed)
            values = [float(rng.randrange(_MOST)) for _ in values]
        if edit.twin_seed is not None:
            place, more = edit.twin_seed % len(values), edit.twin_seed // len(values)
            values[place] += (1 + more % 2**39) * _BITS
        return json.dumps({"values": values}).encode()

    def decoder(self, *, keep_output: bool = False) -> _Decoder:  # noqa: ARG002
        """Return what takes the body as it is."""
        return _Decoder()


class _Decoder:
    def __init__(self) -> None:
        self._body = b""

    def feed(self, data: bytes, at_ns: int) -> None:  # noqa: ARG002
        self._body += data

    def finish(self) -> Reply:
        return Reply(digest=digest(self._body))


#: What a cache of the server looks at: all of an input, or what is left of it when it is rounded.
KEYS: dict[str, Callable[[list[float]], Hashable]] = {
    "honest": lambda _: None,
    "exact": tuple,
    "rounded": lambda values: tuple(map(int, values)),
}


def served(server: Server, kind: str, service_s: float) -> None:
    """Have a server sum numbers, which takes from half to one and a half times `service_s`, by what it is given."""
    kept: dict[Hashable, Any] = {}

    def sums(_path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        values = body["values"]
        key = KEYS[kind](values)
        if key is None or key not in kept:
            time.sleep(service_s * (0.5 + int(values[0]) / _MOST))
            kept[key] = {"sum": sum(values)}
        return 200, kept[key] if key is not None else {"sum": sum(values)}

    server.post = sums
