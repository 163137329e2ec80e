"""`videogen`: trtllm-serve's POST /v1/videos/generations. Pure.

A reply is one of three kinds: JSON with the path of the video, JSON with the video in base64, or the video itself.
Videos are hashed as they arrive and never held, so a decoder's memory is bounded by MAX_TEXT_BYTES.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, ClassVar, Literal

import msgspec

from ...runs.script import NO_EDIT, Edit
from ..base import BadReplyError, EndpointAdapter, Reply, Row, digest
from ..failures import error_text, failure, may_fail
from ..replies import bad, parse, parse_leniently, short_id
from ..rows import unknown_column, unsendable
from .base64_text import Base64Text

#: Most bytes of a JSON reply, the base64 of a video not counted.
MAX_TEXT_BYTES = 2**20


class _VideoRequest(msgspec.Struct, kw_only=True, omit_defaults=False):
    """The request; defaults are MLPerf's for WAN2.2-T2V-A14B, sent in full so that no server default matters."""

    prompt: str
    negative_prompt: str | msgspec.UnsetType = msgspec.UNSET
    size: str = "720x1280"
    seconds: float = 5.0
    fps: int = 16
    num_inference_steps: int = 20
    guidance_scale: float = 4.0
    guidance_scale_2: float = 3.0
    seed: int = 42
    num_frames: int = 81
    boundary_ratio: float = 0.875
    latent_path: str | msgspec.UnsetType = msgspec.UNSET
    output_format: Literal["mp4", "avi", "auto"] = "auto"
    response_format: Literal["video_bytes", "video_path"] = "video_path"


_COLUMNS = _VideoRequest.__struct_fields__
_ENCODER = msgspec.json.Encoder()


def _request(row: Row, edit: Edit = NO_EDIT) -> _VideoRequest:
    """Build the request of a row; an absent value, None, leaves a column at its default. Raises ValidationError."""
    given = {column: value for column, value in row.items() if value is not None}
    request = msgspec.convert(given, _VideoRequest, strict=False)  # CSV has every number as text
    if edit is not NO_EDIT:
        request.prompt = edit.apply(request.prompt)
    return request


class VideoGenAdapter(EndpointAdapter):
    """Text to video. Of model_params nothing is sent: the server has one model, and the row says the rest."""

    api_type: ClassVar[str] = "videogen"
    path = "/v1/videos/generations"
    max_reply_bytes: ClassVar[int] = 256 * 2**20
    text_output: ClassVar[bool] = False

    def problem(self, row: Row) -> str | None:
        """Return what keeps a row from being sent, or None."""
        if wrong := unknown_column(row, _COLUMNS):
            return wrong
        prompt = row.get("prompt")
        if not isinstance(prompt, str) or not prompt.strip():
            return "no text in column 'prompt'"
        return unsendable(lambda: _request(row))

    def encode(self, row: Row, edit: Edit = NO_EDIT) -> bytes:
        """Return the request body of a row."""
        return _ENCODER.encode(_request(row, edit))

    def decoder(self, *, keep_output: bool = False) -> _VideoReplyDecoder:
        """Return a decoder for one reply."""
        return _VideoReplyDecoder(keep_output=keep_output)


class _VideoReply(msgspec.Struct, gc=False):
    video_id: str | None = None
    video_path: str | None = None
    video_bytes: str | None = None
    status: Any = None
    error: Any = None
    object: str | None = None
    message: Any = None


_DECODER = msgspec.json.Decoder(_VideoReply)

#: Statuses by which a server says, in a reply with HTTP status 200, that there is no video.
_GAVE_UP = frozenset({"failed", "error", "aborted", "cancelled", "canceled"})

# A quote inside a JSON text is escaped, so this can only be a key with a text as its value.
_VIDEO_BYTES = re.compile(rb'"video_bytes"\s{0,16}:\s{0,16}"')
_LONGEST_KEY = len('"video_bytes"') + 34


