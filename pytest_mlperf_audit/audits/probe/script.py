"""When the probe sends what, and when it stops: a script, which sees records and decides the next round."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final, Literal

import msgspec

from ...runs.query import QueryRecord
from ...runs.script import Round, Script, Step
from . import bursts, contrasts, judge, repeats
from .apart import LATE_AGAIN, N_LATE, N_LATE_AGAIN, N_URLS, late, mixed, urls
from .design import DATASET, FEWEST_WORDS, MADE_UP, N_RIVALS, N_SINGLE, Designer
from .evidence import Evidence, replays, total_s
from .judge import Judgement
from .settings import LATE_ALPHAS, URLS_ALPHAS, Kind
from .warm_up import require_taken, warm_up

#: A query that takes longer is dear: the auto design then bets, one group at a time.
_DEAR_S: Final = 20.0
#: Most groups of the anytime design before its looks stood in the plan.
_BETS_OF_BEFORE: Final = 12
#: Bets that have to be won, one after another, to prove a cache.
_FEWEST_BETS: Final = 4
#: Strata that may be sent to make up for those with a failure.
_MORE_STRATA: Final = 2
#: Groups that may be lost to a failure before one is whole.
_LOST: Final = 4

_Ask = Generator[Round, Sequence[QueryRecord], None]


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
    Repeats stand `apart` from their primes, changed URLs from all else. Made-up prompts have `n_words`.
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

    @property
    def only_made_up(self) -> bool:
        """Whether no prompt of the data set is sent."""
        return DATASET not in self.sources

    @property
    def n_warm_ups(self) -> int:
        """Queries before the first group: one to warm up with, and one to a changed URL where an arm needs it."""
        return 1 + self.url

    def group_size(self) -> int:
        """Return the queries of one group of every kind of prompt."""
        return _group_size(self.sources, self.primes, self.url, apart=self.apart)

    def least(self) -> int:
        """Return the queries that a clear answer takes."""
        if self.design == "single":
            return self.up_to_stratum(1)
        if self.design == "anytime":
            return _FEWEST_BETS * (2 + N_RIVALS) + 1
        return self.n_warm_ups + self.looks[0] * self.group_size() + self.n_at_last()

    def up_to_stratum(self, number: int) -> int:
        """Return the queries of the single design with so many strata."""
        return (not self.warmed) + self.n_prompts + 2 * N_SINGLE * number

    def most(self) -> int:
        """Return the most queries there can be, within the budget of queries where one is set."""
        if self.design == "groups":
            groups = self.looks[-1] + max(2, self.looks[-1] // 4)  # some to make up for groups with a failure
            most = self.n_warm_ups + groups * self.group_size()
            most += bursts.most_queries(self.at_once, self.max_burst) if self.bursts else 0
            most += self.n_at_last() + (N_LATE_AGAIN + 2 * N_URLS if self.n_at_last() else 0)
        elif self.design == "anytime":
            most = 1 + self.n_bets * (2 + N_RIVALS)
        else:
            most = self.up_to_stratum(self.strata[-1] + _MORE_STRATA if self.strata else 1) + 2 * self.pair
        return min(most, self.max_queries or most)

    @property
    def n_bets(self) -> int:
        """Most groups of the anytime design."""
        return self.bets[-1] if self.bets else _BETS_OF_BEFORE

    def burst_sizes(self) -> tuple[int, ...]:
        """Return the sizes of bursts to try, from the smallest on."""
        return bursts.sizes(self.at_once, self.max_burst) if self.bursts else ()

    def n_at_last(self) -> int:
        """Return the queries behind the groups: late repeats and their twins, and changed URLs."""
        if not self.apart or MADE_UP not in self.sources:
            return 0
        return N_LATE + (1 + 2 * N_URLS if self.url else 0)

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
        )

    def judge(self, evidence: Evidence) -> Judgement:
        """Return what the evidence shows, in the design that was sent."""
        if _is_hopeless(evidence) or (self.design == "single" and not self.strata and evidence.failed):
            return Judgement("ERROR", reason=evidence.failure_summary())
        if self.design == "single":
            if not self.strata:
                return repeats.single_judgement_of_before(evidence)
            return repeats.single_judgement(evidence, self.strata, self.n_prompts)
        if evidence.bets or self.design == "anytime":
            if not self.bets:
                return repeats.bets_judgement_of_before(evidence, self.n_bets)
            return repeats.bets_judgement(evidence, self.bets)
        judgement = self.judge_groups(evidence)
        if evidence.by_mean and any(one.contrast.kind == "coalescing" and not one.found for one in judgement.judged):
            judgement = replace(judgement, excluded={**judgement.excluded, **bursts.excluded(evidence)})
        if judgement.word == "CLEAN" and (lacks := self._lacks(evidence)):
            reason = f"the budget ended before {lacks}"
            return replace(judgement, word="INCONCLUSIVE", settled=False, reason=reason)
        return judgement

    def judge_groups(self, evidence: Evidence) -> Judgement:
        """Return what the groups show, and whether there have to be more of them, whatever is still to be sent."""
        evidence.short_rows, evidence.apart = self.short_rows, self.apart
        evidence.by_mean = bool(self.max_burst)
        return judge.groups_judgement(evidence, self.looks, self.forbidden, thorough=self.thorough)

    def _lacks(self, evidence: Evidence) -> str:
        """Return what was planned and not sent, "" where nothing is missing."""
        if "coalescing" in self.forbidden and self._lacks_bursts(evidence):
            return "queries could be sent at once"
        if self.n_at_last() and not evidence.late:
            return "its first prompts could be sent again"
        if self.n_at_last() and self.url and not evidence.urls and not evidence.url_refused:
            return "the URL could be changed"
        return ""

    def _lacks_bursts(self, evidence: Evidence) -> bool:
        """Whether bursts were planned and not sent, though not every size was found too small to queue."""
        lacks = not evidence.bursts and not evidence.burst_refused
        return lacks and max(evidence.sizing, default=0) < max(self.burst_sizes(), default=0)


@lru_cache(maxsize=64)
def _group_size(sources: tuple[str, ...], primes: int, url: bool, *, apart: bool) -> int:
    designer = Designer(0, 1, max_tokens=None, primes=primes, url=url, apart=apart)
    return sum(map(len, _blocks(designer, sources, 0, apart=apart)))


def _is_hopeless(evidence: Evidence) -> bool:
    """Whether too many queries failed, or too few but in every group, as where one arm is always turned down."""
    lost = any(evidence.n_lost[source] >= _LOST and not evidence.groups[source] for source in evidence.sources())
    return lost or judge.too_many_failures(evidence)


def script(probe: Probe, seed: int) -> Script:
    """Return the script of a probe. Raises RefusedError when the endpoint turns down what it must send."""
    session = _Session(probe, probe.designer(seed))
    if probe.design == "single":
        return session.single()
    return session.anytime() if probe.design == "anytime" else session.groups()


class _Session:
    """One run of a probe: keeps the records, so that each decision rests on all of them."""

    def __init__(self, probe: Probe, designer: Designer) -> None:
        self._probe = probe
        self._designer = designer
        self._records: list[QueryRecord] = []
        self._evidence = Evidence(by_mean=bool(probe.max_burst))
        self._n_groups = 0

    def groups(self) -> _Ask:
        yield from self._warm_up()
        if self._designer.url:
            yield from self._send([self._designer.warm_up(1, url=not self._probe.apart)])
            self._designer.url = self._records[-1].ok or self._probe.apart
        if self._probe.may_bet and self._is_dear():
            yield from self.anytime(warm=True)
            return
        for number, look in enumerate(self._probe.looks):
            yield from self._groups_up_to(look)
            if self._evidence.n_groups() < look:
                return
            judgement = self._probe.judge_groups(self._evidence)
            if number == 0 and self._probe.bursts and not self._proves(judgement):
                yield from self._bursts()
                judgement = self._probe.judge_groups(self._evidence)
            if judgement.settled:
                break
        if self._probe.n_at_last() and not _is_hopeless(self._evidence) and not self._proves(self._judgement()):
            yield from self._at_last()

    def _at_last(self) -> _Ask:
        """Send late repeats, then changed URLs: a server may take these for an audit."""
        if self._may_spend(N_LATE):
            yield from self._late(0)
            yield from self._late(1)
            if judge.needs_more(contrasts.late(self._evidence), LATE_ALPHAS[0]) and self._may_spend(N_LATE_AGAIN):
                yield from self._late(LATE_AGAIN)
        if self._proves(self._judgement()) or not self._probe.url or not self._may_spend(1 + 2 * N_URLS):
            return
        yield from self._send([self._designer.warm_up(2, url=True)])
        if self._records[-1].ok:
            yield from self._send(urls(self._designer, 0))
            if judge.needs_more(contrasts.urls(self._evidence), URLS_ALPHAS[0]) and self._may_spend(2 * N_URLS):
                yield from self._send(urls(self._designer, 1))

    def _late(self, number: int) -> _Ask:
        for steps in late(self._designer, number, self._probe.at_once):
            yield from self._send(steps, at_once=self._probe.at_once > 1)

    def single(self) -> _Ask:
        probe = self._probe
        if not probe.strata:
            yield from self._single_of_before()
            return
        if not probe.warmed:
            yield from self._warm_up()
        made_up = probe.only_made_up
        yield from self._send(self._designer.primes(probe.row, probe.n_prompts, made_up=made_up))
        for look in probe.strata:
            while len(self._evidence.strata) < look:
                if not self._may_spend(2 * N_SINGLE) or _is_hopeless(self._evidence):
                    return
                number = self._n_groups + 1
                yield from self._send(self._designer.stratum(number, probe.row, probe.n_prompts, made_up=made_up))
                self._n_groups = number
            if self._judgement().settled:
                yield from self._pair()
                return

    def _pair(self) -> _Ask:
        """Send two identical queries at once where repeats bear their first id, no faster: made ids are one, too."""
        again = replays(self._evidence.single)
        if self._probe.pair and again and all(again) and self._judgement().word == "CLEAN":
            yield from self._send(self._designer.pair(self._probe.row, made_up=self._probe.only_made_up), at_once=True)

    def _single_of_before(self) -> _Ask:
        probe = self._probe
        if not probe.warmed:
            yield from self._warm_up()
            if not self._records[-1].ok:
                return
        for step in self._designer.single(probe.row, made_up=probe.only_made_up):
            yield from self._send([step])
            if self._records[-1].ok is False or repeats.is_early(self._evidence):
                return

    def anytime(self, *, warm: bool = False) -> _Ask:
        if not warm:
            yield from self._warm_up()
        for group in range(self._probe.n_bets):
            steps = self._designer.bet(group, made_up=self._probe.only_made_up)
            if not self._may_spend(len(steps)):
                return
            yield from self._send(steps)
            if self._judgement().settled or _is_hopeless(self._evidence):
                return

    def _warm_up(self) -> _Ask:
        yield from self._send([warm_up(self._probe, self._designer)])
        require_taken(self._probe, self._records[-1])

    def _groups_up_to(self, look: int) -> _Ask:
        """Send groups until so many are whole, or until more would be in vain."""
        while self._evidence.n_groups() < look:
            if not self._may_spend(self._probe.group_size()) or _is_hopeless(self._evidence):
                return
            for steps in _blocks(self._designer, self._probe.sources, self._n_groups, apart=self._probe.apart):
                yield from self._send(steps)
            self._n_groups += 1

    def _bursts(self) -> _Ask:
        send = bursts.script if self._probe.max_burst else bursts.script_of_before
        yield from send(self._probe.burst_sizes(), self._designer, self._evidence, self._send, self._may_spend)

    def _send(self, steps: Sequence[Step], *, at_once: bool = False) -> _Ask:
        expected = max(len(self._records) + len(steps), min(self._expected(), self._probe.most()))
        records = yield Round(tuple(steps), at_once, expected)
        self._records += records
        self._evidence.add(records)

    def _expected(self) -> int:
        """Return how many queries there will be if the next look gives the answer."""
        if self._probe.design == "anytime":
            return self._probe.least()
        if self._probe.design == "single":
            looks = self._probe.strata or (1,)
            return self._probe.up_to_stratum(next((look for look in looks if look > self._n_groups), looks[-1]))
        look = next((look for look in self._probe.looks if look > self._n_groups), self._probe.looks[-1])
        groups = self._probe.n_warm_ups + look * self._probe.group_size()
        return groups + self._evidence.n_in_bursts() + self._probe.n_at_last()

    def _may_spend(self, n_queries: int) -> bool:
        if len(self._records) + n_queries > self._probe.most():
            return False
        limit_ns = self._probe.max_duration_ms * 1_000_000
        return not limit_ns or max((record.completed_ns for record in self._records), default=0) < limit_ns

    def _is_dear(self) -> bool:
        return min(map(total_s, self._records)) > _DEAR_S

    def _judgement(self) -> Judgement:
        return self._probe.judge(self._evidence)

    def _proves(self, judgement: Judgement) -> bool:
        return bool(judgement.proved(self._probe.forbidden))


def _blocks(designer: Designer, sources: Sequence[str], group: int, *, apart: bool) -> list[tuple[Step, ...]]:
    if apart:
        return [mixed(designer, group, sources)]
    return [designer.made_up(group) if source == MADE_UP else designer.of_dataset(group) for source in sources]
