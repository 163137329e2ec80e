"""What a server says of a failure, in a reply with status 200 too, and what is odd about its first answer. Pure.

Shapes of a failure, known in this one place: OpenAI, vLLM and SGLang (`error`), FastChat (`error_code` beside a text),
FastAPI (`detail`), Dynamo (`message`, `code`), OpenRouter (`error` in a choice), MiniMax (`base_resp`), problem details
of RFC 9457 (`title`, `status`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..runs.body import Body
from ..text import printable
from .base import Reply
from .form import form_fields

#: Names of an event, and words of a finish reason or a status, by which a server says that it gave the request up.
GAVE_UP = re.compile(r"error|exception|abort|cancel|fail|fatal|interrupt|insufficient|time_?d?_?out", re.IGNORECASE)

_ERRORS = ("error", "errors", "err", "error_message", "error_msg", "errorMessage", "exception", "fault", "failure")
_CODES = ("error_code", "errorCode", "err_code", "errno")
_SENTENCES = ("message", "detail", "msg", "error_message", "error_msg", "errorMessage", "status_msg", "title", "reason")
_MORE = ("base_resp", "text", "error", "errors", "type", "code", "error_code")
_STATUSES = ("code", "status", "status_code", "statusCode")
_GOOD_CODES = {"", "0", "ok", "success", "none", "null", "false"}
_FIRST_BAD_STATUS = 400
_DEPTH = 4
_TITLE = re.compile(r"<title>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_LIMITS = ("max_completion_tokens", "max_tokens", "max_new_tokens", "max_output_tokens")

#: Where a document has any of these, all its members are looked at; without, an answer is what it seems.
_MAY_FAIL = re.compile(rb'"(?:%b)"|"(?:object|type)"\s*:\s*"(?i:error)"' % "|".join((*_ERRORS, *_CODES)).encode())


def may_fail(document: bytes | bytearray) -> bool:
    """Whether a document may say of a failure beside its answer: a quick look at its bytes that overlooks none."""
    # Each of those names has one of these words in it, and most documents have none.
    has = document.__contains__
    if has(b"err") or has(b"Err") or has(b"ERR") or has(b"exception") or has(b"fault") or has(b"failure"):
        return _MAY_FAIL.search(document) is not None
    return False


def failure(answer: Mapping[str, Any], *, answers: bool) -> str | None:
    """Return what an object of a reply says of a failure, None where it says nothing of one.

    `answers` is whether it has the members of an answer, beside which a status, a message or a detail may be harmless.
    """
    if any(_says_something(answer.get(key)) for key in _ERRORS) or any(not _is_good(answer.get(key)) for key in _CODES):
        return error_text(
            next((value for key in _ERRORS if not isinstance(value := answer.get(key), bool) and value), answer)
        )
    if any(isinstance(kind := answer.get(key), str) and kind.lower() == "error" for key in ("object", "type")):
        return error_text(answer)
    return None if answers or not _has_failed(answer) else error_text(answer)


def remark(answer: Mapping[str, Any]) -> str | None:
    """Return the message of an object that has no answer: a failure too, unless the reply goes on to finish."""
    return next((text for key in ("message", "msg") if isinstance(text := answer.get(key), str) and text), None)


def error_text(error: Any, depth: int = 0) -> str:
    """Return what an error object says, from the shapes that servers use."""
    if isinstance(error, list) and error and depth < _DEPTH:
        return error_text(error[0], depth + 1)
    if isinstance(error, Mapping):
        found = next((value for key in (*_SENTENCES, *_MORE) if (value := error.get(key))), None)
        if found is None or depth == _DEPTH:
            return "an error object without a message"
        return error_text(found, depth + 1)
    return str(error)


def _has_failed(answer: Mapping[str, Any]) -> bool:
    """Whether an object without an answer says that the request failed."""
    if answer.get("detail") or any(answer.get(key) is False for key in ("success", "ok")):
        return True
    if any(_is_bad_status(answer.get(key)) for key in _STATUSES):
        return True
    if isinstance(kind := answer.get("type"), str) and GAVE_UP.search(kind):
        return True
    if isinstance(base := answer.get("base_resp"), Mapping) and not _is_good(base.get("status_code")):
        return True
    return remark(answer) is not None and not all(_is_good(answer.get(key)) for key in _STATUSES)


def _is_bad_status(status: Any) -> bool:
    if isinstance(status, str):
        return bool(GAVE_UP.search(status)) or (status.isdecimal() and int(status[:9]) >= _FIRST_BAD_STATUS)
    return isinstance(status, int | float) and status >= _FIRST_BAD_STATUS


def _is_good(code: Any) -> bool:
    """Whether a code says that all is well, or nothing."""
    if isinstance(code, str):
        return code.lower() in _GOOD_CODES or (len(code) == 3 and code.startswith("2") and code.isdecimal())
    return not code or (isinstance(code, int | float) and 200 <= code < 300)


def _says_something(value: Any) -> bool:
    """Whether an error member is one: null, "", {} and {"code": 0, "message": ""} are not."""
    if isinstance(value, Mapping):
        return any(not _is_good(part) for part in value.values())
    if isinstance(value, list):
        return any(_says_something(part) for part in value)
    return not _is_good(value)


def error_sentence(body: bytes) -> str:
    """Return what an error's body says, in one line: the sentence in it, FastAPI's fields by name, or its start."""
    text = body.decode("utf-8-sig", "replace")
    try:
        sentence = _sentence(json.loads(text))
    except (ValueError, RecursionError):
        title = _TITLE.search(text)
        sentence = title[1] if title else text
    return printable(sentence)


def _sentence(document: Any) -> str:
    if isinstance(document, list):
        return "; ".join(_field(one) for one in document[:4])
    if not isinstance(document, Mapping):
        return str(document)
    for key in ("error", "detail", "errors"):
        if inner := document.get(key):
            return _sentence(inner) if isinstance(inner, (Mapping, list)) else _beside(str(inner), document)
    return error_text(document)


def _beside(text: str, document: Mapping[str, Any]) -> str:
    """Return a short word of an error with the sentence that stands beside it."""
    message = document.get("message")
    return f"{text}: {message}" if isinstance(message, str) and message else text


def _field(one: Any) -> str:
    """Return a fault as FastAPI lists it: body.min_tokens: Extra inputs are not permitted."""
    if not isinstance(one, Mapping):
        return str(one)
    where = one.get("loc")
    path = ".".join(map(str, where)) if isinstance(where, list) else ""
    return f"{path}: {error_text(one)}" if path else error_text(one)


def request_fields(request: Body) -> Mapping[str, Any]:
    """Return the fields of a request, those of SGLang's sampling_params among them; none where it has no fields."""
    if not isinstance(request, bytes):
        return form_fields(request)
    try:
        fields = json.loads(request)
    except ValueError:
        return {}
    if not isinstance(fields, dict):
        return {}
    inner = fields.get("sampling_params")
    return {**(inner if isinstance(inner, dict) else {}), **fields}


