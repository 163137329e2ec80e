"""What ids and outputs of replies say of repeats and of different requests, block by block."""

from __future__ import annotations

from collections.abc import Sequence

from ...runs.query import QueryRecord
from .evidence import Block

#: Of fewer different requests two may well be answered alike.
_FEWEST_ALIKE = 4


def replays(block: Block) -> list[bool]:
    """Return for each repeat of a block whether its reply is its prime's: the same id and the same output.

    A twin is the prime of the repeat that the next stratum sends of it.
    """
    primes: dict[str, QueryRecord] = {}
    for record in (*block.get("prime", ()), *block.get("P", ())):
        if record.reply_id:
            primes.setdefault(record.request, record)
    pairs = [(record, primes[record.request]) for record in block.get("R", ()) if record.request in primes]
    return [(one.reply_id, one.reply) == (first.reply_id, first.reply) for one, first in pairs]


def computed_anew(block: Block) -> bool:
    """Whether every repeat has an output that no other reply to its request has; false where replies do not tell."""
    outputs: dict[str, list[str | None]] = {}
    for record in (record for arm in block.values() for record in arm):
        outputs.setdefault(record.request, []).append(record.reply)
    again = [outputs[record.request] for record in block.get("R", ())]
    return bool(again) and all(None not in some and len(set(some)) == len(some) > 1 for some in again)


def answered_alike(blocks: Sequence[Block]) -> int:
    """Return to how many different requests there is but one reply, 0 where replies differ or tell nothing.

    Twins are no faster than each other where all are answered from one entry, so that times alone find nothing.
    """
    replies = {(record.reply_id, record.reply) for block in blocks for arm in block.values() for record in arm}
    requests = {record.request for block in blocks for arm in block.values() for record in arm}
    alike = len(replies) == 1 and (None, None) not in replies and len(requests) >= _FEWEST_ALIKE
    return len(requests) if alike else 0


def shared_ids(blocks: Sequence[Block]) -> int:
    """Return how many ids stand on replies to different requests."""
    of_request: dict[str, set[str]] = {}
    for record in (record for block in blocks for arm in block.values() for record in arm):
        if record.reply_id:
            of_request.setdefault(record.reply_id, set()).add(record.request)
    return sum(len(requests) > 1 for requests in of_request.values())
