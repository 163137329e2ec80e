"""One probe as it was planned: what it may send, and what its records come to in the design that was sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final, Literal

import msgspec

from ...runs.script import Step
from .judges import again, bursts, repeats
from .judges import groups as judge
from .judges.judgement import Judgement
from .seen.evidence import Evidence
from .sent.apart import N_IMAGES, N_LATE, N_LATE_AGAIN, N_URLS, mixed
from .sent.design import DATASET, MADE_UP, N_BURSTS, Designer
from .sent.few import N_RIVALS, N_SINGLE
from .sent.prompts import FEWEST_WORDS
from .settings import ALPHA, Kind

#: Most groups of the anytime design before its looks stood in the plan.
_BETS_OF_BEFORE: Final = 12
#: Bets that have to be won, one after another, to prove a cache; before, when its error was larger.
_FEWEST_BETS: Final = 6
_FEWEST_BETS_OF_BEFORE: Final = 4
#: Strata that may be sent to make up for those with a failure.
_MORE_STRATA: Final = 2
#: Groups that may be lost to a failure before one is whole.
_LOST: Final = 4


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """One probe as it was planned; as plain values it stands in its phase's record.

    `looks` say after how many groups the answer is looked for, `sources` which kinds of prompts are sent, `primes` how
    often each prompt is sent before its repeats. Bursts grow up to `max_burst`; 0, as in records of
    before, leaves them at the benchmark's own concurrency, `at_once`. The single design begins with `row` and
    other prompts, `n_prompts` of them, and looks for its answer after so many `strata`; `warmed` says that a query was
    sent just before, so that it needs none to warm up with. The anytime design looks after so many groups as `bets`
    say. In records of before both are empty: one prompt and one look. `unseen` are the kinds that the rules forbid and
    this design cannot show. Twins of a row are its own words in another order where they are `moved`; with `short_rows`
    some rows have too few words for that, so that their twins may cost more. `pair` may send two identical queries.
    Repeats stand `apart` from their primes, changed URLs from all else. Made-up prompts have `n_words`. What times
    alone have found is sent `again`, in fresh prompts; in records of before it was not. `twins` says what a twin of an
    input has that the input has not, "" where inputs are texts. `image_row` is the first row with images beside its
    text, None without one.
    """

    design: Literal["groups", "single", "anytime"]
    looks: tuple[int, ...]
    sources: tuple[str, ...]
    forbidden: tuple[Kind, ...]
    n_rows: int
    thorough: bool = False
    primes: int = 1
    url: bool = True
    may_bet: bool = False
    bursts: bool = False
    at_once: int = 1
    max_tokens: int | None = None
    max_queries: int | None = None
    max_duration_ms: int = 0
    row: int = 0
    warmed: bool = False
    unseen: tuple[Kind, ...] = ()
    moved: bool = False
    short_rows: bool = False
    n_prompts: int = 1
    strata: tuple[int, ...] = ()
    bets: tuple[int, ...] = ()
    max_burst: int = 0
    pair: bool = False
    apart: bool = False
    n_words: int = FEWEST_WORDS
    again: bool = False
    twins: str = ""
    image_row: int | None = None

    @property
    def barred(self) -> tuple[Kind, ...]:
        """The kinds that the rules forbid, those that this design does not look for included."""
        return (*self.forbidden, *self.unseen)

    @property
    def only_made_up(self) -> bool:
        """Whether no prompt of the data set is sent."""
        return DATASET not in self.sources

    @property
    def n_warm_ups(self) -> int:
        """Queries before the first group: one to warm up with, and one to a changed URL where an arm needs it."""
        return 1 + self.url

    @property
    def n_alone(self) -> int:
        """Queries, one after another, of the input that bursts are made of."""
        return bursts.N_ALONE if self.twins else 0

    def group_size(self) -> int:
        """Return the queries of one group of every kind of prompt."""
        return _group_size(self.sources, self.primes, self.url, apart=self.apart, of_text=not self.twins)

    def least(self) -> int:
        """Return the queries that a clear answer takes."""
        if self.design == "single":
            return self.up_to_stratum(1)
        if self.design == "anytime":
            return (_FEWEST_BETS if self.again else _FEWEST_BETS_OF_BEFORE) * (2 + N_RIVALS) + 1
        return self.n_warm_ups + self.looks[0] * self.group_size() + self.n_at_last()

    def up_to_stratum(self, number: int) -> int:
        """Return the queries of the single design with so many strata."""
        return (not self.warmed) + self.n_prompts + 2 * N_SINGLE * number

    def most(self) -> int:
        """Return the most queries there can be, within the budget of queries where one is set."""
        if self.design == "groups":
            groups = self.looks[-1] + max(2, self.looks[-1] // 4)  # some to make up for groups with a failure
            most = self.n_warm_ups + groups * self.group_size()
            most += bursts.most_queries(self.at_once, self.max_burst) + self.n_alone if self.bursts else 0
            most += self.n_at_last() + (N_LATE_AGAIN + 2 * N_URLS if self.n_at_last() else 0)
            most += 2 * N_IMAGES if self.image_row is not None else 0
        elif self.design == "anytime":
            most = 1 + self.n_bets * (2 + N_RIVALS)
        else:
            most = self.up_to_stratum(self.strata[-1] + _MORE_STRATA if self.strata else 1) + 2 * self.pair
        most += self._most_again() if self.again else 0
        return min(most, self.max_queries or most)

    def _most_again(self) -> int:
        """Return the most queries of a second series: one comparison's."""
        if self.design == "anytime":
            return 0
        if self.design == "single":
            return N_SINGLE * ((self.strata[-1] + 1) // 2) + 2 * N_SINGLE * repeats.STRATA[-1]
        at_once = 2 * N_BURSTS * max(self.burst_sizes(), default=0)
        return max(
            (self.looks[-1] + again.SPARE) * self.group_size(), at_once, N_LATE_AGAIN, 2 * N_URLS, 2 + 2 * N_IMAGES
        )

    @property
    def n_bets(self) -> int:
        """Most groups of the anytime design: twice as many as its looks, for bets that have not lost by then."""
        return (1 + self.again) * self.bets[-1] if self.bets else _BETS_OF_BEFORE

    def burst_sizes(self) -> tuple[int, ...]:
        """Return the sizes of bursts to try, from the smallest on."""
        return bursts.sizes(self.at_once, self.max_burst) if self.bursts else ()

    def n_at_last(self) -> int:
        """Return the queries behind the groups: late repeats and their twins, and changed URLs."""
        if not self.apart or MADE_UP not in self.sources:
            return 0
        images = 0 if self.image_row is None else 2 + 2 * N_IMAGES
        return N_LATE + images + (1 + 2 * N_URLS if self.url else 0)

    def designer(self, seed: int) -> Designer:
        """Return the designer of a session."""
        return Designer(
            seed,
            self.n_rows,
            max_tokens=self.max_tokens,
            primes=self.primes,
            url=self.url,
            moved=self.moved,
            apart=self.apart,
            n_words=self.n_words,
            of_text=not self.twins,
        )

    def judge(self, evidence: Evidence) -> Judgement:
        """Return what the evidence shows, in the design that was sent, after its second series where it needs one."""
        judgement = self.judge_first(evidence)
        return again.judged(judgement, evidence, self.barred, self.looks) if self.again else judgement

    def judge_first(self, evidence: Evidence) -> Judgement:
        """Return what the evidence shows before any second series."""
        evidence.short_rows, evidence.twins = self.short_rows, self.twins
        if is_hopeless(evidence) or (self.design == "single" and not self.strata and evidence.failed):
            return Judgement("ERROR", reason=evidence.failure_summary())
        if self.design == "single":
            if not self.strata:
                return repeats.single_judgement_of_before(evidence)
            return repeats.single_judgement(evidence, self.strata, self.n_prompts)
        if evidence.bets or self.design == "anytime":
            if not self.bets:
                return repeats.bets_judgement_of_before(evidence, self.n_bets)
            return repeats.bets_judgement(evidence, self.bets, self.n_bets, again.ANYTIME_P if self.again else ALPHA)
        judgement = self.judge_groups(evidence)
        if evidence.by_mean and any(one.contrast.kind == "coalescing" and not one.found for one in judgement.judged):
            judgement = replace(judgement, excluded={**judgement.excluded, **bursts.excluded(evidence)})
        if judgement.word == "CLEAN" and (lacks := self._lacks(evidence)):
            reason = f"the budget ended before {lacks}"
            return replace(judgement, word="INCONCLUSIVE", settled=False, reason=reason)
        return judgement

    def judge_groups(self, evidence: Evidence) -> Judgement:
        """Return what the groups show, and whether there have to be more of them, whatever is still to be sent."""
        evidence.short_rows, evidence.apart, evidence.twins = self.short_rows, self.apart, self.twins
        evidence.by_mean = bool(self.max_burst)
        return judge.groups_judgement(evidence, self.looks, self.barred, thorough=self.thorough)

    def _lacks(self, evidence: Evidence) -> str:
        """Return what was planned and not sent, "" where nothing is missing."""
        if "coalescing" in self.forbidden and self._lacks_bursts(evidence):
            return "queries could be sent at once"
        if self.n_at_last() and not evidence.late:
            return f"its first {'inputs' if self.twins else 'prompts'} could be sent again"
        if self.n_at_last() and self.url and not evidence.urls and not evidence.url_refused:
            return "the URL could be changed"
        if self.n_at_last() and self.image_row is not None and not evidence.images:
            return "images could be sent again"
        return ""

    def _lacks_bursts(self, evidence: Evidence) -> bool:
        """Whether bursts were planned and not sent, though not every size was found too small to queue."""
        lacks = not evidence.bursts and not evidence.burst_refused
        return lacks and max(evidence.sizing, default=0) < max(self.burst_sizes(), default=0)


@lru_cache(maxsize=64)
def _group_size(sources: tuple[str, ...], primes: int, url: bool, *, apart: bool, of_text: bool) -> int:
    designer = Designer(0, 1, max_tokens=None, primes=primes, url=url, apart=apart, of_text=of_text)
    return sum(map(len, blocks(designer, sources, 0, apart=apart)))


def is_hopeless(evidence: Evidence) -> bool:
    """Whether too many queries failed, or too few but in every group, as where one arm is always turned down."""
    return _is_lost(evidence) or judge.too_many_failures(evidence)


def _is_lost(evidence: Evidence) -> bool:
    return any(evidence.n_lost[source] >= _LOST and not evidence.groups[source] for source in evidence.sources())


def ends_again(evidence: Evidence) -> bool:
    """Whether the endpoint does not take the second series: a burst was refused, or queries fail."""
    second = evidence.again
    return second is not None and (bool(second.burst_refused) or _is_lost(second) or is_hopeless(evidence))


def blocks(designer: Designer, sources: Sequence[str], group: int, *, apart: bool) -> list[tuple[Step, ...]]:
    """Return the queries of one group, in blocks to send one after another."""
    if apart:
        return [mixed(designer, group, sources)]
    return [designer.made_up(group) if source == MADE_UP else designer.of_dataset(group) for source in sources]
