"""What the requests of /v1/responses and /v1/messages share: chat messages in, the fields of one body out. Pure."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from ...config.model_params import ModelParams
from ...runs.script import NO_EDIT, Edit
from ..base import EndpointAdapter, ReplyDecoder, Row
from ..rows import misspelt_column, sampling, unsendable
from ..stream import Endings
from .chat_images import COLUMNS, has_images, images_problem, with_images

_ENCODER = msgspec.json.Encoder()
#: Columns of a row that is one prompt, or messages.
CHAT_COLUMNS = ("messages", "prompt", "system")
_CURE = "give the row in the API's own form"


class TextAdapter(EndpointAdapter):
    """An API that answers messages with a text, its fields named otherwise than those of chat completions.

    A subclass names them. Columns named as fields override model_params; an absent value, None, does not. Others are
    not sent; one that looks like a misspelt field is a problem.
    """

    #: The request body, and the columns beside its fields that a row may have.
    body: ClassVar[type[msgspec.Struct]]
    prompt_columns: ClassVar[Collection[str]]
    #: Where the limit on output tokens goes.
    limit_field: ClassVar[str]
    #: Fields by the names that they have in rows for other APIs.
    aliases: ClassVar[Mapping[str, str]]
    #: Fields that are objects by the API; where a row has a text there, it is the data set's own and not sent.
    objects: ClassVar[Collection[str]]
    #: Decoders of a stream and of a document.
    decoders: ClassVar[tuple[Callable[..., ReplyDecoder], Callable[..., ReplyDecoder]]]

    def __init__(self, params: ModelParams, *, streaming: bool = False) -> None:
        super().__init__(params, streaming=streaming)
        self._endings = Endings()
        self._columns = {*COLUMNS, *self.prompt_columns, *self.aliases, *self.body.__struct_fields__} - {"stream"}
        self.limit_cure = f"the limit was sent as {self.limit_field}: see whether the server keeps it"
        self._from_params = {
            "model": params.name or None,
            "seed": params.seed,
            **sampling(params),
            "chat_template_kwargs": params.chat_template_kwargs,
            self.limit_field: params.max_new_tokens,
        }

    def problem(self, row: Row) -> str | None:
        """Return what keeps a row from being sent, or None."""
        if "stream" in row:
            return "column 'stream' cannot be set by a row; set model_params.streaming in the YAML"
        if wrong := misspelt_column(row, self._columns) or images_problem(row, self.find):
            return wrong
        row = with_images(row, self.find)
        return self._prompt_problem(row) or unsendable(lambda: self._request(row, NO_EDIT))

    def has_images(self, row: Row) -> bool:
        """Whether a row has images that an edit can change."""
        return has_images(row)

    def encode(self, row: Row, edit: Edit = NO_EDIT) -> bytes:
        """Return the request body."""
        return _ENCODER.encode(self._request(with_images(row, self.find, edit.image), edit))

    def decoder(self, *, keep_output: bool = False) -> ReplyDecoder:
        """Return a decoder for one reply."""
        return self.decoders[0 if self.streaming else 1](self._endings, keep_output=keep_output)

    def token_limit(self, row: Row) -> int | None:
        """Return the most tokens that the reply to a row may have."""
        limit = self._given(row).get(self.limit_field, self.params.max_new_tokens)
        return None if limit is None else int(limit)

    @abstractmethod
    def _prompt_problem(self, row: Row) -> str | None:
        """Return what is wrong with the columns that the prompt is made of, or None."""

    @abstractmethod
    def _prompt(self, given: Row, edit: Edit) -> dict[str, Any]:
        """Return the fields that hold the prompt of a row without absent values."""

    def _given(self, row: Row) -> dict[str, Any]:
        """Return what a row says, by the names of this API, without absent values."""
        given = {
            column: value
            for column, value in row.items()
            if value is not None and not (column in self.objects and isinstance(value, str))
        }
        for alias, field in self.aliases.items():
            if alias in given:
                given.setdefault(field, given[alias])
        return given

    def _request(self, row: Row, edit: Edit) -> msgspec.Struct:
        given = self._given(row)
        fields = {**self._from_params, **given, **self._prompt(given, edit), "stream": self.streaming}
        if edit.max_tokens is not None:
            limit = fields.get(self.limit_field)
            fields[self.limit_field] = edit.max_tokens if limit is None else min(int(limit), edit.max_tokens)
        return msgspec.convert(fields, self.body, strict=False)  # CSV has every number as text


def chat_only_problem(row: Row) -> str | None:
    """Return what of chat completions' messages has no counterpart that is known here, or None."""
    messages = row.get("messages")
    for message in messages if isinstance(messages, list) else ():
        if message.get("tool_calls") or message.get("function_call") or message.get("role") in ("tool", "function"):
            return f"column 'messages' has calls of tools in the form of chat completions; {_CURE}"
    return None


def parts_in_form(content: Any, convert: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> Any:
    """Return content with each part in the API's own form; a text as it is."""
    return [convert(part) for part in content] if isinstance(content, list) else content


def image_url(part: Mapping[str, Any]) -> str | None:
    """Return the URL in chat completions' part of an image; None in any other part."""
    if part.get("type") != "image_url":
        return None
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, Mapping) else image
    return url if isinstance(url, str) else None


def without_system(messages: Sequence[Mapping[str, Any]]) -> tuple[list[Any], list[Mapping[str, Any]]]:
    """Return the contents of the system messages that messages begin with, and the rest."""
    n_system = next(
        (at for at, one in enumerate(messages) if one.get("role") not in ("system", "developer")), len(messages)
    )
    return [one.get("content") for one in messages[:n_system]], list(messages[n_system:])
