"""Where the audits of a submission tree lie: any round's layout, any part of a tree, any of its quirks.

    <division>/<submitter>/compliance/<system>/<benchmark>/<scenario>/TEST04/     v5.1 and older, reference in results/
    <division>/<submitter>/results/<system>/<benchmark>/<scenario>/TEST04/        v6.0 on
    <division>/<submitter>/results/<system>/<benchmark>/<scenario>/audit/audit_output_caching_test.json    endpoints
    <organization>/<submission>/results/<system>/<model>/r<N>/    a curve of points (MLPerf Endpoints)

The tree may be a round, a division, a submitter, or any directory below; what is above it still names it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Final

from ...errors import ConfigError
from ...records.files import walk
from ...text import readable
from ..curves.place import is_curve, tests_of
from ..shipped import mlperf_names, published_tests
from .case import AuditDirectory, Layout
from .pair import RUN, SUMMARY
from .required import AUDITED_DIVISIONS, known_rounds, required_tests, round_by_seeds, round_named

#: The audits that can be re-verified; TEST05 and TEST03 were withdrawn.
TESTS: Final = published_tests()

#: Names of the endpoints tool's audits, as the submission checker maps them (ENDPOINTS_COMPLIANCE_MAPPING).
_ENDPOINTS_NAMES: Final = mlperf_names()

#: What is named like a test is no directory of the submission's own; it is counted where it is not judged.
_TEST_DIRECTORY = re.compile(r"test[0-9]{2}(?:[-_][a-z0-9]{1,4})?", re.IGNORECASE)
#: TEST04 until v2.0: different samples, each once, and one sample again and again.
_PAIR: Final = ("TEST04-A", "TEST04-B")
#: Rounds with audits in compliance/; <system>/<benchmark>/<scenario> is below results/.
_IN_COMPLIANCE: Final = {"v5.0", "v5.1"}
_BELOW_RESULTS: Final = 3
_AUDIT_FILE = re.compile(r"audit_(?P<name>[A-Za-z0-9_]+)\.json")
#: Below an audit and a run there are no further audits; in a submitter's own code there may be thousands of files.
_BARREN: Final = {"performance", "accuracy", "code", "documentation", "systems", "measurements", "power", ".git"}
#: Beside results/ and compliance/ these hold copies of upstream's own scripts, folders compliance/TEST0x included.
_CODE: Final = {"src", "tools"}
_COMPLIANCE, _RESULTS = "compliance", "results"
_ROOTS: Final = {_COMPLIANCE, _RESULTS}


@dataclass(frozen=True)
class Survey:
    """What was found below a tree: its audits in path order, those that the round requires and lacks among them.

    `not_judged` counts the directories named like tests that no audit was made of, by name. `round` is as `v6.0`, ""
    where neither the tree's name nor the runs' seeds tell; `remark` says why absent audits could not be looked for.
    """

    audits: list[AuditDirectory]
    not_judged: dict[str, int]
    round: str = ""
    remark: str = ""


@dataclass
class _Walk:
    """What a walk through a tree came upon. `scenarios` are directories of results, by their division and benchmark."""

    audits: list[AuditDirectory] = field(default_factory=list)
    not_judged: Counter[str] = field(default_factory=Counter)
    scenarios: list[Path] = field(default_factory=list)


def find_audits(tree: Path) -> list[AuditDirectory]:
    """Return every audit directory below `tree`, as `survey` does."""
    return survey(tree).audits


def survey(tree: Path) -> Survey:
    """Return what is below `tree`.

    Raises ConfigError when `tree` is no directory, cannot be read, or holds no audit and lacks none.
    """
    if not tree.is_dir():
        what = "is a file" if tree.exists() else "does not exist"
        raise ConfigError(f"--mlperf-results: {tree} {what}; give a directory of a submission, or of a whole round")
    _names.cache_clear()
    walked = _walk(tree)
    name = round_named(tree) or round_by_seeds(path / RUN / SUMMARY for path in walked.scenarios)
    found = [replace(audit, round=name) for audit in walked.audits]
    if name in known_rounds():
        found += _absent(tree, walked, name)
    found.sort(key=lambda audit: (audit.case, audit.test, audit.layout))
    if not found:
        names = " or ".join(", ".join(TESTS).upper().rsplit(", ", 1))
        raise ConfigError(
            f"--mlperf-results: no audit was found in {tree}: there is no directory {names}, no file "
            "audit/audit_<name>.json and no point <system>/<model>/r<N>/ below it; give a directory of a submission"
        )
    return Survey(list(_unique(found)), dict(sorted(walked.not_judged.items())), name, _remark(walked, name))


def _walk(tree: Path) -> _Walk:
    walked = _Walk()
    unreadable: list[OSError] = []
    for here, names, files in walk(tree, unreadable.append, links=True):
        tests = [name for name in names if name.lower() in TESTS or _TEST_DIRECTORY.fullmatch(name)]
        if tests:
            _take_tests(tree, here, tests, walked)
        if is_curve(here, names):
            walked.audits += tests_of(tree, here)
            names.clear()
        if here.name == "audit":
            for match in filter(None, map(_AUDIT_FILE.fullmatch, files)):
                test = _ENDPOINTS_NAMES.get(match["name"], match["name"])
                walked.audits.append(_audit(tree, here / match[0], here.parent, test, "endpoints"))
        if "performance" in names:
            walked.scenarios.append(here)
        names[:] = [name for name in names if name not in tests and not _is_barren(here, name, len(tree.parts))]
    if unreadable:
        error = unreadable[0]
        raise ConfigError(
            f"--mlperf-results: {readable(str(error.filename)):.300} cannot be read ({error.strerror}); mend its "
            "permissions, or take it out of the tree"
        )
    walked.scenarios.sort()
    return walked


def _take_tests(tree: Path, here: Path, tests: list[str], walked: _Walk) -> None:
    for name in tests:
        if name.lower() in TESTS:
            walked.audits.append(_audit(tree, here / name, here, name.lower(), "classic"))
        elif name.upper() not in _PAIR:
            walked.not_judged[name.upper()] += 1
    if any(name.upper() in _PAIR for name in tests):
        walked.audits.append(_pair(tree, here, tests))


def _pair(tree: Path, here: Path, tests: list[str]) -> AuditDirectory:
    """Return TEST04 as it was until v2.0: the run of one sample is compared with one of different samples."""
    reference, audit = (next((here / name for name in tests if name.upper() == of), here / of) for of in _PAIR)
    return replace(_audit(tree, audit, here, "test04", "classic"), results=reference)


def _absent(tree: Path, walked: _Walk, name: str) -> Iterator[AuditDirectory]:
    """Yield the audits that the round requires of a result below `tree`, and that are not there."""
    there = {(audit.results, audit.test) for audit in walked.audits}
    for scenario in walked.scenarios:
        place = _audit(tree, scenario / "TEST01", scenario, "test01", "absent")
        below = scenario.parts[scenario.parts.index(_RESULTS) + 1 :] if _RESULTS in scenario.parts else ()
        if place.division not in AUDITED_DIVISIONS or len(below) != _BELOW_RESULTS:
            continue
        is_endpoints = _is_endpoints(scenario)
        for test in required_tests(name, place.benchmark, is_endpoints=is_endpoints):
            if (scenario, test) not in there:
                path = _expected(scenario, test, name, is_endpoints=is_endpoints)
                yield replace(place, test=test, path=path, round=name)


def _is_endpoints(scenario: Path) -> bool:
    """Whether a result has the endpoints tool's files, and none of LoadGen's."""
    return (scenario / "performance/result_summary.json").exists() and not (scenario / RUN).exists()


def _expected(scenario: Path, test: str, name: str, *, is_endpoints: bool) -> Path:
    """Return where an audit of a result would be: beside results/ in compliance/ until v5.1, else in the result."""
    if is_endpoints:
        names = {of: name for name, of in _ENDPOINTS_NAMES.items()}
        return scenario / "audit" / f"audit_{names[test]}.json"
    at = len(scenario.parts) - _BELOW_RESULTS - 1
    if name in _IN_COMPLIANCE:
        scenario = Path(*scenario.parts[:at], _COMPLIANCE, *scenario.parts[at + 1 :])
    return scenario / test.upper()


def _remark(walked: _Walk, name: str) -> str:
    """Return why absent audits were not looked for, "" where they were, or where there are curves alone."""
    if walked.audits and all(audit.layout == "curve" for audit in walked.audits):
        return ""
    if name in known_rounds():
        return "" if walked.scenarios else "no results/ is below the tree, so absent audits were not looked for"
    of = f"{name} requires" if name else "the round requires"
    cure = "" if name else "; name the directory like its round, inference_results_v6.0, to have them looked for"
    return f"which audits {of} is not known here ({', '.join(known_rounds())} are), so absent ones do not fail{cure}"


def _is_barren(here: Path, name: str, n_tree: int) -> bool:
    folded = name.lower()
    return folded in _BARREN or (folded in _CODE and not _ROOTS & set(here.parts[n_tree:]))


def _audit(tree: Path, path: Path, scenario: Path, test: str, layout: Layout) -> AuditDirectory:
    if scenario.name == _COMPLIANCE and _RESULTS in scenario.parts[len(tree.parts) : -1]:
        scenario = scenario.parent  # results/<system>/<benchmark>/Offline/compliance/TEST01, as some of v6.0 have it
    parts = tuple(map(readable, scenario.parts))
    root = _root(parts, len(tree.parts))
    above: tuple[str, ...]
    if root is None:  # neither results/ nor compliance/ is above it: what there is, by its place from below
        above, below, results = (), parts[len(tree.parts) :] or parts[-1:], scenario
    else:
        above, below = parts[:root], parts[root + 1 :]
        on_disk = scenario.parts
        results = scenario if parts[root] == _RESULTS else _reference(Path(*on_disk[:root]), on_disk[root + 1 :])
    system, benchmark = below[0] if len(below) > 1 else "", below[-2] if len(below) > 2 else ""
    return AuditDirectory(
        case="/".join((*above[-2:], *below)),
        test=test,
        division=above[-2] if len(above) > 1 else "",
        submitter=above[-1] if above else "",
        system=system,
        benchmark=benchmark,
        scenario=below[-1] if below else "",
        path=path,
        results=results,
        tree=tree,
        layout=layout,
    )


def _root(parts: tuple[str, ...], n_tree: int) -> int | None:
    """Return where `compliance` or `results` stands in a path: the first below the tree, else the last above it."""
    roots = [index for index, part in enumerate(parts) if part in _ROOTS or (part == "audit" and index >= n_tree)]
    below = [index for index in roots if index >= n_tree]
    return below[0] if below else roots[-1] if roots else None


def _reference(submitter: Path, below: tuple[str, ...]) -> Path:
    """Return the scenario's directory below results/, in its own spelling; the plain one where there is none."""
    plain = submitter / _RESULTS / Path(*below)
    undoubled = tuple(name for name, _ in groupby(below))
    if plain.is_dir():
        return plain
    for parts in dict.fromkeys((below, undoubled)):
        found: Path | None = submitter / _RESULTS
        for part in parts:
            found = found and _names(found).get(_alike(part))
        if found:
            return found
    return plain


