"""When the probe sends what, and when it stops: a script, which sees records and decides the next round."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import count, pairwise
from typing import Final

from msgspec.structs import replace

from ...runs.query import QueryRecord
from ...runs.script import Round, Script, Step
from .identity.identity import identity
from .judges import again, bursts, repeats
from .judges import groups as judge
from .judges.judgement import Judgement
from .planned import Probe, blocks, ends_again, is_hopeless
from .seen import contrasts
from .seen.contrast import Contrast
from .seen.contrasts import IMAGES, LATE, URLS
from .seen.evidence import Evidence, total_s
from .seen.outputs import replays
from .sent.apart import LATE_AGAIN, N_IMAGES, N_LATE, N_LATE_AGAIN, N_URLS, images, late, urls
from .sent.design import AGAIN, Designer
from .sent.few import N_SINGLE
from .settings import IMAGES_ALPHAS, LATE_ALPHAS, URLS_ALPHAS
from .warm_up import require_taken, warm_up

#: Rounds, and whether their queries are sent at once.
_Rounds = Iterable[tuple[Sequence[Step], bool]]

#: A query that takes longer is dear: the auto design then bets, one group at a time.
_DEAR_S: Final = 20.0

_Ask = Generator[Round, Sequence[QueryRecord], None]


def script(probe: Probe, seed: int) -> Script:
    """Return the script of a probe. Raises RefusedError when the endpoint turns down what it must send."""
    return _Session(probe, seed).whole()


class _Session:
    """One run of a probe: keeps the records, so that each decision rests on all of them."""

    def __init__(self, probe: Probe, seed: int) -> None:
        self._probe = probe
        self._seed = seed
        self._designer = probe.designer(seed)
        self._records: list[QueryRecord] = []
        self._evidence = Evidence(by_mean=bool(probe.max_burst))
        self._n_groups = 0

    def whole(self) -> _Ask:
        """Send the design, and the second series where its answer needs one."""
        if self._probe.design == "single":
            yield from self.single()
        else:
            yield from (self.anytime() if self._probe.design == "anytime" else self.groups())
        if self._probe.again and (contrast := self._in_question()) is not None:
            yield from self._second_series(contrast)

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
        if self._probe.n_at_last() and not is_hopeless(self._evidence) and not self._proves(self._judgement()):
            yield from self._at_last()

    def _at_last(self) -> _Ask:
        """Send late repeats, then changed URLs: a server may take these for an audit."""
        if self._may_spend(N_LATE):
            yield from self._late(0)
            yield from self._late(1)
            if judge.needs_more(contrasts.late(self._evidence), LATE_ALPHAS[0]) and self._may_spend(N_LATE_AGAIN):
                yield from self._late(LATE_AGAIN)
        yield from self._images()
        if self._proves(self._judgement()) or not self._probe.url or not self._may_spend(1 + 2 * N_URLS):
            return
        yield from self._send([self._designer.warm_up(2, url=True)])
        if self._records[-1].ok:
            yield from self._send(urls(self._designer, 0))
            if judge.needs_more(contrasts.urls(self._evidence), URLS_ALPHAS[0]) and self._may_spend(2 * N_URLS):
                yield from self._send(urls(self._designer, 1))

    def _images(self) -> _Ask:
        """Send fresh prompts with a known image and with new ones, where rows have images."""
        row = self._probe.image_row
        if row is None or self._proves(self._judgement()) or not self._may_spend(2 + 2 * N_IMAGES):
            return
        yield from self._send(images(self._designer, 0, row))
        if judge.needs_more(contrasts.images(self._evidence), IMAGES_ALPHAS[0]) and self._may_spend(2 * N_IMAGES):
            yield from self._send(images(self._designer, 1, row))

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
                if not self._may_spend(2 * N_SINGLE) or is_hopeless(self._evidence):
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
            if self._judgement().settled or is_hopeless(self._evidence):
                return

    def _warm_up(self) -> _Ask:
        yield from self._send([warm_up(self._probe, self._designer)])
        require_taken(self._probe, self._records[-1])

    def _groups_up_to(self, look: int) -> _Ask:
        """Send groups until so many are whole, or until more would be in vain."""
        while self._evidence.n_groups() < look:
            if not self._may_spend(self._probe.group_size()) or is_hopeless(self._evidence):
                return
            for steps in blocks(self._designer, self._probe.sources, self._n_groups, apart=self._probe.apart):
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
        return self._probe.judge_first(self._evidence)

    def _proves(self, judgement: Judgement) -> bool:
        return bool(judgement.proved(self._probe.barred))

    def _in_question(self) -> Contrast | None:
        """Return the comparison by whose times alone the endpoint would be accused, None where ids tell, too."""
        contrast = again.in_question(self._judgement(), self._evidence, self._probe.barred)
        return None if contrast is None or identity([self._records]).proofs else contrast

    def _second_series(self, contrast: Contrast) -> _Ask:
        """Send a comparison once more, of fresh prompts, until it says the same or has been sent whole."""
        designer = self._probe.designer(self._seed + 1)
        for look in self._looks_again(contrast, designer):
            for steps, at_once in look:
                if not self._may_spend(len(steps)) or ends_again(self._evidence):
                    return
                marked = [replace(step, tag=step.tag.replace("/", f"{AGAIN}/", 1)) for step in steps]
                yield from self._send(marked, at_once=at_once)
            if again.seen_again(contrast, self._evidence, self._probe.looks):
                return

    def _looks_again(self, contrast: Contrast, designer: Designer) -> Iterator[_Rounds]:
        """Yield what to send up to each look at the second series: rounds, and whether their queries go at once."""
        probe, evidence = self._probe, self._evidence
        if contrast.of in again.FEW:
            looks = again.looks_again(contrast, probe.looks)
            primes, *strata = designer.strata_again(
                looks[-1],
                uses=again.uses(evidence),
                twins=again.of_twins(evidence),
                made_up=probe.only_made_up,
            )
            yield [(primes, False)]
            yield from ([(steps, False) for steps in strata[since:until]] for since, until in pairwise((0, *looks)))
        elif contrast.kind == "coalescing":
            same = evidence.bursts.get("same") or evidence.identical
            yield [(steps, True) for steps in designer.bursts(len(same[0]), apart=True)]
        elif contrast.of == LATE:
            yield [(steps, probe.at_once > 1) for steps in late(self._designer, LATE_AGAIN + 1, probe.at_once)]
        elif contrast.of == URLS:
            yield [(urls(designer, 0), False)]
        elif contrast.of == IMAGES:
            yield [(images(designer, 0, self._probe.image_row or 0), False)]
        else:
            sent = count()
            for look in again.looks_again(contrast, probe.looks):
                yield self._groups_again(designer, sent, look)

    def _groups_again(
        self, designer: Designer, sent: Iterator[int], look: int
    ) -> Iterator[tuple[Sequence[Step], bool]]:
        """Yield groups of the second series until so many are whole, some of them in the place of those that failed."""
        most = look + again.SPARE
        second = self._evidence.again
        while (second.n_groups() if second else 0) < look and (group := next(sent)) < most:
            for steps in blocks(designer, self._probe.sources, group, apart=self._probe.apart):
                yield steps, False
            second = self._evidence.again
