"""What servers' own counters say of caches, in words: evidence beside every verdict, which decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ..runs.phase import ServerCounters

#: A reader takes in no more; the rest stands in the phases' records.
_MOST_NOTES = 12


def counter_notes(counters: Mapping[str, ServerCounters | None]) -> tuple[str, ...]:
    """Return a note for each counter that grew or gauge that stood, by phase label in the order sent, and for gaps.

    None stands for a phase whose servers' pages were not asked for.
    """
    asked = {label: one for label, one in counters.items() if one is not None}
    if not asked:
        return ()
    grown = list(_each(asked, lambda one: one.added))
    notes = [_grew(name, by_phase) for name, by_phase in grown if any(by_phase.values())]
    if still := [name for name, by_phase in grown if not any(by_phase.values())]:
        notes.append(f"{_some(still)} did not rise")
    notes += [_stood(name, by_phase) for name, by_phase in _each(asked, lambda one: one.levels)]
    if not notes and not any(one.problems for one in asked.values()):
        notes.append("the metrics pages name none that tells of a cache")
    notes = [*notes[:_MOST_NOTES], *_gaps(asked)[:_MOST_NOTES]]
    return tuple(f"server counters: {note}" for note in notes)


def _each(
    asked: Mapping[str, ServerCounters], values: Callable[[ServerCounters], Mapping[str, float]]
) -> Iterator[tuple[str, dict[str, float]]]:
    for name in sorted({name for one in asked.values() for name in values(one)}):
        yield name, {label: values(one)[name] for label, one in asked.items() if name in values(one)}


def _grew(name: str, by_phase: Mapping[str, float]) -> str:
    return f"{name} rose " + ", ".join(f"by {_number(value)} in {label}" for label, value in by_phase.items())


def _stood(name: str, by_phase: Mapping[str, float]) -> str:
    return f"{name} stood " + ", ".join(f"at {_number(value)} after {label}" for label, value in by_phase.items())


def _gaps(asked: Mapping[str, ServerCounters]) -> list[str]:
    """Return each problem once, with the phases that it touched."""
    touched: dict[str, list[str]] = {}
    for label, one in asked.items():
        for problem in one.problems:
            touched.setdefault(problem, []).append(label)
    return [f"{problem} (figures incomplete for {', '.join(labels)})" for problem, labels in touched.items()]


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:_MOST_NOTES])
    return shown if len(names) <= _MOST_NOTES else f"{shown} and {len(names) - _MOST_NOTES} more"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() else f"{value:.4g}"
