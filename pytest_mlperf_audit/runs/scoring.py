"""How the outputs of a phase are scored, and what came of it: a part of what was asked, and a record of its own."""

from __future__ import annotations

from typing import Literal

import msgspec

_Method = Literal["exact_match", "rouge", "command"]


class Scoring(msgspec.Struct, frozen=True, kw_only=True):
    """How outputs are scored against what the data set expects of them (`QueryRecord.expected`).

    `exact_match` and `rouge` are worked out from the records, by whoever judges them. `command` is an external program:
    a list of arguments, no shell, whose exit status and time limit count; `pattern` finds the score in what it prints,
    its group `score` or its first one. `extractor` finds the answer in an output, with `pattern` where it is "pattern".
    `ground_truth` is the data set's column of expected answers, `threshold` the least score that the YAML asks for.
    """

    method: _Method
    extractor: str = "identity"
    pattern: str | None = None
    command: tuple[str, ...] = ()
    timeout_s: float = 3600.0
    ground_truth: str | None = None
    threshold: float | None = None


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """What a phase scored. `value` is in per cent, for a command as it prints it; None where there is an `error`.

    `metrics` are all figures of the method by name; `n` outputs were scored, in `n_unanswered` no answer was found.
    """

    value: float | None
    n: int
    n_unanswered: int = 0
    metrics: dict[str, float] = {}
    error: str | None = None
    exit_status: int | None = None
    output_tail: str = ""
