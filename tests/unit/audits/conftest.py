from __future__ import annotations

import hashlib
import heapq
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from pytest_mlperf_audit.audits.contract import AuditContext
from pytest_mlperf_audit.audits.probe.conclusion import Conclusion
from pytest_mlperf_audit.audits.probe.plan import planned
from pytest_mlperf_audit.audits.probe.planned import Probe
from pytest_mlperf_audit.audits.probe.script import script
from pytest_mlperf_audit.audits.probe.settings import ProbeSettings
from pytest_mlperf_audit.audits.test04.block import Test04Block
from pytest_mlperf_audit.runs.columns import QueryColumns
from pytest_mlperf_audit.runs.order import sequential
from pytest_mlperf_audit.runs.phase import MeasuredPhase, PhaseRecord, figures
from pytest_mlperf_audit.runs.query import QueryRecord
from pytest_mlperf_audit.runs.script import NO_EDIT, Edit, Round, Script, Step
from pytest_mlperf_audit.runs.spec import Concurrency, RunSpec

S = 10**9


class Rows:
    """A data set of prompts; equal prompts are equal requests."""

    twins = ""

    def image_row(self) -> int | None:
        return None

    def __init__(self, prompts: Sequence[str]) -> None:
        self.prompts = prompts

    def __len__(self) -> int:
        return len(self.prompts)

    def fingerprint(self, index: int, edit: Edit = NO_EDIT) -> str:
        return edit.apply(self.prompts[index])

    def n_words(self, index: int) -> int:
        return len(self.prompts[index].split())

    def where(self, index: int) -> str:
        return f"prompts.jsonl line {index + 1}"


@pytest.fixture
def rows() -> Callable[..., Rows]:
    """Make a data set of `n` distinct rows, or of the prompts given."""
    return lambda n=64, prompts=None: Rows(prompts or [f"prompt {row}" for row in range(n)])


@pytest.fixture
def block() -> Callable[..., Test04Block]:
    """Make the configuration of test04, without the cache probe unless `keys` ask for it."""
    return lambda **keys: Test04Block.model_validate({"test": "test04", "samples": 20, "probe": False, **keys})


@pytest.fixture
def phase() -> Callable[..., MeasuredPhase]:
    """Make a measured phase: `n` queries back to back in `window_s`, the first `failed` of which fail.

    `row` None sends another row each time; `issued` is how many were sent of those that the plan asks for.
    """

    def make(
        label: str,
        *,
        n: int = 20,
        issued: int | None = None,
        window_s: float = 10.0,
        failed: int = 0,
        row: int | None = None,
        outcome: str = "http_500",
        detail: str | None = None,
        cached: int | None = None,
        target: int = 8,
        floor_ms: int = 0,
        stopped_by: str = "count",
    ) -> MeasuredPhase:
        sent = n if issued is None else issued
        step = window_s * S / max(sent, 1)
        queries = [
            QueryRecord(
                query=at,
                sample=at if row is None else row,
                issued_ns=round(at * step),
                completed_ns=round((at + 1) * step),
                request=f"{at if row is None else row:032x}",
                outcome=outcome if at < failed else "completed",
                detail=detail if at < failed else None,
                cached_tokens=cached,
            )
            for at in range(sent)
        ]
        load = Concurrency(target=target)
        spec = RunSpec(label=label, n_samples=n, order=sequential(), load=load, min_duration_ms=floor_ms)
        record = PhaseRecord(
            label=label,
            spec=spec,
            status="complete",
            figures=figures(QueryColumns(queries), load),
            stopped_by=stopped_by,  # type: ignore[arg-type]
        )
        return MeasuredPhase.of(record, queries)

    return make