def model_ids(body: bytes) -> list[str]:
    """Return the ids in a list of models; none where it is not one."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return []
    listed = document.get("data") if isinstance(document, dict) else None
    ids = (one.get("id") for one in (listed if isinstance(listed, list) else []) if isinstance(one, dict))
    return [one for one in ids if isinstance(one, str) and one]


def oddities(request: Body, headers: Mapping[str, str], reply: Reply) -> Iterator[str]:
    """Yield what is odd about an answer, a sentence each. Header names are in lower case."""
    fields = request_fields(request)
    coding = headers.get("content-encoding", "identity")
    if coding.lower() not in {"", "identity"}:
        yield f"the reply is coded ({printable(coding, 40)}), though none was asked for: its decoding is not measured"
    model, wanted = reply.model, fields.get("model")
    if model and isinstance(wanted, str) and model != wanted:
        yield other_model(model, wanted)
    if fields.get("stream") and reply.first_token_ns is None:
        yield "the reply is not streamed, though that was asked for; no time of a first token can be told"
    size = fields.get("size")
    if reply.size and isinstance(size, str) and "x" in size and reply.size != size:
        yield f"the image is {reply.size}, though {printable(size, 20)} was asked for; set the size that is meant"
    yield from reply.remarks
    yield from _lengths(fields, reply)


def other_model(model: str, asked_for: str) -> str:
    """Return what to say when another model answers than was asked for."""
    return (
        f"replies come from model {printable(model)!r}, not {printable(asked_for)!r} of model_params.name; "
        "make sure that it is the model to be audited"
    )


def _lengths(fields: Mapping[str, Any], reply: Reply) -> Iterator[str]:
    limits = [limit for key in _LIMITS if isinstance(limit := fields.get(key), int)]
    if limits and reply.tokens is not None:
        if reply.tokens > max(limits):
            yield f"the reply has {reply.tokens} tokens, more than the limit of {max(limits)} that was sent"
        elif reply.finish_reason == "length" and reply.tokens < min(limits):
            yield f"the reply was cut for its length after {reply.tokens} tokens, before the limit of {min(limits)}"
    if reply.finish_reason == "content_filter":
        yield "the reply was cut by a content filter"