class _VideoReplyDecoder:
    """Reads one reply of any kind. `digest` is of the path, or of the video's bytes however they were sent.

    The output kept on request is the path; a video is not held, so it leaves none.
    """

    def __init__(self, *, keep_output: bool = False) -> None:
        self._keep_output = keep_output
        self._text = bytearray()
        self._raw: hashlib._Hash | None = None
        self._length = _VideoLength()
        self._base64: Base64Text | None = None
        self._coded = hashlib.sha256()
        self._bad: BadReplyError | None = None

    def feed(self, data: bytes, at_ns: int) -> None:  # noqa: ARG002 - nothing of a video reply is worth a time of its own
        """Take the next piece of the body."""
        if self._raw is not None:
            self._raw.update(data)
            self._length.feed(data)
        elif self._bad is None:
            try:
                self._feed_text(data)
            except BadReplyError as error:
                self._bad = error

    def _feed_text(self, data: bytes) -> None:
        if self._base64 is not None and self._base64.is_open:
            data = self._base64.feed(data)
        searched = max(0, len(self._text) - _LONGEST_KEY)
        self._text += data
        if searched == 0 and _is_video(self._text):
            self._raw = hashlib.sha256(self._text)
            self._length.feed(self._text)
        elif self._base64 is None and (key := _VIDEO_BYTES.search(self._text, searched)):
            rest = bytes(self._text[key.end() :])
            del self._text[key.end() :]
            self._base64 = Base64Text(self._coded.update, "video_bytes")
            self._feed_text(rest)
        elif len(self._text) > MAX_TEXT_BYTES:
            raise bad("too_large", f"the JSON of the reply exceeds {MAX_TEXT_BYTES} bytes")

    def finish(self) -> Reply:
        """Return the reply. Raises BadReplyError."""
        if self._bad is not None:
            raise self._bad
        if self._raw is not None:
            if lacking := self._length.lacks():
                raise bad("truncated", f"the video lacks {lacking}")
            return Reply(digest=self._raw.hexdigest()[:32])
        if not self._text.strip():
            raise bad("empty", "the reply has no body")
        if may_fail(self._text) and (wrong := failure(parse_leniently(self._text, "the reply"), answers=True)):
            raise bad("server_error", wrong)
        return self._read(parse(_DECODER, self._text, "the reply"))

    def _read(self, reply: _VideoReply) -> Reply:
        if isinstance(reply.status, str) and reply.status.lower() in _GAVE_UP:
            raise bad("server_error", f"status: {reply.status}")
        if reply.error or reply.object == "error":
            raise bad("server_error", error_text(reply.error or reply.message))
        if self._base64 is not None and self._base64.n_bytes:
            return Reply(digest=self._coded.hexdigest()[:32], id=short_id(reply.video_id))
        if path := (reply.video_path or "").strip():
            output = path if self._keep_output else None
            return Reply(digest=digest(path.encode()), id=short_id(reply.video_id), output=output)
        if reply.video_path is not None or reply.video_bytes is not None:
            raise bad("empty", "the reply has neither a path nor a video in it")
        raise bad("malformed", "the reply has neither video_path nor video_bytes")


def _is_video(body: bytearray) -> bool:
    """Whether a body begins as MP4 (ISO BMFF: 'ftyp' at offset 4) or AVI, the formats `output_format` offers."""
    return body[4:8] == b"ftyp" or (body[:4] == b"RIFF" and body[8:12] == b"AVI ")


_HEAD = 8
_LONG_HEAD = 16
_RIFF_UNKNOWN = (0, 2**32 - 1)


class _VideoLength:
    """Takes the pieces of a video that begins as MP4 or AVI."""

    def __init__(self) -> None:
        self._head = b""
        self._left = 0
        self._has_media = False
        self._open_ended = False

    def feed(self, data: bytes | bytearray) -> None:
        """Take the next piece."""
        at = 0
        while at < len(data) and not self._open_ended:
            if self._left:
                step = min(self._left, len(data) - at)
                self._left -= step
            else:
                step = min(self._wanted() - len(self._head), len(data) - at)
                self._head += bytes(data[at : at + step])
                if len(self._head) == self._wanted():
                    self._begin_box()
            at += step

    def _wanted(self) -> int:
        return _LONG_HEAD if len(self._head) >= _HEAD and self._head[:4] == b"\x00\x00\x00\x01" else _HEAD

    def _begin_box(self) -> None:
        head, self._head = self._head, b""
        if head[:4] == b"RIFF":
            length, kind = int.from_bytes(head[4:8], "little"), b"mdat"
            self._open_ended = length in _RIFF_UNKNOWN
            self._left = length
        else:
            length, kind = int.from_bytes(head[:4], "big"), head[4:8]
            length = int.from_bytes(head[8:16], "big") if len(head) == _LONG_HEAD else length
            self._open_ended = length < len(head)
            self._left = max(0, length - len(head))
        self._has_media = self._has_media or kind == b"mdat" or self._open_ended

    def lacks(self) -> str:
        """Return what is missing at the end of the video, "" where it is whole."""
        if self._open_ended:
            return ""
        if self._left:
            return f"{self._left} bytes of the box that it ends in"
        if self._head:
            return "the end of a box's head"
        return "" if self._has_media else "its media (there is no mdat box)"
