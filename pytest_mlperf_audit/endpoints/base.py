"""What an endpoint adapter is: a data set row to request bytes, reply bytes to a Reply. Pure.

A third party offers one from a conftest.py or a plugin:

    def pytest_mlperf_endpoint_adapters():
        return [MyAdapter]
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

import msgspec

from ..config.model_params import ModelParams
from ..runs.body import Body
from ..runs.message import AssistantMessage
from ..runs.script import NO_EDIT, Edit

Row = Mapping[str, Any]

#: Where a row has its prompt, in the order in which it is looked for.
_PROMPT_COLUMNS = ("messages", "input_tokens", "token_ids", "prompt")


class Reply(msgspec.Struct, kw_only=True, gc=False):
    """What a reply says. `digest` identifies the output, "" where the reply only says where the output is;
    `first_token_ns` is on the clock `feed` was given.

    `model` is the one that the server says it comes from.

    `output_ids` are the output's tokens where the reply has them, `first_ids` those of the first piece of a stream that
    had output: empty where that piece was a text without any. With the output kept, `text` is everything in the reply
    that is text where that is more than `output` (reasoning, say), and `first_text` the first piece of it in a stream;
    `message` has its parts apart, where there are others than `output`. `size` is that of an image, as WIDTHxHEIGHT;
    `remarks` are sentences on what is odd, told once.
    """

    digest: str
    id: str | None = None
    model: str | None = None
    output: str | None = None
    tokens: int | None = None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    finish_reason: str | None = None
    first_token_ns: int | None = None
    output_ids: Sequence[int] | None = None
    first_ids: Sequence[int] | None = None
    text: str | None = None
    first_text: str | None = None
    message: AssistantMessage | None = None
    size: str | None = None
    remarks: tuple[str, ...] = ()


class Trial(NamedTuple):
    """Whether a setting takes effect, since servers ignore names that they do not know: two changes of a row's columns
    whose outputs differ where it does.

    `ignored` says, with the cure, what equal outputs mean; with `matters` the run does not go on then.
    """

    setting: str
    plain: Row
    changed: Row
    ignored: str
    matters: bool = False


class BadReplyError(Exception):
    """A reply that came whole over HTTP but is not an answer; `reason` is one of `runs.query.REASONS`."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class ReplyDecoder(Protocol):
    """Reads one reply with status 200 as its body arrives.

    One that has a method `on_head(headers)` is told the reply's header fields before its body: a mapping in which a
    name is found in whatever case. One that has `on_request(body)` is told the request's body before the reply. One
    that has `lacking()` says, after `finish`, what the YAML says of replies and this reply has not, in sentences.
    """

    def feed(self, data: bytes, at_ns: int) -> None:
        """Take the next piece of the body, received at `at_ns`."""

    def finish(self) -> Reply:
        """Return the reply once the body is whole. Raises BadReplyError."""


def tell_request(decoder: ReplyDecoder, body: Body) -> None:
    """Tell a decoder the body of its request, if it wants to know."""
    if (hear := getattr(decoder, "on_request", None)) is not None:
        hear(body)


def tell_head(decoder: ReplyDecoder, headers: Mapping[str, str]) -> None:
    """Tell a decoder its reply's header fields, if it wants to know."""
    if (hear := getattr(decoder, "on_head", None)) is not None:
        hear(headers)


def lacking_in(decoder: ReplyDecoder) -> Sequence[str]:
    """Return what a decoder misses in the reply that it has read, if it says so."""
    say = getattr(decoder, "lacking", None)
    return say() if say is not None else ()


