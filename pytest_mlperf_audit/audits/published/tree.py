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
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from ...errors import ConfigError
from ...records.files import walk
from ...text import readable
from ..curves.place import POINT, is_curve, tests_of
from ..shipped import mlperf_names, published_tests
from .case import AuditDirectory
from .lacking import Rounds, absent, remark, results_of
from .place import ROOTS, audit_at, folded, names_in, part_of, unique

#: The audits that can be re-verified; TEST05 and TEST03 were withdrawn.
TESTS: Final = published_tests()

#: Names of the endpoints tool's audits, as the submission checker maps them (ENDPOINTS_COMPLIANCE_MAPPING).
_ENDPOINTS_NAMES: Final = mlperf_names()

#: What is named like a test is no directory of the submission's own; it is counted where it is not judged.
_TEST_DIRECTORY = re.compile(r"test[0-9]{2}(?:[-_][a-z0-9]{1,4})?", re.IGNORECASE)
#: TEST04 until v2.0: different samples, each once, and one sample again and again.
_PAIR: Final = ("TEST04-A", "TEST04-B")
_AUDIT_FILE = re.compile(r"audit_(?P<name>[A-Za-z0-9_]+)\.json")
#: Below an audit and a run there are no further audits; in a submitter's own code there may be thousands of files.
_BARREN: Final = {"performance", "accuracy", "code", "documentation", "systems", "measurements", "power", ".git"}
#: Beside results/ and compliance/ these hold copies of upstream's own scripts, folders compliance/TEST0x included.
_CODE: Final = {"src", "tools"}


@dataclass(frozen=True)
class Survey:
    """What was found below a tree: its audits in path order, those that the round requires and lacks among them.

    `not_judged` counts the directories named like tests that no audit was made of, by name. `round` is as `v6.0`, ""
    where neither names of directories nor the runs' seeds tell, several with commas between them where the tree holds
    several; `remark` says why absent audits could not be looked for.
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
    names_in.cache_clear()
    walked = _walk(tree)
    rounds = Rounds(tree, walked.scenarios)
    found = [replace(audit, round=rounds.of(audit.path)) for audit in walked.audits]
    results = results_of(tree, walked.scenarios, rounds)
    found += absent(found, results)
    found.sort(key=lambda audit: (audit.case, audit.test, audit.layout))
    if not found:
        names = " or ".join(", ".join(TESTS).upper().rsplit(", ", 1))
        raise ConfigError(
            f"--mlperf-results: no audit was found in {tree}: there is no directory {names}, no file "
            "audit/audit_<name>.json and no point <system>/<model>/r<N>/ below it; give a directory of a submission"
        )
    named = sorted({result.round for result in results}.union(audit.round for audit in found) - {""})
    told = remark(found, results)
    return Survey(list(unique(found)), dict(sorted(walked.not_judged.items())), ", ".join(named), told)


def _walk(tree: Path) -> _Walk:
    walked = _Walk()
    unreadable: list[OSError] = []
    for here, names, files in walk(tree, unreadable.append, links=True):
        tests = [name for name in names if name.lower() in TESTS or _TEST_DIRECTORY.fullmatch(name)]
        if tests:
            _take_tests(tree, here, tests, walked)
        if is_curve(here, names):
            walked.audits += tests_of(tree, here)
            names[:] = [name for name in names if not POINT.fullmatch(name)]  # what lies beside a point is judged, too
        if here.name == "audit":
            for match in filter(None, map(_AUDIT_FILE.fullmatch, files)):
                test = _ENDPOINTS_NAMES.get(match["name"], match["name"])
                walked.audits.append(audit_at(tree, here / match[0], here.parent, test, "endpoints"))
        if any(folded(name) == "performance" for name in names):
            walked.scenarios.append(here)
        names[:] = [name for name in names if name not in tests and not _is_barren(here, name, len(tree.parts))]
    if unreadable:
        error = unreadable[0]
        raise ConfigError(
            f"--mlperf-results: {readable(str(error.filename)):.300} cannot be read ({error.strerror}); mend its "
            "permissions, or take it out of the tree"
        )
    walked.scenarios.sort(key=lambda path: path.parts)
    return walked


def _take_tests(tree: Path, here: Path, tests: list[str], walked: _Walk) -> None:
    for name in tests:
        if name.lower() in TESTS:
            walked.audits.append(audit_at(tree, here / name, here, name.lower(), "classic"))
        elif name.upper() not in _PAIR:
            walked.not_judged[name.upper()] += 1
    if any(name.upper() in _PAIR for name in tests):
        walked.audits.append(_pair(tree, here, tests))


def _pair(tree: Path, here: Path, tests: list[str]) -> AuditDirectory:
    """Return TEST04 as it was until v2.0: the run of one sample is compared with one of different samples."""
    reference, audit = (next((here / name for name in tests if name.upper() == of), here / of) for of in _PAIR)
    return replace(audit_at(tree, audit, here, "test04", "classic"), results=reference)


def _is_barren(here: Path, name: str, n_tree: int) -> bool:
    if (plain := folded(name)) in _BARREN:
        return True
    return plain in _CODE and not any(part_of(here.parts[n_tree:], root) is not None for root in ROOTS)
