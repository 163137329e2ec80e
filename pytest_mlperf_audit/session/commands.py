"""Running a program of the user's: a list of arguments, no shell, a time limit, a bounded part of what it prints.

`Between` runs one, and then hooks, between two phases: to restart or flush the SUT, say.
"""

from __future__ import annotations

import inspect
import math
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from ..config.settings import BetweenPhases
from ..config.yaml_source import interpolate, values_in
from ..errors import NoVerdictError
from ..load.redaction import Redactor
from ..text import printable

#: What is kept of a program's output, and how much more is read so that no secret is cut in two.
KEPT: Final = 65_536
_MARGIN: Final = 8_192
_POLL_S: Final = 0.25
#: What a program gets to end by itself when it is told to, and to close its output when it has ended.
_GRACE_S: Final = 5.0
_OUTPUT_GRACE_S: Final = 1.0
#: As much of the end of what a failing command printed is shown.
_SHOWN: Final = 400

#: Called with the labels of the phase that has ended and of the one that is to come, and the endpoint's URLs.
Hook = Callable[[str, str, tuple[str, ...]], object]


class Ended(msgspec.Struct, frozen=True):
    """How a program ended; `exit_status` is None where it was killed at its time limit. `tail` ends what it printed."""

    exit_status: int | None
    tail: bytes


def run(arguments: list[str], cwd: Path, timeout_s: float, tick: Callable[[], None] = lambda: None) -> Ended:
    """Run a program in a process group of its own, and end all of the group however this ends. Raises OSError.

    `tick` is called four times a second; what it raises, and Ctrl-C, ends the program.
    """
    process = subprocess.Popen(  # noqa: S603 - the user's own program, as a list of arguments
        arguments,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None
    with process.stdout as pipe:
        try:
            return _followed(process, pipe.fileno(), timeout_s, tick)
        finally:
            _end(process)


def _followed(process: subprocess.Popen[bytes], pipe: int, timeout_s: float, tick: Callable[[], None]) -> Ended:
    """Read what a process prints until it has ended, or its time is up."""
    tail = b""
    deadline_s = time.monotonic() + timeout_s
    patience_s = math.inf
    while (now_s := time.monotonic()) < min(deadline_s, patience_s):
        tick()
        readable, _, _ = select.select([pipe], [], [], min(_POLL_S, deadline_s - now_s))
        if readable:
            piece = os.read(pipe, KEPT)
            tail = (tail + piece)[-KEPT - _MARGIN :]
            if not piece and process.poll() is None:
                time.sleep(_POLL_S / 10)  # it has closed its output, and goes on
        else:
            piece = None
        if process.poll() is not None:
            if piece == b"":
                break
            # What it started in the background may hold its output open for ever.
            patience_s = min(patience_s, now_s + _OUTPUT_GRACE_S)
    return Ended(process.poll(), tail)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started: told to first, and then made to."""
    try:
        if process.poll() is None:
            _signal(process, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE_S)
    finally:
        _signal(process, signal.SIGKILL)
        process.wait()


def _signal(process: subprocess.Popen[bytes], signum: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # all of the group is gone
        os.killpg(process.pid, signum)


@dataclass(frozen=True)
class Between:
    """Done between every two phases of a run. `cwd` is the YAML's directory, `environ` has the command's variables.

    `redact` takes secrets out of what a command or a hook says.
    """

    config: BetweenPhases | None
    hook: Hook | None
    cwd: Path
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    redact: Callable[[str], str] = field(default=str, repr=False)

    def __bool__(self) -> bool:
        return self.config is not None or self.hook is not None

    def __call__(self, before: str, after: str, urls: tuple[str, ...]) -> None:
        """Do it. Raises NoVerdictError where the command or a hook fails: the next phase would mean nothing then."""
        if self.config is not None and (problem := self._run(self.config, before, after, urls[0])):
            raise NoVerdictError(f"between_phases, before the phase {after}: {problem}")
        if self.hook is not None:
            try:
                _require_done(self.hook(before, after, urls))
            except Exception as error:
                raise NoVerdictError(
                    f"pytest_mlperf_between_phases, before the phase {after}: "
                    f"{type(error).__name__}: {self.redact(str(error))}"
                ) from error

    def _run(self, config: BetweenPhases, before: str, after: str, url: str) -> str:
        """Run the command; return what went wrong, "" if nothing did."""
        values = {"{before}": before, "{after}": after, "{url}": url}
        command = [_filled(interpolate(argument, self.environ), values) for argument in config.command]
        named = config.command[0]
        try:
            ended = run(command, self.cwd, config.timeout_s)
        except OSError as error:
            return f"{named} could not be started ({error.strerror or error})"
        if ended.exit_status == 0:
            return ""
        own = Redactor([value for argument in config.command for _, value in values_in(argument, self.environ)])
        printed = printable(own.redact(self.redact(ended.tail.decode("utf-8", "replace")))[-_SHOWN:])
        what = (
            f"{named} ran longer than its time limit of {config.timeout_s:g} s"
            if ended.exit_status is None
            else f"{named} ended with status {ended.exit_status}"
        )
        return f"{what}; it said: {printed}" if printed else what


def _require_done(result: object) -> None:
    """Raise TypeError where a hook only promised: nobody would wait for its coroutine, and nothing have been done."""
    for one in result if isinstance(result, list) else [result]:  # pytest gives a list, of each implementation's
        if inspect.iscoroutine(one):
            one.close()
            raise TypeError("the hook is an `async def`, which is not awaited; make it a plain function")


def _filled(argument: str, values: dict[str, str]) -> str:
    for placeholder, value in values.items():
        argument = argument.replace(placeholder, value)
    return argument
