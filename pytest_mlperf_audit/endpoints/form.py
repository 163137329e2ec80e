"""A request as multipart/form-data (RFC 7578): texts, and one file behind them. Pure.

Boundary and order are constant, so that equal forms are equal bytes under equal headers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..runs.body import Pieces

_BOUNDARY: Final = "mlperf-audit-e3c1f0a97d5b4826"
#: The Content-Type of every form.
CONTENT_TYPE: Final = f"multipart/form-data; boundary={_BOUNDARY}"
_PART: Final = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="'


def form(fields: Mapping[str, str], name: str, file_name: str, media_type: str, data: bytes | bytearray) -> Pieces:
    """Return the body of a form: its texts, then the file in the field `name`; the file's bytes are not copied."""
    parts = [f'{_PART}{key}"\r\n\r\n{text}\r\n' for key, text in fields.items()]
    head = f'{_PART}{name}"; filename="{file_name}"\r\nContent-Type: {media_type}\r\n\r\n'
    return Pieces(["".join([*parts, head]).encode(), data, f"\r\n--{_BOUNDARY}--\r\n".encode()])


def form_fields(body: Pieces) -> dict[str, str]:
    """Return the texts of such a form; none of any other body."""
    first = bytes(next(iter(body), b""))
    mark = _PART.encode()
    fields = {}
    for part in first.split(mark)[1:] if first.startswith(mark) else ():
        name, _, text = part.partition(b'"\r\n\r\n')
        if b'"' not in name:  # a file has more behind its name
            fields[name.decode()] = text.removesuffix(b"\r\n").decode(errors="replace")
    return fields
