"""Mutations of bytes, JSON values and the way in which bytes are cut into pieces, each drawn from a seed."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

#: Bytes that readers of JSON, HTTP, events and logs trip over.
ODD_BYTES: Sequence[bytes] = (
    *(
        b"\0",
        b"\r",
        b"\n",
        b"\r\n",
        b"\n\n",
        b"\r\n\r\n",
        b" ",
        b"\t",
        b"\x0b",
        b"\x7f",
        b"\xff",
        b"\xc3",
        b"\xed\xa0\x80",
    ),
    *(
        b"\xef\xbb\xbf",
        b'"',
        b"\\",
        b"\\u",
        b"\\ud800",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b";",
        b"null",
        b"NaN",
        b"-",
    ),
    *(
        b"1e999",
        b"9" * 30,
        b"9" * 5000,
        b"[" * 2500,
        b'{"a":' * 2500,
        b"data:",
        b"data: [DONE]\n\n",
        b"event: error\n",
        b"0\r\n\r\n",
        b"\x1f\x8b",
        b"\x1b[31m",
    ),
)

#: Values of any type, among them what other languages write for nothing.
ODD_VALUES: Sequence[Any] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, 10**400, 0.5, -0.0, 1e308, "", " ", "0", "null", "error"),
    *("\0", "\x1b[31m", "\u202e", "\ud800", "\ufffd", "\U0001f600", "x" * 300, [], {}, [None], [[]], {"": None}),
    *({"message": "no"}, ["a"], [-1], [2**31], {"text": "a"}, [{"type": "text", "text": "a"}], float("nan")),
)


def _at(data: bytes, drawn: random.Random) -> int:
    return drawn.randint(0, len(data))


def _flip(data: bytes, drawn: random.Random) -> bytes:
    at = _at(data, drawn)
    return data[:at] + bytes([drawn.randrange(256)]) + data[at + 1 :]


def _insert(data: bytes, drawn: random.Random) -> bytes:
    at = _at(data, drawn)
    return data[:at] + drawn.choice(ODD_BYTES) + data[at:]


def _replace(data: bytes, drawn: random.Random) -> bytes:
    at, odd = _at(data, drawn), drawn.choice(ODD_BYTES)
    return data[:at] + odd + data[at + len(odd) :]


def _delete(data: bytes, drawn: random.Random) -> bytes:
    at = _at(data, drawn)
    return data[:at] + data[at + drawn.randint(1, 20) :]


def _cut(data: bytes, drawn: random.Random) -> bytes:
    return data[: _at(data, drawn)]


def _repeat(data: bytes, drawn: random.Random) -> bytes:
    at = _at(data, drawn)
    return data[:at] + data[at : at + drawn.randint(1, 60)] * drawn.randint(1, 3) + data[at:]


def _swap_lines(data: bytes, drawn: random.Random) -> bytes:
    lines = data.split(b"\n")
    one, other = drawn.randrange(len(lines)), drawn.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return b"\n".join(lines)


_OF_BYTES: Sequence[Callable[[bytes, random.Random], bytes]] = (
    *(_flip, _insert, _replace, _delete, _cut, _repeat, _swap_lines),
)


def mutated(data: bytes, drawn: random.Random, most: int = 3) -> bytes:
    """Return bytes with 1 to `most` things wrong."""
    for _ in range(drawn.randint(1, most)):
        data = drawn.choice(_OF_BYTES)(data, drawn)
    return data


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every (container, key) in a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in inner:
        yield value, key
        yield from places(child)


def mutate_json(value: Any, drawn: random.Random, most: int = 2) -> None:
    """Change 1 to `most` members of a JSON value where they stand."""
    for _ in range(drawn.randint(1, most)):
        if not (found := list(places(value))):
            return
        within, key = drawn.choice(found)
        do = drawn.randrange(4)
        if do == 0:
            del within[key]
        elif do == 1 and isinstance(within, dict):
            within[drawn.choice(("error", "message", "detail", "code", "type", "x", ""))] = within.pop(key)
        elif do == 2:
            other, at = drawn.choice(found)
            if at in other if isinstance(other, dict) else at < len(other):
                within[key] = json.loads(json.dumps(other[at]))  # a copy, so that no value holds itself
        else:
            within[key] = copy.deepcopy(drawn.choice(ODD_VALUES))  # which a later change must not reach


def pieces(data: bytes, drawn: random.Random, most: int = 6) -> list[bytes]:
    """Cut bytes into pieces, some of them empty."""
    ends = sorted(drawn.randint(0, len(data)) for _ in range(drawn.randint(0, most)))
    return [data[start:end] for start, end in zip([0, *ends], [*ends, len(data)], strict=True)]


def mutated_json(whole: bytes, drawn: random.Random, dumped: Callable[[Any, bool], bytes]) -> bytes:
    """Change members of a JSON document, of one line of JSON, or of what a line of LoadGen's holds.

    `dumped` writes what was changed: a document, and whether it is one line of several.
    """
    try:
        document = json.loads(whole)
    except ValueError:
        lines = whole.split(b"\n")
        at = drawn.randrange(len(lines))
        start = lines[at].find(b"{")
        try:
            document = json.loads(lines[at][start:])
        except ValueError:
            return mutated(whole, drawn)
        mutate_json(document, drawn)
        lines[at] = lines[at][: max(0, start)] + dumped(document, True)
        return b"\n".join(lines)
    mutate_json(document, drawn)
    return dumped(document, False)
