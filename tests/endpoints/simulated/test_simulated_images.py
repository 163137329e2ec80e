"""Images of the simulated endpoint: real PNG files whose pixels are made from the request."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
import zlib
from typing import Any

import pytest

from pytest_mlperf_audit.config.endpoint import SimulatedConfig
from pytest_mlperf_audit.endpoints.simulated.formats.contract import BadRequestError
from pytest_mlperf_audit.endpoints.simulated.formats.images import png
from pytest_mlperf_audit.endpoints.simulated.service import Service
from tests.support.simulated_formats import ask_of, reply_to, sent

ASKED = {"model": "m", "prompt": "a red kite"}


def images(**changes: Any) -> list[bytes]:
    document = json.loads(reply_to("images", {**ASKED, **changes}).content)
    assert document["created"] == 5
    return [base64.b64decode(one["b64_json"], validate=True) for one in document["data"]]


def pixels(picture: bytes) -> list[list[bytes]]:
    """Return the colours of a picture by rows, as its palette and filters 0 and 2 give them."""
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, at = {}, 8
    while at < len(picture):
        (length,) = struct.unpack_from(">I", picture, at)
        kind, data = picture[at + 4 : at + 8], picture[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", picture, at + 8 + length)[0] == zlib.crc32(kind + data)
        chunks[kind] = data
        at += 12 + length
    assert [*chunks] == [b"IHDR", b"PLTE", b"IDAT", b"IEND"]
    width, height, *form = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert form == [8, 3, 0, 0, 0], "indexed, 8 bits, neither filtered otherwise nor interlaced"
    data, palette = zlib.decompress(chunks[b"IDAT"]), chunks[b"PLTE"]
    assert len(data) == height * (width + 1)
    rows: list[list[bytes]] = []
    above = bytes(width)
    for y in range(height):
        kind_of, *line = data[y * (width + 1) : (y + 1) * (width + 1)]
        assert kind_of in {0, 2}
        above = bytes(line) if kind_of == 0 else bytes((one + up) % 256 for one, up in zip(line, above, strict=True))
        rows.append([palette[3 * one : 3 * one + 3] for one in above])
    return rows


@pytest.mark.parametrize(("width", "height"), [(64, 64), (1, 1), (7, 3), (100, 40), (17, 16)])
def test_a_picture_has_its_size_and_a_colour_for_each_patch(width, height):
    colours = bytes(at % 256 for at in range(3 * 256))
    rows = pixels(png(colours, width, height))
    assert (len(rows), {len(row) for row in rows}) == (height, {width})
    for y, row in enumerate(rows):
        for x, colour in enumerate(row):
            patch = (y * 16 // height) * 16 + x * 16 // width
            assert colour == colours[3 * patch : 3 * patch + 3]


def test_equal_requests_have_equal_images_and_others_others():
    (kite,) = images()
    assert images() == [kite]
    assert len(kite) < 2000
    (boat,) = images(prompt="a blue boat")
    assert pixels(kite) != pixels(boat)
    assert len(pixels(images(size="32x16")[0])) == 16


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 7},
        {"steps": 2},
        {"num_inference_steps": 2},
        {"guidance": 8},
        {"guidance_scale": 8},
        {"negative_prompt": "low quality"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_settings_change_the_image(changes):
    assert images(**changes) == images(**changes) != images()


def test_a_name_that_it_does_not_know_is_ignored():
    assert images(inference_steps=2, wibble=1) == images()


def test_steps_and_images_are_what_a_request_costs():
    assert ask_of("images", ASKED).work == 1.0
    assert ask_of("images", {**ASKED, "steps": 1}).work == pytest.approx(0.05)
    assert ask_of("images", {**ASKED, "num_inference_steps": 40, "n": 3}).work == pytest.approx(6.0)
    assert ask_of("images", {**ASKED, "n_steps": 40}).work == 1.0


def test_a_lane_is_busy_for_as_long_as_the_request_costs():
    async def check() -> None:
        config = SimulatedConfig(service_time_ms=50, lanes=1)
        service = Service(config, clock=lambda: 100.0, call_later=lambda _delay_s, _callback: None)
        ticket = service.submit(ask_of("images", {**ASKED, "n": 3}))
        assert ticket.taken.result().end_s == pytest.approx(100.15)

    asyncio.run(check())


def test_several_images_are_not_alike():
    three = images(n=3)
    assert len(set(three)) == 3
    assert images(n=2) == three[:2]


def test_a_url_is_a_data_url():
    document = json.loads(reply_to("images", {**ASKED, "response_format": "url"}).content)
    (one,) = document["data"]
    assert one["url"] == "data:image/png;base64," + base64.b64encode(images()[0]).decode()


def test_dishonest_images():
    def data(dishonest: str) -> Any:
        return json.loads(reply_to("images", ASKED, dishonest=dishonest).content)["data"]

    assert data("other_model") != data("none")
    assert data("skipped_empty") == []


@pytest.mark.parametrize(
    "changes",
    [
        {"prompt": " "},
        {"prompt": 5},
        {"n": 0},
        {"n": 11},
        {"size": "auto"},
        {"size": "0x5"},
        {"size": "9999x5"},
        {"size": "\uff15x\uff15"},
        {"response_format": "raw"},
        {"steps": 0},
        {"steps": "x"},
    ],
    ids=str,
)
def test_what_cannot_be_drawn_is_refused(changes):
    with pytest.raises(BadRequestError):
        ask_of("images", {**ASKED, **changes})


def test_a_cache_replays_an_image():
    one, other = (json.dumps({**ASKED, "seed": seed}).encode() for seed in (1, 2))
    path = "/v1/images/generations"
    got, stats = sent(("POST", path, one), ("POST", path, one), ("POST", path, other), cache="exact")
    assert got[0].body == got[1].body != got[2].body
    assert (stats["computed"], stats["cache_hits"]) == (2, 1)
