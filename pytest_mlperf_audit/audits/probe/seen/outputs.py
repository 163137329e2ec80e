"""What ids and outputs of replies say of repeats and of different requests, block by block."""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import Final

import numpy as np

from ....runs.query import QueryRecord
from ....stats.ranks import stratified_u
from .evidence import Block, total_s

#: Of fewer different requests two may well be answered alike.
_FEWEST_ALIKE = 4
#: Replays are so many times as fast as what was computed, and that surely.
_FASTER: Final = 1.5
_SURE: Final = 0.005


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


def faster_replays(blocks: Sequence[Block]) -> bool:
    """Whether repeats that bear the id of their first reply came back faster than all other queries of their blocks.

    Where some repeats do and others do not, ids may be made from the request and one of several servers, or the time.
    """
    replayed: list[QueryRecord] = []
    others: list[QueryRecord] = []
    for block in blocks:
        first: dict[str, QueryRecord] = {}
        for record in (record for arm, sent in block.items() if arm != "R" for record in sent):
            first.setdefault(record.request, record)
            others.append(record)
        for again in block.get("R", ()):
            kept = first.get(again.request)
            is_replay = kept is not None and (kept.reply_id, kept.reply) == (again.reply_id, again.reply)
            (replayed if is_replay else others).append(again)
    return surely_faster(replayed, others)


def surely_faster(replayed: Sequence[QueryRecord], others: Sequence[QueryRecord]) -> bool:
    """Whether replays came back faster by far, as is not by chance: Mann-Whitney, and medians."""
    if not replayed or not others:
        return False
    fast, slow = (np.log([list(map(total_s, records))]) for records in (replayed, others))
    is_far = float(np.median(slow) - np.median(fast)) >= log(_FASTER)
    return is_far and stratified_u(fast, slow) <= _SURE
