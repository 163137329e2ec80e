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
    """A reply's header fields by their names, in whatever case; of fields with one name the first."""

    __slots__ = ("_fields",)

    def __init__(self, fields: dict[bytes, bytes], n_bytes: int) -> None:
        """Read the fields of a head of so many bytes. Raises TransportError where there are too many, or too long."""
        if len(fields) > _MOST_FIELDS:
            raise TransportError("protocol", "Too many headers received")
        if n_bytes > _MOST_FIELD_BYTES:
            for name, value in fields.items():
                if len(name) + len(value) > _MOST_FIELD_BYTES:
                    start = value[:_MOST_QUOTED_BYTES]
                    detail = f"Got more than {_MOST_FIELD_BYTES} bytes when reading: {start!r}..."
                    raise TransportError("protocol", detail)
        if b"\0" in b"".join(fields.values()):
            raise TransportError("protocol", "Invalid HTTP header: it has a null byte")
        self._fields = {_folded(name): value for name, value in reversed(fields.items())}

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower()].rstrip(b" \t").decode("utf-8", "surrogateescape")

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._fields

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    @property
    def ends_by_closing(self) -> bool:
        """Whether neither a length nor chunks say where the reply's body ends."""
        return self._coding != b"chunked" if self._coding else "content-length" not in self._fields

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
        return self._fields.get("transfer-encoding", b"").rpartition(b",")[2].strip(b" \t").lower()


@lru_cache(maxsize=1024)
def _folded(name: bytes) -> str:
    return name.decode("latin-1").lower()
