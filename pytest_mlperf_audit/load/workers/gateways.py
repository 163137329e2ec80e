"""Processes to send from, started by execnet: here, or over ssh. Each is like this one, or there is one message.

execnet has no common class of errors, and starts what it is told with a terminal's Ctrl-C in reach; both end here.
"""

from __future__ import annotations

import queue
import signal
import subprocess as processes
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast

import execnet
from execnet import gateway_base

from ...errors import HostError
from ...text import printable
from ..pattern import room_for
from . import hello

#: A gateway that does not come up, or does not say what it is, within this time never will.
_PATIENCE_S = 30.0
#: ssh must not ask for a password on the terminal, nor wait for a host that does not answer; compression costs more
#: CPU time than the queries do, and execnet asks for it, so that its own configuration cannot be asked not to.
_SSH = "-o BatchMode=yes -o ConnectTimeout=10"
#: Of gateways that are opened at a time; each is a thread here, and an ssh client with its key exchange.
_AT_ONCE = 16
_CLOSE_S = 2.0
#: Two pipes to each process, and its records while they are written and when they are put together.
_FILES_EACH = 4
#: The cure where a command is no Python. What a login shell prints of its own gets in the way as well.
_NAME_ONE = "name one with //python=PATH, and have the shell there print nothing of its own"
#: ssh's own exit status where it cannot reach a host (ssh(1), EXIT STATUS).
_SSH_FAILED = 255


@dataclass
class Gateway:
    """A process that waits for our word. `spec` is how the user wrote it."""

    number: int
    spec: str
    channel: Any = field(repr=False)
    made: Any = field(repr=False)
    one_machine: bool = False

    @property
    def name(self) -> str:
        """The worker as messages name it."""
        return f"worker {self.number} ({self.spec})"

    def kill(self) -> None:
        """End our side of it at once: the process itself, or the ssh client."""
        with suppress(Exception):
            self.made._io.kill()  # noqa: SLF001 - execnet has no other way


class _Started(gateway_base.ThreadExecModel):
    """execnet's threads, and its `subprocess`: of what is started here, all is known, whatever becomes of it."""

    PIPE = processes.PIPE

    def __init__(self) -> None:
        self.processes: list[processes.Popen[bytes]] = []
        self.latest = threading.local()
        self._lock = threading.Lock()
        self._is_over = False

    @property
    def subprocess(self) -> _Started:
        return self

    def Popen(self, *args: Any, **options: Any) -> processes.Popen[bytes]:  # noqa: N802 - as of that module
        """Start a process, unless all is over."""
        with self._lock:
            if self._is_over:
                raise OSError("it is over")
            process = processes.Popen(*args, **options)  # noqa: S603 - what the YAML names
            self.processes.append(process)
            self.latest.process = process
            return process

    def status(self) -> int | None:
        """Return the exit status of the process that this thread started last, None where it has not ended."""
        try:
            return int(self.latest.process.wait(_CLOSE_S))
        except (AttributeError, processes.TimeoutExpired):
            return None

    def end(self) -> None:
        """Start no more, and kill what has not ended."""
        with self._lock:
            self._is_over = True
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with suppress(OSError):  # what was to be written to it
                        pipe.close()


