"""Rows as CSV (RFC 4180), with cells that no spreadsheet takes for a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from ..text import plain

#: What a spreadsheet would take for a formula when a cell begins with it; the last four are full-width forms.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_MOST: Final = 2000
_ROWS_AT_ONCE: Final = 1000


def csv_pieces(rows: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    """Yield rows as UTF-8, some at a time, so that a log of millions is never held. Rows end in CR LF."""
    written = io.StringIO()
    writer = csv.writer(written)
    for number, row in enumerate(rows, start=1):
        writer.writerow([cell(value) for value in row])
        if number % _ROWS_AT_ONCE == 0:
            yield written.getvalue().encode()
            written.seek(0)
            written.truncate()
    yield written.getvalue().encode()


def cell(value: Any) -> Any:
    """Return a value as a cell: text on one line, behind an apostrophe where it would be a formula."""
    if not isinstance(value, str):
        return "" if value is None else value
    text = plain(value, _MOST)
    return f"'{text}" if text.startswith(_FORMULA) else text