@dataclass
class FakeSut:
    """A server in memory, on a clock of its own, that answers the rounds of a script.

    `cache` is none, exact, prefix (of four words), coalesce, or placed: none, on two servers of unequal speed, of which
    row 0 has the faster one. `fail` names the outcome of a step, "" for none, by its tag and number; a query whose URL
    is changed fails with `refuse_query`. `lanes` are served at once. `slowed` is a factor on what a step, of this text
    and number, takes: a stall, or the replica that serves the text.
    """

    cache: str = "none"
    miss_s: float = 0.1
    hit_s: float = 0.002
    prefill: float = 0.0
    cv: float = 0.02
    lanes: int = 64
    fail: Callable[[Step, int], str] = lambda *_: ""
    refuse_query: str = ""
    slowed: Callable[[Step, str, int], float] = lambda *_: 1.0
    seed: int = 1
    now_s: float = 0.0
    records: list[QueryRecord] = field(default_factory=list)
    rounds: list[Round] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)
        self._known: set[str] = set()
        self._n_computed = 0

    def run(self, script: Script) -> FakeSut:
        """Answer every round until the script ends."""
        try:
            upcoming = next(script)
            while True:
                self.rounds.append(upcoming)
                upcoming = script.send(self._answer(upcoming))
        except StopIteration:
            return self

    @property
    def tags(self) -> list[str]:
        """The tags of all queries as they were sent."""
        return [record.tag or "" for record in self.records]

    @property
    def n_sent_at_once(self) -> int:
        """Queries of rounds that were sent at once."""
        return sum(len(sent.steps) for sent in self.rounds if sent.at_once)

    def _answer(self, upcoming: Round) -> list[QueryRecord]:
        begin_s = self.now_s
        free = [begin_s] * self.lanes
        running: dict[str, float] = {}
        records = []
        together = upcoming.most_in_flight > 1
        for step in upcoming.steps:
            issued_s = begin_s if together else self.now_s
            text = step.edit.apply(" ".join(f"row{step.row}-{word}" for word in range(40)))
            outcome = (self.refuse_query if step.query else "") or self.fail(step, len(self.records)) or "completed"
            slowed = self.slowed(step, text, len(self.records))
            service_s, prefill_s = (part_s * slowed for part_s in self._service(text))
            if together and self.cache == "coalesce" and text in running:
                end_s = running[text]
            else:
                start_s = max(issued_s, heapq.heappop(free)) if together else issued_s
                end_s = running[text] = start_s + service_s
                heapq.heappush(free, end_s)
            record = QueryRecord(
                query=len(self.records),
                sample=step.row,
                issued_ns=round(issued_s * S),
                completed_ns=round(end_s * S),
                request=hashlib.sha256(f"{text} {step.edit.max_tokens} {step.query}".encode()).hexdigest()[:32],
                outcome=outcome,
            )
            record.tag = step.tag
            if prefill_s:
                record.first_token_ns = round((end_s - service_s + prefill_s) * S)
            self.records.append(record)
            records.append(record)
            self.now_s = max(self.now_s, end_s) + 0.0001
        return records

    def _service(self, text: str) -> tuple[float, float]:
        """Return the service time of a prompt and its part before the first token, 0 where nothing is streamed."""
        noise = self._rng.lognormvariate(0.0, self.cv)
        first = " ".join(text.split()[:4])
        share, hit = 1.0, False
        if self.cache == "exact":
            hit = text in self._known
        elif self.cache == "prefix" and first in self._known:
            share = 0.1
        self._known |= {text, first}
        if hit:
            return self.hit_s * noise, self.hit_s * noise * 0.9 if self.prefill else 0.0
        whole_s = self.miss_s * noise
        if self.cache == "placed" and not text.startswith("row0-0 ") and hashlib.sha256(text.encode()).digest()[0] % 2:
            whole_s *= 1.5
        prefill_s = whole_s * self.prefill * share
        return whole_s * (1 - self.prefill) + prefill_s if self.prefill else whole_s, prefill_s


@dataclass
class Probed:
    """A probe that was driven to its end."""

    probe: Probe
    sut: FakeSut

    @property
    def conclusion(self) -> Conclusion:
        return Conclusion(self.probe, self.sut.records)


@pytest.fixture
def fake_sut() -> type[FakeSut]:
    """A server in memory."""
    return FakeSut


@pytest.fixture
def plan_probe() -> Callable[..., Probe]:
    """Plan a probe: `settings` is the YAML's block, rows have `n_words` words, further keys go into the context."""

    def plan(settings: dict[str, Any] | None = None, *, n_rows: int = 64, **keys: Any) -> Probe:
        warmed, row = keys.pop("warmed", False), keys.pop("row", 0)
        words = " ".join(f"word{at}" for at in range(1, keys.pop("n_words", 40)))
        context = AuditContext(**{"load": Concurrency(target=1), "api_type": "openai", **keys})
        samples = Rows([f"row{row} {words}" for row in range(n_rows)])
        return planned(ProbeSettings.model_validate(settings or {}), samples, context, row=row, warmed=warmed)

    return plan


@pytest.fixture
def probed(plan_probe: Callable[..., Probe]) -> Callable[..., Probed]:
    """Plan a probe as `plan_probe` does, and drive its script against a FakeSut with the options `sut`."""

    def drive(settings: dict[str, Any] | None = None, sut: dict[str, Any] | None = None, **keys: Any) -> Probed:
        seed = keys.pop("seed", 1)
        probe = plan_probe(settings, **keys)
        return Probed(probe, FakeSut(**(sut or {})).run(script(probe, seed)))

    return drive
