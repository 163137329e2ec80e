"""The `endpoint_config:` block: whom to ask, in which wire format, with which credentials."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit, urlunsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator
from typing_extensions import Self

from .block import Block, reject

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)  # RFC 9110, 5.6.2
_FRAMING = {"host", "content-length", "transfer-encoding", "connection"}

_CacheKind = Literal[
    "none", "exact", "coalesce", "prefix", "semantic", "near_duplicate", "url", "precomputed", "allow_list"
]
Dishonesty = Literal[
    "none",
    "other_model",
    "truncated",
    "padded",
    "double_eos",
    "wrong_first_token",
    "wrong_usage",
    "cheap_model",
    "skipped_error",
    "skipped_empty",
]
_KEYED = ("exact", "url", "near_duplicate", "allow_list")
_KNOWING = ("precomputed", "allow_list")


def _no_credentials_in(url: str) -> str:
    """Return a URL as it may be sent to; every message names it without user, password and query."""
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        reject("is not a URL; write it as http://host:port")
    if parts.scheme not in {"http", "https"} or not host:
        reject("is not an http:// or https:// URL with a host; write it as http://host:port")
    if "@" in parts.netloc:
        reject("has a user name or password in the URL; take it out and use api_key or headers")
    if parts.fragment or not url.isprintable() or " " in url:
        reject("has a '#', a space or a control character, none of which a URL sent to may have; take it out")
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), parts.query, ""))


def without_query(url: str) -> str:
    """Return a URL without its query string, as it may be shown."""
    return urlunsplit(urlsplit(url)._replace(query=""))


class SimulatedConfig(Block):
    """The embedded simulated endpoint.

    It speaks each wire format in the form that vLLM or the tool in question gives it:

    * `/v1/chat/completions`, `/v1/completions`, `/generate`, `/v1/responses`, `/v1/messages`: texts, streamed or not
    * `/v1/audio/transcriptions`: texts made from a file's bytes; streamed with OpenAI's events
    * `/v1/embeddings`: 16 numbers for each text, or `dimensions` of them; as floats or as base64
    * `/v1/rerank`, `/rerank`, `/v2/rerank`: documents by their relevance
    * `/v1/images/generations`: PNG files, as base64 or `data:` URLs; a request takes the service time for each 20 steps
      of each image
    * `/predict`: takes any JSON, and gives `id` and `output`, an object with `text` and `n_words`
    * `/v1/videos/generations`: see `video_reply`
    * `/v2/models/{model}/infer`, `/v2/models/{model}/versions/{version}/infer`: takes any tensors and gives two,
      `probabilities` of 1,001 classes and the `label`, in JSON or binary

    Its caches:

    * `exact`: replays the reply to the same bytes sent to the same URL, query string included
    * `url`: the URL with its query string is the whole key, so that any prompt gets the first one's reply
    * `near_duplicate`: answers a prompt from one that is equal but for its last word, under a new id
    * `semantic`: answers a prompt from one whose words are nearly the same, under a new id
    * `precomputed`: has the answers to `known_prompts` before the first query, and computes every other prompt
    * `allow_list`: an exact cache for `known_prompts` alone
    * `coalesce`: computes identical queries in flight once, and stores nothing
    * `prefix`: keeps the state of prompts' beginnings (KV cache), and so saves prefill but no decode

    Its text replies are a function of the request; as token ids they have one for each word. With `answer_column` it
    knows the answers to `known_prompts`, and gives them as often as `accuracy` says. What it may be dishonest in, each
    a way to a better figure that an audit is there to find:

    * `other_model`: another model answers, in other words, and knows half of the answers
    * `truncated`, `padded`: outputs of half the length, or of twice the length with words that say nothing
    * `double_eos`: outputs end in two EOS tokens, both counted
    * `wrong_first_token`: streams begin at once with a word that is none of the output's
    * `wrong_usage`: more tokens are reported than the output has
    * `cheap_model`: half of the answers that the honest model knows are wrong, in as many words
    * `skipped_error`, `skipped_empty`: one query is not answered: with status 500, or with an empty output
    """

    service_time_ms: float = Field(default=20.0, ge=0, description="Mean service time of a query, in milliseconds")
    distribution: Literal["fixed", "uniform", "lognormal", "exponential", "bimodal"] = Field(
        default="fixed", description="Distribution of service times"
    )
    cv: float = Field(
        default=0.0,
        ge=0,
        description="Coefficient of variation of service times (standard deviation / mean), for uniform and lognormal",
    )
    content_cv: float = Field(
        default=0.0,
        ge=0,
        description="Coefficient of variation of a further factor that depends on the prompt's words alone, "
        "so that the same prompt always costs the same",
    )
    lanes: int = Field(default=8, ge=1, description="Queries served at the same time; further ones wait")
    prefill_share: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Share of a service time before the first token, which a prefix cache can save; the rest is decode",
    )
    error_rate: float = Field(default=0.0, ge=0, le=1, description="Share of queries answered with status 500")
    cache: _CacheKind = Field(default="none", description="Which cache to have, to see the audits find it")
    cache_lookup: Literal["arrival", "served"] = Field(
        default="served", description="When a response cache is looked up: on arrival, or when a lane takes the query"
    )
    hit_time_ms: float = Field(default=0.5, ge=0, description="Service time of a cache hit, in milliseconds")
    replicas: int = Field(
        default=1, ge=1, description="Caches that know nothing of each other; each query is given to one at random"
    )
    admit_after: int = Field(
        default=1,
        ge=1,
        description="Store a reply when the same query was computed so often (2: second-use admission); "
        "for exact, url, near_duplicate and allow_list",
    )
    known_prompts: Path | None = Field(
        default=None,
        description="Data set file whose column `prompt` a precomputed or allow_list cache knows, or answer_column "
        "has the answers to, relative to the YAML's directory or else the working directory; a query is known by its "
        "last user message, or its prompt",
    )
    output_tokens: int = Field(default=16, ge=1, description="Tokens of each text reply, without the one of eos_id")
    eos_id: int | None = Field(
        default=None, ge=0, lt=2**31, description="Token id that ends each text reply, and counts; null: none does"
    )
    dishonest: Dishonesty = Field(default="none", description="What to be dishonest in, to see the audits find it")
    dishonest_after: int = Field(
        default=0, ge=0, description="Queries answered honestly before that, such as those of an accuracy run"
    )
    answer_column: str | None = Field(
        default=None, description="Column of known_prompts that has the answer to each; a letter is given as a choice"
    )
    accuracy: float = Field(
        default=1.0, ge=0, le=1, description="Share of the known questions that are answered right; by answer_column"
    )
    video_reply: Literal["path", "base64", "raw"] = Field(
        default="path", description="Kind of video reply: JSON with a path, JSON with base64, or video/mp4 bytes"
    )
    seed: int = Field(default=0, description="Seed of service times, errors and replicas")

    @model_validator(mode="after")
    def _keys_fit_the_cache(self) -> Self:
        if self.admit_after > 1 and self.cache not in _KEYED:
            reject(
                f"has no effect on cache {self.cache!r}, which counts no queries by a key; set cache to one of "
                f"{', '.join(_KEYED)}, or drop admit_after",
                at=["admit_after"],
            )
        if self.known_prompts is None and self.cache in _KNOWING:
            reject(f"is required by cache {self.cache!r}; name a data set file", at=["known_prompts"])
        if self.known_prompts is not None and self.cache not in _KNOWING and self.answer_column is None:
            reject(
                f"has no effect on cache {self.cache!r}; set cache to one of {', '.join(_KNOWING)}, or drop it",
                at=["known_prompts"],
            )
        return self

    @model_validator(mode="after")
    def _answers_are_known(self) -> Self:
        if self.answer_column is not None and self.known_prompts is None:
            reject("is a column of known_prompts; name that data set file", at=["answer_column"])
        if self.answer_column is None and "accuracy" in self.model_fields_set and self.accuracy < 1:
            reject("is a share of the answers in answer_column; name that column", at=["accuracy"])
        if self.answer_column is None and self.dishonest == "cheap_model":
            reject("has no effect without known answers; set known_prompts and answer_column", at=["dishonest"])
        return self


def _path_of_a_url(path: str) -> str:
    """Return a path as it may be sent to, "" for that of the endpoints themselves."""
    if path and not path.startswith("/"):
        reject("does not begin with '/'; write it as /v1/chat/completions, or \"\" to send to endpoints as they stand")
    if "#" in path or " " in path or not path.isprintable():
        reject("has a '#', a space or a control character, none of which a path sent to may have; take it out")
    return path


_Url = Annotated[str, AfterValidator(_no_credentials_in)]
_Urls = Annotated[tuple[_Url, ...], BeforeValidator(lambda value: () if value is None else value)]


class EndpointConfig(Block):
    """The endpoint under test."""

    endpoints: _Urls = Field(
        default=(), description="Base URLs, each http:// or https://; left out: the embedded simulated endpoint serves"
    )
    api_key: SecretStr | None = Field(
        default=None,
        description="Key sent as 'Authorization: Bearer ...', for anthropic as 'x-api-key: ...' too; best given as "
        "${VARIABLE}. A header of the same name in `headers` takes its place",
    )
    api_type: str = Field(
        default="openai",
        min_length=1,
        description="Wire format: openai, openai_completions, openai_responses, openai_embeddings, openai_rerank, "
        "openai_images, openai_audio, anthropic, sglang, videogen, kserve_v2, http_json, or one that a plugin "
        "registered",
    )
    path: Annotated[str, AfterValidator(_path_of_a_url)] | None = Field(
        default=None,
        description='Path behind the base URLs in place of the API\'s own, a query string included; "": the endpoints '
        "are whole URLs; null: the API's own, of which a base URL may already have the beginning or all",
    )
    headers: dict[str, SecretStr] = Field(
        default_factory=dict, description="Further request headers; their values are treated as secrets"
    )
    metrics: _Urls = Field(
        default=(),
        description="Prometheus pages of the servers, read before and after each phase for what their counters say of "
        "caches; api_key and headers are sent to pages on an endpoint's own host alone",
    )
    simulated: SimulatedConfig = Field(
        default_factory=SimulatedConfig, description="The embedded simulated endpoint, where no endpoints are given"
    )

    @model_validator(mode="after")
    def _headers_may_be_sent(self) -> Self:
        for name, value in self.headers.items():
            if not _TOKEN.fullmatch(name):
                reject("is not a header name; use letters, digits and '-'", at=["headers", name])
            if name.lower() in _FRAMING:
                reject("belongs to the HTTP client and cannot be set; take it out", at=["headers", name])
            if not _is_header_value(value):
                reject("has a line break or a character outside Latin-1 in its value", at=["headers", name])
        if self.api_key is not None and not _is_header_value(self.api_key):
            reject("has a line break or a character outside Latin-1; check the variable it comes from", at=["api_key"])
        return self

    @model_validator(mode="after")
    def _one_endpoint_kind(self) -> Self:
        if self.endpoints and "simulated" in self.model_fields_set:
            reject("has no effect beside endpoints; drop 'simulated' or 'endpoints'", at=["simulated"])
        return self

    @property
    def shown(self) -> tuple[str, ...]:
        """The endpoints as they may be shown: without query strings, which may hold a key."""
        return tuple(without_query(url) for url in self.endpoints)

    @property
    def shown_metrics(self) -> tuple[str, ...]:
        """The metrics pages as they may be shown."""
        return tuple(without_query(url) for url in self.metrics)

    @property
    def shown_path(self) -> str | None:
        """The path as it may be shown."""
        return self.path and self.path.partition("?")[0]

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        shown = {"endpoints": self.shown, "metrics": self.shown_metrics, "path": self.shown_path}
        for name, value in super().__repr_args__():
            yield name, shown.get(name or "", value)


def _is_header_value(secret: SecretStr) -> bool:
    value = secret.get_secret_value()
    return value.isprintable() and all(ord(character) < 256 for character in value)
