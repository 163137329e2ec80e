"""Where queries are sent from: one process, several, or several on other hosts, in the syntax of xdist's `--tx`."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from .block import reject

_HOW = "write popen, 4*popen or ssh=user@host//python=python3.12"
_TIMES = re.compile(r"(?P<times>[0-9]{1,4})\*(?P<one>.+)", re.ASCII)
#: What a specification may say beside its kind; the rest of execnet's keys would change how we talk to a worker.
_KEYS = frozenset({"python", "ssh_config", "chdir", "nice"})
MOST_PROCESSES = 1024


def _host(spec: str) -> str:
    """Return a specification as written, if it is one."""
    times = _TIMES.fullmatch(spec)
    if times and not 1 <= int(times["times"]) <= MOST_PROCESSES:
        reject(f"asks for {times['times']} processes; give a number from 1 to {MOST_PROCESSES}")
    parts = [part.partition("=") for part in (times["one"] if times else spec).split("//")]
    kind, is_ssh, host = parts[0]
    if not ((kind == "popen" and not is_ssh) or (kind == "ssh" and host.strip())) or not spec.isprintable():
        reject(f"is not a place to start a process at; {_HOW}")
    if host.startswith("-"):
        reject(f"begins with options of ssh's, which belong into its configuration (ssh_config=FILE); {_HOW}")
    seen = set()
    for key, given, value in parts[1:]:
        if key not in _KEYS and not key.startswith("env:"):
            reject(f"has an unknown key {key!r}; known are {', '.join(sorted(_KEYS))} and env:NAME; {_HOW}")
        if not (given and value) or key in seen:
            reject(f"has no value, or two, for {key}; {_HOW}")
        if key == "nice" and not value.isdigit():
            reject("has a value of nice that is no whole number")
        if key == "ssh_config" and kind != "ssh":
            reject("has an ssh_config and no ssh; drop one")
        seen.add(key)
    return spec


Host = Annotated[str, AfterValidator(_host)]


def each_process(hosts: tuple[str, ...]) -> tuple[str, ...]:
    """Return one specification for each process: '2*popen' stands for two."""
    found: list[str] = []
    for spec in hosts:
        times = _TIMES.fullmatch(spec)
        found += [times["one"]] * int(times["times"]) if times else [spec]
    return tuple(found)


def usable_cores() -> int:
    """Return how many CPU cores this process may use, by its affinity and its control group's quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        if quota != "max":
            cores = min(cores, max(1, int(quota) // int(period)))
    return cores


def processes(num_workers: int, hosts: tuple[str, ...], *, simulated: bool, most: int) -> tuple[str, ...]:
    """Return a specification for each process that sends; none where this one sends alone.

    Of -1 workers, as many as help: one for each core that the simulated endpoint leaves, and no more than `most`, the
    queries that may be in flight.
    """
    if hosts:
        return each_process(hosts)
    if num_workers < 0:
        num_workers = max(1, min(usable_cores() - simulated, most))
    return ("popen",) * num_workers if num_workers > 1 else ()
