"""Progress: a live bar on a terminal, a line now and then in a log, nothing for a run that is soon over."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import termios
from contextlib import ExitStack
from pathlib import Path

import pytest

from pytest_mlperf_audit.load.progress import Progress, ProgressFile
from pytest_mlperf_audit.load.target import Target
from pytest_mlperf_audit.runs.order import without_replacement
from pytest_mlperf_audit.runs.spec import MaxThroughput, RunSpec
from pytest_mlperf_audit.session import display
from pytest_mlperf_audit.session.display_lines import Lines, LogView
from pytest_mlperf_audit.session.display_lines import line as line_of
from pytest_mlperf_audit.session.locks import endpoint_lock
from pytest_mlperf_audit.session.schedule import Schedule, Step
from tests.support.sut_process import until

SHORT_MINUTE = """
from pytest_mlperf_audit.session import display
display.Display.__init__.__kwdefaults__.update(line_every_s=0.3, quiet_s=0.0)
"""


def step(label):
    spec = RunSpec(label=label, n_samples=64, order=without_replacement(1), load=MaxThroughput())
    return Step(f"test04 {label}", spec)


SCHEDULE = Schedule(lambda: [step("reference"), step("output_caching")], lambda: None)


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
    (audit.path / "conftest.py").write_text(SHORT_MINUTE)
    session = audit.start(*args, stdout=theirs, stderr=theirs)
    os.close(theirs)
    screen = read_terminal(ours)
    os.close(ours)
    assert session.wait() == 0
    assert re.search(r"1 of 2, test04 reference: +\d+%\|.*\d/8 \[.*query", screen)
    assert re.search(r"2 of 2, test04 output_caching: +\d+%\|", screen)
    assert re.search(r"last \d+(\.\d)? ms", screen) or columns == 0
    assert re.search(r"\d s left\]", screen) or columns == 0
    lines = [text.strip() for text in re.split(r"[\r\n]+", screen)]
    assert sum(text.startswith("mlperf-audit: test04 reference: over, 8 queries completed in") for text in lines) == 1
    # The last thing a bar does is clear its line; nothing of it stays on the summary's.
    summary = screen[screen.rindex("mlperf audit: wan22.yaml") :]
    assert "query" not in summary


def test_no_bar_in_a_log(audit, start_sut):
    audit.config(start_sut(service_ms=60))
    result = audit.run()
    result.stdout.no_fnmatch_line("*%|*")
    result.stdout.no_fnmatch_line("mlperf-audit: test04 *")


@pytest.mark.own_process
@pytest.mark.parametrize(
    "args",
    [(), ("-q",), ("-v",), ("-n", "2"), ("-s",), ("-p", "no:terminal"), ("--capture=sys",), ("--capture=tee-sys",)],
    ids=" ".join,
)
def test_lines_in_a_log(audit, start_sut, args):
    """The interval of a minute is shortened in the process that shows, not in the code."""
    (audit.path / "conftest.py").write_text(SHORT_MINUTE)
    audit.config(start_sut(service_ms=120))
    lines = audit.run(*args).outlines
    assert all(text.startswith("mlperf-audit: ") for text in lines if "mlperf-audit: " in text)
    told = [text.removeprefix("mlperf-audit: test04 ") for text in lines if text.startswith("mlperf-audit: test04 ")]
    for at, phase in enumerate(("reference", "output_caching"), 1):
        of_phase = [text.removeprefix(f"{phase}: ") for text in told if text.startswith(f"{phase}: ")]
        assert of_phase[0] == f"starts (phase {at} of 2), 8 queries"
        assert re.fullmatch(r"over, 8 queries completed in \d s", of_phase[-1])
        assert len(of_phase) >= 3
        assert all(re.match(r"\d/8 queries", text) for text in of_phase[1:-1])


def test_waiting_is_said_at_once_with_who_is_waited_for(audit, sut, tmp_path):
    audit.config(sut)
    log = tmp_path / "second.log"
    said = f"waiting for another run against this endpoint (process {os.getpid()} in {Path.cwd()})\n"
    with log.open("w") as file, ExitStack() as stack:
        stack.enter_context(endpoint_lock(Target(urls=(sut.url,)), lambda _: None))
        session = audit.start("-q", stdout=file)
        until(lambda: said in log.read_text(), "the session says that it waits")
        assert session.poll() is None
        stack.close()
        assert session.wait() == 0


def test_a_phase_too_short_to_be_seen_is_told_with_its_start():
    log = io.StringIO()
    view = LogView(Lines(log, lambda: "", 0.0), SCHEDULE, 60.0)
    view.ended(progress(completed=64, elapsed_s=120.0, failed=0))
    assert log.getvalue().splitlines() == [
        "mlperf-audit: test04 reference: starts (phase 1 of 2), 64 queries",
        "mlperf-audit: test04 reference: over, 64 queries completed in 2 min",
    ]


def test_a_hostile_name_forges_no_line():
    log = io.StringIO()
    LogView(Lines(log, lambda: "", 0.0), SCHEDULE, 60.0).shows(progress(phase="x\n::error::y\x1b[2J"))
    assert log.getvalue().count("\n") == 1
    assert "\x1b" not in log.getvalue()


def test_the_rest_of_a_session_is_reckoned_from_what_is_known():
    assert SCHEDULE.left_s("test04 reference", progress(completed=32)) == 60.0 + 120.0
    assert SCHEDULE.left_s("test04 output_caching", progress(completed=32)) == 60.0
    assert SCHEDULE.left_s("test04 confirmation", progress(completed=32)) is None


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
    assert line_of(snapshot) == line


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_bar_follows_phases_and_goes():
    screen = Terminal()
    bar = display._Bar(screen, Lines(screen, lambda: "", 0.0), SCHEDULE)
    show = bar.shows
    show(None)
    assert screen.getvalue() == ""
    show(progress(completed=16, failed=1))
    show(progress(completed=21, idle_s=61.0))
    show(progress(phase="output_caching", completed=2))
    bar.ended(progress(phase="output_caching", completed=64))
    written = screen.getvalue()
    assert "test04 reference" in written
    assert "21/64" in written
    assert "3.53s/query, 1 failed, " in written
    assert "no reply for 61 s, " in written
    assert "test04 output_caching" in written
    assert written.endswith("\rmlperf-audit: test04 output_caching: over, 64 queries completed in 60 s\n")


def test_display_without_a_standard_output_shows_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stdout", None)
    shown = display.Display(ProgressFile(tmp_path / "progress.json"), SCHEDULE)
    shown.start()
    shown.stop()
