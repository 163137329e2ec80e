"""`openai_completions`: POST /v1/completions, streamed or not. Pure."""

from __future__ import annotations

from typing import Any, ClassVar

from ..config.model_params import ModelParams
from ..runs.script import Edit
from .base import Row
from .openai_request import CommonRequest, OpenAIAdapter
from .token_ids import edited

#: Columns of token ids, in the order in which they are looked for.
TOKEN_COLUMNS = ("input_tokens", "token_ids")

_ID_LIMIT = 2**31


class CompletionRequest(CommonRequest, kw_only=True, omit_defaults=True):
    """The request body."""

    prompt: str | list[int]
    skip_special_tokens: bool | None = None
    add_special_tokens: bool | None = None
    suffix: str | None = None
    best_of: int | None = None
    logprobs: int | None = None


class OpenAICompletionsAdapter(OpenAIAdapter):
    """Text completions, which no chat template is applied to.

    A row has `input_tokens` or `token_ids`, a list of token ids, or `prompt`, a text or such a list; the first of these
    that it has is sent. An edit of token ids is described in `token_ids`.
    """

    api_type: ClassVar[str] = "openai_completions"
    path: ClassVar[str] = "/v1/completions"
    body: ClassVar[type[CommonRequest]] = CompletionRequest
    length_field: ClassVar[str] = "max_tokens"
    prompt_columns = TOKEN_COLUMNS

    def _own_params(self, params: ModelParams) -> dict[str, Any]:
        return {"min_tokens": params.min_new_tokens, "skip_special_tokens": params.skip_special_tokens}

    def _prompt_problem(self, row: Row) -> str | None:
        column = _prompt_column(row)
        prompt = row.get(column)
        if prompt is None or (isinstance(prompt, str) and column == "prompt" and not prompt.strip()):
            return f"no text and no token ids in column {column!r}"
        if isinstance(prompt, str) and column == "prompt":
            return None
        if not isinstance(prompt, list) or not all(type(token) is int and 0 <= token < _ID_LIMIT for token in prompt):
            kind = "neither a text nor a list of token ids" if column == "prompt" else "not a list of token ids"
            return f"column {column!r} is {kind}; a token id is a whole number from 0"
        return None if prompt else f"no token ids in column {column!r}"

    def _prompt(self, given: Row, edit: Edit) -> dict[str, Any]:
        prompt = given[_prompt_column(given)]
        return {"prompt": edit.apply(prompt) if isinstance(prompt, str) else edited(prompt, edit)}


def _prompt_column(row: Row) -> str:
    return next((column for column in TOKEN_COLUMNS if row.get(column) is not None), "prompt")
