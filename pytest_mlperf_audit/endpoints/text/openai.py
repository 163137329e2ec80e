"""`openai` and `openai_completions`: POST /v1/chat/completions and /v1/completions, streamed or not. Pure."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection
from copy import copy
from typing import Any, ClassVar

import msgspec
from typing_extensions import Self

from ...config.model_params import ModelParams
from ...runs.script import NO_EDIT, Edit
from ..base import EndpointAdapter, ReplyDecoder, Row
from ..rows import edited, ids_problem, misspelt_column, prompt_column, sampling, unsendable
from ..stream import Endings
from .chat_images import COLUMNS, has_images, images_problem, with_images
from .chat_messages import chat_messages, messages_problem
from .openai_reply import CompletionDecoder, StreamDecoder


class _CommonRequest(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Fields of both request bodies: OpenAI's, and the common extensions of vLLM, SGLang and TensorRT-LLM."""

    model: str | None = None
    temperature: float | None = None
    seed: int | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    min_tokens: int | None = None
    ignore_eos: bool | None = None
    stop: str | list[str] | None = None
    stop_token_ids: list[int] | None = None
    n: int | None = None
    logit_bias: dict[str, float] | None = None
    response_format: dict[str, Any] | None = None
    user: str | None = None
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None
    return_token_ids: bool | None = None


class _ChatRequest(_CommonRequest, kw_only=True, omit_defaults=True):
    """The body of a request to /v1/chat/completions."""

    messages: Any
    logprobs: bool | None = None
    top_logprobs: int | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: str | None = None
    chat_template: str | None = None
    chat_template_kwargs: dict[str, Any] | None = None


class _CompletionRequest(_CommonRequest, kw_only=True, omit_defaults=True):
    """The body of a request to /v1/completions."""

    prompt: str | list[int]
    skip_special_tokens: bool | None = None
    add_special_tokens: bool | None = None
    suffix: str | None = None
    best_of: int | None = None
    logprobs: int | None = None


#: Columns of token ids, in the order in which they are looked for.
_TOKEN_COLUMNS = ("input_tokens", "token_ids")
_STREAM_COLUMNS = {"stream", "stream_options"}
_LIMITS = {"max_completion_tokens", "max_tokens"}
_LENGTHS = (*sorted(_LIMITS), "min_tokens")
_ENCODER = msgspec.json.Encoder()


class _OpenAIAdapter(EndpointAdapter):
    """The part of an adapter that both paths share; a subclass says where the prompt comes from and goes to.

    Columns named as request fields override model_params; an absent value, None, does not. Other columns (expected
    answers, ids) are not sent; one that looks like a misspelt field is a problem.
    """

    #: Where max_new_tokens goes unless model_params says otherwise.
    length_field: ClassVar[str]
    #: The request body, and the columns beside its fields that a row may have.
    body: ClassVar[type[_CommonRequest]]
    prompt_columns: ClassVar[Collection[str]]
    #: Whether images of a row are parts of its prompt.
    takes_images: ClassVar[bool] = False

    def __init__(self, params: ModelParams, *, streaming: bool = False) -> None:
        super().__init__(params, streaming=streaming)
        self._endings = Endings()
        self._columns = {*self.prompt_columns, *self.body.__struct_fields__} - _STREAM_COLUMNS
        sent_as = params.length_field or self.length_field
        self.limit_cure = (
            f"the limit was sent as {sent_as}: if the server does not know it, set model_params.length_field: "
            f"{(_LIMITS - {sent_as}).pop()}"
        )
        self._from_params: dict[str, Any] = {
            "model": params.name or None,
            "seed": params.seed,
            **sampling(params),
            sent_as: params.max_new_tokens,
            **self._own_params(params),
        }
        self._stream: dict[str, Any] = {"stream": True} if streaming else {}
        if streaming and params.stream_usage:
            self._stream["stream_options"] = {"include_usage": True}

    def problem(self, row: Row) -> str | None:
        """Return what keeps a row from being sent, or None."""
        if wrong := self._column_problem(row) or (images_problem(row, self.find) if self.takes_images else None):
            return wrong
        row = with_images(row, self.find) if self.takes_images else row
        return self._prompt_problem(row) or unsendable(lambda: self._request(row))

    def encode(self, row: Row, edit: Edit = NO_EDIT) -> bytes:
        """Return the request body."""
        row = with_images(row, self.find, edit.image) if self.takes_images else row
        return _ENCODER.encode(self._request(row, edit))

    def decoder(self, *, keep_output: bool = False) -> ReplyDecoder:
        """Return a decoder for one reply."""
        kind: Callable[..., ReplyDecoder] = StreamDecoder if self.streaming else CompletionDecoder
        return kind(self._endings, keep_output=keep_output)

    def token_limit(self, row: Row) -> int | None:
        """Return the most tokens that the reply to a row may have, all its choices together."""
        given = [row[name] for name in _LIMITS if row.get(name) is not None]
        limit = int(given[0]) if given else self.params.max_new_tokens
        choices = max(int(row.get(name) or 1) for name in ("n", "best_of"))
        return None if limit is None else limit * choices

    def with_token_ids(self) -> Self:
        """Return an adapter that asks for token ids as vLLM gives them: `return_token_ids` since its version 0.10.2."""
        asking = copy(self)
        asking._from_params = {**self._from_params, "return_token_ids": True}  # noqa: SLF001 - of its own kind
        return asking

    @abstractmethod
    def _own_params(self, params: ModelParams) -> dict[str, Any]:
        """Return the fields of this body alone that come from model_params."""

    @abstractmethod
    def _prompt_problem(self, row: Row) -> str | None:
        """Return what is wrong with the columns that the prompt is made of, or None."""

    @abstractmethod
    def _prompt(self, given: Row, edit: Edit) -> dict[str, Any]:
        """Return the fields that hold the prompt of a row without absent values."""

    def _column_problem(self, row: Row) -> str | None:
        for column in row:
            if column in _STREAM_COLUMNS:
                return f"column {column!r} cannot be set by a row; set model_params.streaming in the YAML"
        return misspelt_column(row, self._columns)

    def _request(self, row: Row, edit: Edit = NO_EDIT) -> _CommonRequest:
        given = {column: value for column, value in row.items() if value is not None}
        fields = {**self._from_params, **given, **self._stream, **self._prompt(given, edit)}
        if len(given.keys() & _LIMITS) == 1:  # the two are one setting, and servers refuse both at once
            fields = {name: value for name, value in fields.items() if name not in _LIMITS or name in given}
        request = msgspec.convert(fields, self.body, strict=False)  # CSV has every number as text
        return request if edit.max_tokens is None else _shortened(request, edit.max_tokens)


