"""`sglang`: SGLang's own POST /generate, streamed or not. Pure.

Fields: GenerateReqInput in SGLang's `srt/managers/io_struct.py`, and its page on sampling parameters. The replies carry
the output's token ids without being asked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import msgspec
from typing_extensions import Self

from ...config.model_params import ModelParams
from ...runs.script import NO_EDIT, Edit
from ..base import EndpointAdapter, ReplyDecoder, Row
from ..rows import edited, ids_problem, misspelt_column, prompt_column, sampling, unsendable
from ..stream import Endings
from .sglang_reply import GeneratedDecoder, StreamDecoder

_ENCODER = msgspec.json.Encoder()
_TOKEN_COLUMNS = ("input_ids", "input_tokens", "token_ids")


class _SamplingParams(msgspec.Struct, kw_only=True, omit_defaults=True):
    """`sampling_params` of a request."""

    max_new_tokens: int | None = None
    min_new_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    sampling_seed: int | None = None
    skip_special_tokens: bool | None = None
    ignore_eos: bool | None = None
    stop: str | list[str] | None = None
    stop_token_ids: list[int] | None = None


class _GenerateRequest(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The request body."""

    text: str | None = None
    input_ids: list[int] | None = None
    sampling_params: _SamplingParams
    image_data: Any = None
    stream: bool | None = None


_COLUMNS = {*_SamplingParams.__struct_fields__, *_TOKEN_COLUMNS, "prompt", "image_data"}


class SGLangAdapter(EndpointAdapter):
    """SGLang's native generation.

    A row has `input_ids` (or `input_tokens`, `token_ids`), a list of token ids, or `prompt`, a text; the first of these
    that it has is sent. Columns named as sampling parameters override model_params, an absent value does not; other
    columns are not sent.
    """

    api_type: ClassVar[str] = "sglang"
    path = "/generate"

    def __init__(self, params: ModelParams, *, streaming: bool = False) -> None:
        super().__init__(params, streaming=streaming)
        self._endings = Endings()
        self._from_params = {
            "max_new_tokens": params.max_new_tokens,
            "min_new_tokens": params.min_new_tokens,
            **sampling(params),
            "sampling_seed": params.seed,
            "skip_special_tokens": params.skip_special_tokens,
        }

    def token_limit(self, row: Row) -> int | None:
        """Return the most tokens that the reply to a row may have."""
        given = row.get("max_new_tokens")
        return self.params.max_new_tokens if given is None else int(given)

    def with_token_ids(self) -> Self:
        """Return this adapter: every reply has them."""
        return self

    def problem(self, row: Row) -> str | None:
        """Return what keeps a row from being sent, or None."""
        return misspelt_column(row, _COLUMNS) or _prompt_problem(row) or unsendable(lambda: self._request(row, NO_EDIT))

    def encode(self, row: Row, edit: Edit = NO_EDIT) -> bytes:
        """Return the request body."""
        return _ENCODER.encode(self._request(row, edit))

    def decoder(self, *, keep_output: bool = False) -> ReplyDecoder:
        """Return a decoder for one reply."""
        kind: Callable[..., ReplyDecoder] = StreamDecoder if self.streaming else GeneratedDecoder
        return kind(self._endings, keep_output=keep_output)

    def _request(self, row: Row, edit: Edit) -> _GenerateRequest:
        given = {name: row[name] for name in _SamplingParams.__struct_fields__ if row.get(name) is not None}
        fields = msgspec.convert({**self._from_params, **given}, _SamplingParams, strict=False)
        if edit.max_tokens is not None:
            fields.max_new_tokens = min(edit.max_tokens, fields.max_new_tokens or edit.max_tokens)
            if fields.min_new_tokens is not None:
                fields.min_new_tokens = min(edit.max_tokens, fields.min_new_tokens)
        column = prompt_column(row, _TOKEN_COLUMNS)
        prompt = row[column]
        return _GenerateRequest(
            text=edit.apply(prompt) if isinstance(prompt, str) else None,
            input_ids=None if isinstance(prompt, str) else edited(prompt, edit),
            sampling_params=fields,
            image_data=row.get("image_data"),
            stream=self.streaming or None,
        )


def _prompt_problem(row: Row) -> str | None:
    column = prompt_column(row, _TOKEN_COLUMNS)
    prompt = row.get(column)
    if column == "prompt":
        if isinstance(prompt, str) and prompt.strip():
            return None
        return "no text in column 'prompt' and no token ids in 'input_ids'"
    return ids_problem(column, prompt)
