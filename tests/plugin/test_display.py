"""Progress: a live bar on a terminal, a line now and then in a log, nothing for a run that is soon over."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import termios

import pytest

from pytest_mlperf_audit.load.progress import Progress, ProgressFile
from pytest_mlperf_audit.session import display


def read_terminal(descriptor):
    pieces = []
    try:
        while piece := os.read(descriptor, 65536):
            pieces.append(piece)
    except OSError:  # Linux says EIO when the other end is closed
        pass
    return b"".join(pieces).decode(errors="replace")


@pytest.mark.parametrize(("args", "columns"), [((), 100), (("-n", "2"), 100), ((), 0)], ids=["plain", "n2", "no_width"])
def test_live_bar_on_a_terminal(audit, start_sut, args, columns):
    audit.config(start_sut(service_ms=120))
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    session = audit.start(*args, stdout=theirs, stderr=theirs)
    os.close(theirs)
    screen = read_terminal(ours)
    os.close(ours)
    assert session.wait() == 0
    assert re.search(r"test04 reference: +\d+%\|.*\d/8 \[.*query", screen)
    assert re.search(r"test04 output_caching: +\d+%\|", screen)
    # The last thing a bar does is clear its line; nothing of it stays on the summary's.
    summary = screen[screen.rindex("mlperf audit: wan22.yaml") :]
    assert "query" not in summary


def test_no_bar_in_a_log(audit, start_sut):
    audit.config(start_sut(service_ms=60))
    result = audit.run()
    result.stdout.no_fnmatch_line("*%|*")
    result.stdout.no_fnmatch_line("mlperf-audit: test04 *")


INTERVAL = """
from pytest_mlperf_audit.session import display
display.Display.__init__.__kwdefaults__["line_every_s"] = 0.3
"""


@pytest.mark.own_process
def test_lines_in_a_log(audit, start_sut, lone_or_spread):
    """The interval of a minute is shortened in the process that shows, not in the code."""
    (audit.path / "conftest.py").write_text(INTERVAL)
    audit.config(start_sut(service_ms=120))
    result = audit.run(*lone_or_spread)
    lines = [line for line in result.outlines if line.startswith("mlperf-audit: test04 ")]
    assert len(lines) >= 2
    assert all(re.match(r"mlperf-audit: test04 (reference|output_caching): \d/8 queries", line) for line in lines)


def progress(**changes):
    values = {"phase": "reference", "title": "test04", "requested": 64, "issued": 20, "elapsed_s": 60.0}
    return Progress(**{**values, **changes})


@pytest.mark.parametrize(
    ("snapshot", "line"),
    [
        (progress(), "0/64 queries"),
        (progress(completed=16), "16/64 queries, 0.267/s, about 3 min left"),
        (progress(completed=60, failed=4), "64/64 queries, 1.07/s, about 0 s left, 4 failed"),
        (progress(completed=32, target_s=600.0), "32/64 queries, 0.533/s, about 9 min left"),
        (progress(completed=1, idle_s=300.0), "1/64 queries, 0.0167/s, about 63 min left, no reply for 5 min"),
    ],
)
def test_line(snapshot, line):
    assert display.line(snapshot) == line


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_bar_follows_phases_and_goes():
    screen = Terminal()
    show = display._Bar(screen)
    show(None)
    assert screen.getvalue() == ""
    show(progress(completed=16, failed=1))
    show(progress(completed=21, idle_s=61.0))
    show(progress(phase="output_caching", completed=2))
    show(progress(phase="output_caching", completed=64, over=True))
    written = screen.getvalue()
    assert "test04 reference" in written
    assert "21/64" in written
    assert "3.53s/query, 1 failed]" in written
    assert "no reply for 61 s]" in written
    assert "test04 output_caching" in written
    assert written.endswith("\r")


def test_display_without_a_standard_output_shows_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stdout", None)
    shown = display.Display(ProgressFile(tmp_path / "progress.json"))
    shown.start()
    shown.stop()
