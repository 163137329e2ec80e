"""The members of SGLang's replies that count, read strictly where that is fast and leniently where it must be. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from .failures import failure, may_fail, remark
from .lenient import as_count, as_counts, as_mapping, as_text, as_word
from .replies import bad, parse_leniently, parse_strictly

_Count = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]


class FinishReason(msgspec.Struct, gc=False):
    """Why an output ended; a `message` is there when it was aborted."""

    type: str | None = None
    message: str | None = None


class Meta(msgspec.Struct, gc=False):
    """`meta_info`. A `finish_reason` that is null says that the output is not complete; one may be left out."""

    id: str | None = None
    completion_tokens: _Count | None = None
    cached_tokens: _Count | None = None
    finish_reason: FinishReason | str | msgspec.UnsetType | None = msgspec.UNSET

    def reason(self) -> FinishReason:
        """Return the finish reason as an object; its type is None where there is none."""
        given = self.finish_reason
        return given if isinstance(given, FinishReason) else FinishReason(type=given or None)


class Generated(msgspec.Struct, gc=False):
    """A reply, or one event of a streamed one. `remark` is a message where an answer should be.

    `ids_unknown` is whether it had token ids that cannot be read.
    """

    text: str | None = None
    output_ids: list[_Count] | None = None
    meta_info: Meta | None = None
    remark: str | None = None
    ids_unknown: bool = False


_DECODER = msgspec.json.Decoder(Generated)
_ANSWER = ("meta_info", "text", "output_ids")


def read_part(data: bytes | bytearray, what: str) -> Generated:
    """Return a document or event. Raises BadReplyError: `server_error` where it says that the server failed."""
    part = parse_strictly(_DECODER, data)
    if part is not None and part.meta_info is not None and not may_fail(data):
        return part
    said = parse_leniently(data, what)
    answers = any(said.get(name) for name in _ANSWER)
    if wrong := failure(said, answers=answers) or failure(as_mapping(said.get("meta_info")), answers=True):
        raise bad("server_error", wrong)
    part = part or _generated(said)
    part.remark = None if answers else remark(said)
    return part


def _generated(said: Mapping[str, Any]) -> Generated:
    meta = as_mapping(said.get("meta_info"))
    ids = as_counts(said.get("output_ids"))
    return Generated(
        text=as_text(said.get("text")),
        output_ids=ids,
        ids_unknown=ids is None and bool(said.get("output_ids")),
        meta_info=Meta(
            id=as_word(meta.get("id")),
            completion_tokens=as_count(meta.get("completion_tokens")),
            cached_tokens=as_count(meta.get("cached_tokens")),
            finish_reason=_finish_reason(meta),
        )
        if meta
        else None,
    )


def _finish_reason(meta: Mapping[str, Any]) -> FinishReason | str | msgspec.UnsetType | None:
    if "finish_reason" not in meta:
        return msgspec.UNSET
    given = meta["finish_reason"]
    return (
        FinishReason(type=as_word(given), message=as_word(as_mapping(given).get("message")))
        if given or given == 0
        else None
    )
