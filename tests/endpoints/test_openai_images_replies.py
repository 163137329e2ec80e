from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlperf_audit.endpoints.base import BadReplyError, Reply, digest
from pytest_mlperf_audit.endpoints.media.openai_images_reply import MAX_TEXT_BYTES, ImagesDecoder
from tests.support.pictures import EXTENDED, LOSSLESS, LOSSY, chunk, jpeg, png

ONE, OTHER = png(), png(grey=9)
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def coded(image: bytes) -> str:
    return base64.b64encode(image).decode()


def document(*items: object, **more: object) -> bytes:
    return json.dumps({"created": 1796002642, "data": list(items), **more}).encode()


def item(image: bytes) -> dict[str, str]:
    return {"revised_prompt": 'a "b64_json": "cat"', "b64_json": coded(image)}


def decode(*pieces: bytes, n: int = 1, takes_urls: bool = False, keep_output: bool = False) -> Reply:
    decoder = ImagesDecoder(n, takes_urls=takes_urls, keep_output=keep_output)
    for piece in pieces:
        decoder.feed(piece, 0)
    return decoder.finish()


def refusal(*pieces: bytes, n: int = 1) -> BadReplyError:
    with pytest.raises(BadReplyError) as caught:
        decode(*pieces, n=n)
    assert len(caught.value.detail) <= 200
    assert caught.value.detail.isprintable()
    return caught.value


BY_URL = {"url": f"data:image/png;base64,{coded(ONE)}"}
IN_BASE64 = {"b64_json": f"data:image/png;base64,{coded(ONE)}"}


@pytest.mark.parametrize(
    "body",
    [document(item(ONE)), document(BY_URL), document(IN_BASE64), ONE],
    ids=["b64_json", "data_url", "data_url_in_b64_json", "raw"],
)
def test_an_image_has_one_digest_however_it_is_sent(body):
    reply = decode(body, keep_output=True)
    assert (reply.digest, reply.size, reply.output, reply.remarks) == (digest(ONE), "8x4", None, ())


@pytest.mark.parametrize(
    "image", [ONE, jpeg(), LOSSY, LOSSLESS, EXTENDED], ids=["png", "jpeg", "lossy", "lossless", "extended"]
)
def test_each_format_is_read_to_its_end(image):
    assert decode(document(item(image))).size == "8x4"
    assert decode(image).digest == digest(image)
    for cut in range(len(image)):
        assert refusal(document(item(image[:cut]))).reason in {"truncated", "malformed", "empty"}, cut
        assert refusal(*(image[at : at + 1] for at in range(cut))).reason in {"truncated", "malformed", "empty"}, cut


@pytest.mark.parametrize(
    ("body", "reason", "words"),
    [
        (ONE[:-12], "truncated", "the PNG image lacks its end"),
        (ONE.replace(b"IDAT", b"tEXt"), "malformed", "CRC of chunk b'tEXt' is wrong"),
        (SIGNATURE + chunk(b"IDAT", b""), "malformed", "does not begin with its header"),
        (SIGNATURE + chunk(b"IHDR", bytes(13)) + chunk(b"IEND", b""), "malformed", "has no pixels"),
        (jpeg()[:-2], "truncated", "the JPEG image lacks its end"),
        (LOSSY[:-3], "truncated", "the WebP image lacks 3 bytes"),
        (document(item(b"GIF89a, which nobody asks for")), "malformed", "no PNG, JPEG or WebP image"),
        (document(item(b"short")), "malformed", "no PNG, JPEG or WebP image"),
        (document({"b64_json": coded(ONE)[:-1]}), "malformed", "an image is not base64"),
        (document({"b64_json": "no base64!"}), "malformed", "an image is not base64"),
        (document({"b64_json": ""}), "empty", "no image in it"),
        (document({"b64_json": None, "url": None}), "empty", "no image in it"),
        (document(), "empty", "no image in it"),
        (document("x"), "empty", "no image in it"),
        (b"", "empty", "no body"),
        (b'{"created": 1}', "malformed", "no list 'data'"),
        (b'{"data": {"b64_json": "x"}}', "malformed", ""),
        (b"<html>busy</html>", "malformed", "not JSON"),
        (document(item(ONE))[:-20], "truncated", "ends within an image"),
        (b'{"error":{"code":"invalid_parameter","message":"size 63x63 out of range"}}', "server_error", "63x63"),
        (b'{"error": "out of memory"}', "server_error", "out of memory"),
        (b'{"detail":[{"loc":["body","n"],"msg":"too many"}]}', "server_error", "too many"),
        (document(error={"message": "filtered"}), "server_error", "filtered"),
        (document({"error": {"message": "NSFW"}, "b64_json": None}), "server_error", "NSFW"),
        (document({"url": "http://host/1.png"}), "malformed", "a URL in place of an image"),
    ],
)
def test_what_is_no_image_is_no_answer(body, reason, words):
    error = refusal(body)
    assert (error.reason, words in error.detail) == (reason, True), error.detail
    assert refusal(*(body[at : at + 1] for at in range(len(body)))).reason == reason


