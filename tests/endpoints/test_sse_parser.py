from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlperf_audit.endpoints.stream import EventParser


def parse(*pieces: bytes) -> list[bytes]:
    parser = EventParser()
    return [event for piece in pieces for event in parser.feed(piece)] + parser.flush()


def by_the_book(body: bytes) -> list[bytes]:
    """The standard's algorithm on a whole body, written the slow way."""
    events: list[bytes] = []
    data: list[bytes] = []
    for line in [*re.split(rb"\r\n|\n|\r", body.removeprefix(b"\xef\xbb\xbf")), b""]:
        field, _, value = line.partition(b":")
        if not line and data:
            events.append(b"\n".join(data))
            data = []
        elif field == b"data":
            data.append(value.removeprefix(b" "))
    return events


@pytest.mark.parametrize(
    ("body", "events"),
    [
        (b"data: one\n\ndata:two\n\n", [b"one", b"two"]),
        (b"data: a\r\ndata: b\r\n\r\n", [b"a\nb"]),
        (b"data: a\rdata:  b\r\r", [b"a\n b"]),
        (b": ping\n\nevent: x\nid: 1\nretry: 5\ndata: y\nother\n\n", [b"y"]),
        (b"event: x\n\n\n\n", []),
        (b"data\n\ndata:\n\n", [b"", b""]),
        (b"\xef\xbb\xbfdata: marked\n\n", [b"marked"]),
        (b"database: no\n\n data: no\n\n", []),
        (b"data: unended", [b"unended"]),
        (b"data: [DONE]\n", [b"[DONE]"]),
        (b"", []),
    ],
)
def test_events(body, events):
    assert parse(body) == events == by_the_book(body)


PIECES = st.sampled_from(
    [b"data: x", b"data:", b"data", b": c", b"event: e", b"\n", b"\r", b"\r\n", b"\n\n", b" ", b"y:"]
)


@given(body=st.lists(PIECES, max_size=24).map(b"".join), data=st.data())
def test_cuts_do_not_matter(body, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    pieces = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert parse(*pieces) == by_the_book(body)


def test_every_single_cut():
    body = b"\xef\xbb\xbfdata: a\r\ndata: b\r\n\r\n: c\rdata: \xc3\xa4\n\ndata: [DONE]\r\r"
    for cut in range(len(body) + 1):
        assert parse(body[:cut], body[cut:]) == by_the_book(body)
    assert parse(*(body[at : at + 1] for at in range(len(body)))) == by_the_book(body)


def test_a_long_line_in_small_pieces_is_whole():
    parser = EventParser()
    assert parser.feed(b"data: ") == []
    for _ in range(300_000):
        assert parser.feed(b"xyz.") == []
    assert parser.feed(b"\n\n") == [b"xyz." * 300_000]
