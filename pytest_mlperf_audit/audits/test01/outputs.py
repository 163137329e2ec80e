"""TEST01's rule on plain values: sampled outputs of performance mode equal those of accuracy mode.

Rule: mlcommons/inference `compliance/TEST01/README.md`. Outputs are compared by 128-bit digests, so that memory grows
by 16 bytes a row; the texts of the first differing ones are fetched afterwards, for a person to look at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

#: Differing outputs that are shown, and characters kept of each text.
MOST_SHOWN: Final = 20
MOST_CHARACTERS: Final = 65_536

_DIGEST_BYTES: Final = 16
_BEFORE: Final = 60
_AFTER: Final = 140
_MOST_LINES: Final = 6


class Differing(msgspec.Struct, frozen=True):
    """A sampled output that is not the accuracy run's: its query in the performance run, and its row."""

    query: int
    row: int


class Answers:
    """The digest of the output to each of `rows` (any order, shape (n,)), as the accuracy run gave them."""

    def __init__(self, rows: NDArray[np.int64]) -> None:
        self._rows = np.unique(rows)
        self._digests = bytearray(_DIGEST_BYTES * len(self._rows))
        self._known = np.zeros(len(self._rows), dtype=np.bool_)

    def add(self, row: int, digest: bytes) -> None:
        """Note the output to a row; KeyError for a row that is not among `rows`."""
        at = self._at(row)
        if at is None:
            raise KeyError(row)
        self._digests[at * _DIGEST_BYTES : (at + 1) * _DIGEST_BYTES] = digest
        self._known[at] = True

    def get(self, row: int) -> bytes | None:
        """Return the digest of the output to a row, None where there is none."""
        at = self._at(row)
        if at is None or not self._known[at]:
            return None
        return bytes(self._digests[at * _DIGEST_BYTES : (at + 1) * _DIGEST_BYTES])

    def _at(self, row: int) -> int | None:
        at = int(np.searchsorted(self._rows, row))
        return at if at < len(self._rows) and self._rows[at] == row else None


class Compared(msgspec.Struct, kw_only=True):
    """What became of the sampled queries of a performance run.

    Of `n_sampled`, `n_matching` outputs equal the accuracy run's and `n_differing` do not (`first` are some of those);
    the others have no output, or their row has none in the accuracy run.
    """

    n_sampled: int = 0
    n_matching: int = 0
    n_differing: int = 0
    first: list[Differing] = []

    @property
    def n_compared(self) -> int:
        """How many outputs were compared."""
        return self.n_matching + self.n_differing


def compare(answers: Answers, sampled: Iterable[tuple[int, int, bytes | None]]) -> Compared:
    """Compare sampled outputs: query, row, and the output's digest, None where the query failed."""
    found = Compared()
    for query, row, digest in sampled:
        found.n_sampled += 1
        answer = answers.get(row)
        if digest is None or answer is None:
            continue
        if digest == answer:
            found.n_matching += 1
        else:
            found.n_differing += 1
            if len(found.first) < MOST_SHOWN:
                found.first.append(Differing(query, row))
    return found


def diff(before: str | None, after: str | None) -> str:
    """Return where two texts begin to differ, as a short unified diff; "" where no texts were kept."""
    if before is None or after is None:
        return ""
    if before == after:  # as far as they were kept
        return f"@@ the first {len(before)} characters are the same @@"
    shorter = min(len(before), len(after))
    at = next((at for at in range(shorter) if before[at] != after[at]), shorter)
    lines = [f"@@ character {at} @@", *_window("-", before, at), *_window("+", after, at)]
    return "\n".join(lines)


def diffs(
    first: Iterable[Differing], before: Mapping[int, str | None], after: Mapping[int, str | None]
) -> list[tuple[Differing, str]]:
    """Return the diff of each differing output: `before` by row, `after` by query."""
    return [(one, diff(before.get(one.row), after.get(one.query))) for one in first]


def _window(sign: str, text: str, at: int) -> list[str]:
    start = max(0, at - _BEFORE)
    shown = ("…" if start else "") + text[start : at + _AFTER] + ("…" if len(text) > at + _AFTER else "")
    lines = shown.splitlines() or [""]
    told = lines if len(lines) <= _MOST_LINES else [*lines[:_MOST_LINES], "…"]
    return [f"{sign}{line}" for line in told]
