"""`http_json`: any API of JSON in and JSON out, as model_params.http describes it. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from ..config.http_json import PLACE, HttpJson, places
from ..config.model_params import ModelParams
from ..datasets.dataset import column_of, listed
from ..datasets.paths import ABSENT, at_path
from ..runs.script import NO_EDIT, Edit
from .base import EndpointAdapter, Reply, Row, digest
from .failures import error_text, failure
from .numbers.listed import as_array, changed
from .replies import as_count, as_unicode, as_word, bad, parse_leniently, short_id
from .rows import unsendable

_ENCODER = msgspec.json.Encoder()
#: Keys of model_params.http that say where in a reply something stands that a reply need not have.
_PATHS = ("id", "model", "tokens", "prompt_tokens", "cached_tokens")
_PARAMS = ("max_new_tokens", "temperature", "seed")


class HttpJsonAdapter(EndpointAdapter):
    """JSON in, JSON out. The YAML says the path, the request as a template, and where in a reply what stands."""

    api_type: ClassVar[str] = "http_json"
    path = "/"

    def __init__(self, params: ModelParams, *, streaming: bool = False) -> None:
        super().__init__(params, streaming=streaming)
        self._http = params.http
        if self._http is not None:
            self.path = self._http.path
            self._names = frozenset(places(self._http.body))
            if self._http.twin_kind == "numbers":
                self.twins = "a few numbers changed by their least steps"

    def problem(self, row: Row) -> str | None:
        """Return what keeps a row from being sent, or None."""
        if self._http is None:
            return "model_params.http does not say what a request looks like; write its path, body, twin and output"
        known = self._values(row)
        if missing := next((name for name in places(self._http.body) if name not in known), None):
            return f"no column {missing!r}, which model_params.http.body names; the row's are {listed(row)}"
        value = known.get(self._http.twin)
        if self._http.twin_kind == "numbers" and as_array(value) is None:
            return f"no list of numbers in column {self._http.twin!r}"
        if self._http.twin_kind == "text" and not (isinstance(value, str) and value.strip()):
            return f"no text in column {self._http.twin!r}"
        body = self._http.body
        return unsendable(lambda: _filled(body, known))

    def n_words(self, row: Row) -> int:
        """Return the words of the text that a twin changes; 0 where that is no text."""
        value = self._values(row).get(self._http.twin) if self._http and self._http.twin_kind == "text" else ""
        return len(value.split()) if isinstance(value, str) else 0

    def token_limit(self, row: Row) -> int | None:
        """Return the limit on output tokens, where the request has a place for it."""
        if self._http is None or "max_new_tokens" not in places(self._http.body):
            return None
        return as_count(self._values(row)["max_new_tokens"])

    def encode(self, row: Row, edit: Edit = NO_EDIT) -> bytes:
        """Return the request: the template, each place filled."""
        assert self._http is not None, "a row without a problem has its template"
        values = self._values(row)
        if edit is not NO_EDIT:
            values[self._http.twin] = self._changed(values[self._http.twin], edit)
            if edit.max_tokens is not None and (limit := as_count(values.get("max_new_tokens"))) is not None:
                values["max_new_tokens"] = min(limit, edit.max_tokens)
        return _ENCODER.encode(_filled(self._http.body, values))

    def _values(self, row: Row) -> dict[str, Any]:
        """Return what stands in the places: the row's columns, by the names that its file has, else model_params'."""
        params = {name: value for name in _PARAMS if (value := getattr(self.params, name)) is not None}
        given = {column: value for column, value in row.items() if value is not None}
        assert self._http is not None
        named = {name: given[column] for name in self._names if (column := column_of(given, name)) in given}
        return {"model": self.params.name, **params, **given, **named}

    def _changed(self, value: Any, edit: Edit) -> Any:
        assert self._http is not None
        return edit.apply(value) if self._http.twin_kind == "text" else changed(value, edit)

    def decoder(self, *, keep_output: bool = False) -> _Decoder:
        """Return a decoder for one reply."""
        assert self._http is not None, "nothing is sent without a template"
        return _Decoder(self._http, keep_output=keep_output)


def _filled(template: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(template, dict):
        return {key: _filled(value, values) for key, value in template.items()}
    if isinstance(template, list):
        return [_filled(value, values) for value in template]
    if not isinstance(template, str):
        return template
    if (whole := PLACE.fullmatch(template)) and whole[1]:
        return values[whole[1]]

    def filled(place: re.Match[str]) -> str:
        if not place[1]:
            return place[0][0]
        value = values[place[1]]
        return value if isinstance(value, str) else _ENCODER.encode(value).decode()

    return PLACE.sub(filled, template)


class _Decoder:
    """Reads one reply. `digest` is of the output as JSON with its keys in order; a text is its own."""

    def __init__(self, http: HttpJson, *, keep_output: bool) -> None:
        self._http = http
        self._keep_output = keep_output
        self._body = bytearray()
        self._absent: list[str] = []

    def lacking(self) -> Sequence[str]:
        """Return a sentence on the paths at which the reply has nothing, none where it has all."""
        if not self._absent:
            return ()
        at = ", ".join(self._absent)
        return (
            f"the first reply has nothing at {at}; correct the path, or drop its key, unless later replies have it",
        )

    def feed(self, data: bytes, at_ns: int) -> None:  # noqa: ARG002 - a reply comes whole
        """Take the next piece of the body."""
        self._body += data

    def finish(self) -> Reply:
        """Return the reply. Raises BadReplyError."""
        if not self._body.strip():
            raise bad("empty", "the reply has no body")
        http, document = self._http, parse_leniently(bytes(self._body), "the reply")
        if http.error and (said := at_path(document, http.error)) is not ABSENT and said:
            raise bad("server_error", error_text(said))
        output = at_path(document, http.output)
        if wrong := failure(document, answers=output is not ABSENT):
            raise bad("server_error", wrong)
        if output is ABSENT:
            raise bad("malformed", f"the reply has nothing at {http.output}; its members are {', '.join(document)}")
        if output is None or output in ("", [], {}):
            raise bad("empty", f"the reply has an empty {http.output}")
        named = ((name, getattr(http, name)) for name in _PATHS)
        self._absent = [
            f"{at} (model_params.http.{name})" for name, at in named if at and self._at(document, at) is None
        ]
        text = as_unicode(output if isinstance(output, str) else json.dumps(output, sort_keys=True, ensure_ascii=False))
        return Reply(
            digest=digest(text.encode()),
            id=self._word(document, http.id),
            model=self._word(document, http.model),
            output=text if self._keep_output else None,
            tokens=as_count(self._at(document, http.tokens)),
            prompt_tokens=as_count(self._at(document, http.prompt_tokens)),
            cached_tokens=as_count(self._at(document, http.cached_tokens)),
        )

    def _word(self, document: Mapping[str, Any], path: str | None) -> str | None:
        word = as_word(self._at(document, path))
        return short_id(as_unicode(word)) if word else None

    def _at(self, document: Mapping[str, Any], path: str | None) -> Any:
        value = at_path(document, path) if path else None
        return None if value is ABSENT else value
