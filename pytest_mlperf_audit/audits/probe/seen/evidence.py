"""Query records of a probe, sorted by block and arm, and turned into arrays of log latency."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np

from ....runs.query import QueryRecord, is_turned_away, refusal
from ....stats.ranks import Floats
from ..sent.design import AGAIN, DATASET, MADE_UP
from ..sent.names import arm_of

Measure = Callable[[QueryRecord], float]
Block = dict[str, list[QueryRecord]]

#: From this share of a miss on, the time after the first token tells a response cache from a prefix cache.
DECODE_SHARE = 0.20

#: With fewer tokens the time after the first one may be a matter of chunks.
_FEW_TOKENS = 8

_MISSES = ("P", "N", "S")

_SOURCES = {"m": MADE_UP, "d": DATASET}
#: Replies are of one length up to this factor.
_ONE_LENGTH = 1.2
#: A hit may come whole in one chunk; its decode time is taken for this share of a miss's, not for zero.
_LEAST_SHARE = 0.01
#: And for this many seconds at least: where most misses came in one chunk, too, theirs is none.
_LEAST_S = 1e-6


@dataclass
class Evidence:
    """What a probe measured. `groups` hold, for each kind of prompt, the whole blocks in the order they were sent.

    `strata` hold the blocks of the single design, `single` all its queries together, those it primes with included.
    `n_lost` counts the blocks of each kind that were left out. `short_rows`: twins of some rows may have more to read;
    `apart`: repeats stood apart from their primes. `bursts` are of one size, the largest; `by_mean` is how they are
    measured, `burst_refused` what ended them. `again` is what was sent of the second series. `twins`: what a twin has
    that its input has not, "" where inputs are texts.
    """

    groups: dict[str, list[Block]] = field(default_factory=lambda: {MADE_UP: [], DATASET: []})
    single: Block = field(default_factory=dict)
    strata: list[Block] = field(default_factory=list)
    bets: list[Block] = field(default_factory=list)
    bursts: dict[str, list[Sequence[QueryRecord]]] = field(default_factory=dict)
    sizing: dict[int, list[Sequence[QueryRecord]]] = field(default_factory=dict)
    failed: list[QueryRecord] = field(default_factory=list)
    n_lost: Counter[str] = field(default_factory=Counter)
    url_refused: str = ""
    #: Late repeats and their twins, by pass: pairs of one prompt each; and fresh queries to changed URLs and others.
    late: dict[str, list[tuple[QueryRecord, QueryRecord]]] = field(default_factory=dict)
    urls: Block = field(default_factory=dict)
    #: Fresh prompts with a known image, and with new ones.
    images: Block = field(default_factory=dict)
    n_queries: int = 0
    apart: bool = False
    short_rows: bool = False
    twins: str = ""
    identical: list[Sequence[QueryRecord]] = field(default_factory=list)
    by_mean: bool = True
    burst_refused: str = ""
    n_dropped: int = 0
    again: Evidence | None = None
    #: What was made of the first so many groups, or strata, which further ones do not change.
    families: dict[int, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, records: Iterable[QueryRecord]) -> Evidence:
        """Return the evidence of records."""
        evidence = cls()
        evidence.add(records)
        return evidence

    def add(self, records: Iterable[QueryRecord]) -> None:
        """Sort more records by their tags: whole blocks, or some of the single prompt's, which come one by one.

        A block in which a query failed is left out.
        """
        for block, queries in _by_block(records).items():
            self.n_queries += len(queries)
            self.sort(block, queries)

    def sort(self, block: str, queries: list[QueryRecord]) -> None:
        """Sort the queries of one block."""
        if block.endswith(AGAIN):
            self.again = self.again or Evidence(by_mean=self.by_mean, apart=True, failed=self.failed)
            self.again.sort(block.removesuffix(AGAIN), queries)
            return
        failed = [record for record in queries if not record.ok]
        arms: Block = {}
        for record in queries:
            arms.setdefault(_arm(record), []).append(record)
        if "url" in arms and failed:
            self.url_refused = failed[0].outcome
            return
        if failed and block[0] in "kqb" and len(queries) > 1:
            self.burst_refused = f"{failed[0].outcome} to {len(failed)} of {len(queries)}"
            return
        self.failed += failed
        if failed and block[0] in "lui":  # no block depends on all of them
            queries = [record for record in queries if record.ok]
        elif failed:
            self.n_lost[_SOURCES.get(block[0], "")] += 1
            return
        if block[0] in _SOURCES:
            self.groups[_SOURCES[block[0]]].append(arms)
        elif block[0] == "s":
            self._sort_single(block, arms)
        elif block[0] == "e":
            self.bets.append(arms)
        else:
            self._sort_others(block, next(iter(arms)), queries)

    def _sort_others(self, block: str, kind: str, queries: list[QueryRecord]) -> None:
        """Sort what is sent at once, and changed URLs."""
        if block[0] == "b":
            self._sort_burst(kind, queries)
        elif block[0] == "q":
            self.identical.append(queries)
        elif block[0] == "l":
            self.late.setdefault(block[1], []).extend(_pairs(queries))
        elif block[0] == "u":
            for record in queries:
                self.urls.setdefault(_arm(record), []).append(record)
        elif block[0] == "i":
            for record in queries:
                self.images.setdefault(_arm(record), []).append(record)
        elif block[0] == "k":
            self.sizing.setdefault(int(block[1:].partition(".")[0]), []).append(queries)

    def _sort_single(self, block: str, arms: Block) -> None:
        for arm, sent in arms.items():
            self.single.setdefault(arm, []).extend(sent)
        if block != "s0":
            self.strata.append(arms)

    def _sort_burst(self, kind: str, queries: list[QueryRecord]) -> None:
        """Keep the bursts of one size: a larger one comes where the first turned out not to queue."""
        smaller = [burst for sent in self.bursts.values() for burst in sent if len(burst) < len(queries)]
        if smaller:
            self.n_dropped += sum(map(len, smaller))
            self.bursts.clear()
        self.bursts.setdefault(kind, []).append(queries)

    def burst_s(self, burst: Sequence[QueryRecord]) -> float:
        """Return how long a burst took: the mean latency of its queries, or as before the makespan, in seconds."""
        return sum(map(total_s, burst)) / len(burst) if self.by_mean else makespan_s(burst)

    def n_groups(self) -> int:
        """Return how many whole groups there are, of each kind of prompt that was sent."""
        return min((len(self.groups[source]) for source in self.sources()), default=0)

    def n_in_bursts(self) -> int:
        """Return how many queries were sent at once with others."""
        bursts = [*self.bursts.values(), *self.sizing.values(), self.identical]
        return self.n_dropped + sum(len(burst) for sent in bursts for burst in sent)

    def sources(self) -> list[str]:
        """Return which kinds of prompts were sent."""
        return [source for source, blocks in self.groups.items() if blocks or self.n_lost[source]]

    def every(self) -> list[QueryRecord]:
        """Return every query of whole groups, the single-prompt and the anytime design included."""
        blocks = [*self.groups[MADE_UP], *self.groups[DATASET], self.single, *self.bets, self.urls, self.images]
        late = [record for pairs in self.late.values() for pair in pairs for record in pair]
        again = self.again.every() if self.again else []
        return [*(record for block in blocks for arm in block.values() for record in arm), *late, *again]

    def failure_summary(self) -> str:
        """Return how many queries failed and in which ways, with the server's words and the cure where access ended."""
        reasons: dict[str, int] = {}
        for record in self.failed:
            what = f"{record.outcome} ({arm_of(record.tag, self.twins)})"
            reasons[what] = reasons.get(what, 0) + 1
        most = ", ".join(f"{count} {what}" for what, count in sorted(reasons.items(), key=lambda item: -item[1])[:4])
        only = {record.tag.partition("/")[2].partition(".")[0] for record in self.failed if record.tag}
        turned_away = next((record for record in self.failed if is_turned_away(record.outcome)), None)
        cure = ""
        if turned_away:
            cure = f"; {refusal(turned_away.outcome, turned_away.detail)}"
        elif only == {"R"}:
            cure = "; the endpoint refuses a repeated request, so nothing can be concluded from repeats"
        return f"{len(self.failed)} of {self.n_queries} probe queries failed: {most}{cure}"


