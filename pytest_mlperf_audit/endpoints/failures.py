"""What says, in a reply with status 200, that the server failed: the shapes that servers use, known in one place. Pure.

Shapes: OpenAI, vLLM and SGLang (`error`), FastChat (`error_code` beside a text), FastAPI (`detail`), Dynamo (`message`,
`code`), OpenRouter (`error` in a choice), MiniMax (`base_resp`), problem details of RFC 9457 (`title`, `status`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

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

#: Where a document has any of these, all its members are looked at; without, an answer is what it seems.
_MAY_FAIL = re.compile(rb'"(?:%b)"|"(?:object|type)"\s*:\s*"(?i:error)"' % "|".join((*_ERRORS, *_CODES)).encode())


def may_fail(document: bytes | bytearray) -> bool:
    """Whether a document may say of a failure beside its answer: a quick look at its bytes that overlooks none."""
    # Each of those names has one of these words in it, and most documents have none.
    has = document.__contains__
    if has(b"err") or has(b"Err") or has(b"ERR") or has(b"exception") or has(b"fault") or has(b"failure"):
        return _MAY_FAIL.search(document) is not None
    return False


def failure(said: Mapping[str, Any], *, answers: bool) -> str | None:
    """Return what an object of a reply says of a failure, None where it says nothing of one.

    `answers` is whether it has the members of an answer, beside which a status, a message or a detail may be harmless.
    """
    if any(_says_something(said.get(key)) for key in _ERRORS) or any(not _is_good(said.get(key)) for key in _CODES):
        return error_text(
            next((value for key in _ERRORS if not isinstance(value := said.get(key), bool) and value), said)
        )
    if any(isinstance(kind := said.get(key), str) and kind.lower() == "error" for key in ("object", "type")):
        return error_text(said)
    return None if answers or not _has_failed(said) else error_text(said)


def remark(said: Mapping[str, Any]) -> str | None:
    """Return the message of an object that has no answer: a failure too, unless the reply goes on to finish."""
    return next((text for key in ("message", "msg") if isinstance(text := said.get(key), str) and text), None)


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


def _has_failed(said: Mapping[str, Any]) -> bool:
    """Whether an object without an answer says that the request failed."""
    if said.get("detail") or any(said.get(key) is False for key in ("success", "ok")):
        return True
    if any(_is_bad_status(said.get(key)) for key in _STATUSES):
        return True
    if isinstance(kind := said.get("type"), str) and GAVE_UP.search(kind):
        return True
    if isinstance(answer := said.get("base_resp"), Mapping) and not _is_good(answer.get("status_code")):
        return True
    return remark(said) is not None and not all(_is_good(said.get(key)) for key in _STATUSES)


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
