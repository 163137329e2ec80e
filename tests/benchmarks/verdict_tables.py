"""What one session of bench_verdicts.py came to, and the tables of many."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from .verdict_cells import Cell

PLANNED = 128
#: A cheat that served so small a share of the queries gained nothing by it.
_NOTHING = 0.02
_COLUMNS = ("cell", "right", "exit 0", "1", "6", "probe", "ratio", "queries / plan", "probe queries", "s")
HEAD = f"| {' | '.join(_COLUMNS)} |\n{'|---' * len(_COLUMNS)}|"


class Session(NamedTuple):
    """What one session came to. `probe_queries` counts those of the probe, `ratio_queries` all others of the audit."""

    cell: Cell
    number: int
    exit: int
    word: str
    kinds: str
    excluded: str
    failed: str
    ratio: float | None
    ratio_queries: int
    probe_queries: int
    received: int
    computed: int
    served: int
    wall_s: float
    reason: str

    @property
    def right(self) -> bool:
        """Whether the exit status is right, and a plain cache is named; a cheat may have served nothing at all."""
        if self.cell.group == "cheats" and self.cell.order != "probe" and self.served <= _NOTHING * self.received:
            return self.exit in (0, 6) or self.served > 0
        named = self.cell.group != "caches" or self.cell.expected in self.kinds
        return self.exit in self.cell.right and named


def line(of_cell: Sequence[Session]) -> str:
    """Return a cell's line of the table."""
    cell = of_cell[0].cell
    exits = Counter(one.exit for one in of_cell)
    said = Counter(" ".join(filter(None, (one.word, one.kinds))) for one in of_cell)
    words = ", ".join(f"{what} {count}" for what, count in said.most_common())
    ratios = [one.ratio for one in of_cell if one.ratio is not None]
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}" if ratios else "-"
    names = ("ratio_queries", "probe_queries", "wall_s")
    cost, probe, wall_s = (statistics.median(getattr(one, name) for one in of_cell) for name in names)
    right = sum(one.right for one in of_cell)
    counts = " | ".join(str(exits[status] or "") for status in (0, 1, 6))
    figures = f"{spread} | {cost / PLANNED:.2f} | {probe:.0f} | {wall_s:.1f}"
    return f"| {cell.name} | {right}/{len(of_cell)} | {counts} | {words} | {figures} |"


def _machine(cell: Cell) -> str:
    return "busy" if cell.busy else "quiet"


def _met(cell: Cell) -> str:
    return f"{cell.format}, {cell.order}"


#: By which rows and columns a group's sessions are laid out.
_LAYOUTS: dict[str, tuple[Callable[[Cell], str], Callable[[Cell], str]]] = {
    "honest": (
        lambda cell: f"{cell.format}, {_machine(cell)}",
        lambda cell: f"{cell.load}, {cell.options['cv']:.0%}",
    ),
    "cold start": (lambda cell: cell.format, lambda cell: cell.load),
    "caches": (lambda cell: f"{cell.kind}, {cell.format}", lambda cell: f"{cell.order}, {_machine(cell)}"),
    "cheats": (lambda cell: cell.kind, _met),
    "beyond reach": (lambda cell: cell.kind, _met),
    "oddities": (lambda cell: cell.kind, lambda cell: f"{cell.format}, {cell.load}"),
    "ratio": (
        lambda cell: ", ".join(f"{name} {value}" for name, value in cell.options.items() if name != "service_ms"),
        lambda cell: cell.load,
    ),
}


def cross_tables(sessions: Sequence[Session]) -> None:
    """Print a table of exits for each group: how many of exit 0 / 1 / 6."""
    for group in dict.fromkeys(one.cell.group for one in sessions):
        here = [one for one in sessions if one.cell.group == group]
        row_of, column_of = _LAYOUTS[group]
        columns = list(dict.fromkeys(column_of(one.cell) for one in here))
        print(f"\n| {group}: exit 0 / 1 / 6 | {' | '.join(columns)} |\n|---{'|---' * len(columns)}|")
        for row in dict.fromkeys(row_of(one.cell) for one in here):
            exits = {
                column: Counter(one.exit for one in here if (row_of(one.cell), column_of(one.cell)) == (row, column))
                for column in columns
            }
            texts = [" / ".join(str(exits[column][code]) for code in (0, 1, 6)) for column in columns]
            print(f"| {row} | {' | '.join(text if text != '0 / 0 / 0' else '' for text in texts)} |")


def totals(sessions: Sequence[Session]) -> None:
    """Print what the sessions of each group came to together."""
    for group in dict.fromkeys(one.cell.group for one in sessions):
        here = [one for one in sessions if one.cell.group == group]
        exits = Counter(one.exit for one in here)
        counts = [f"exit {status}: {count} ({count / len(here):.1%})" for status, count in sorted(exits.items())]
        print(f"\n{group}: {len(here)} sessions; {', '.join(counts)}; right {sum(one.right for one in here)}")
        for status in (1, 6):
            most = Counter(one.cell.name for one in here if one.exit == status).most_common(1)
            print("".join(f"most with exit {status}: {count}, {name}" for name, count in most))
