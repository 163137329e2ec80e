"""A server under test on a virtual clock: answers the rounds of a probe with query records, without a socket."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pytest_mlperf_audit.runs.query import QueryRecord
from pytest_mlperf_audit.runs.script import NO_EDIT, Round, Script, Step

#: Queries over which a trend changes the service time by its whole factor: those of a probe's first look.
SESSION = 110
#: Queries after which a cold server is by 1/e closer to its own pace.
COLD = 10
#: Queries that one session draws noise for at a time.
_BATCH = 512
#: The judge looks at requests only where replies have ids, which these have not.
_DIGEST = "0" * 32

Shape = Literal["lognormal", "pareto", "bimodal", "sticky"]
Copies = Literal["", "output", "id and output"]
Says = Literal["its own", "one thing", "yes or no"]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Service:
    """How long an honest server takes. `cv` is the noise of each query, `decode` the share after the first token.

    pareto: 5 % of queries take 1 + Pareto(1.5) times as long; bimodal: 30 % take twice as long; sticky: as bimodal,
    but slow and fast queries come in runs of five on average. `trend` is the factor over SESSION queries; a cold server
    starts at half its pace. `by_text` and `by_prompt` are the CV between texts, and between prompts. With `n_tokens`
    replies have an id, an output and that length; what a model `says` is its own for each prompt, or one of few things.
    A share `stalls` of queries, hits as well, take nine service times more, `stall_run` of them in a row on average.
    `replicas` are factors on the service time, one of which a prompt's hash picks.
    """

    shape: Shape = "lognormal"
    cv: float = 0.1
    trend: float = 1.0
    cold: bool = False
    by_text: float = 0.0
    by_prompt: float = 0.0
    decode: float | None = None
    seconds: float = 0.05
    lanes: int = 4
    n_tokens: int | None = None
    says: Says = "its own"
    stalls: float = 0.0
    stall_run: float = 1.0
    replicas: tuple[float, ...] = ()

    def noise(self, rng: np.random.Generator, n: int) -> Floats:
        """Return factors on the service time of n queries."""
        factors = lognormal(rng, self.cv, n)
        if self.shape == "pareto":
            slow = rng.random(n) < 0.05
            factors[slow] *= 2 + rng.pareto(1.5, int(slow.sum()))
        elif self.shape == "bimodal":
            factors[rng.random(n) < 0.3] *= 2
        elif self.shape == "sticky":
            starts = rng.random(n) < 0.2  # a new run, whose pace is drawn afresh
            starts[0] = True
            factors *= np.where(rng.random(n) < 0.3, 2.0, 1.0)[np.maximum.accumulate(np.where(starts, np.arange(n), 0))]
        return factors

    def pace(self, n: int) -> Floats:
        """Return the factors that the number of queries so far brings."""
        at = np.arange(n)
        pace: Floats = self.trend ** (at / SESSION) * (1 + self.cold * np.exp(-at / COLD))
        return pace


@dataclass(frozen=True)
class Prompt:
    """One query as a cache may look at it."""

    exact: Hashable
    text: Hashable
    words: tuple[str, ...]
    url: str
    row: int
    changed: bool


Key = Callable[[Prompt], Hashable]

KEYS: dict[str, Key] = {
    "response": lambda prompt: prompt.exact,
    "near_duplicate": lambda prompt: prompt.words[:-1],
    "semantic": lambda prompt: prompt.text,
    "url_keyed": lambda prompt: prompt.url,
    "twins": lambda prompt: prompt.text,  # of inputs that are no text: what they are made from, or which row they are
}


@dataclass(frozen=True)
class Cache:
    """What a server keeps. `keeps` names the key, or "prefix", "coalescing" or "table"; a hit takes `hit` of a service.

    A prefix cache divides the time for what it knows of the prompt, in whole blocks of so many words, by `gain`; beside
    A hit that is `paced` starts early, and then takes its time. "beginning" keys replies on a prompt's
    first `n_first` characters. `copies` is what a hit has of the reply that was kept, beside its time.
    """

    keeps: str = ""
    hit: float = 0.01
    chance: float = 1.0
    stores_on_use: int = 1
    replicas: int = 1
    gain: float = 1.0
    block: int = 1
    paced: bool = False
    n_first: int = 24
    copies: Copies = ""


NO_CACHE = Cache()


def key_of(cache: Cache, prompt: Prompt) -> Hashable:
    """Return what a cache of replies looks a prompt up by."""
    return " ".join(prompt.words)[: cache.n_first] if cache.keeps == "beginning" else KEYS[cache.keeps](prompt)


@dataclass
class VirtualSut:
    """One session with a server. `answer` takes the rounds of a script."""

    service: Service
    cache: Cache
    rng: np.random.Generator
    _kept: dict[Hashable, QueryRecord] = field(default_factory=dict)

    def session(self, script: Script) -> list[QueryRecord]:
        """Answer a script to its end; return the records."""
        records: list[QueryRecord] = []
        asked = next(script)
        try:
            while True:
                answered = self.answer(asked)
                records += answered
                asked = script.send(answered)
        except StopIteration:
            return records

    _in_stall: bool = False
    _clock_s: float = 0.0
    _at: int = 0
    _factors: list[float] = field(default_factory=list)
    _costs: dict[Hashable, float] = field(default_factory=dict)
    _uses: Counter[Hashable] = field(default_factory=Counter)

    def answer(self, asked: Round) -> list[QueryRecord]:
        """Return the records of a round, in the order of its steps."""
        return self._at_once(asked.steps) if asked.at_once else [self._alone(step) for step in asked.steps]

    def _alone(self, step: Step) -> QueryRecord:
        before_s, after_s = self._service_s(step)
        start_s = self._clock_s
        self._clock_s += before_s + after_s + 1e-4
        return self._record(step, start_s, start_s + before_s, start_s + before_s + after_s)

    def _at_once(self, steps: Sequence[Step]) -> list[QueryRecord]:
        """Serve in order of arrival on the lanes; with coalescing, a query in flight answers those equal to it."""
        start_s = self._clock_s
        lanes = [start_s] * self.service.lanes
        running: dict[Hashable, float] = {}
        records = []
        for step in steps:
            if self.cache.keeps == "coalescing" and step.edit in running:
                done_s = running[step.edit] + 1e-4
                records.append(self._record(step, start_s, done_s, done_s))
                continue
            before_s, after_s = self._service_s(step)
            begun_s = heapq.heappop(lanes)
            running[step.edit] = begun_s + before_s + after_s
            heapq.heappush(lanes, running[step.edit])
            records.append(self._record(step, start_s, begun_s + before_s, running[step.edit]))
        self._clock_s = max(record.completed_ns for record in records) / 1e9 + 1e-4
        return records

    def _record(self, step: Step, issued_s: float, first_s: float, completed_s: float) -> QueryRecord:
        record = QueryRecord(
            query=self._at,
            sample=step.row,
            issued_ns=round(issued_s * 1e9),
            completed_ns=round(completed_s * 1e9),
            request=_DIGEST if self.service.n_tokens is None else f"{abs(hash(prompt_of(step).exact)):032x}",
            first_token_ns=None if self.service.decode is None else round(first_s * 1e9),
            tag=step.tag,
        )
        if self.service.n_tokens is not None:
            self._sign(record, prompt_of(step))
        self._at += 1
        return record

    def _sign(self, record: QueryRecord, prompt: Prompt) -> None:
        """Give a reply its id, its output and its length; an exact request is answered as it was before."""
        record.tokens = self.service.n_tokens
        n_outputs = {"its own": 2**64, "one thing": 1, "yes or no": 2}[self.service.says]
        record.reply_id, record.reply = f"id-{self._at}", f"{abs(hash(prompt.exact)) % n_outputs:032x}"
        if self.cache.copies:
            kept = self._kept.setdefault(key_of(self.cache, prompt), record)
            record.reply = kept.reply
            record.reply_id = kept.reply_id if self.cache.copies == "id and output" else record.reply_id

    def _service_s(self, step: Step) -> tuple[float, float]:
        """Return the time before the first token and the time after it."""
        service = self.service
        differs = service.by_text or service.by_prompt or service.replicas
        base_s = service.seconds * (self._cost(prompt_of(step)) if differs else 1.0)
        decode = service.decode or 0.0
        before_s = base_s * (1 - decode) * self._factor()
        after_s = base_s * decode * self._factor() if decode else 0.0
        stall_s = 9 * service.seconds * self._stalls() if service.stalls else 0.0
        if self.cache is NO_CACHE:
            return before_s + stall_s, after_s
        before_s, after_s = self._with_cache(step, before_s, after_s)
        return before_s + stall_s, after_s

    def _with_cache(self, step: Step, before_s: float, after_s: float) -> tuple[float, float]:
        share = self._known(prompt_of(step))
        if self.cache.keeps == "prefix":
            return before_s * (1 - share * (1 - 1 / self.cache.gain)), after_s
        factor = self.cache.hit if share else 1.0
        return before_s * factor, after_s if self.cache.paced else after_s * factor

    def _stalls(self) -> bool:
        """Whether this query stalls: a run ends with a chance of one in its mean length."""
        service = self.service
        ends = 1 / service.stall_run
        starts = service.stalls * ends / (1 - service.stalls) if service.stall_run > 1 else service.stalls
        goes_on = self._in_stall and service.stall_run > 1
        self._in_stall = self.rng.random() < (1 - ends if goes_on else starts)
        return self._in_stall

    def _factor(self) -> float:
        if not self._factors:
            total = self._at + _BATCH
            drawn = self.service.noise(self.rng, _BATCH) * self.service.pace(total)[self._at :]
            self._factors = drawn[::-1].tolist()
        return self._factors.pop()

    def _cost(self, prompt: Prompt) -> float:
        service = self.service
        cost = 1.0
        for key, cv in ((prompt.text, service.by_text), (prompt.exact, service.by_prompt)):
            if cv:
                if key not in self._costs:
                    self._costs[key] = float(lognormal(self.rng, cv, 1)[0])
                cost *= self._costs[key]
        if service.replicas:
            if prompt not in self._costs:
                self._costs[prompt] = service.replicas[int(self.rng.integers(len(service.replicas)))]
            cost *= self._costs[prompt]
        return cost

    def _known(self, prompt: Prompt) -> float:
        """Return which share of the prompt a cache spares the server, and let it learn."""
        cache = self.cache
        if cache.keeps in ("", "coalescing"):
            return 0.0
        if cache.keeps == "table":
            return float(not prompt.changed)
        if cache.keeps == "prefix":
            return self._known_prefix(prompt)
        key = (key_of(cache, prompt), int(self.rng.integers(cache.replicas)) if cache.replicas > 1 else 0)
        self._uses[key] += 1
        hit = self._uses[key] > cache.stores_on_use and (cache.chance == 1 or self.rng.random() < cache.chance)
        return float(hit)

    def _known_prefix(self, prompt: Prompt) -> float:
        known = 0
        for n, prefix in enumerate(prefixes(prompt.words), start=1):
            if prefix in self._uses:
                known = n
            else:
                self._uses[prefix] = 1
        whole = known - known % self.cache.block
        return min(whole, len(prompt.words) - 1) / len(prompt.words)


def lognormal(rng: np.random.Generator, cv: float, n: int) -> Floats:
    """Return n factors of mean 1 with a coefficient of variation."""
    sigma = np.sqrt(np.log1p(cv * cv))
    factors: Floats = np.exp(sigma * rng.standard_normal(n) - sigma * sigma / 2)
    return factors


@lru_cache(maxsize=100_000)
def prompt_of(step: Step) -> Prompt:
    """Return what a cache can know of a query."""
    edit = step.edit
    words = edit.apply(_row_text(step.row)).split()
    text = edit.text or f"row {step.row}"
    return Prompt((" ".join(words), step.query), text, tuple(words), step.query, step.row, edit != NO_EDIT)


@lru_cache(maxsize=10_000)
def prefixes(words: tuple[str, ...]) -> tuple[int, ...]:
    """Return hashes of the first word, the first two, and so on."""
    hashes = [hash("")]
    for word in words:
        hashes.append(hash((hashes[-1], word)))
    return tuple(after for _, after in pairwise(hashes))


@lru_cache(maxsize=1000)
def _row_text(row: int) -> str:
    return " ".join(f"row{row}word{number}" for number in range(32))