class Gateways:
    """All processes of one run. Raises HostError when one cannot be started, or is not like this one."""

    def __init__(self, specs: Sequence[str]) -> None:
        self._started = _Started()
        self._group = execnet.Group()
        # Signal handlers, and uvloop, want the main thread of each.
        self._group.set_execmodel(cast("str", self._started), "main_thread_only")
        self._specs = tuple(specs)
        _make_room(len(specs))
        self.opened: list[Gateway] = []
        try:
            self.opened = self._open()
            self._check()
            for one in self.opened:
                one.channel.send("serve")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End every process that was started; what does not end in time is killed."""
        self._group.terminate(timeout=_CLOSE_S)
        self._started.end()

    def _open(self) -> list[Gateway]:
        """Start all, several at a time, in threads that Ctrl-C does not reach, nor what they start.

        A terminal sends Ctrl-C to every process of its group. The workers, and the ssh clients, are told by us.
        """
        waiting: queue.SimpleQueue[tuple[int, str]] = queue.SimpleQueue()
        done: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        for item in enumerate(self._specs):
            waiting.put(item)

        def start() -> None:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            with suppress(queue.Empty):
                while True:
                    number, spec = waiting.get_nowait()
                    done.put((number, self._start(spec)))

        for _ in range(min(_AT_ONCE, len(self._specs))):
            threading.Thread(target=start, name="mlperf-gateway", daemon=True).start()
        found: list[Gateway] = []
        due_s = time.monotonic() + _PATIENCE_S * -(-len(self._specs) // _AT_ONCE)
        while len(found) < len(self._specs):
            try:
                number, made = done.get(timeout=max(0.0, due_s - time.monotonic()))
            except queue.Empty:
                missing = next(spec for at, spec in enumerate(self._specs) if at not in {one.number for one in found})
                raise HostError(_cannot(missing, f"no answer within {_PATIENCE_S:g} s")) from None
            if isinstance(made, str):
                raise HostError(_cannot(self._specs[number], made))
            gateway, channel = made
            found.append(Gateway(number, self._specs[number], channel, gateway))
        return sorted(found, key=lambda one: one.number)

    def _start(self, spec: str) -> tuple[Any, Any] | str:
        """Return a gateway, and the channel of what runs there; or why there is none."""
        kind, equals, host = spec.partition("=")
        asked = f"ssh={_SSH} {host}" if kind == "ssh" and equals else spec
        try:
            made = self._group.makegateway(asked)
            return made, made.remote_exec(hello)
        except Exception as error:  # noqa: BLE001 - HostNotFound, EOFError, OSError, AssertionError: of anything
            status = self._started.status() if kind == "ssh" else None
            if status == _SSH_FAILED:
                return "ssh cannot log in there (it says why above); try the same with `ssh -o BatchMode=yes`"
            told = f", exit status {status}" if status is not None else ""
            return f"no Python starts there ({_last_line(error)}{told}); {_NAME_ONE}"

    def _check(self) -> None:
        ours = hello.findings()
        due_s = time.monotonic() + _PATIENCE_S
        for one in self.opened:
            try:
                theirs = one.channel.receive(timeout=max(0.1, due_s - time.monotonic()))
            except Exception as error:  # noqa: BLE001 - as above; over ssh a missing Python shows only now
                raise HostError(
                    _cannot(one.spec, f"no Python answers there ({_last_line(error)}); {_NAME_ONE}")
                ) from None
            if problem := _difference(ours, theirs):
                raise HostError(_cannot(one.spec, problem))
            one.one_machine = one.spec.startswith("popen") or bool(theirs["machine"] == ours["machine"] != "")


def _make_room(n_processes: int) -> None:
    """Raise this process's limit on open files as far as needed. Raises HostError where that is not far enough."""
    needed = _FILES_EACH * n_processes
    if (room := room_for(needed)) < needed:
        raise HostError(
            f"{n_processes} processes need {needed} open files, and this one may have {room}; raise `ulimit -n`, or "
            "ask for fewer processes"
        )


def _last_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}{f': {printable(lines[-1])}' if lines else ''}"


def _difference(ours: dict[str, str], theirs: dict[str, str]) -> str:
    """Return what of a worker's Python and package is not as here, with the cure; "" where all is."""
    if theirs["python"] != ours["python"]:
        return (
            f"has Python {theirs['python']}, here it is {ours['python']}; name another one there, as in "
            f"//python=python{ours['python']}"
        )
    if theirs["version"] != ours["version"]:
        found = theirs["version"] or f"none that can be found ({theirs.get('problem', '')})"
        return (
            f"has pytest-mlperf-audit {found}, here it is {ours['version']}; install that one there "
            "(from the same sources as here), or name its Python (//python=PATH)"
        )
    if theirs["code"] != ours["code"]:
        return (
            f"has other code than here, though both are pytest-mlperf-audit {ours['version']}; install the same there"
        )
    return ""


def _cannot(spec: str, why: str) -> str:
    return f"{spec}: {why}"
