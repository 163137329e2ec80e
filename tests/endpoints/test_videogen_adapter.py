from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlperf_audit.config.model_params import ModelParams
from pytest_mlperf_audit.endpoints.base import BadReplyError, Reply, digest
from pytest_mlperf_audit.endpoints.media.videogen import MAX_TEXT_BYTES, VideoGenAdapter
from pytest_mlperf_audit.runs.script import NO_EDIT, Edit

ADAPTER = VideoGenAdapter(ModelParams(name="wan22"))
FTYP = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp42"
MP4 = FTYP + (2048 + 8).to_bytes(4, "big") + b"mdat" + bytes(range(256)) * 8
SMALL = FTYP + b"\x00\x00\x00\x30mdat" + b"x" * 40


def decode(*pieces: bytes, keep_output: bool = False) -> Reply:
    decoder = ADAPTER.decoder(keep_output=keep_output)
    for piece in pieces:
        decoder.feed(piece, 0)
    return decoder.finish()


def refusal(*pieces: bytes) -> BadReplyError:
    with pytest.raises(BadReplyError) as caught:
        decode(*pieces)
    assert len(caught.value.detail) <= 200
    assert caught.value.detail.isprintable()
    return caught.value


def test_a_prompt_is_sent_with_mlperf_defaults_for_wan22():
    assert json.loads(ADAPTER.encode({"prompt": "a red kite"})) == {
        "prompt": "a red kite",
        "size": "720x1280",
        "seconds": 5.0,
        "fps": 16,
        "num_inference_steps": 20,
        "guidance_scale": 4.0,
        "guidance_scale_2": 3.0,
        "seed": 42,
        "num_frames": 81,
        "boundary_ratio": 0.875,
        "output_format": "auto",
        "response_format": "video_path",
    }


def test_columns_override_defaults_and_absent_values_do_not():
    row = {"prompt": "p", "negative_prompt": "blur", "seed": "7", "fps": None, "latent_path": None, "seconds": 2}
    body = json.loads(ADAPTER.encode(row))
    assert (body["negative_prompt"], body["seed"], body["fps"], body["seconds"]) == ("blur", 7, 16, 2.0)
    assert "latent_path" not in body


def test_the_order_of_columns_does_not_change_the_bytes():
    assert ADAPTER.encode({"prompt": "p", "seed": 1, "fps": 8}) == ADAPTER.encode({"fps": 8, "seed": 1, "prompt": "p"})


@pytest.mark.parametrize(
    ("edit", "prompt"),
    [
        (NO_EDIT, "a cat"),
        (Edit(lead="5eed"), "5eed a cat"),
        (Edit(head="5eed"), "5eed a cat"),
        (Edit(tail="5eed"), "a cat 5eed"),
        (Edit(lead="5eed", in_place=True), "5eed cat"),
        (Edit(text="a dog", tail="5eed"), "a dog 5eed"),
        (Edit(max_tokens=1), "a cat"),
    ],
)
def test_an_edit_changes_the_prompt_and_nothing_else(edit, prompt):
    plain = json.loads(ADAPTER.encode({"prompt": "a cat", "negative_prompt": "blur"}))
    assert json.loads(ADAPTER.encode({"prompt": "a cat", "negative_prompt": "blur"}, edit)) == {
        **plain,
        "prompt": prompt,
    }


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({}, "no text in column 'prompt'"),
        ({"prompt": "  "}, "no text in column 'prompt'"),
        ({"prompt": 5}, "no text in column 'prompt'"),
        ({"prompt": "p", "negitive_prompt": "x"}, "unknown column 'negitive_prompt'; did you mean 'negative_prompt'?"),
        ({"prompt": "p", "zzz": 1}, "unknown column 'zzz'; the columns are boundary_ratio, fps,"),
        ({"prompt": "p", "seed": "many"}, "column 'seed': expected int, got str"),
        ({"prompt": "p", "output_format": "gif"}, "column 'output_format': invalid enum value 'gif'"),
        ({"prompt": "p", "seconds": float("nan")}, "a value cannot be sent as JSON"),
        ({"prompt": "half \ud800"}, "half of a surrogate pair"),
    ],
)
def test_a_row_that_cannot_be_sent_is_named(row, problem):
    assert problem in (ADAPTER.problem(row) or "")


def test_a_good_row_has_no_problem():
    assert (
        ADAPTER.problem({"prompt": "p", "negative_prompt": "n", "seed": None, "response_format": "video_bytes"}) is None
    )


def test_the_three_kinds_of_reply():
    path = decode(b'{"video_id":"v1","video_path":"/lustre/v1.mp4"}', keep_output=True)
    assert (path.id, path.output, path.digest) == ("v1", "/lustre/v1.mp4", digest(b"/lustre/v1.mp4"))
    coded = decode(json.dumps({"video_id": "v2", "video_bytes": base64.b64encode(MP4).decode()}).encode())
    assert (coded.id, coded.output, coded.digest) == ("v2", None, digest(MP4))
    raw = decode(MP4)
    assert (raw.id, raw.output, raw.digest) == (None, None, digest(MP4))
    avi = b"RIFF\x68\x00\x00\x00AVI " + b"x" * 100
    assert decode(avi).digest == digest(avi)


