"""What a phase sends: the step at each position of its order, and each step as bytes."""

from __future__ import annotations

import itertools
import random
from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple

from ..endpoints.source import RequestSource
from ..runs.body import Body
from ..runs.order import Scripted
from ..runs.script import NO_EDIT, Edit, Step
from ..runs.spec import RunSpec
from ..runs.trajectories import Trajectories
from ..runs.twins import twins

#: Requests that are sent as they stand in the data set are kept, since an audit repeats them; so many bytes of them.
_MOST_KEPT_BYTES = 64 * 2**20


class Request(NamedTuple):
    """A request's body, the digest that identifies the whole request, and lines that its head has besides."""

    body: Body
    digest: str
    headers: bytes = b""


class Requests:
    """The requests of one phase. Positions are asked for in ascending order; some may be left out."""

    def __init__(self, spec: RunSpec, source: RequestSource) -> None:
        self._source = source
        self._rows = iter(()) if isinstance(spec.order, Scripted | Trajectories) else spec.order.indices(len(source))
        self._edits = _edits(spec)
        self._at = 0
        self._kept: OrderedDict[tuple[int, str], Request] = OrderedDict()
        self._kept_bytes = 0

    def step(self, position: int) -> Step:
        """Return what is sent at a position. Raises StopIteration behind the end of the order."""
        while self._at < position:
            next(self._rows), next(self._edits)
            self._at += 1
        self._at += 1
        return Step(tag="", row=next(self._rows), edit=next(self._edits))

    def request(self, step: Step) -> Request:
        """Return a step as it is sent; equal steps give equal bytes."""
        if step.edit is not NO_EDIT:
            return self._encoded(step)
        if (known := self._kept.get((step.row, step.query))) is None:
            known = self._kept[step.row, step.query] = self._encoded(step)
            self._kept_bytes += len(known.body)
            while self._kept_bytes > _MOST_KEPT_BYTES:
                self._kept_bytes -= len(self._kept.popitem(last=False)[1].body)
        return known

    def _encoded(self, step: Step) -> Request:
        body = self._source.body(step.row, step.edit)
        return Request(body, self._source.digest(body, step.query))


def _edits(spec: RunSpec) -> Iterator[Edit]:
    """Return what makes each query new, 64 bits a time, or nothing for ever."""
    if spec.nonce == "none":
        return itertools.repeat(NO_EDIT)
    if spec.nonce == "twin":
        return twins(spec.nonce_seed)
    rng = random.Random(spec.nonce_seed)  # noqa: S311 - recorded, so that a run can be reproduced
    nonces = (f"{rng.getrandbits(64):016x}" for _ in itertools.count())
    kinds = {"prefix": "lead", "salt": "head", "suffix": "tail"}
    return (Edit(**{kinds[spec.nonce]: text}) for text in nonces)  # type: ignore[arg-type]
