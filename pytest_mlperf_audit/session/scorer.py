"""An external scorer, run once on the files of a phase: a list of arguments, no shell, a time limit, bounded output."""

from __future__ import annotations

import math
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from ..config.dataset import PLACEHOLDERS
from ..config.yaml_source import interpolate, values_in
from ..load.redaction import Redactor
from ..records.log import read_queries
from ..records.store import QUERIES_FILE, write_score
from ..runs.spec import Score, Scoring
from .commands import KEPT, Ended, run

_LAST_LINE: Final = 200
_PLACEHOLDER: Final = re.compile("{(" + "|".join(PLACEHOLDERS) + ")}")

_NUMBER: Final = r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?(?:nan|inf(?:inity)?)\b"
#: `'exact_match': 60.7`, as MLPerf's scripts print it, `accuracy = 61.2%`, `"vbench_score": 70.48`, `Score: 1`.
_DEFAULT_PATTERN: Final = rf"(?i)\b(?:exact_match|accuracy|(?:[a-z]+_)?score)\b['\"]?\s*[:=]\s*(?P<score>{_NUMBER})"


class _Files(msgspec.Struct, frozen=True):
    """What the placeholders of a command stand for, and how many outputs there are."""

    accuracy_log: Path
    queries: Path
    outputs: Path
    n: int
    n_unanswered: int


def command_problem(scoring: Scoring, cwd: Path) -> str | None:
    """Return why a scorer's command cannot be run, with the cure; None when it can, or there is none."""
    if not scoring.command:
        return None
    program = interpolate(scoring.command[0], os.environ)
    found = shutil.which(str(Path(cwd, program)) if os.sep in program else program)
    if found:
        return None
    where = f"in {cwd}" if os.sep in program else "on PATH"
    return f"the scorer {program!r} is no program that can be run (looked {where}); correct accuracy_config.command"


def run_command(
    scoring: Scoring,
    directory: Path,
    accuracy_log: Path,
    *,
    cwd: Path,
    redact: Callable[[str], str],
    tick: Callable[[], None] = lambda: None,
) -> Score:
    """Run a phase's external scorer in `cwd`, write what it said to score.json in `directory`, and return it.

    Whatever goes wrong with the scorer is the score's `error`. `tick` is called four times a second; what it raises,
    and Ctrl-C, kills the scorer with all it started, and leaves no score. Raises OSError when a file cannot be written,
    and RecordError when queries.jsonl cannot be read.
    """
    with _files(directory, accuracy_log) as files:
        variables = [pair for argument in scoring.command for pair in values_in(argument, os.environ)]
        own = Redactor([value for _, value in variables])
        arguments = [_filled(interpolate(argument, os.environ), files) for argument in scoring.command]
        try:
            ended = run(arguments, cwd, scoring.timeout_s, tick)
        except OSError as error:
            score = _failed(
                files, f"the scorer {scoring.command[0]!r} could not be started ({error.strerror or error})"
            )
        else:
            score = _score(scoring, files, ended, lambda text: own.redact(redact(text)))
    redacted = msgspec.structs.replace(score, error=own.redact(redact(score.error)) if score.error else None)
    write_score(directory, redacted)
    return redacted


@contextmanager
def _files(directory: Path, accuracy_log: Path) -> Iterator[_Files]:
    """Yield the files for the scorer; that of the outputs is there as long as the scorer runs."""
    n = n_unanswered = 0
    with tempfile.TemporaryDirectory(prefix="mlperf-scorer-") as scratch:
        outputs = Path(scratch, "outputs.jsonl")
        with outputs.open("wb") as file:
            for query in read_queries(directory / QUERIES_FILE):
                output = query.output if query.ok else None
                line = {"index": query.sample, "output": output, "expected": query.expected}
                file.write(msgspec.json.encode(line) + b"\n")
                n, n_unanswered = n + 1, n_unanswered + (output is None)
        yield _Files(accuracy_log.resolve(), (directory / QUERIES_FILE).resolve(), outputs, n, n_unanswered)


def _filled(argument: str, files: _Files) -> str:
    # At one go, since a path may itself look like a placeholder.
    return _PLACEHOLDER.sub(lambda found: str(getattr(files, found[1])), argument)


def _score(scoring: Scoring, files: _Files, ended: Ended, redact: Callable[[str], str]) -> Score:
    text = ended.tail.decode("utf-8", "replace")
    shown = redact(text)[-KEPT:]
    named = f"the scorer {scoring.command[0]!r}"
    last = _last_line(shown)
    if ended.exit_status is None:
        error = f"{named} had not ended after {scoring.timeout_s:g} s and was stopped{last}; raise timeout_ms"
    elif ended.exit_status:
        error = f"{named} failed with exit status {ended.exit_status}{last}"
    else:
        value, metrics, why = _find_score(re.compile(scoring.pattern or _DEFAULT_PATTERN), text)
        if not why:
            return Score(
                value=value,
                n=files.n,
                n_unanswered=files.n_unanswered,
                metrics=metrics,
                exit_status=0,
                output_tail=shown,
            )
        error = f"{named} {why}{last}"
    failed = _failed(files, error)
    return msgspec.structs.replace(failed, exit_status=ended.exit_status, output_tail=shown)


def _failed(files: _Files, error: str) -> Score:
    return Score(value=None, n=files.n, n_unanswered=files.n_unanswered, error=error)


def _find_score(pattern: re.Pattern[str], text: str) -> tuple[float | None, dict[str, float], str]:
    """Return the score in what a scorer printed, its other named figures, and why there is no score, "" if there is."""
    group: str | int = "score" if "score" in pattern.groupindex else 1
    last, printed = None, dict[float | str, None]()
    for match in pattern.finditer(text):
        last = match
        number = _finite(match[group])
        printed[str(match[group]) if number is None else number] = None
    if last is None:
        return None, {}, f"printed no score that {_pattern_text(pattern)} finds; give accuracy_config.pattern"
    if len(printed) > 1:
        scores = ", ".join(map(str, list(printed)[:3]))
        return None, {}, f"printed several scores ({scores}); give an accuracy_config.pattern that finds one"
    value = _finite(last[group])
    if value is None:
        return None, {}, f"printed the score {last[group]!r}, which is no finite number"
    others = {name: _finite(text) for name, text in last.groupdict().items() if name != "score"}
    return value, {name: other for name, other in others.items() if other is not None}, ""


def _pattern_text(pattern: re.Pattern[str]) -> str:
    return "the default pattern" if pattern.pattern == _DEFAULT_PATTERN else f"the pattern {pattern.pattern!r}"


def _finite(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f" (last line: {lines[-1][:_LAST_LINE]})" if lines else " (it printed nothing)"