def test_several_images_have_a_digest_by_their_order():
    both = decode(document(item(ONE), item(OTHER)), n=2)
    turned = decode(document(item(OTHER), item(ONE)), n=2)
    assert len({both.digest, turned.digest, decode(ONE).digest}) == 3
    assert both.size == "8x4"
    assert decode(document(item(ONE), item(png(width=16))), n=2).size is None


@pytest.mark.parametrize(
    "body",
    [
        document(item(ONE)),
        document(item(ONE), {"b64_json": None}),
        document(item(ONE), {"b64_json": ""}),
        document({**item(ONE), **BY_URL}),
        ONE,
    ],
)
def test_fewer_images_than_were_asked_for_are_no_answer(body):
    error = refusal(body, n=2)
    assert (error.reason, error.detail) == ("empty", "the reply has 1 of the 2 images that were asked for")


def test_who_answers_is_told():
    reply = decode(document(item(ONE), id="img-1", model="sdxl-turbo"))
    assert (reply.id, reply.model) == ("img-1", "sdxl-turbo")
    assert (decode(document(item(ONE))).id, decode(ONE).model) == (None, None)


def test_more_images_than_were_asked_for_are_told():
    reply = decode(document(item(ONE), item(OTHER)))
    assert reply.remarks == ("the reply has 2 images, where 1 should be: the server does not heed n",)
    assert decode(document(item(ONE), item(OTHER)), n=2).remarks == ()


def test_a_url_is_no_image_and_that_is_said():
    body = document({"url": "https://host/a.png?sig=1"}, {"url": "https://host/b.png?sig=2"})
    reply = decode(body, n=2, takes_urls=True, keep_output=True)
    assert reply.digest == ""
    assert reply.output == "https://host/a.png?sig=1\nhttps://host/b.png?sig=2"
    assert reply.id == decode(body, takes_urls=True).id != decode(document({"url": "x"}), takes_urls=True).id
    assert "outputs cannot be compared" in reply.remarks[0]
    assert decode(document({"url": "x"}, id="img-1"), takes_urls=True).id == "img-1"
    with pytest.raises(BadReplyError, match="1 of the 2 images"):
        decode(document({"url": "x"}), n=2, takes_urls=True)


@given(data=st.data())
def test_a_reply_cut_anywhere_reads_the_same(data):
    plain = document(item(ONE), BY_URL, {"url": None, "b64_json": coded(OTHER)}, id="img-2")
    escaped = plain.replace(b"/", rb"\/").replace(b"=", rb"\u003d")
    for body in (plain, escaped.replace(rb";base64\u003d", b";base64="), document({"url": "http://h/" + "x" * 90})):
        cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=6)))
        pieces = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
        whole = decode(body, takes_urls=True)
        assert decode(*pieces, takes_urls=True) == whole
        assert decode(*(body[at : at + 1] for at in range(len(body))), takes_urls=True) == whole
    assert decode(plain, n=3) == decode(escaped, n=3)
    assert decode(plain, n=3).id == "img-2"


def test_memory_is_bounded():
    decoder = ImagesDecoder(1)
    decoder.feed(b'{"data":[{"b64_json":"' + coded(ONE).encode(), 0)
    for _ in range(64):
        decoder.feed(b"A" * 2**16, 0)
    assert len(decoder._text) < 100
    assert refusal(b'{"data":[', b'"x",' * MAX_TEXT_BYTES).reason == "too_large"
    assert refusal(b'{"data":[' + b'{"b64_json":""},' * 300).reason == "too_large"
