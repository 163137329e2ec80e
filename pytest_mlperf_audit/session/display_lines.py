"""Progress as whole lines: when a phase starts and ends, and one a minute; none for a run that is soon over."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import IO

from ..load.progress import Progress
from ..text import plain
from .schedule import Schedule, phase_left_s

#: Silence from the endpoint is worth a word after this long.
_IDLE_S = 60.0


class Lines:
    """Writes lines of its own. `fresh` says what must come first, so that a line does not follow what pytest left.

    Lines are held back until the session has measured for `quiet_s`, since a run of seconds needs none.
    """

    def __init__(self, stream: IO[str], fresh: Callable[[], str], quiet_s: float) -> None:
        self._stream, self._fresh = stream, fresh
        self._held: list[str] = []
        self._loud_at_s = monotonic() + quiet_s

    def say(self, text: str, *, at_once: bool = False) -> None:
        """Write a line, with those that were held back, or hold it back."""
        self._held.append(f"mlperf-audit: {plain(text, 400)}\n")
        if at_once or self.loud:
            self._write()

    def tick(self) -> None:
        """Write what was held back, where the run turns out not to be a short one."""
        if self._held and self.loud:
            self._write()

    @property
    def loud(self) -> bool:
        """Whether the run has lasted long enough to be told of."""
        return monotonic() >= self._loud_at_s

    def _write(self) -> None:
        self._stream.write(self._fresh() + "".join(self._held))
        self._stream.flush()
        self._held.clear()


class LogView:
    """What a log gets: a line when a phase starts, one every `every_s`, one when it ends; notes at once."""

    def __init__(self, lines: Lines, schedule: Schedule, every_s: float) -> None:
        self._lines, self._schedule, self._every_s = lines, schedule, every_s
        self._running = ""
        self._next_s = 0.0

    def ended(self, progress: Progress) -> None:
        """Tell of a phase that is over, and of its start where that was too short to be seen."""
        self._start(progress)
        self._lines.say(end_line(progress))
        self._running = ""

    def shows(self, progress: Progress | None) -> None:
        """Tell of the phase that runs."""
        self._lines.tick()
        if progress is None or progress.over:
            return
        new = self._start(progress)
        if not (new or progress.note) and monotonic() >= self._next_s:
            self._next_s = monotonic() + self._every_s
            self._lines.say(f"{name(progress)}: {line(progress, self._schedule)}", at_once=True)

    def _start(self, progress: Progress) -> bool:
        """Tell of a phase that has started, if it has; return whether."""
        if name(progress) == self._running:
            return False
        self._running, self._next_s = name(progress), monotonic() + self._every_s
        if progress.note:
            self._lines.say(progress.phase, at_once=True)
        else:
            self._lines.say(start_line(progress, self._schedule))
        return True


def name(progress: Progress) -> str:
    """Return audit and phase, once where they are called alike."""
    return progress.title if progress.phase == progress.title else f"{progress.title} {progress.phase}"


def start_line(progress: Progress, schedule: Schedule) -> str:
    """Return what is said of a phase that starts: 'test04 reference: starts (phase 1 of 2), 64 queries'."""
    place = schedule.place(name(progress))
    which = f" (phase {place[0]} of {place[1]})" if place else ""
    return f"{name(progress)}: starts{which}" + (f", {progress.requested} queries" if progress.requested else "")


def end_line(progress: Progress) -> str:
    """Return what is said of a phase that is over: 'test04 reference: over, 64 queries completed in 11 min'."""
    failed = f", {progress.failed} failed" if progress.failed else ""
    return f"{name(progress)}: over, {progress.completed} queries completed in {span(progress.elapsed_s)}{failed}"


def line(progress: Progress, schedule: Schedule | None = None) -> str:
    """Return a snapshot as text: '12/64 queries, 0.21/s, about 4 min left'."""
    done = progress.completed + progress.failed
    text = f"{done}/{progress.requested} queries"
    if (left_s := phase_left_s(progress)) is not None:
        text += f", {done / progress.elapsed_s:.3g}/s, about {span(left_s)} left"
        whole_s = schedule.left_s(name(progress), progress) if schedule else None
        if whole_s is not None and whole_s > left_s:
            text += f", {span(whole_s)} in all"
    said = remarks(progress)
    return f"{text}, {said}" if said else text


def remarks(progress: Progress) -> str:
    """Return what is odd: '1 failed, no reply for 5 min'."""
    said = [f"{progress.failed} failed"] if progress.failed else []
    if progress.idle_s >= _IDLE_S:
        said.append(f"no reply for {span(progress.idle_s)}")
    return ", ".join(said)


def span(seconds: float) -> str:
    """Return a duration for people: '45 s', '3 min'."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
