"""Progress of the phase that is running: a live bar on a terminal, a line a minute in a log."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import IO, Any

from ..load.progress import Progress, ProgressFile

_POLL_S = 0.2
_LINE_EVERY_S = 60.0
#: Silence from the endpoint is worth a word after this long.
_IDLE_S = 60.0
_COLUMNS = 80


class Display:
    """A thread that shows what the running process publishes. Without a usable standard output it shows nothing."""

    def __init__(self, source: ProgressFile, *, line_every_s: float = _LINE_EVERY_S) -> None:
        self._source = source
        self._line_every_s = line_every_s
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._stream = _terminal()

    def start(self) -> None:
        """Begin to show; once is enough."""
        if self._thread is None and self._stream is not None:
            show = _Bar(self._stream) if self._stream.isatty() else _Lines(self._stream, self._line_every_s)
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

    def _follow(self, show: Callable[[Progress | None], None]) -> None:
        while not self._stopped.wait(_POLL_S):
            show(self._source.read())
        show(None)


def _terminal() -> IO[str] | None:
    """Return pytest's own standard output, as it is before output capture takes its descriptor."""
    with suppress(OSError, ValueError, AttributeError):
        return os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8", errors="replace")
    return None


class _Bar:
    """A live bar of the running phase; gone when the phase is over."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._bar: Any = None
        self._phase = ""

    def __call__(self, progress: Progress | None) -> None:
        phase = _name(progress) if progress and not progress.over else ""
        if phase != self._phase:
            self._close()
            self._phase = phase
        if not phase or progress is None:
            return
        if self._bar is None:
            self._bar = self._open(phase, progress)
        done = progress.completed + progress.failed
        self._bar.total = max(progress.requested, progress.issued)
        self._bar.set_postfix_str(_remarks(progress), refresh=False)
        self._bar.update(done - self._bar.n)
        self._bar.refresh()

    def _open(self, phase: str, progress: Progress) -> Any:
        from tqdm import tqdm

        self._stream.write("\n")  # pytest has left its own line unfinished
        known = _columns(self._stream)
        width: dict[str, Any] = {"dynamic_ncols": True} if known else {"ncols": _COLUMNS}
        about: dict[str, Any] = {"total": progress.requested, "desc": phase, "unit": "query"}
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


class _Lines:
    """A line every so often, so that a log shows that the run is alive; none for a run that is soon over."""

    def __init__(self, stream: IO[str], every_s: float) -> None:
        self._stream = stream
        self._every_s = every_s
        self._next_s = monotonic() + every_s

    def __call__(self, progress: Progress | None) -> None:
        if progress is None or progress.over or monotonic() < self._next_s:
            return
        self._next_s = monotonic() + self._every_s
        self._stream.write(f"\nmlperf-audit: {_name(progress)}: {line(progress)}\n")
        self._stream.flush()


def _name(progress: Progress) -> str:
    """Return audit and phase, once where they are called alike."""
    return progress.title if progress.phase == progress.title else f"{progress.title} {progress.phase}"


def line(progress: Progress) -> str:
    """Return a snapshot as text: '12/64 queries, 0.21/s, about 4 min left'."""
    done = progress.completed + progress.failed
    text = f"{done}/{progress.requested} queries"
    if done and progress.elapsed_s:
        rate = done / progress.elapsed_s
        left_s = max((progress.requested - done) / rate, progress.target_s - progress.elapsed_s, 0.0)
        text += f", {rate:.3g}/s, about {span(left_s)} left"
    remarks = _remarks(progress)
    return f"{text}, {remarks}" if remarks else text


def _remarks(progress: Progress) -> str:
    remarks = [f"{progress.failed} failed"] if progress.failed else []
    if progress.idle_s >= _IDLE_S:
        remarks.append(f"no reply for {span(progress.idle_s)}")
    return ", ".join(remarks)


def span(seconds: float) -> str:
    """Return a duration for people: '45 s', '3 min'."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
