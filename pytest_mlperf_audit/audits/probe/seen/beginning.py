"""Whether what looks like a prefix cache can be one, or keeps whole replies under the first characters of a prompt.

A prefix cache spares the server work on what a prompt shares with an earlier one. It still has to work on the new
ending and to decode, and it can't give the reply to another prompt. A cache of replies that is keyed on a prompt's
beginning does neither. It is named near_duplicate: it answers prompts that differ from the one it has seen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from statistics import median
from typing import NamedTuple

from ....runs.query import QueryRecord
from ..sent.design import MADE_UP
from ..settings import Kind
from . import contrasts
from .contrast import Contrast
from .evidence import Block, Measure, first_s, has_decode, has_few_tokens, is_comparable, total_s
from .measures import after_first, whole

_Blocks = Mapping[str, Sequence[Block]]

#: The time after the first token is shorter behind a known beginning: sure, or suspected. At three looks a server with
#: an honest prefix cache is accused in 0.9 % of sessions at most, whatever its latencies' distribution.
_SURE_P, _SURE_TIMES = 0.003, 1.5
_SUSPECT_P, _SUSPECT_TIMES = 0.02, 1.25
#: Where replies come whole, the speed-up of a known beginning that prefill hardly explains, and that it can't. A fifth
#: of a made-up prompt is its new ending, so that without decode and without a system prompt it is 5 at most.
_HARDLY_TIMES, _BEYOND_TIMES = 5.0, 20.0
#: What the new ending then costs, as a share of what the known beginning spares: a fifth by its length.
_HARDLY_ENDING, _BEYOND_ENDING = 0.10, 0.01
#: From this speed-up on, whole replies that are those to other prompts come neither of prefill nor of likeness.
_COPIED_TIMES = 2.0
#: Streamed replies that are those to other prompts are a prefix cache's if a new ending takes its time before the first
#: token: so sure, and such a share of what the known beginning spares. By its length it would be a fourth.
_WORKS_P, _WORKS_ENDING = 0.003, 0.10
#: A known beginning is surely of no help unless its p is this, or less.
_HELPS_P = 0.005
#: Fewer replies than this are not a pattern.
_FEW = 3

_APART = ("P", "N", "S", "T", "U")
_KIN = ("R", "Y", "X")
#: Cached tokens show a prefix cache in so many blocks at least, and in such a share of them.
_FEW_REPORTS, _MOST_REPORTS = 5, 0.8
_STREAM = "streamed replies (model_params.streaming: on) would tell"


class Nature(NamedTuple):
    """What a cache that knows beginnings is; `kind` None: it cannot be told, and `why` says so in a sentence.

    `may_be` are the kinds of which reuse without a name is one. `told`: ids say so.
    """

    kind: Kind | None
    why: str = ""
    may_be: tuple[Kind, ...] = ()
    told: bool = False


def nature(blocks: _Blocks) -> Nature:
    """Tell a prefix cache from one that replays replies; asked only where one of the two was found."""
    if any(_are_copied(some, _id_and_output, contrasts.KNOWS_BEGINNING[of]) for of, some in blocks.items()):
        why = "replies to different prompts with one beginning have one id and one output"
        return Nature("near_duplicate", why, told=True)
    if timed := {of: some for of, some in blocks.items() if some and _has_decode(of, some)}:
        every = [block for some in timed.values() for block in some]
        by_decode = _by_decode(contrasts.beginning(timed, after_first(every)))
        if by_decode.kind == "prefix" and _may_be_replays(timed.get(MADE_UP, ())):
            return Nature(None, "twins with another last word take less time after the first token, as chance can do")
        return _by_output(blocks.get(MADE_UP, ())) or by_decode if by_decode.kind == "prefix" else by_decode
    # Rows may be of any length, so that what prefill takes of them is not known.
    return _by_whole_reply({MADE_UP: blocks[MADE_UP]} if blocks.get(MADE_UP) else blocks)


def reported(blocks: _Blocks) -> str:
    """Return what the endpoint says itself of a prefix cache, "" where it says nothing: cached prompt tokens.

    They stand on the replies to prompts that share a beginning with an earlier one, more than on all that share none
    (but a chat template, say): in nearly every block. No noise can do that.
    """
    for some in blocks.values():
        counts = [(_cached(block, _KIN), _cached(block, _APART)) for block in some]
        shared = [(kin, others) for kin, others in counts if others and median(kin) > max(others)]
        if len(shared) >= max(_FEW_REPORTS, _MOST_REPORTS * len(some)):
            least = f"{median(count for kin, _ in shared for count in kin):.0f}"
            most = max(count for _, others in shared for count in others)
            return (
                f"the endpoint reports {least} cached prompt tokens for prompts that share their beginning with an "
                f"earlier one, and {most} at most for others"
            )
    return ""


def _cached(block: Block, arms: Sequence[str]) -> list[int]:
    return [record.cached_tokens or 0 for arm in arms for record in block.get(arm, ())]


def _has_decode(of: str, blocks: Sequence[Block]) -> bool:
    """Whether the time after the first token tells; not where rows' twins may be answered at another length."""
    return has_decode(blocks) and (of == MADE_UP or is_comparable(blocks))


