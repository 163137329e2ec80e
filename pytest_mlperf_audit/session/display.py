"""Progress of the phase that is running: a live bar on a terminal, a line a minute in a log."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any

from ..load.progress import Progress, ProgressFile
from ..report.clean import seconds
from ..text import plain
from .display_lines import Lines, LogView, end_line, name, remarks, span
from .schedule import Schedule, phase_left_s

_POLL_S = 0.2
_LINE_EVERY_S = 60.0
#: A run that is over sooner than this leaves no line.
_QUIET_S = 5.0
_COLUMNS = 80
_BAR = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{rate_fmt}{postfix}]"


class Display:
    """A thread that shows what the running process publishes. Without a usable standard output it shows nothing."""

    def __init__(
        self,
        source: ProgressFile,
        schedule: Schedule,
        fresh: Callable[[], str] = lambda: "\n",
        *,
        line_every_s: float = _LINE_EVERY_S,
        quiet_s: float = _QUIET_S,
    ) -> None:
        self._source, self._schedule, self._fresh = source, schedule, fresh
        self._line_every_s, self._quiet_s = line_every_s, quiet_s
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._stream = _terminal()

    def start(self) -> None:
        """Begin to show; once is enough."""
        if self._thread is None and self._stream is not None:
            lines, schedule = Lines(self._stream, self._fresh, self._quiet_s), self._schedule
            on_terminal = self._stream.isatty()
            show: _Bar | LogView
            show = _Bar(self._stream, lines, schedule) if on_terminal else LogView(lines, schedule, self._line_every_s)
            self._thread = threading.Thread(target=self._follow, args=(show,), name="mlperf-progress", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop, and leave the terminal clean."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _follow(self, show: _Bar | LogView) -> None:
        n_ended = 0
        while True:
            stopped = self._stopped.wait(_POLL_S)
            ended = self._source.ended()
            for progress in ended[n_ended:]:
                show.ended(progress)
            n_ended = len(ended)
            show.shows(None if stopped else self._source.read())
            if stopped:
                return


def _terminal() -> IO[str] | None:
    """Return pytest's own standard output, as it is before output capture takes its descriptor."""
    with suppress(OSError, ValueError, AttributeError):
        return os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8", errors="replace")
    return None


class _Bar:
    """A live bar of the running phase; gone when the phase is over, and then a line is left."""

    def __init__(self, stream: IO[str], lines: Lines, schedule: Schedule) -> None:
        self._stream, self._lines, self._schedule = stream, lines, schedule
        self._bar: Any = None
        self._phase = ""

    def ended(self, progress: Progress) -> None:
        """Leave a line of a phase that is over."""
        self._close()
        self._phase = ""
        self._lines.say(end_line(progress))

    def shows(self, progress: Progress | None) -> None:
        """Show the phase that runs."""
        phase = name(progress) if progress and not progress.over else ""
        if phase != self._phase:
            self._close()
            self._phase = phase
            if progress and progress.note:
                self._lines.say(progress.phase, at_once=True)
        if not phase or progress is None or progress.note:
            return
        if self._bar is None:
            self._bar = self._open(phase, progress)
        done = progress.completed + progress.failed
        self._bar.total = max(progress.requested, progress.issued)
        self._bar.set_postfix_str(self._remarks(progress), refresh=False)
        self._bar.update(done - self._bar.n)
        self._bar.refresh()

    def _remarks(self, progress: Progress) -> str:
        """Return what stands behind the bar: '1 failed, last 2.1 s, 12 min left'."""
        said = [remarks(progress)]
        if progress.latest_s:
            said.append(f"last {seconds(progress.latest_s)}")
        if (left_s := self._schedule.left_s(name(progress), progress)) is not None:
            said.append(f"{span(left_s)} left")
        elif (left_s := phase_left_s(progress)) is not None:
            said.append(f"{span(left_s)} left in this phase")
        return ", ".join(filter(None, said))

    def _open(self, phase: str, progress: Progress) -> Any:
        from tqdm import tqdm

        self._stream.write("\n")  # pytest has left its own line unfinished
        known = _columns(self._stream)
        width: dict[str, Any] = {"dynamic_ncols": True} if known else {"ncols": _COLUMNS}
        place = self._schedule.place(phase)
        shown = plain(f"{place[0]} of {place[1]}, {phase}" if place else phase, _COLUMNS)
        about: dict[str, Any] = {"total": progress.requested, "desc": shown, "unit": "query", "bar_format": _BAR}
        bar: Any = tqdm(**about, file=self._stream, leave=False, mininterval=0, **width)
        bar.start_t -= progress.elapsed_s  # rates and ETA count from the first query, not from the first look
        bar.last_print_t = bar.start_t
        return bar

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _columns(stream: IO[str]) -> int:
    """Return a terminal's width; 0 where nobody has said it, as in many containers."""
    with suppress(OSError):
        return os.get_terminal_size(stream.fileno()).columns
    return 0
