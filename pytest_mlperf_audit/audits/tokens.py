"""TEST06's rules on plain values: the first token, end-of-sequence tokens, and the reported number of tokens.

Rules: mlcommons/inference `compliance/TEST06/README.md`: the first token, where it is reported on its own, is the
output's first; an output ends in one end-of-sequence (EOS) token or none; the reported number of tokens is that of the
output. All of an output is looked at: one of two EOS tokens and nothing else ends in two of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from .verdict import Check, Figure

#: Bytes of a token id: int32, int64.
_WIDTHS: Final = (4, 8)
#: Tokens looked at from an output's end; a longer run of EOS tokens is counted as this many.
_TAIL: Final = 1024
#: Of at least so many outputs, a token that ends no larger share of them is no end-of-sequence token.
_ENOUGH_OUTPUTS: Final = 50
_HARDLY_ANY: Final = 0.02
#: With fewer high words than this, that all are zero says little.
_FEW_WORDS: Final = 8

Ids = NDArray[np.int32] | NDArray[np.int64]


class _Tally(msgspec.Struct):
    """How many samples break a rule, and the first of them, told with `{}` standing for the sample's name."""

    n: int = 0
    first: str = ""

    def add(self, told: str) -> None:
        self.n += 1
        self.first = self.first or told


class _Reading(msgspec.Struct):
    """What the outputs show when their token ids are read as `width` bytes each.

    `last` counts the outputs by their last token, `doubled` those that end in one token twice, by that token.
    """

    width: int
    counts_met: int = 0
    wrong_counts: _Tally = msgspec.field(default_factory=_Tally)
    wrong_ends: _Tally = msgspec.field(default_factory=_Tally)
    doubled: dict[int, _Tally] = msgspec.field(default_factory=dict)
    last: dict[int, int] = msgspec.field(default_factory=dict)
    n_tokens: int = 0

    def doubled_ends(self, n_outputs: int) -> tuple[_Tally, list[int]]:
        """Return the outputs that may end in two EOS tokens, and the tokens that are none though an output ends so.

        A token that ends hardly any output ends no sequence: it is an ordinary one that the model wrote twice.
        """
        ordinary = [
            token
            for token in self.doubled
            if n_outputs >= _ENOUGH_OUTPUTS and self.last[token] <= n_outputs * _HARDLY_ANY
        ]
        doubtful = [tally for token, tally in self.doubled.items() if token not in ordinary]
        return _Tally(sum(tally.n for tally in doubtful), doubtful[0].first if doubtful else ""), ordinary


