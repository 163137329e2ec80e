"""Whether the records of a scripted phase are what its seed plans: the script is run once more, on them.

A server's place is taken by the records, so that what a script concludes follows from what is on disk.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import TypeVar

from ..errors import NoVerdictError, RefusedError
from ..runs.query import QueryRecord
from ..runs.script import Edit, Round, Step

#: For each block, what each query was sent as.
_Sent = dict[str, dict[tuple[int, Edit, str], str]]

ConcludedT = TypeVar("ConcludedT")


def replayed(
    label: str, script: Generator[Round, Sequence[QueryRecord], ConcludedT], records: Iterable[QueryRecord]
) -> tuple[list[QueryRecord], ConcludedT | None]:
    """Return the records of the phase `label` in the order they were sent, and what its script returns at its end.

    That is None where the script was refused. Raises NoVerdictError when they are not what the seed plans, or when
    repeats were not sent as the same bytes, or twins as the same ones, as by an adapter that leaves an Edit out.
    """
    sent = sorted(records, key=lambda record: record.query)
    at = 0
    sent_as: _Sent = {}
    concluded: ConcludedT | None = None
    try:
        upcoming = next(script)
        while True:
            replies = sent[at : at + len(upcoming.steps)]
            _require_same(label, sent_as, upcoming, replies)
            at += len(replies)
            upcoming = script.send(replies)
    except StopIteration as end:
        concluded = end.value
    except RefusedError:
        pass
    if at != len(sent):
        raise _other(label, f"{len(sent)} queries where {at} were due")
    return sent, concluded


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
        block = step.tag.partition("/")[0]
        of_block = sent_as.setdefault("s" if block.startswith("s") else block, {})  # strata repeat each other's twins
        is_new = (step.row, step.edit, step.query) not in of_block
        if of_block.setdefault((step.row, step.edit, step.query), reply.request) != reply.request:
            raise NoVerdictError(
                f"phase {label}: {step.tag} is an exact repeat, but was not sent as the same bytes; the endpoint "
                "adapter must encode equal arguments alike"
            )
        if is_new and len(set(of_block.values())) < len(of_block):
            raise NoVerdictError(
                f"phase {label}: {step.tag} was to differ from what was sent before, but its bytes are the same; the "
                "input has too few values to have so many twins, or the endpoint adapter must apply the edit that "
                "encode() is given to the prompt"
            )


def _other(label: str, what: str) -> NoVerdictError:
    return NoVerdictError(
        f"phase {label}: its queries are not those that its seed plans ({what}); queries.jsonl was edited or cut"
    )