@given(data=st.data())
def test_a_reply_cut_anywhere_reads_the_same(data):
    video = base64.b64encode(data.draw(st.binary(min_size=1, max_size=64))).decode()
    coded = json.dumps({"before": 'a "video_bytes": "x', "video_bytes": video, "video_id": "v"})
    escaped = coded.replace("/", r"\/").replace("=", r"\u003d")
    for body in (coded.encode(), escaped.encode(), SMALL, b'{"video_id":"v","video_path":"/p.mp4"}'):
        cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=6)))
        pieces = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
        assert decode(*pieces) == decode(body) == decode(*(body[at : at + 1] for at in range(len(body))))
    assert decode(coded.encode()).digest == decode(escaped.encode()).digest == digest(base64.b64decode(video))


LONG_BOX = FTYP + b"\x00\x00\x00\x01mdat" + (16 + 9).to_bytes(8, "big") + b"y" * 9
MOOV = b"\x00\x00\x00\x0cmoov" + b"z" * 4
AVI = b"RIFF\x0c\x00\x00\x00AVI " + b"x" * 8


@pytest.mark.parametrize("video", [SMALL, LONG_BOX, FTYP + MOOV + SMALL[24:], AVI])
def test_a_video_that_ends_early_is_no_answer(video):
    assert decode(video).digest == digest(video)
    for cut in range(12, len(video)):
        assert refusal(video[:cut]).reason == "truncated"
        assert refusal(*(video[at : at + 1] for at in range(cut))).reason == "truncated"


@pytest.mark.parametrize(
    "video", [FTYP + b"\x00\x00\x00\x00mdat" + b"x", b"RIFF\xff\xff\xff\xffAVI x", FTYP + b"\x00\x00\x00\x05odd"]
)
def test_a_video_that_does_not_say_how_long_it_is_is_read_to_its_end(video):
    assert decode(video + b"more").digest == digest(video + b"more")


def test_a_long_video_is_not_held():
    decoder = ADAPTER.decoder()
    decoder.feed(b'{"video_bytes": "', 0)
    for _ in range(64):
        decoder.feed(b"QUJD" * 2**16, 0)
        assert len(decoder._text) < 64
    decoder.feed(b'", "video_id": "v"}', 0)
    assert decoder.finish().digest == digest(b"ABC" * 2**16 * 64)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b'{"video_id":"v","video_path":""}', "empty"),
        (b'{"video_id":"v","video_path":"  "}', "empty"),
        (b'{"video_id":"v","video_bytes":""}', "empty"),
        (b'{"error":{"message":"out of\\u0007memory"}}', "server_error"),
        (b'{"error":"no"}', "server_error"),
        (b'{"object":"error","message":"bad size"}', "server_error"),
        (b'{"error":{},"video_path":""}', "empty"),
        (b"{}", "malformed"),
        (b"[]", "malformed"),
        (b"null", "malformed"),
        (b"<html>busy</html>", "malformed"),
        (b'{"video_path":"/p', "malformed"),
        (b'{"video_path":7}', "malformed"),
        (b'{"video_path":"\xff"}', "malformed"),
        (b'{"video_path":"a\x00"}', "malformed"),
        (b'{"video_bytes":"QUJ"}', "malformed"),
        (b'{"video_bytes":"QU-_"}', "malformed"),
        (b'{"video_bytes":"QQ==QQ=="}', "malformed"),
        (b'{"video_bytes":"QUJD\\""}', "malformed"),
        (b'{"video_bytes":"QUJD', "malformed"),
        (b'{"error":' + b"[" * 100_000, "malformed"),
        (b'{"x":"' + b"y" * MAX_TEXT_BYTES + b'"}', "too_large"),
        (b"\x00\x00\x00\x18fty", "malformed"),
    ],
)
def test_what_is_no_answer_is_refused_with_its_reason(body, reason):
    assert refusal(body).reason == reason
    assert refusal(*(body[at : at + 4096] for at in range(0, len(body), 4096))).reason == reason


def test_an_error_says_what_the_server_said():
    assert refusal(b'{"error":{"message":"out of\\u0007 memory","code":3}}').detail == "out of memory"
    assert refusal(json.dumps({"error": "x" * 5000}).encode()).detail.endswith("...")


def detail_of(body: bytes) -> str:
    try:
        return decode(body).digest
    except BadReplyError as error:
        return error.detail


@given(st.one_of(st.binary(), st.text().map(str.encode), st.binary().map(lambda data: b'{"video_bytes":"' + data)))
def test_no_reply_raises_anything_else(body):
    detail = detail_of(body)
    assert 0 < len(detail) <= 200
    assert detail.isprintable()