class TokenRules:
    """Give it each sample's output with `add`, then ask for `checks`. Memory does not grow with the samples.

    `eos_ids` None means that the model's are not known. Whatever they are, outputs none of which ends in the same token
    twice end in no two of them; otherwise the check is undecided. `width` is the bytes of a token id where that is
    known, as it is of a live reply's ids.
    """

    def __init__(self, eos_ids: AbstractSet[int] | None, *, first_token_needed: bool, width: int | None = None) -> None:
        self.n_samples = 0
        self.eos_ids = eos_ids
        self._first_token_needed = first_token_needed
        self._known_width = width
        self._readings = [_Reading(width=width) for width in _WIDTHS]
        self._high_words = 0
        self._may_be_int64 = True
        self._no_data, self._no_first, self._no_count, self._wrong_first = _Tally(), _Tally(), _Tally(), _Tally()

    def add(self, sample: str, data: bytes | None, first: bytes | None, token_count: int | None) -> None:
        """Take in one sample: its output and its first token as little-endian ids, and the reported number of tokens.

        `sample` is its name for a message; None stands for what was not reported. An empty first token is none, in a
        log; of a live reply it means that the first piece was a text which no token stands for.
        """
        self.n_samples += 1
        if token_count is None:
            self._no_count.add(sample)
        if data is None:
            self._no_data.add(sample)
            return
        if first is None or (not first and self._known_width is None):
            self._no_first.add(sample)
        elif not first:
            self._wrong_first.add(f"{sample}: the first piece of its stream is a text without a token")
        elif len(first) % _WIDTHS[0]:
            self._wrong_first.add(f"{sample}: {first.hex()} was reported, which is no token id")
        elif not data.startswith(first):
            begins = data[: len(first)].hex() or "nothing"
            self._wrong_first.add(f"{sample}: {first.hex()} was reported, its output begins with {begins}")
        self._weigh(data)
        for reading in self._readings:
            self._read(reading, sample, data, token_count)

    def _weigh(self, data: bytes) -> None:
        """Note whether the output may be int64: every other 32-bit word of such token ids is zero."""
        if len(data) % 8:
            self._may_be_int64 = False
        elif self._may_be_int64:
            high = np.frombuffer(data, "<i4")[1::2]
            self._high_words += len(high)
            self._may_be_int64 = not high.any()

    def _read(self, reading: _Reading, sample: str, data: bytes, token_count: int | None) -> None:
        width = reading.width
        n_tokens, odd = divmod(len(data), width)
        reading.n_tokens += n_tokens
        if token_count is not None:
            if token_count * width == len(data):
                reading.counts_met += 1
            else:
                held = f"{n_tokens} tokens and {odd} bytes more" if odd else f"{n_tokens} tokens"
                reading.wrong_counts.add(f"{sample}: {token_count} tokens were reported, its output has {held}")
        tail: Ids = np.frombuffer(data[max(0, n_tokens - _TAIL) * width : n_tokens * width], f"<i{width}")
        if self.eos_ids is None and len(tail):
            last = int(tail[-1])
            reading.last[last] = reading.last.get(last, 0) + 1
            if len(tail) > 1 and tail[-2] == last:
                reading.doubled.setdefault(last, _Tally()).add(f"{sample} ends in token {last} twice")
        if self.eos_ids is not None and (n := trailing(tail, self.eos_ids)) > 1:
            reading.wrong_ends.add(f"{sample}: its output of {n_tokens} tokens ends in {n} EOS tokens")

    @property
    def width(self) -> int:
        """The bytes of a token id: 8 where every output may be int64, else 4.

        A log whose reported counts are bytes / 4 is not read as int32 for that: counting int64 ids twice would double
        the throughput. Only where there is too little output to tell do the counts decide.
        """
        if self._known_width is not None:
            return self._known_width
        four, eight = self._readings
        if not self._may_be_int64 or not self._high_words:
            return 4
        return 4 if self._high_words < _FEW_WORDS and four.counts_met > eight.counts_met else 8

    @property
    def n_tokens(self) -> int:
        """The tokens of all outputs."""
        return self._reading().n_tokens

    @property
    def n_without_output(self) -> int:
        """How many samples have no output."""
        return self._no_data.n

    @property
    def figures(self) -> dict[str, Figure]:
        """The number of samples and of tokens, their mean, and the type that the token ids were read as."""
        n_outputs = self.n_samples - self.n_without_output
        return {
            "samples": self.n_samples,
            "output_tokens": self.n_tokens,
            "mean_output_tokens": self.n_tokens / n_outputs if n_outputs else None,
            "token_dtype": f"int{self.width * 8}",
        }

    def checks(self) -> list[Check]:
        """Return `samples`, `first_token` where it is needed, `eos` and `token_count`."""
        checks = [_samples_logged(self.n_samples)]
        if self._first_token_needed:
            checks.append(self._first_token())
        return [*checks, self._eos(), self._token_count()]

    def _reading(self) -> _Reading:
        return self._readings[_WIDTHS.index(self.width)]

    def _first_token(self) -> Check:
        missing = [("no output", self._no_data), ("no first token", self._no_first)]
        fine = f"the first token of {self.n_samples} samples is that of the output"
        return _check("first_token", self.n_samples, self._wrong_first, missing, fine, "have another first token")

    def _eos(self) -> Check:
        reading, missing = self._reading(), [("no output", self._no_data)]
        if self.eos_ids is None:
            doubtful, ordinary = reading.doubled_ends(self.n_samples - self.n_without_output)
            missing.append(("two equal tokens at the end, and which token is EOS is not known", doubtful))
            fine = "whatever the EOS token is, no output ends in two of them: none ends in the same token twice"
            if ordinary:
                named = ", ".join(str(token) for token in sorted(ordinary))
                fine += f", but in an ordinary one ({named}), which hardly any output ends in"
            return _check("eos", self.n_samples, _Tally(), missing, fine, "")
        told = ", ".join(map(str, sorted(self.eos_ids)))
        fine = f"no output ends in more than one EOS token ({told})"
        bad = f"end in more than one EOS token ({told})"
        return _check("eos", self.n_samples, reading.wrong_ends, missing, fine, bad)

    def _token_count(self) -> Check:
        reading = self._reading()
        missing = [("no output", self._no_data), ("no token count", self._no_count)]
        fine = f"the outputs have as many tokens (int{reading.width * 8}) as reported, {reading.n_tokens} in all"
        bad = f"have another number of tokens (int{reading.width * 8}) than reported"
        return _check("token_count", self.n_samples, reading.wrong_counts, missing, fine, bad)


def _samples_logged(n: int) -> Check:
    """Require at least one sample: of none, every rule holds."""
    reason = f"{n} samples are logged" if n else "no sample is logged, so nothing was tested"
    return Check(name="samples", passed=n > 0, observed=n, limit=1, reason=reason)


def trailing(ids: Ids, wanted: AbstractSet[int]) -> int:
    """Return how many tokens at the end are among the wanted ones; index 0 counts."""
    count = 0  # hardly ever more than one: a loop from the end is faster than a look at all
    for token in reversed(ids):
        if int(token) not in wanted:
            break
        count += 1
    return count


def _check(name: str, n: int, wrong: _Tally, missing: Iterable[tuple[str, _Tally]], fine: str, bad: str) -> Check:
    """Failed where a sample breaks the rule, else undecided where one lacks what the rule needs, or there is none."""
    lacking = [(what, tally) for what, tally in missing if tally.n]
    if wrong.n:
        passed, reason = False, f"{wrong.n} of {n} samples {bad}; {wrong.first}"
    elif lacking:
        what, tally = lacking[0]
        passed, reason = None, f"{tally.n} of {n} samples have {what}; {tally.first}"
    elif not n:
        passed, reason = None, "no sample is logged"
    else:
        passed, reason = True, fine
    return Check(name=name, passed=passed, observed=wrong.n, limit=0, reason=reason)
