"""What upstream's `compliance/TEST06/run_verification.py` says of a log with its defaults: int32, EOS token 2."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from ...errors import RecordError
from ...loadgen.accuracy_log import Entry
from ...loadgen.json_stream import JsonStream
from ..published.case import Defect, Upstream, UpstreamVerdict
from ..tokens import Ids, TokenRules, trailing

SCRIPT: Final = "TEST06/run_verification.py"
#: What it takes for every model unless told otherwise.
_EOS_ID: Final = 2

_EMPTY_LOG: Final = Defect(
    "empty_log_passes", SCRIPT, "the script passes a log without a single sample: each of its checks holds for none"
)
_EMPTY_OUTPUTS: Final = Defect(
    "empty_outputs_pass", SCRIPT, "the script passes a log whose outputs are all empty: there is no token to look at"
)
_INDEX_0: Final = Defect(
    "index_0_not_tested",
    SCRIPT,
    "the script never looks at an output's first token, so an output of two EOS tokens and nothing else passes; the "
    "exception that once allowed it was withdrawn for v5.0 (mlcommons/inference#1884)",
)
_ONE_EOS: Final = Defect(
    "one_eos_token_for_all_models",
    SCRIPT,
    "the script takes token 2 for the end of sequence unless told otherwise, which most models' is not; and a token "
    "given with -e stays text, which no token equals",
)
_SHORTER: Final = Defect(
    "empty_first_token_passes",
    SCRIPT,
    "the script compares only as many tokens as the shorter of output and first token has, so an empty one passes",
)
_NO_FIRST: Final = Defect(
    "missing_first_token_fails",
    SCRIPT,
    "the script takes a log that reports no first token for one that reports a wrong one",
)
_INT32: Final = Defect(
    "int32_assumed", SCRIPT, "the script reads token ids as int32 unless told otherwise; those of this log are int64"
)
_UNGUARDED: Final = Defect(
    "length_check_crashes",
    SCRIPT,
    "the script's length check ends in a traceback on a sample without token_count, or with half a token",
)
_ONLY_ARRAYS: Final = Defect("only_arrays", SCRIPT, "the script reads a JSON array and nothing else")
_ANY_FORM: Final = Defect(
    "form_not_checked", SCRIPT, "the script never asks whether the log is one that LoadGen writes, in all its fields"
)

CHECKS: Final = ("samples", "first_token", "eos", "token_count")
#: What the script's own checks are guarded against is any exception; these are all that JSON values can cause.
_FAULTS: Final = (KeyError, TypeError, ValueError, OverflowError)


def said(log: Path, script: Script, *, is_fed: bool, readable: bool) -> tuple[Upstream, list[Defect]]:
    """Return the script's word on a log, and which of its defects the log hits.

    `is_fed` says that `script` has taken in the log already, entry by entry; `readable` is whether it is an accuracy
    log to us.
    """
    try:
        for sample in () if is_fed else _samples(log):
            script.take(sample)
    except RecordError:
        return _upstream("CRASH", "the log is no JSON that it can read"), []
    except _NotArrayError:
        return _upstream("CRASH", "the log is JSON, but no array of samples"), [_ONLY_ARRAYS]
    verdict, reason = script.verdict()
    defects = script.defects()
    if not readable and verdict != "CRASH":
        defects.append(_ANY_FORM)
    return _upstream(verdict, reason), defects


def _upstream(verdict: UpstreamVerdict, reason: str) -> Upstream:
    return Upstream(script=SCRIPT, verdict=verdict, reason=reason, checks=CHECKS)


class _NotArrayError(Exception):
    """The file is JSON of another shape."""


def _samples(log: Path) -> Iterator[Any]:
    """Yield what the script iterates over: the elements of an array; none of an empty object or text."""
    values = JsonStream(log)
    sequence = []
    for value in values:
        if values.array:
            yield value
        else:
            sequence.append(value)
            if len(sequence) > 1 or value or not isinstance(value, (dict, str)):
                raise _NotArrayError


def _ids(bytes_of: Callable[[str], bytes | None], name: str) -> Ids | None:
    """Return what the script reads of a member of a sample, None where it ends in an exception."""
    try:
        return np.frombuffer(bytes_of(name), np.int32)  # type: ignore[arg-type]  # None is one of the faults
    except _FAULTS:
        return None


class Script:
    """The script's three checks, each of which stops at the first sample that decides it.

    `rules` take in the same log.
    """

    def __init__(self, rules: TokenRules, *, first_needed: bool) -> None:
        self._rules = rules
        self._first_needed = first_needed
        self._n = 0
        self._eos = self._first = self._length = True
        self._crashed = False
        self._hit: dict[str, Defect] = {}

    def take(self, sample: Any) -> None:
        """Take in one sample, as the log has it."""
        self._take(sample, lambda name: bytes.fromhex(sample[name]))

    def take_entry(self, entry: Entry, sample: Any) -> None:
        """Take in one sample whose bytes were decoded by our reader."""
        known = {"data": entry.data, "token_data": entry.token_data}
        self._take(sample, lambda name: known[name])

    def _take(self, sample: Any, bytes_of: Callable[[str], bytes | None]) -> None:
        self._n += 1
        ids = _ids(bytes_of, "data")
        if self._eos:
            self._eos = ids is not None and self._take_end(ids)
        if self._first and self._first_needed:
            self._first = self._take_first(ids, _ids(bytes_of, "token_data"))
        if self._length and not self._crashed:
            self._take_length(ids, sample)

    def _take_end(self, ids: Ids) -> bool:
        """The script looks at all tokens but the first."""
        fine = trailing(ids[1:], {_EOS_ID}) < 2
        if fine and trailing(ids, {_EOS_ID}) > 1:
            self._note(_INDEX_0)
        eos_ids = self._rules.eos_ids
        if eos_ids is None:
            if len(ids) > 1 and ids[-1] == ids[-2]:
                self._note(_ONE_EOS)
        elif eos_ids != {_EOS_ID} and fine != (trailing(ids, eos_ids) < 2):
            self._note(_ONE_EOS)
        return fine

    def _take_first(self, ids: Ids | None, first: Ids | None) -> bool:
        if first is None:
            self._note(_NO_FIRST)
            return False
        if ids is None:
            return False
        shorter = min(len(ids), len(first))
        if not shorter:
            self._note(_SHORTER)
        return not np.any(ids[:shorter] != first[:shorter])

    def _take_length(self, ids: Ids | None, sample: Any) -> None:
        try:
            count = int(sample["token_count"])
        except _FAULTS:
            count = None
        if ids is None or count is None:
            self._crashed = True
            self._note(_UNGUARDED)
        elif len(ids) != count:
            self._length = False

    def _note(self, defect: Defect) -> None:
        self._hit[defect.name] = defect

    def verdict(self) -> tuple[UpstreamVerdict, str]:
        """Return the script's verdict on what it took in, and why."""
        if self._crashed:
            return "CRASH", "its length check meets a sample without a token count, or of half a token"
        if not self._n:
            return "PASS", "of no samples, all fulfil its checks"
        failed = [
            name
            for name, passed in (("first token", self._first), ("EOS", self._eos), ("sample length", self._length))
            if not passed
        ]
        if failed:
            return "FAIL", f"it finds fault with: {', '.join(failed)}"
        return "PASS", f"it finds no fault with {self._n} samples read as int32 that end in token {_EOS_ID}"

    def defects(self) -> list[Defect]:
        """Return those of its defects that the samples hit."""
        found = dict(self._hit)
        if not self._n:
            found[_EMPTY_LOG.name] = _EMPTY_LOG
        elif not self._rules.n_tokens:
            found[_EMPTY_OUTPUTS.name] = _EMPTY_OUTPUTS
        elif self._rules.width != 4:
            found[_INT32.name] = _INT32
        return list(found.values())
