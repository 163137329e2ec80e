"""Which audits the results of a tree lack, each by the rules of the round that its own path or its seeds name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final

from ...text import readable
from ..shipped import mlperf_names
from .case import AuditDirectory
from .pair import RUN, SUMMARY
from .place import COMPLIANCE, RESULTS, audit_at, folded, part_of
from .required import (
    AUDITED_DIVISIONS,
    DIVISIONS,
    above_division,
    known_rounds,
    knows_model,
    may_be_endpoints,
    required_tests,
    round_by_seeds,
    round_named,
)

#: Rounds with audits in compliance/; <system>/<benchmark>/<scenario> is below results/.
_IN_COMPLIANCE: Final = frozenset({"v5.0", "v5.1"})
_BELOW_RESULTS: Final = 3
_NAMED: Final = 3


class Rounds:
    """The round of each directory of a tree: the one named above its division, else that of the runs' seeds there.

    What lies below no division is of the round of the tree.
    """

    def __init__(self, tree: Path, scenarios: Iterable[Path]) -> None:
        self._tree = tree
        self._homes: dict[Path, Path] = {}
        self._runs: dict[Path, list[Path]] = defaultdict(list)
        for path in scenarios:
            self._runs[self._home(path)].append(path / RUN / SUMMARY)
        self._found: dict[Path, str] = {}

    def of(self, path: Path) -> str:
        """Return a directory's round as `v6.0`, "" where nothing tells."""
        home = self._home(path)
        if home not in self._found:
            self._found[home] = round_named(home) or round_by_seeds(self._runs[home])
        return self._found[home]

    def _home(self, path: Path) -> Path:
        if path == self._tree or folded(path.name) in DIVISIONS or folded(path.name) == RESULTS:
            return self._home_by_parts(path)
        above = path.parent
        if above not in self._homes:  # of a benchmark's scenarios and their audits only the first is asked
            self._homes[above] = self._home_by_parts(above)
        return self._homes[above]

    def _home_by_parts(self, path: Path) -> Path:
        if (home := above_division(path)) is not None:
            return home
        root = part_of(path.parts, RESULTS)  # <whatever>/<submitter>/results
        return Path(*path.parts[: max(root - 2, len(self._tree.parts))]) if root is not None else self._tree


@dataclass(frozen=True)
class Result:
    """A directory with a performance run, and its round."""

    tree: Path
    path: Path
    round: str

    @cached_property
    def place(self) -> AuditDirectory:
        """What its path says of it."""
        return audit_at(self.tree, self.path / "TEST01", self.path, "test01", "absent")

    @property
    def is_in_place(self) -> bool:
        """Whether it is results/<system>/<benchmark>/<scenario>, where MLPerf's checker looks."""
        at = part_of(self.path.parts, RESULTS)
        return at is not None and len(self.path.parts) == at + 1 + _BELOW_RESULTS

    @property
    def is_audited(self) -> bool:
        """Whether its round is one that asks results like this for audits."""
        if self.round not in known_rounds():
            return False
        return folded(self.place.division) in AUDITED_DIVISIONS and self.is_in_place

    @property
    def is_endpoints(self) -> bool:
        """Whether it has the endpoints tool's files and none of LoadGen's, and may be of that tool."""
        if not may_be_endpoints(self.round, self.place.benchmark):
            return False
        return (self.path / "performance/result_summary.json").exists() and not (self.path / RUN).exists()


def results_of(tree: Path, scenarios: Iterable[Path], rounds: Rounds) -> list[Result]:
    """Return the directories with a performance run as results."""
    return [Result(tree, path, rounds.of(path)) for path in scenarios]


def absent(audits: Iterable[AuditDirectory], results: Iterable[Result]) -> Iterator[AuditDirectory]:
    """Yield the audits that its round requires of a result, and that are not there.

    An audit counts in the layout of its result alone: a file of the endpoints tool stands for none of LoadGen's.
    """
    there = {(audit.results, audit.test, audit.layout == "endpoints") for audit in audits}
    for result in results:
        if not result.is_audited:
            continue
        is_endpoints = result.is_endpoints
        for test in required_tests(result.round, result.place.benchmark, is_endpoints=is_endpoints):
            if (result.path, test, is_endpoints) not in there:
                path = _expected(result, test, is_endpoints=is_endpoints)
                yield replace(result.place, test=test, path=path, round=result.round)


def _expected(result: Result, test: str, *, is_endpoints: bool) -> Path:
    """Return where an audit of a result would be: beside results/ in compliance/ until v5.1, else in the result."""
    scenario = result.path
    if is_endpoints and (file := {of: name for name, of in mlperf_names().items()}.get(test)):
        return scenario / "audit" / f"audit_{file}.json"
    if result.round in _IN_COMPLIANCE:
        at = len(scenario.parts) - _BELOW_RESULTS - 1
        scenario = Path(*scenario.parts[:at], COMPLIANCE, *scenario.parts[at + 1 :])
    return scenario / test.upper()


def remark(audits: list[AuditDirectory], results: list[Result]) -> str:
    """Return why absent audits were not looked for, or not everywhere.

    "" where they were, and where there are curves alone.
    """
    if audits and all(audit.layout == "curve" for audit in audits):
        return ""
    names = {result.round for result in results} | {audit.round for audit in audits if audit.layout != "curve"}
    told = [_unknown(name) for name in sorted(names) if name not in known_rounds()]
    if not results and not told:
        told.append("no results/ is below the tree, so absent audits were not looked for")
    known = [result for result in results if result.round in known_rounds()]
    return "; ".join([*told, *_strays(known), *_strangers(known)])


def _unknown(name: str) -> str:
    of = f"{name} requires" if name else "the round requires"
    cure = "" if name else "; name the directory like its round, inference_results_v6.0, to have them looked for"
    return f"which audits {of} is not known here ({', '.join(known_rounds())} are), so absent ones do not fail{cure}"


def _strays(results: list[Result]) -> Iterator[str]:
    """Say which results lie where MLPerf's checker does not look: no audit is required of them."""
    lie = [
        result
        for result in results
        if part_of(result.path.parts, COMPLIANCE) is None
        and not (result.is_in_place and folded(result.place.division) in DIVISIONS)
    ]
    if lie:
        first = lie[0].path.relative_to(lie[0].place.base).as_posix()
        more = f" and {len(lie) - 1} more" if len(lie) > 1 else ""
        yield (
            f"no audit is required of {readable(first)}{more}, outside <division>/<submitter>/results/<system>/"
            f"<benchmark>/<scenario>; divisions are {', '.join(sorted(DIVISIONS))}"
        )


def _strangers(results: list[Result]) -> Iterator[str]:
    """Say of which benchmarks of an audited division the round knows nothing."""
    found = sorted(
        {
            result.place.benchmark
            for result in results
            if result.is_audited and not knows_model(result.round, result.place.benchmark)
        }
    )
    if found:
        more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        yield f"the round knows no benchmark {', '.join(found[:_NAMED])}{more}, so no audit of it is required"
