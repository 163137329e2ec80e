"""The answer to a run's first query against what was asked: what a server says, and what is odd. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from .base import Reply
from .failures import error_text
from .replies import MAX_DETAIL, printable

_TITLE = re.compile(r"<title>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_LIMITS = ("max_completion_tokens", "max_tokens", "max_new_tokens")


def said(body: bytes) -> str:
    """Return what an error's body says, in one line: the sentence in it, FastAPI's fields by name, or its start."""
    text = body.decode("utf-8-sig", "replace")
    try:
        found = _sentence(json.loads(text))
    except (ValueError, RecursionError):
        title = _TITLE.search(text)
        found = title[1] if title else text
    return printable(found)


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


def asked(request: bytes) -> Mapping[str, Any]:
    """Return the fields of a request, those of SGLang's sampling_params among them."""
    try:
        fields = json.loads(request)
    except ValueError:
        return {}
    if not isinstance(fields, dict):
        return {}
    inner = fields.get("sampling_params")
    return {**(inner if isinstance(inner, dict) else {}), **fields}


def models_of(body: bytes) -> list[str]:
    """Return the ids in a list of models; none where it is not one."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return []
    listed = document.get("data") if isinstance(document, dict) else None
    ids = (one.get("id") for one in (listed if isinstance(listed, list) else []) if isinstance(one, dict))
    return [one for one in ids if isinstance(one, str) and one]


def oddities(request: bytes, headers: Mapping[str, str], reply: Reply) -> Iterator[str]:
    """Yield what is odd about an answer, a sentence each. Header names are in lower case."""
    fields = asked(request)
    coding = headers.get("content-encoding", "identity")
    if coding.lower() not in {"", "identity"}:
        yield f"the reply is coded ({printable(coding, 40)}), though none was asked for: its decoding is not measured"
    model, wanted = reply.model, fields.get("model")
    if model and isinstance(wanted, str) and model != wanted:
        yield other_model(model, wanted)
    if fields.get("stream") and reply.first_token_ns is None:
        yield "the reply is not streamed, though that was asked for; no time of a first token can be told"
    yield from _lengths(fields, reply)


def other_model(model: str, asked_for: str) -> str:
    """Return what to say when another model answers than was asked for."""
    return (
        f"replies come from model {printable(model, MAX_DETAIL)!r}, not {printable(asked_for)!r} of model_params.name; "
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
