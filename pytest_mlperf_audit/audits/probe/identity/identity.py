"""Ids, outputs and headers as evidence of a cache, beside the timing tests: what honest computing does not bring about.

An id and an output together are a reply's identity. Two things are looked for in all phases of an audit:

    borrowed   a reply to one request that has the identity of an earlier reply to another request: a cache that takes
               different requests for the same, by meaning or by a part of them
    replayed   a reply to a request that has the identity of an earlier, completed reply to that very request

Either has honest explanations, which are ruled out first. Ids may be few, or come from the clock: then one of them
stands on several outputs, or on replies to different requests. Ids may be made from the request: then identical
requests never have two. They may be made from request and server: then they alternate. Both, id and output, may be made
from a part of the request, or there is but one reply: then what is borrowed is no faster. What remains is proof; what
could be either leaves the probe without an answer. What replies say of themselves is looked at as well: headers that
tell of a cache (`headers`), and the names of models (`models`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from ....runs.query import QueryRecord
from ..judges.judgement import Judgement
from ..settings import Kind
from .borrowed import borrowed
from .headers import of_headers
from .models import of_models
from .replays import replays
from .replies import Sent, completed

#: Of fewer different requests nothing is concluded; two may well be answered alike.
_FEWEST_REQUESTS: Final = 4
#: Kinds that answer more than exact repeats: one that times have named takes what is borrowed for its own.
_WIDER: Final = frozenset({"near_duplicate", "semantic", "url_keyed"})


class Identity(NamedTuple):
    """What identities show: proofs by kind of cache, and what leaves the probe without an answer, "" for nothing.

    `note` is what a reader should know of headers that decide nothing.
    """

    proofs: Mapping[Kind, str] = {}
    doubt: str = ""
    note: str = ""

    @property
    def hides(self) -> Kind | None:
        """The cache, if any, that is proved to answer different requests alike, so that times exclude no other."""
        return next((kind for kind in self.proofs if kind in _WIDER), None)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What is proved, left in doubt, or to be known, in words."""
        return tuple(filter(None, (*self.proofs.values(), self.doubt, self.note)))


def identity(phases: Sequence[Iterable[QueryRecord]]) -> Identity:
    """Judge the replies of phases in the order they were sent, the probe's last."""
    sent = completed(phases)
    headers = of_headers(sent)
    if headers.proof:
        return Identity({headers.kind: headers.proof})
    models, found = of_models(sent), _of_ids(sent)
    proofs: Mapping[Kind, str] = {"response": models.proof} if models.proof else found.proofs
    doubts = () if proofs else (headers.doubt, models.doubt, found.doubt)
    return Identity(proofs, "; ".join(filter(None, doubts)), headers.note)


def _of_ids(sent: Sequence[Sent]) -> Identity:
    """Judge replies that have an id, or that are one and the same without."""
    if alike := _one_output(sent):
        return Identity(doubt=alike)
    told = [one for one in sent if one.record.reply_id and one.record.reply]
    if len({one.record.request for one in told}) < _FEWEST_REQUESTS or _has_few_ids(told):
        return Identity()
    if (of_others := borrowed(told)) is not None:
        proofs: dict[Kind, str] = {of_others.kind: of_others.proof} if of_others.proof else {}
        return Identity(proofs, of_others.doubt)
    of_requests = {(one.record.reply_id, one.record.request) for one in told}
    is_shared = len({one.record.reply_id for one in told}) < len(of_requests)
    if is_shared or (again := replays(told)) is None:
        return Identity()
    return Identity({"response": again.proof} if again.proof else {}, again.doubt)


def with_identity(judgement: Judgement, found: Identity) -> Judgement:
    """Return a judgement with what identities prove, or leave in doubt where nothing is proved."""
    if judgement.word == "ERROR":
        return judgement
    if found.proofs:
        told = _WIDER.isdisjoint(judgement.kinds) or "response" in found.proofs
        kinds = tuple(dict.fromkeys((*judgement.kinds, *(found.proofs if told else ()))))
        proofs = (*judgement.proofs, *found.proofs.values())
        return replace(judgement, word="CACHE", kinds=kinds, proofs=proofs, settled=True)
    if found.doubt and judgement.word == "CLEAN":
        return replace(judgement, word="INCONCLUSIVE", reason=found.doubt)
    if found.doubt and judgement.word == "CACHE" and not judgement.reason:
        return replace(judgement, reason=found.doubt)
    return judgement


def _one_output(sent: Sequence[Sent]) -> str:
    """Say that fresh requests, or all of a log, get one output and no id, "" where that is not so, or they are few."""
    judged = [one for one in sent if one.fresh] or sent
    n = len({one.record.request for one in judged})
    outputs = {one.record.reply for one in judged}
    if n < _FEWEST_REQUESTS or len(outputs) > 1 or None in outputs or any(one.record.reply_id for one in judged):
        return ""
    return (
        f"replies to {n} different requests have one and the same output, and no id: a model that says one thing, or a "
        "cache that looks at something else than what tells these requests apart, such as their URL or a file's name; "
        "use a model, or a data set, that brings different outputs, and run the audit again"
    )


def _has_few_ids(told: Sequence[Sent]) -> bool:
    """Whether an id stands on different outputs: ids are few, or made from the clock, and tell nothing."""
    outputs: dict[str | None, str | None] = {}
    return any(outputs.setdefault(*one.identity) != one.record.reply for one in told)
