"""Many cases in little room: by submitter and system, scenarios and benchmarks that came to equal results in one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final

import msgspec

from ...audits.published.case import CaseOutcome
from ...text import plain
from ..clean import STATUS_WORDS, apart

_MOST: Final = 200
#: The test of which a ratio tells most, where a system has room for one.
_RATIO: Final = "test04"


class System(msgspec.Struct, frozen=True):
    """The cases of one system in a line, and the least and the greatest of their ratios."""

    name: str
    line: str
    ratios: str


class Place(msgspec.Struct, frozen=True):
    """The cases of one submitter in one division."""

    name: str
    systems: list[System]


def place(case: CaseOutcome) -> str:
    """Return the division and the submitter of a case: closed/Dell."""
    return f"{plain(case.division, 60)}/{plain(case.submitter, _MOST)}"


def places(cases: Iterable[CaseOutcome], *, told: bool = False) -> list[Place]:
    """Return every case, in the order of names; what it came to is left out where it is `told` of all."""

    def system(case: CaseOutcome) -> str:
        return plain(case.system, _MOST)

    by_place = groupby(sorted(cases, key=lambda case: (place(case), system(case), case.id)), key=place)
    return [
        Place(name, [_system(one, list(mine), told=told) for one, mine in groupby(of_place, key=system)])
        for name, of_place in by_place
    ]


def _system(name: str, cases: Sequence[CaseOutcome], *, told: bool) -> System:
    benchmarks: dict[str, list[str]] = {}
    for benchmark, mine in groupby(sorted(cases, key=lambda case: (case.benchmark, case.id)), lambda c: c.benchmark):
        benchmarks.setdefault(_scenarios(list(mine), told=told), []).append(plain(benchmark, _MOST))
    line = "; ".join(f"{', '.join(names)}: {scenarios}" for scenarios, names in benchmarks.items())
    return System(name, line, " ".join(_ratios(cases)))


def _scenarios(cases: Sequence[CaseOutcome], *, told: bool) -> str:
    """Return 'Offline, Server TEST01 TEST04', with what came of a test behind it where it did not pass."""
    of_scenario: dict[str, list[str]] = {}
    for case in cases:
        came_to = "" if told or case.status == "PASS" else f" {STATUS_WORDS[case.status]}"
        of_scenario.setdefault(plain(case.scenario, _MOST), []).append(f"{test_name(case.test)}{came_to}")
    scenarios: dict[str, list[str]] = {}
    for name, tests in of_scenario.items():
        scenarios.setdefault(" ".join(tests), []).append(name)
    return ", ".join(f"{', '.join(names)} {tests}" for tests, names in scenarios.items())


def test_name(test: str) -> str:
    """Return a test as people write it: TEST04, and a rule on a curve as it is called."""
    return plain(test, 60).upper() if test.startswith("test") else plain(test, 60)


def _ratios(cases: Sequence[CaseOutcome]) -> Iterator[str]:
    found = [
        (float(ratio), limit)
        for case in cases
        if case.test == _RATIO and isinstance(ratio := case.figures.get("ratio"), (int, float))
        for limit in (case.figures.get("limit_ratio"),)
    ]
    if not found:
        return
    low, high = _shown(*min(found, key=lambda one: one[0])), _shown(*max(found, key=lambda one: one[0]))
    yield low if low == high else f"{low} to {high}"


def _shown(ratio: float, limit: object) -> str:
    return apart(ratio, float(limit))[0] if isinstance(limit, (int, float)) else f"{ratio:.2f}"