def _pairs(queries: Sequence[QueryRecord]) -> list[tuple[QueryRecord, QueryRecord]]:
    """Return late repeats, each with its twin."""
    by_tag = {(record.tag or "").partition("/")[2]: record for record in queries}
    twins = {tag: f"Y{tag[1:]}" for tag in by_tag if tag[0] == "R"}
    return [(by_tag[tag], by_tag[twin]) for tag, twin in twins.items() if twin in by_tag]


def _by_block(records: Iterable[QueryRecord]) -> Mapping[str, list[QueryRecord]]:
    blocks: dict[str, list[QueryRecord]] = {}
    for record in sorted(records, key=lambda record: record.query):
        blocks.setdefault((record.tag or "?").partition("/")[0], []).append(record)
    return blocks


def _arm(record: QueryRecord) -> str:
    """Return the arm, without the mark that tells its two repeats, or primes, apart."""
    return (record.tag or "?").partition("/")[2].partition(".")[0]


def columns(blocks: Sequence[Block], arms: Sequence[str], measure: Measure) -> Floats:
    """Return log measures of these arms, shape (blocks, queries of the arms in a block)."""
    return np.log([[measure(record) for arm in arms for record in block[arm]] for block in blocks])


def total_s(record: QueryRecord) -> float:
    """Return the latency of a whole reply, in seconds."""
    return max(record.completed_ns - record.issued_ns, 1) / 1e9


