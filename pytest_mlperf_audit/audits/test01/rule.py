"""TEST01's rule on plain values: sampled outputs of performance mode equal those of accuracy mode, or score alike.

Rule: mlcommons/inference `compliance/TEST01/README.md`; how far two scores may lie apart is computed as in
`tools/submission/submission_checker`.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Final, NamedTuple

_DIGEST_BYTES: Final = 16


class Differing(NamedTuple):
    """A sampled output that is not the accuracy run's: its query in the performance run, and its sample."""

    query: int
    sample: int


class SampledOutputs:
    """What a performance run answered, and what the accuracy run answered to the same samples.

    Take in the performance run's outputs first. They are held by digest, so memory grows with their number, and not
    with their size or with the length of the accuracy run.
    """

    def __init__(self) -> None:
        self.n_sampled = 0
        self.n_without = 0
        self._outputs: list[tuple[Differing, bytes]] = []
        self._reference: dict[int, list[bytes]] = {}

    def add(self, sample: int | None, output: bytes | None, query: int = 0) -> None:
        """Take in an output of the performance run; None for one that names no sample, or has no output."""
        self.n_sampled += 1
        if sample is None or output is None:
            self.n_without += 1
        else:
            self._outputs.append((Differing(query, sample), _key(output)))
            self._reference.setdefault(sample, [])

    def add_reference(self, sample: int | None, output: bytes | None) -> None:
        """Take in an output of the accuracy run, once all of the performance run's are in."""
        if sample is None or output is None or (known := self._reference.get(sample)) is None:
            return
        if (key := _key(output)) not in known:
            known.append(key)

    @property
    def n_compared(self) -> int:
        """How many outputs of the performance run could be compared."""
        return sum(bool(self._reference[at.sample]) for at, _ in self._outputs)

    @property
    def differing_outputs(self) -> list[Differing]:
        """The outputs that are none that the accuracy run gave, byte by byte, in the order that they were taken in."""
        return [at for at, key in self._outputs if (known := self._reference[at.sample]) and key not in known]

    @property
    def compared(self) -> list[int]:
        """The samples that both runs answered."""
        return sorted(sample for sample, known in self._reference.items() if known)

    @property
    def missing(self) -> list[int]:
        """The samples that only the performance run answered."""
        return sorted(sample for sample, known in self._reference.items() if not known)

    @property
    def differing(self) -> list[int]:
        """The samples of which some output differs."""
        return sorted({at.sample for at in self.differing_outputs})

    @property
    def unsteady(self) -> list[int]:
        """The samples that one run answered more than once, and differently."""
        outputs: dict[int, set[bytes]] = {}
        for at, key in self._outputs:
            outputs.setdefault(at.sample, set()).add(key)
        return sorted(sample for sample, known in self._reference.items() if max(len(outputs[sample]), len(known)) > 1)


class Delta(NamedTuple):
    """By how many per cent two scores of `metric` differ, and by how many they may."""

    metric: str
    percent: float
    limit: float


def worst_delta(accuracy: Mapping[str, float], performance: Mapping[str, float], limits: Mapping[str, float]) -> Delta:
    """Return the metric of `limits` (per cent, above 0) whose scores in both runs are the furthest apart for its limit.

    Relative to the performance run's score, as MLPerf's submission checker has it; anything but 0 beside 0 is all of it
    away.
    """
    deltas = [Delta(name, _percent(accuracy[name], performance[name]), limit) for name, limit in limits.items()]
    return max(deltas, key=lambda delta: delta.percent / delta.limit)


def _percent(before: float, after: float) -> float:
    if after == 0:
        return 0.0 if before == 0 else 100.0
    return abs(1 - before / after) * 100


def _key(output: bytes) -> bytes:
    """Return the output itself where that is short, else a digest, which is longer than any such output."""
    return output if len(output) < _DIGEST_BYTES else blake2b(output, digest_size=_DIGEST_BYTES).digest()
