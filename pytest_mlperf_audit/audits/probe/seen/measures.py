"""What is compared of a latency: the whole of it or a part, as seconds and, where lengths differ, for each token."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from ....runs.query import QueryRecord
from .evidence import Block, Measure, counted, decode_s, has_decode, read_alike, read_counted, total_s


def replay_measures(blocks: Sequence[Block]) -> list[Measure]:
    """Return the part of the latency that a cache of whole replies shortens and a prefix cache does not.

    That is the time after the first token, or everything where little or nothing is left after it.
    """
    return after_first(blocks) if has_decode(blocks) else whole(blocks)


def after_first(blocks: Sequence[Block]) -> list[Measure]:
    """Return the time after the first token as a measure, and as one per token."""
    miss_s = median(decode_s(record, 0.0) for block in blocks for record in _misses(block))
    return _per_token(blocks, lambda record: decode_s(record, miss_s), before=1)


def _misses(block: Block) -> Sequence[QueryRecord]:
    """Return what no cache knows; of an input of no text, what comes nearest to it."""
    return next(block[arm] for arm in ("P", "S", "Y") if arm in block)


def per_prompt_token(blocks: Sequence[Block]) -> list[Measure]:
    """Return the time of a whole reply for each token of the prompt, where rows' twins have more of them, or fewer.

    Nothing where it is the time after the first token that is compared.
    """
    if has_decode(blocks) or not read_counted(blocks) or read_alike(blocks):
        return []
    return [lambda record: total_s(record) / max(record.prompt_tokens or 0, 1)]


def whole(blocks: Sequence[Block]) -> list[Measure]:
    """Return the time of a whole reply as a measure, and as one per token."""
    return _per_token(blocks, total_s)


def _per_token(blocks: Sequence[Block], measure: Measure, *, before: int = 0) -> list[Measure]:
    """Return a measure and, where replies say how long they are, the same for each token but those `before` it began.

    A contrast must show in both, so that a shorter answer is not taken for a faster one.
    """
    records = [record for block in blocks for arm in block.values() for record in arm]
    if not counted(records) or len({record.tokens for record in records}) == 1:
        return [measure]
    return [measure, lambda record: measure(record) / max((record.tokens or 0) - before, 1)]
