"""Who and what a run measured, as far as its YAML names it, and the command line that began it, without secrets."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ..config.benchmark import Benchmark
from ..config.redact import looks_secret
from ..text import REDACTED, plain

_USER = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_QUERY = re.compile(r"(?<=\?)\S+")
#: A value shorter than that is too likely to be a part of another word.
_LEAST_SECRET = 4


def identity_of(benchmark: Benchmark) -> dict[str, str]:
    """Return submitter, system, benchmark, ruleset and division: those that the YAML names."""
    reference, rolling = benchmark.submission_ref, benchmark.rolling_submission
    named = {
        "submitter": reference and reference.submitter,
        "system": (reference and reference.system) or (rolling and rolling.system.get("system_name")),
        "benchmark": reference and reference.model,
        "ruleset": reference and reference.ruleset,
        "division": reference and reference.division,
    }
    return {key: plain(str(value), 200) for key, value in named.items() if value}


def command_line(arguments: Iterable[object], directory: Path) -> str:
    """Return the command line of a session as it can be shown: no credential, no directory of the machine.

    `directory` is where pytest was called; paths below it are shown from there.
    """
    return plain(shlex.join(["pytest", *_shown([str(argument) for argument in arguments], directory)]), 600)


def without_secrets(command: str, secrets: Sequence[str]) -> str:
    """Return a command line without the secrets of a YAML."""
    for secret in secrets:
        if len(secret) >= _LEAST_SECRET:
            command = command.replace(secret, REDACTED)
    return command


def _shown(arguments: Sequence[str], directory: Path) -> Iterator[str]:
    hide_next = False
    for argument in arguments:
        option, equals, value = argument.partition("=")
        secret = option.startswith("-") and looks_secret(option.lstrip("-").replace("-", "_"))
        if hide_next and not argument.startswith("-"):
            yield REDACTED
        elif secret and equals:
            yield f"{option}={REDACTED}"
        elif option.startswith("-") and equals:
            yield f"{option}={_value(value, directory)}"
        else:
            yield _value(argument, directory)
        hide_next = secret and not equals


def _value(value: str, directory: Path) -> str:
    """Return a value without user and query of a URL, and a path without the directories that lead to it."""
    name, equals, inner = value.partition("=")
    if equals and "://" not in name and looks_secret(name):
        return f"{name}={REDACTED}"
    if "://" in value:
        return _QUERY.sub(REDACTED, _USER.sub(REDACTED, value))
    path, colons, rest = (inner if equals else value).partition("::")
    if not Path(path).is_absolute():
        return value
    try:
        shown = Path(path).relative_to(directory).as_posix()
    except ValueError:
        shown = Path(path).name
    return f"{name}={shown}{colons}{rest}" if equals else f"{shown}{colons}{rest}"
