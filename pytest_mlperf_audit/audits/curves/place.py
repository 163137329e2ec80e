"""Where the curves of a tree lie: <organization>/<submission>/results/<system>/<model>/r<N>/, one directory a point."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from ...text import readable
from ..published.case import CURVE, AuditDirectory

POINT: Final = re.compile(r"r([1-9][0-9]{0,8})")
#: A point has one of these; other directories may be named r1 as well.
_FILES: Final = ("point.yaml", "result_summary.json")
_RESULTS: Final = "results"

#: The tests of a curve, in the order of section 9.1 of the rules.
RULES: Final = (
    "complete",
    "shared_paths",
    "points",
    "max_concurrency",
    "coverage",
    "in_range",
    "load_pattern",
    "duration",
    "query_count",
    "streaming",
    "warm_up",
    "metrics",
    "accuracy",
    "seeds",
    "salt",
    "consistency",
    "caching",
)


def is_curve(here: Path, names: Iterable[str]) -> bool:
    """Whether a directory with these subdirectories is a curve."""
    points = (here / name for name in names if POINT.fullmatch(name))
    return any((point / file).is_file() for point in points for file in _FILES)


def tests_of(tree: Path, here: Path) -> Iterator[AuditDirectory]:
    """Yield the tests of a curve."""
    parts = here.parts
    at = parts.index(_RESULTS) if _RESULTS in parts else max(len(parts) - 2, 0)
    above = tuple(map(readable, parts[max(at - 2, 0) : at]))
    below = tuple(map(readable, parts[at + (_RESULTS in parts) :]))
    for rule in RULES:
        yield AuditDirectory(
            case="/".join((*above, *below)),
            test=rule,
            division="",
            submitter=above[0] if above else "",
            system=below[0] if len(below) > 1 else "",
            benchmark=below[-1] if below else "",
            scenario=CURVE,
            path=here,
            results=here,
            tree=tree,
            layout="curve",
        )
