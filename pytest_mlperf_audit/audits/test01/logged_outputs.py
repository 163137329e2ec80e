"""Outputs of samples, compared between two accuracy logs of any size: TEST01's question."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

from ...loadgen.accuracy_log import Entry

_DIGEST_BYTES: Final = 16


class SampledOutputs:
    """What an audit run answered, and what the accuracy run answered to the same samples.

    Take in the audit's entries first. Outputs are held by digest, so memory grows with the number of the audit's
    entries and not with their size.
    """

    def __init__(self) -> None:
        self.n_entries = 0
        self.n_without = 0
        self.n_reference = 0
        self._audit: dict[int, list[bytes]] = {}
        self._reference: dict[int, list[bytes]] = {}

    def take_audit(self, entry: Entry) -> None:
        """Take in an entry of the audit run's log."""
        self.n_entries += 1
        if entry.qsl_idx is None or entry.data is None:
            self.n_without += 1
        else:
            self._audit.setdefault(entry.qsl_idx, []).append(_key(entry.data))

    def take_reference(self, entry: Entry) -> None:
        """Take in an entry of the accuracy run's log, once all of the audit's are in."""
        self.n_reference += 1
        if entry.qsl_idx in self._audit and entry.data is not None:
            known = self._reference.setdefault(entry.qsl_idx, [])
            if (key := _key(entry.data)) not in known:
                known.append(key)

    @property
    def compared(self) -> list[int]:
        """The samples that both runs answered."""
        return sorted(self._audit.keys() & self._reference.keys())

    @property
    def missing(self) -> list[int]:
        """The samples that only the audit run answered."""
        return sorted(self._audit.keys() - self._reference.keys())

    @property
    def differing(self) -> list[int]:
        """The samples of which some output in the audit run is none that the accuracy run gave, byte by byte."""
        return [index for index in self.compared if set(self._audit[index]) - set(self._reference[index])]

    @property
    def unsteady(self) -> list[int]:
        """The samples that one run answered more than once, and differently."""
        return sorted(
            {*_several(self._audit.items()), *_several(self._reference.items())},
        )


def _several(outputs: Iterable[tuple[int, list[bytes]]]) -> list[int]:
    return [index for index, keys in outputs if len(set(keys)) > 1]


def _key(data: bytes) -> bytes:
    """Return the data itself where that is short, else a digest, which is longer than any such data."""
    return data if len(data) < _DIGEST_BYTES else blake2b(data, digest_size=_DIGEST_BYTES).digest()