class EndpointAdapter(ABC):
    """One wire format. Constructed once a run; must be able to build its bytes from the row alone, and files it names.

    `path` and `headers` are the same for every query of a run; where they depend on the model, the constructor sets
    them. `directories` are those in which files that rows name are looked for, see `find`.

    Two calls of `encode` with equal arguments return equal bytes: no id, clock or counter may enter a request, since
    a field that differs between repeats would change some caches' keys and hide them.
    """

    api_type: ClassVar[str]
    path: str
    #: Request headers, credentials excluded.
    headers: Mapping[str, str] = {"Content-Type": "application/json", "Accept": "*/*"}
    #: Headers that carry endpoint_config.api_key, which takes the place of {key} in their values.
    key_headers: ClassVar[Mapping[str, str]] = {"Authorization": "Bearer {key}"}
    directories: Sequence[Path] = ()
    #: Columns that have a row's input under a name that is read as `prompt` for other APIs (`input`, `query`).
    own_columns: ClassVar[Collection[str]] = ()
    #: The most rows that a query takes; see `rows`.
    max_batch: ClassVar[int] = 1
    #: What a twin of an input has that the input has not, in words that follow "with": "one element changed by the
    #: least step". "" where inputs are texts, whose words an edit changes; others are changed by the seeds of an Edit.
    twins: str = ""
    #: Whether the output is a text; a local tokenizer makes token ids of nothing else.
    text_output: ClassVar[bool] = True
    #: Whether one row may cost several times what another does, by the length of its text, though the output is none.
    #: TEST04 then compares a row with its twins, as it does where the output is a text.
    own_costs: ClassVar[bool] = False
    #: What to do about a server that does not keep the limit on tokens that it is sent.
    limit_cure: str = "see which limit the server knows"
    #: A reply body larger than this fails its query as `too_large`.
    max_reply_bytes: ClassVar[int] = 16 * 2**20

    def __init__(self, params: ModelParams, *, streaming: bool = False) -> None:
        self.params = params
        self.streaming = streaming

    def rows(self, row: Row) -> Sequence[Row]:
        """Return the rows of a query: those of a batch, where model_params.batch_size is above 1, else `row` alone."""
        batch: Sequence[Row] = row["rows"] if self.params.batch_size > 1 else [row]
        return batch

    def find(self, path: str) -> Path:
        """Return the file that a row names, relative to the YAML's directory or else the working directory.

        Raises FileNotFoundError, naming where it was looked for.
        """
        places = [directory / path for directory in self.directories] or [Path(path)]
        for place in places:
            if place.is_file():
                return place
        if not path.strip():
            raise FileNotFoundError("the path is empty; write the file's path there")
        if any(place.is_dir() for place in places):
            raise FileNotFoundError(f"{path} is a folder; write the path of one file")
        looked = ", ".join(dict.fromkeys(str(one.parent) for one in places))
        raise FileNotFoundError(f"no such file: {path}; looked in {looked}")

    def metadata_path(self) -> str | None:
        """Return the path of a page that tells what the server's model takes, to be read before the first query."""
        return None

    def metadata_problem(self, page: bytes) -> str | None:  # noqa: ARG002 - an adapter with such a page overrides this
        """Return what keeps that page's model from being sent the queries, and the cure, or None."""
        return None

    def refusal_cure(self, status: int, words: str) -> str | None:  # noqa: ARG002 - for adapters that know more
        """Return what to do where the first query is refused with a status and these words, or None where any may."""
        return None

    def with_token_ids(self) -> EndpointAdapter | None:
        """Return the adapter whose requests ask for the tokens of the output; None where the API has no way to."""
        return None

    def token_limit(self, row: Row) -> int | None:  # noqa: ARG002 - an adapter that sends limits overrides this
        """Return the most tokens that the reply to a row without a problem may have; None where no limit is sent."""
        return None

    def has_images(self, row: Row) -> bool:  # noqa: ARG002 - an adapter that sends images in prompts overrides this
        """Whether a row without a problem has images beside its text, of which `Edit.image` changes a pixel each."""
        return False

    def n_words(self, row: Row) -> int:
        """Return how many words, or token ids, an edit of a row without a problem finds in its prompt."""
        return n_words(next((row[column] for column in _PROMPT_COLUMNS if row.get(column) is not None), ""))

    def trials(self, row: Row) -> Sequence[Trial]:  # noqa: ARG002 - an adapter with settings to try overrides this
        """Return what is tried of the settings of a row without a problem before the first phase."""
        return ()

    @abstractmethod
    def problem(self, row: Row) -> str | None:
        """Return what keeps a row from being sent ("no 'prompt' column"), or None."""

    @abstractmethod
    def encode(self, row: Row, edit: Edit = NO_EDIT) -> Body:
        """Return the request body for a row that has no problem, changed by `edit`: the text of its prompt, or what
        the seeds of an Edit change where inputs are no texts. Pieces where it is too large to be put together.
        """

    @abstractmethod
    def decoder(self, *, keep_output: bool = False) -> ReplyDecoder:
        """Return a decoder for one reply."""


def digest(data: bytes) -> str:
    """Return the first 128 bits of SHA-256 in hex, as used in query records."""
    return hashlib.sha256(data).hexdigest()[:32]


def n_words(content: Any) -> int:
    """Return the words of a text, of the text parts of a content, or of a user's last message; or the ids of a list."""
    if isinstance(content, str):
        return len(content.split())
    if not isinstance(content, list):
        return 0
    asked = [one for one in content if isinstance(one, dict) and one.get("role") == "user"]
    if asked:
        return n_words(asked[-1].get("content"))
    parts = [one["text"] for one in content if isinstance(one, dict) and isinstance(one.get("text"), str)]
    return sum(map(n_words, parts)) if parts else sum(type(one) is int for one in content)
