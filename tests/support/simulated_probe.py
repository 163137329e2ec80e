"""Sessions of the shipped probe against a virtual server: its script decides and its judge judges."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

import pytest_mlperf_audit.audits.probe.planned as of_plan
import pytest_mlperf_audit.audits.probe.script as shipped
from pytest_mlperf_audit.audits.probe.conclusion import Conclusion
from pytest_mlperf_audit.audits.probe.judges.judgement import Judgement
from pytest_mlperf_audit.audits.probe.planned import Probe
from pytest_mlperf_audit.audits.probe.sent.design import DATASET, MADE_UP, Designer
from pytest_mlperf_audit.audits.probe.settings import KINDS, NOT_OF_INPUTS
from pytest_mlperf_audit.runs.query import QueryRecord
from tests.support.virtual_sut import Cache, Service, VirtualSut

#: Designs that are drawn; a session takes one of them. Making up prompts would take longer than all the rest.
_DESIGNS = 256
#: Of so many sessions, one is judged again from its records alone, as a report does.
_CHECKED = 500


class _Drawn(Designer):
    """A designer that keeps what it has drawn."""

    made_up = lru_cache(maxsize=None)(Designer.made_up)
    of_dataset = lru_cache(maxsize=None)(Designer.of_dataset)
    primes = lru_cache(maxsize=None)(Designer.primes)
    stratum = lru_cache(maxsize=None)(Designer.stratum)
    warm_up = lru_cache(maxsize=None)(Designer.warm_up)
    sizing = lru_cache(maxsize=None)(Designer.sizing)
    identical = lru_cache(maxsize=None)(Designer.identical)
    bursts = lru_cache(maxsize=None)(Designer.bursts)


_drawn = lru_cache(maxsize=None)(_Drawn)


def planned(**changes: Any) -> Probe:
    """Return a probe as it is planned by default for a benchmark with 64 rows and 8 queries in flight."""
    values: dict[str, Any] = {
        "design": "groups",
        "looks": (6, 12, 24),
        "sources": (MADE_UP, DATASET),
        "forbidden": KINDS,
        "n_rows": 64,
        "at_once": 8,
        "max_tokens": 32,
        "moved": True,
        "apart": True,
        "again": True,
    }
    return Probe(**values | changes)


THOROUGH = {"thorough": True, "primes": 2}
#: As it is planned where inputs are no texts.
INPUTS = {
    "twins": "one element changed by the least step",
    "moved": False,
    "forbidden": tuple(kind for kind in KINDS if kind not in NOT_OF_INPUTS),
    "unseen": tuple(NOT_OF_INPUTS),
    "max_burst": 64,
}


@dataclass
class Tally:
    """What became of many sessions: how often each set of kinds, how many queries and groups, was the truth covered."""

    words: Counter[str] = field(default_factory=Counter)
    kinds: Counter[tuple[str, ...]] = field(default_factory=Counter)
    groups: Counter[int] = field(default_factory=Counter)
    n: int = 0
    n_queries: int = 0
    n_covered: int = 0
    n_intervals: int = 0

    def add(self, judgement: Judgement, session: Any, truth: float) -> None:
        """Count one session. `truth` is the speed-up of repeats."""
        evidence = session._evidence
        self.n += 1
        self.words[judgement.word] += 1
        self.kinds[tuple(sorted(judgement.kinds))] += 1
        self.groups[evidence.n_groups() or len(evidence.bets)] += 1
        self.n_queries += evidence.n_queries
        for judged in judgement.judged:
            contrast = judged.contrast
            if contrast.kind == "response" and contrast.of != DATASET and contrast.steady:
                self.n_intervals += 1
                self.n_covered += contrast.effect.low <= truth <= contrast.effect.high

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.words + other.words,
            self.kinds + other.kinds,
            self.groups + other.groups,
            self.n + other.n,
            self.n_queries + other.n_queries,
            self.n_covered + other.n_covered,
            self.n_intervals + other.n_intervals,
        )

    def share(self, word: str) -> float:
        """Return the share of sessions with this verdict, in percent."""
        return 100 * self.words[word] / self.n

    def named(self, *kinds: str) -> float:
        """Return the share of sessions with these kinds and no other, in percent."""
        return 100 * self.kinds[tuple(sorted(kinds))] / self.n

    def mean_queries(self) -> float:
        """Return the mean number of queries of a session."""
        return self.n_queries / self.n


#: What the script makes of a designer is kept as well.
_KEPT = {name: lru_cache(maxsize=None)(vars(shipped)[name]) for name in ("late", "urls")}
_MIXED = lru_cache(maxsize=None)(vars(of_plan)["mixed"])


def simulate(probe: Probe, service: Service, cache: Cache, runs: int, seed: list[int]) -> Tally:
    """Return what becomes of so many sessions."""
    vars(shipped).update(_KEPT)
    vars(of_plan).update(mixed=_MIXED, Designer=_drawn)
    rng = np.random.default_rng(seed)
    tally = Tally()
    truth = 1 / cache.hit if cache.keeps == "response" else 1.0
    for number in range(runs):
        session, records = _session(probe, VirtualSut(service, cache, rng), int(rng.integers(_DESIGNS)))
        has_ids = service.n_tokens is not None
        judgement = Conclusion(probe, records).judgement if has_ids else probe.judge(session._evidence)
        tally.add(judgement, session, truth)
        if number % _CHECKED == 0:
            again = Conclusion(probe, records).judgement
            assert (again.word, again.kinds) == (judgement.word, judgement.kinds)
    return tally


def _session(probe: Probe, sut: VirtualSut, seed: int) -> tuple[Any, list[QueryRecord]]:
    session = shipped._Session(probe, seed)
    sut.session(session.whole())
    return session, session._records