class OpenAIChatAdapter(_OpenAIAdapter):
    """Chat completions.

    A row has `messages`, or `prompt` (a text, or a list of content parts) and perhaps `system` and `name`; where it
    has both, `messages` is sent. An edit's prompt is the text of the last user message; its lead stands in the first
    message that has text.
    """

    api_type: ClassVar[str] = "openai"
    path = "/v1/chat/completions"
    body: ClassVar[type[_CommonRequest]] = _ChatRequest
    length_field: ClassVar[str] = "max_completion_tokens"
    takes_images: ClassVar[bool] = True
    prompt_columns = ("prompt", "system", "name", *COLUMNS)

    def has_images(self, row: Row) -> bool:
        """Whether a row has images that an edit can change."""
        return has_images(row)

    def _own_params(self, params: ModelParams) -> dict[str, Any]:
        return {"chat_template_kwargs": params.chat_template_kwargs}

    def _prompt_problem(self, row: Row) -> str | None:
        return messages_problem(row)

    def _prompt(self, given: Row, edit: Edit) -> dict[str, Any]:
        return {"messages": chat_messages(given, edit)}


class OpenAICompletionsAdapter(_OpenAIAdapter):
    """Text completions, to which no chat template is applied.

    A row has `input_tokens` or `token_ids`, a list of token ids, or `prompt`, a text or such a list; the first of these
    that it has is sent. An edit of token ids is described in `rows.edited`.
    """

    api_type: ClassVar[str] = "openai_completions"
    path = "/v1/completions"
    body: ClassVar[type[_CommonRequest]] = _CompletionRequest
    length_field: ClassVar[str] = "max_tokens"
    prompt_columns = _TOKEN_COLUMNS

    def _own_params(self, params: ModelParams) -> dict[str, Any]:
        return {"min_tokens": params.min_new_tokens, "skip_special_tokens": params.skip_special_tokens}

    def _prompt_problem(self, row: Row) -> str | None:
        column = prompt_column(row, _TOKEN_COLUMNS)
        prompt = row.get(column)
        if column != "prompt":
            return ids_problem(column, prompt)
        if prompt is None or (isinstance(prompt, str) and not prompt.strip()):
            return "no text and no token ids in column 'prompt'"
        return (
            None if isinstance(prompt, str) else ids_problem(column, prompt, "neither a text nor a list of token ids")
        )

    def _prompt(self, given: Row, edit: Edit) -> dict[str, Any]:
        prompt = given[prompt_column(given, _TOKEN_COLUMNS)]
        return {"prompt": edit.apply(prompt) if isinstance(prompt, str) else edited(prompt, edit)}


def _shortened(request: _CommonRequest, limit: int) -> _CommonRequest:
    """Lower every length to `limit`, the least one too, since servers refuse one above the greatest."""
    for name in _LENGTHS:
        if (length := getattr(request, name, None)) is not None:
            setattr(request, name, min(length, limit))
    return request
