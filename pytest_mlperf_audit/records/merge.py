"""Records of one phase that several processes wrote: put together in the order of issue, without holding them.

Only the times of issue are held, 24 bytes a query; lines are copied as they are. Times by another clock are put right
first.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..runs.query import QueryRecord
from .files import write_pieces

_BLOCK = 2**22
#: Lines that are put together at a time.
_AT_ONCE = 50_000

_Ints = NDArray[np.int64]


class _Issued(msgspec.Struct, gc=False):
    issued_ns: int


_issued = msgspec.json.Decoder(_Issued).decode_lines
_records = msgspec.json.Decoder(QueryRecord).decode_lines
_lines = msgspec.json.Encoder().encode_lines


class Written(NamedTuple):
    """What one process wrote; `ours` puts its times on our clock, None where they are."""

    path: Path
    ours: Callable[[int], int] | None = None


def merge(parts: Sequence[Written], into: Path) -> None:
    """Put records together in the order of issue, into a file that is replaced whole. Raises OSError.

    The files of the parts are removed when it is there.
    """
    for part in parts:
        if part.ours is not None:
            write_pieces(part.path, _put_right(part.path, part.ours))
    paths = [part.path for part in parts if part.path.stat().st_size]
    with ExitStack() as stack:
        maps = []
        for path in paths:
            file = stack.enter_context(path.open("rb"))
            maps.append(stack.enter_context(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))
        write_pieces(into, _in_order(paths, maps))
    for part in parts:
        part.path.unlink()


def _blocks(path: Path) -> Iterator[bytes]:
    """Yield a file's whole lines, some at a time."""
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block if block.endswith(b"\n") else block + file.readline()


def _put_right(path: Path, ours: Callable[[int], int]) -> Iterator[bytes]:
    for block in _blocks(path):
        records = _records(block)
        for record in records:
            record.issued_ns, record.completed_ns = ours(record.issued_ns), ours(record.completed_ns)
            if record.first_token_ns is not None:
                record.first_token_ns = ours(record.first_token_ns)
            if record.due_ns is not None:
                record.due_ns = ours(record.due_ns)
        yield _lines(records)


def _index(path: Path) -> tuple[_Ints, _Ints]:
    """Return when each query was issued, and where its line ends."""
    issued, ends, before = [], [np.zeros(1, np.int64)], 0
    for block in _blocks(path):
        issued.append(np.array([one.issued_ns for one in _issued(block)], np.int64))
        ends.append(np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n")) + (before + 1))
        before += len(block)
    return np.concatenate(issued), np.concatenate(ends)


def _in_order(paths: Sequence[Path], maps: Sequence[mmap.mmap]) -> Iterator[bytes]:
    if not paths:
        return
    indices = [_index(path) for path in paths]
    ends = [end for _, end in indices]
    firsts = np.cumsum([0] + [len(issued) for issued, _ in indices])
    all_issued = np.concatenate([issued for issued, _ in indices])
    del indices
    order = np.argsort(all_issued, kind="stable")
    del all_issued
    for start in range(0, len(order), _AT_ONCE):
        chosen = order[start : start + _AT_ONCE]
        which = np.searchsorted(firsts, chosen, side="right") - 1
        begin, end = np.empty(len(chosen), np.int64), np.empty(len(chosen), np.int64)
        for at, lines_end in enumerate(ends):
            mine = which == at
            begin[mine], end[mine] = lines_end[chosen[mine] - firsts[at]], lines_end[chosen[mine] - firsts[at] + 1]
        places = zip(which.tolist(), begin.tolist(), end.tolist(), strict=True)
        yield b"".join([maps[at][a:b] for at, a, b in places])
        for one in maps:
            if hasattr(one, "madvise"):
                one.madvise(mmap.MADV_DONTNEED)  # pages that were read are not to count as ours
