"""Round: one submission tree of this session, and which of its audits the command line names."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..audits.published.case import AuditDirectory
from ..audits.published.tree import find_audits
from ..errors import ConfigError
from ..text import readable
from .places import require_collectable


@dataclass(frozen=True)
class Round:
    """A submission tree. `audits` are all that were found, `named` those that arguments name: all, without any."""

    tree: Path
    audits: tuple[AuditDirectory, ...]
    named: tuple[AuditDirectory, ...]
    report_dir: Path

    def groups(self) -> Iterator[tuple[str, list[AuditDirectory]]]:
        """Yield each scenario's audits, so that one node of the collection holds those of one directory."""
        cases: dict[str, list[AuditDirectory]] = {}
        for audit in self.named:
            cases.setdefault(audit.case, []).append(audit)
        yield from cases.items()


def find_rounds(trees: Sequence[Path], report_dir: Path) -> list[Round]:
    """Return the trees with all their audits; with several, each reports into a directory of its own.

    Raises ConfigError for a tree without audits, and for two trees whose audits would have the same ids.
    """
    rounds = []
    seen: dict[str, Path] = {}
    for tree, place in zip(trees, _places(trees, report_dir), strict=True):
        require_collectable(tree, "--mlperf-results")
        audits = tuple(find_audits(tree))
        for audit in audits:
            if audit.case in seen:
                raise ConfigError(
                    f"--mlperf-results: {seen[audit.case]} and {tree} both hold {audit.case}, so their tests would "
                    "have the same ids; re-verify one after the other"
                )
        seen |= {audit.case: tree for audit in audits}
        rounds.append(Round(tree, audits, audits, place))
    return rounds


def _places(trees: Sequence[Path], report_dir: Path) -> Iterator[Path]:
    """Yield where each tree's report goes; of two trees of one name, the second gets a number behind it."""
    taken: Counter[str] = Counter()
    for tree in trees:
        name = readable(tree.name)
        taken[name] += 1
        shown = name if taken[name] == 1 else f"{name}-{taken[name]}"
        yield report_dir / shown if len(trees) > 1 else report_dir


def choose(rounds: Sequence[Round], args: Sequence[str], cwd: Path, rootdir: Path) -> tuple[list[Round], list[str]]:
    """Return the rounds with only what arguments name, where any does, and the arguments that name none of it.

    An argument may be an id, as pytest prints it, the front part of one, or a path into a tree.
    """
    named: dict[Path, set[AuditDirectory]] = {}
    others = []
    for arg in args:
        found = {one.tree: audits for one in rounds if (audits := _named(one, arg, cwd, rootdir))}
        for tree, audits in found.items():
            named.setdefault(tree, set()).update(audits)
        if not found:
            others.append(arg)
    if not named:
        return list(rounds), others
    chosen = [
        replace(one, named=tuple(audit for audit in one.audits if audit in named[one.tree]))
        for one in rounds
        if one.tree in named
    ]
    return chosen, others


def _named(one: Round, arg: str, cwd: Path, rootdir: Path) -> list[AuditDirectory]:
    if arg in (whole := {f"{audit.case}::{audit.test}": audit for audit in one.audits}):
        return [whole[arg]]
    part, _, test = arg.partition("::")
    path = Path(os.path.normpath(cwd / part))
    if path.exists():
        return [] if test or not path.is_relative_to(one.tree) else [a for a in one.audits if _below(a, path)]
    shown = path.relative_to(rootdir).as_posix() if path.is_relative_to(rootdir) else part
    return [audit for audit in one.audits if any(_is_front(front, test, audit) for front in (part, shown))]


def _below(audit: AuditDirectory, path: Path) -> bool:
    return audit.path.is_relative_to(path) or audit.results.is_relative_to(path)


def _is_front(front: str, test: str, audit: AuditDirectory) -> bool:
    """Whether an id, or the front part of one, is that of an audit."""
    if test:
        return (front, test) == (audit.case, audit.test)
    return f"{audit.case}/".startswith(f"{front.rstrip('/')}/")
