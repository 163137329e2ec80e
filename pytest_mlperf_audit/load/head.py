"""A reply's head: its fields, within limits, and what they say of the end of its body."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache

from .transport import TransportError

#: As aiohttp's client has them; name and value of a field count together.
_MOST_FIELDS = 128
_MOST_FIELD_BYTES = 8190
_MOST_QUOTED_BYTES = 100


class Head(Mapping[str, str]):
    """A reply's header fields by their names, in whatever case; of fields with one name the first.

    What is no UTF-8 is escaped, so that every value can be recorded.
    """

    __slots__ = ("_fields", "_names")

    def __init__(self, fields: dict[bytes, bytes], n_bytes: int) -> None:
        """Read the fields of a head of so many bytes. Raises TransportError where there are too many, or too long."""
        if len(fields) > _MOST_FIELDS:
            raise TransportError("protocol", "Too many headers received")
        if n_bytes > _MOST_FIELD_BYTES:
            _require_short(fields)
        if b"\0" in b"".join(fields.values()):
            raise TransportError("protocol", "Invalid HTTP header: it has a null byte")
        self._fields = fields.copy()
        self._names = (_names if n_bytes > _MOST_FIELD_BYTES else _known_names)(tuple(fields))

    def __getitem__(self, name: str) -> str:
        return self._fields[self._names[name.lower()]].rstrip(b" \t").decode("utf-8", "backslashreplace")

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    @property
    def ends_by_closing(self) -> bool:
        """Whether neither a length nor chunks say where the reply's body ends."""
        return self._coding != b"chunked" if self._coding else "content-length" not in self._names

    def missing(self, n_bytes: int) -> str:
        """Return what is missing of a reply of which so many bytes of body came; "" where its head says nothing."""
        if self.ends_by_closing:
            return ""
        if self._coding:
            return "Not enough data to satisfy transfer length header."
        length = self["content-length"]
        return f"Not enough data to satisfy content length header (received {n_bytes} of {length} bytes)."

    @property
    def _coding(self) -> bytes:
        """The last transfer coding, which alone tells where the body ends."""
        if (name := self._names.get("transfer-encoding")) is None:
            return b""
        return self._fields[name].rpartition(b",")[2].strip(b" \t").lower()


def _require_short(fields: Mapping[bytes, bytes]) -> None:
    for name, value in fields.items():
        if len(name) + len(value) > _MOST_FIELD_BYTES:
            start = value[:_MOST_QUOTED_BYTES]
            detail = f"Got more than {_MOST_FIELD_BYTES} bytes when reading: {start!r}..."
            raise TransportError("protocol", detail)


def _names(fields: tuple[bytes, ...]) -> dict[str, bytes]:
    """Return names in lower case, each with the first of those that it stands for."""
    return {name.decode("latin-1").lower(): name for name in reversed(fields)}


#: A server's heads have the same names again and again.
_known_names = lru_cache(maxsize=64)(_names)