@lru_cache(maxsize=4096)
def _names(directory: Path) -> dict[str, Path]:
    """Return a directory's subdirectories by their names without case and quirks; none where two are alike."""
    found: dict[str, list[Path]] = {}
    try:
        for path in directory.iterdir():
            if path.is_dir():
                found.setdefault(_alike(path.name), []).append(path)
    except OSError:
        return {}
    return {name: paths[0] for name, paths in found.items() if len(paths) == 1}


def _alike(name: str) -> str:
    """Return a name as it compares: MultiStreeam is MultiStream, llama3_1-8b is llama3.1-8b, resnet50 is resnet."""
    folded = name.lower().replace("_", ".")
    return {"resnet50": "resnet", "multistreeam": "multistream"}.get(folded, folded)


def _unique(found: list[AuditDirectory]) -> Iterator[AuditDirectory]:
    """Yield the audits with ids of their own: the second of a name is told apart by where it lies in the tree."""
    seen: set[str] = set()
    for audit in found:
        relative = audit.path.relative_to(audit.tree)
        lies = [readable(name) for name in (relative.parent.name, relative.parent.as_posix(), relative.as_posix())]
        cases = [audit.case, f"{audit.case}/{lies[0]}", *lies[1:]]
        case = next(case for case in cases if f"{case}::{audit.test}" not in seen)
        seen.add(f"{case}::{audit.test}")
        yield replace(audit, case=case)