def first_s(record: QueryRecord) -> float:
    """Return the time to the first content token, or, where the reply was not streamed, to the whole reply."""
    first_ns = record.completed_ns if record.first_token_ns is None else record.first_token_ns
    return max(first_ns - record.issued_ns, 1) / 1e9


def decode_s(record: QueryRecord, miss_s: float) -> float:
    """Return the time from the first content token to the end, at least a hundredth of a miss's, and never none."""
    first_ns = record.completed_ns if record.first_token_ns is None else record.first_token_ns
    return max((record.completed_ns - first_ns) / 1e9, miss_s * _LEAST_SHARE, _LEAST_S)


def makespan_s(burst: Sequence[QueryRecord]) -> float:
    """Return the time from a burst's first issue to its last completion, in seconds."""
    return (max(record.completed_ns for record in burst) - min(record.issued_ns for record in burst)) / 1e9


def counted(records: Iterable[QueryRecord]) -> bool:
    """Whether every reply says how many tokens it has."""
    return all(record.tokens for record in records)


def of_one_length(records: Sequence[QueryRecord]) -> bool:
    """Whether replies are about equally long: in tokens, or in bytes where they do not say."""
    lengths = [(record.tokens or 0) if counted(records) else record.reply_bytes for record in records]
    return max(lengths, default=0) <= _ONE_LENGTH * min(lengths, default=0)


def is_comparable(blocks: Sequence[Block]) -> bool:
    """Whether rows of the data set may be compared with twins that have random words in them.

    Such twins may be answered at another length. That is known from token counts; without them, replies of one size
    will do. Made-up prompts need no such care: theirs are all of one kind.
    """
    records = [record for block in blocks for arm in block.values() for record in arm]
    return counted(records) or of_one_length(records)


def are_twins_comparable(blocks: Sequence[Block]) -> bool:
    """Whether inputs of no text may be compared with their twins: the replies of each block are of one length."""
    every = [[record for arm in block.values() for record in arm] for block in blocks]
    return all(map(counted, every)) or all(map(of_one_length, every))


def read_counted(blocks: Sequence[Block]) -> bool:
    """Whether every reply says how many tokens its prompt has."""
    return all(record.prompt_tokens for block in blocks for arm in block.values() for record in arm)


def read_alike(blocks: Sequence[Block]) -> bool:
    """Whether the prompts of each block have one number of tokens."""
    return all(len({record.prompt_tokens for arm in block.values() for record in arm}) == 1 for block in blocks)


def decode_share(blocks: Sequence[Block]) -> float:
    """Return the median share of the time after the first token in a miss, 0 where replies were not streamed."""
    misses = [record for block in blocks for arm in _MISSES for record in block.get(arm, ())]
    misses = misses or [record for block in blocks for record in block.get("Y", ())]
    if not misses or any(record.first_token_ns is None for record in misses):
        return 0.0
    return median(1 - first_s(record) / total_s(record) for record in misses)


def has_decode(blocks: Sequence[Block]) -> bool:
    """Whether enough time passes after the first token to tell replays from prefill."""
    records = [record for block in blocks for arm in block.values() for record in arm]
    return not has_few_tokens(records) and decode_share(blocks) >= DECODE_SHARE


def has_few_tokens(records: Sequence[QueryRecord]) -> bool:
    """Whether some reply says that it has so few tokens that the time after the first may be a matter of chunks."""
    return counted(records) and min(record.tokens or 0 for record in records) < _FEW_TOKENS