def _by_decode(decode: Contrast) -> Nature:
    times = decode.effect.factor
    fact = f"behind a known beginning the time after the first token is {times:.3g} times shorter"
    if decode.p <= _SURE_P and times >= _SURE_TIMES:
        return Nature("near_duplicate", f"{fact}, which no prefix cache can do")
    if decode.p <= _SUSPECT_P and times >= _SUSPECT_TIMES:
        return Nature(None, f"{fact} (p {decode.p:.2g}): a prefix cache can't do that, chance can")
    return Nature("prefix")


def _may_be_replays(blocks: Sequence[Block]) -> bool:
    """Whether those with another last word are suspected, not more, of less time after the first token."""
    near = contrasts.near_after_first(blocks) if blocks else None
    return near is not None and near.p <= _SUSPECT_P and near.effect.factor >= _SUSPECT_TIMES


def _by_output(blocks: Sequence[Block]) -> Nature | None:
    """Doubt a prefix cache that gives the output of other prompts: they may be kept, and replayed at a model's pace.

    Outputs that follow from a prompt's beginning alone are alike without a cache of replies, too. Rows are no witness:
    a model may well say the same of a long one whose last words are others.
    """
    if _are_copied(blocks, _output, "X"):
        near = contrasts.near_first(blocks)
        return None if near.p <= _WORKS_P and _ending(blocks, first_s) >= _WORKS_ENDING else _paced("their beginning")
    if _are_copied(blocks, _output, "Y") and contrasts.beginning({MADE_UP: blocks}).p > _HELPS_P:
        return _paced("all but the last word")
    return None


def _paced(shared: str) -> Nature:
    return Nature(
        None,
        f"most replies to prompts that share {shared} with an earlier one have its output, and start as early as if "
        "nothing new were read: kept replies at a model's pace, or a prefix cache before a model that heeds no more",
    )


def _by_whole_reply(blocks: _Blocks) -> Nature:
    every = [block for some in blocks.values() for block in some]
    effect = contrasts.beginning(blocks, whole(every)).effect
    ending = _ending(every, total_s) if MADE_UP in blocks else 0.0
    fact = f"behind a known beginning whole replies come back {effect.factor:.3g} times as fast"
    is_sure = MADE_UP in blocks and not _may_be_prefill(every)
    if is_sure and effect.low >= _BEYOND_TIMES and ending <= _BEYOND_ENDING:
        return Nature("near_duplicate", f"{fact}: a new ending costs nothing, and so neither does decode")
    if effect.factor >= _HARDLY_TIMES and ending <= _HARDLY_ENDING:
        return Nature(None, f"{fact}, which a prefix cache hardly explains; {_STREAM}")
    if effect.factor >= _COPIED_TIMES and any(
        _are_copied(some, _output, contrasts.KNOWS_BEGINNING[of]) for of, some in blocks.items()
    ):
        return Nature(None, f"{fact}, with the output of another prompt; {_STREAM}")
    return Nature("prefix")


def _ending(blocks: Sequence[Block], measure: Measure) -> float:
    """Return what a new ending costs, as a share of what the known beginning spares; 1 where it spares nothing."""
    near, tail, apart = (
        median(measure(record) for block in blocks for record in block[arm]) for arm in ("Y", "X", "P")
    )
    return (tail - near) / (apart - tail) if apart > tail else 1.0


def _may_be_prefill(blocks: Sequence[Block]) -> bool:
    """Whether prefill may be nearly all of the time: few tokens, or the endpoint says that it reused a prompt's.

    Behind a system prompt of thousands of tokens a prefix cache can then spare more than _BEYOND_TIMES.
    """
    records = [record for block in blocks for arm in block.values() for record in arm]
    return has_few_tokens(records) or any(record.cached_tokens for record in records)


def _id_and_output(record: QueryRecord) -> Hashable:
    return (record.reply_id, record.reply) if record.reply_id and record.reply else None


def _output(record: QueryRecord) -> Hashable:
    return record.reply


def _are_copied(blocks: Sequence[Block], mark: Callable[[QueryRecord], Hashable], arm: str) -> bool:
    """Whether most replies of an arm bear the mark of a reply to another request, and those that share nothing do not.

    Ids from few numbers or from the clock, and outputs that are all alike, come to others as well.
    """
    requests: dict[Hashable, set[str]] = defaultdict(set)
    for record in _records(blocks, None):
        requests[mark(record)].add(record.request)
    requests.pop(None, None)

    def copied(records: Iterator[QueryRecord]) -> list[bool]:
        return [len(requests.get(mark(record), ())) > 1 for record in records]

    if any(copied(_records(blocks, _APART))):
        return False
    kin = copied(_records(blocks, (arm,)))
    return sum(kin) >= max(_FEW, len(kin) / 2)


def _records(blocks: Sequence[Block], arms: Sequence[str] | None) -> Iterator[QueryRecord]:
    return (record for block in blocks for arm in (block if arms is None else arms) for record in block.get(arm, ()))
