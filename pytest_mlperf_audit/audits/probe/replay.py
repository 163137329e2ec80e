"""Are these the queries that the probe's seed plans? The script is run once more, on records instead of a server."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...errors import NoVerdictError, RefusedError
from ...runs.query import QueryRecord
from ...runs.script import Edit, Round, Step
from ...runs.spec import RunSpec
from .plan import probe_of
from .script import script

#: For each block, what each query was sent as.
_Sent = dict[str, dict[tuple[int, Edit, str], str]]


def as_planned(spec: RunSpec, records: Iterable[QueryRecord]) -> list[QueryRecord]:
    """Return a probe's records in the order they were sent.

    Raises NoVerdictError when they are not what the seed plans, or when repeats were not sent as the same bytes, or
    twins as the same ones, as by an adapter that leaves an Edit out.
    """
    sent = sorted(records, key=lambda record: record.query)
    session = script(probe_of(spec), spec.nonce_seed or 0)
    at = 0
    sent_as: _Sent = {}
    try:
        upcoming = next(session)
        while True:
            replies = sent[at : at + len(upcoming.steps)]
            _require_same(spec.label, sent_as, upcoming, replies)
            at += len(replies)
            upcoming = session.send(replies)
    except (StopIteration, RefusedError):
        pass
    if at != len(sent):
        raise _other(spec.label, f"{len(sent)} queries where {at} were due")
    return sent


def _require_same(label: str, sent_as: _Sent, upcoming: Round, replies: Sequence[QueryRecord]) -> None:
    if len(replies) < len(upcoming.steps):
        raise _other(label, f"it ends where {upcoming.steps[len(replies)].tag} was due")
    for step, reply in zip(upcoming.steps, replies, strict=True):
        if (step.tag, step.row) != (reply.tag, reply.sample):
            due, got = f"{step.tag} of row {step.row}", f"{reply.tag} of row {reply.sample}"
            raise _other(label, f"query {reply.query} is {got} where {due} was due")
    _require_bytes(label, sent_as, upcoming.steps, replies)


def _require_bytes(label: str, sent_as: _Sent, steps: Sequence[Step], replies: Sequence[QueryRecord]) -> None:
    for step, reply in zip(steps, replies, strict=True):
        of_block = sent_as.setdefault(step.tag.partition("/")[0], {})
        is_new = (step.row, step.edit, step.query) not in of_block
        if of_block.setdefault((step.row, step.edit, step.query), reply.request) != reply.request:
            raise NoVerdictError(
                f"phase {label}: {step.tag} is an exact repeat, but was not sent as the same bytes; the endpoint "
                "adapter must encode equal arguments alike"
            )
        if is_new and len(set(of_block.values())) < len(of_block):
            raise NoVerdictError(
                f"phase {label}: {step.tag} was to differ from what was sent before, but its bytes are the same; the "
                "endpoint adapter must apply the edit that encode() is given to the prompt"
            )


def _other(label: str, what: str) -> NoVerdictError:
    return NoVerdictError(
        f"phase {label}: its queries are not those that its seed plans ({what}); queries.jsonl was edited or cut"
    )
