"""Where an audit lies in a tree: the names that its path gives it, and the result that it belongs to.

Names of rooms and divisions are known in any spelling: what is submitted as `Results` or `Closed` is a result all the
same, whatever a file system makes of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import count, groupby
from pathlib import Path
from typing import Final

from ...text import readable
from .case import AuditDirectory, Layout

COMPLIANCE, RESULTS = "compliance", "results"
ROOTS: Final = frozenset({COMPLIANCE, RESULTS})


@lru_cache(maxsize=4096)
def folded(name: str) -> str:
    """Return a name as it compares: without case, and blanks at its ends."""
    return name.strip().lower()


def part_of(parts: Iterable[str], name: str) -> int | None:
    """Return where a room's name first stands in a path, in any spelling."""
    return next((at for at, part in enumerate(parts) if folded(part) == name), None)


def audit_at(tree: Path, path: Path, scenario: Path, test: str, layout: Layout) -> AuditDirectory:
    """Return the audit at `path`, of the result whose directory, or whose twin in compliance/, is `scenario`."""
    if folded(scenario.name) == COMPLIANCE and part_of(scenario.parts[len(tree.parts) : -1], RESULTS) is not None:
        scenario = scenario.parent  # results/<system>/<benchmark>/Offline/compliance/TEST01, as some of v6.0 have it
    parts = tuple(map(readable, scenario.parts))
    root = _root(parts, len(tree.parts))
    above: tuple[str, ...]
    if root is None:  # neither results/ nor compliance/ is above it: what there is, by its place from below
        above, below, results = (), parts[len(tree.parts) :] or parts[-1:], scenario
    else:
        above, below = parts[:root], parts[root + 1 :]
        on_disk = scenario.parts
        is_result = folded(parts[root]) == RESULTS
        results = scenario if is_result else _reference(Path(*on_disk[:root]), on_disk[root + 1 :])
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
    roots = [at for at, part in enumerate(parts) if folded(part) in ROOTS or (part == "audit" and at >= n_tree)]
    below = [index for index in roots if index >= n_tree]
    return below[0] if below else roots[-1] if roots else None


def _reference(submitter: Path, below: tuple[str, ...]) -> Path:
    """Return the scenario's directory below results/, in its own spelling; the plain one where there is none."""
    plain = submitter / RESULTS / Path(*below)
    undoubled = tuple(name for name, _ in groupby(below))
    if plain.is_dir():
        return plain
    for parts in dict.fromkeys((below, undoubled)):
        found: Path | None = submitter
        for part in (RESULTS, *parts):
            found = found and names_in(found).get(_alike(part))
        if found:
            return found
    return plain


@lru_cache(maxsize=4096)
def names_in(directory: Path) -> dict[str, Path]:
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
    plain = folded(name).replace("_", ".")
    return {"resnet50": "resnet", "multistreeam": "multistream"}.get(plain, plain)


def unique(found: list[AuditDirectory]) -> Iterator[AuditDirectory]:
    """Yield the audits with ids of their own: the second of a name is told apart by where it lies in the tree."""
    seen: set[str] = set()
    for audit in found:
        relative = audit.path.relative_to(audit.tree)
        lies = [readable(name) for name in (relative.parent.name, relative.parent.as_posix(), relative.as_posix())]
        cases = [audit.case, f"{audit.case}/{lies[0]}", *lies[1:]]
        # Two names of bytes that are no UTF-8 may read alike.
        numbered = (f"{lies[-1]}-{number}" for number in count(2))
        case = next(case for some in (cases, numbered) for case in some if f"{case}::{audit.test}" not in seen)
        seen.add(f"{case}::{audit.test}")
        yield replace(audit, case=case)
