"""RequestSource: the data set as the requests it is sent as. Audits plan on it, the load engine sends it. Pure."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from functools import cached_property, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..datasets import Dataset, InBatches
from ..datasets.dataset import listed, parser_line
from ..errors import DatasetError, PlanError
from ..runs.body import Body
from ..runs.script import NO_EDIT, Edit
from ..runs.spec import Keep
from ..runs.trajectories import Salt
from ..text import printable
from .base import EndpointAdapter, Reply, Row
from .rows import unsaltable

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class ReplyIds(NamedTuple):
    """The tokens of a reply, those of the first piece of its stream, and the local tokenizer that made them, if any."""

    output: Sequence[int] | None
    first: Sequence[int] | None
    made_by: str | None = None


class RequestSource:
    """Rows of a data set, encoded by an adapter at the moment they are needed, so that no row is held twice.

    `search` are the directories in which files that the rows' phases need are looked for: the YAML's, the working one.
    """

    def __init__(
        self,
        dataset: Dataset,
        adapter: EndpointAdapter,
        *,
        search: Sequence[Path] = (),
        tokenizer: _LocalTokenizer | None = None,
    ) -> None:
        batch_size = adapter.params.batch_size
        self.dataset = dataset if batch_size == 1 or isinstance(dataset, InBatches) else InBatches(dataset, batch_size)
        self.adapter = adapter
        self.search = tuple(search)
        self._tokenizer = tokenizer
        head = "\r\n".join([f"POST {adapter.path}", *(f"{name}: {value}" for name, value in adapter.headers.items())])
        self._head = hashlib.sha256(f"{head}\r\n\r\n".encode())

    @property
    def twins(self) -> str:
        """What a twin of a row has that the row has not, in words; "" where rows are texts."""
        return self.adapter.twins

    def keeping(self, keep: Keep | None) -> RequestSource:
        """Return the source of a phase that keeps `keep`: the same rows, asking for token ids where it wants them.

        Raises PlanError where the API has no way to ask, or the local tokenizer cannot be used.
        """
        if keep is None or not keep.token_ids:
            return self
        api_type = self.adapter.api_type
        if keep.tokenizer is not None:
            if not self.adapter.text_output:
                raise PlanError(
                    f"tokenizer {keep.tokenizer}: the output of api_type {api_type} is no text; leave this audit out"
                )
            tokenizer = load_tokenizer(Path(keep.tokenizer), self.search)
            return RequestSource(self.dataset, self.adapter, search=self.search, tokenizer=tokenizer)
        if (asking := self.adapter.with_token_ids()) is None:
            raise PlanError(
                f"api_type {api_type} has no token ids in its replies, which this audit needs; use openai or "
                "openai_completions (vLLM) or sglang, or leave this audit out"
            )
        return RequestSource(self.dataset, asking, search=self.search)

    def ids(self, reply: Reply) -> ReplyIds:
        """Return the tokens of a reply, by the local tokenizer where there is one.

        Its first piece is then compared as text: the first token is that of the output if the output begins with it.
        """
        if self._tokenizer is None:
            return ReplyIds(reply.output_ids, reply.first_ids)
        text = reply.output if reply.text is None else reply.text
        if text is None:
            return ReplyIds(None, None, self._tokenizer.name)
        output, first = self._tokenizer.ids(text), reply.first_text
        if first is not None:
            return ReplyIds(
                output, output[:1] if text.startswith(first) else self._tokenizer.ids(first), self._tokenizer.name
            )
        return ReplyIds(output, None, self._tokenizer.name)

    def value(self, index: int, column: str) -> str | None:
        """Return what the data set says of row `index` in a column, as text; None where it says nothing."""
        value = self.dataset.column(index, column)
        return None if value is None else str(value)

    def __len__(self) -> int:
        return len(self.dataset)

    def body(self, index: int, edit: Edit = NO_EDIT) -> Body:
        """Return the request body of row `index`; equal arguments give equal bytes."""
        return self.adapter.encode(self.dataset[index], edit)

    def salted(self, index: int, salt: Salt) -> bytes:
        """Return the request body of row `index`, its system prompt salted."""
        row = self.dataset[index]
        body = bytes(self.adapter.encode({**row, "messages": salt.applied(row["messages"])}))
        if not all(part.encode() in body for part in salt):
            raise ValueError("the endpoint adapter does not send the system prompt as it is, which carries the salt")
        return body

    def digest(self, body: Body, query: str = "", headers: bytes = b"") -> str:
        """Return 128 bits, in hex, that identify a request: method, path, query, headers without credentials, body.

        `headers` are lines that its head has besides.
        """
        hasher = self._head.copy()
        if query or headers:
            hasher.update(f"?{query}\r\n".encode() + headers)
        for piece in (body,) if isinstance(body, bytes) else body:
            hasher.update(piece)
        return hasher.hexdigest()[:32]

    def fingerprint(self, index: int, edit: Edit = NO_EDIT) -> str:
        """Return the digest of row `index`, changed by `edit`, as it will be sent."""
        return self.digest(self.body(index, edit))

    def n_words(self, index: int) -> int:
        """Return how many words, or token ids, the prompt of row `index` has."""
        return self.adapter.n_words(self.dataset[index])

    @cached_property
    def _first_image(self) -> int | None:
        return next((row for row in range(len(self)) if self.adapter.has_images(self.dataset[row])), None)

    def image_row(self) -> int | None:
        """Return the first row that has images which an edit can change; see audits.contract.Samples.

        Raises PlanError where they cannot be changed for want of a library.
        """
        row = self._first_image
        if row is not None and find_spec("PIL") is None:
            raise PlanError(
                f"{self.where(row)}: has an image, and changed images show whether a cache keeps them, "
                "which takes Pillow; pip install 'pytest-mlperf-audit[images]'"
            )
        return row

    def where(self, index: int) -> str:
        """Return where row `index` stands, for a message."""
        return self.dataset.where(index)

    def check_rows(self) -> None:
        """Raise DatasetError, naming file and line, for the first row that cannot be sent."""
        first_image: int | None = None
        for index in range(len(self)):
            row = self.dataset.to_check(index)
            if problem := self.adapter.problem(row):
                cure = "" if self.twins or "model_params." in problem else _cure(row)
                raise DatasetError(
                    f"{self.where(index)}: cannot be sent to api_type {self.adapter.api_type}: {problem}{cure}"
                )
            if first_image is None and self.adapter.has_images(row):
                first_image = index
        if not self.dataset.of_conversations:  # of which a part of each row was looked at
            self._first_image = first_image

    def require_saltable(self, by: str) -> None:
        """Raise DatasetError, naming file and line, for the first row that cannot be salted as `by` asks."""
        for index in range(len(self)):
            if problem := unsaltable(self.dataset[index]):
                raise DatasetError(
                    f"{self.where(index)}: {by} asks for a salt between system prompt and user text in the performance "
                    f"run, and {problem}; give rows with a column 'prompt', or with one message of the user"
                )

    def model_warning(self) -> str | None:
        """Return a sentence about rows that name another model than the YAML, which is then asked for, or None."""
        own = self.adapter.params.name
        named = (self.dataset.column(index, "model") for index in range(len(self)))
        others = Counter(str(model) for model in named if model not in {None, own})
        if not others or self.adapter.api_type not in _ROWS_NAME_MODELS:
            return None
        model, _ = others.most_common(1)[0]
        return (
            f"data set {self.dataset.name}: {others.total()} rows have a column 'model', which is sent in place of "
            f"model_params.name ({printable(model)} and not {printable(own or 'none')}); drop it if that is not meant"
        )


#: APIs whose rows may say which model is asked for.
_ROWS_NAME_MODELS = frozenset(
    {"openai", "openai_audio", "openai_completions", "openai_responses", "openai_embeddings", "openai_rerank"}
    | {"anthropic"}
)


def _cure(row: Row) -> str:
    """Return what to write where a row has its prompt in a column of another name, "" where it has one."""
    if any(row.get(column) for column in ("prompt", "messages", "input_tokens", "token_ids")):
        return ""
    line = parser_line(row)
    return f"; its columns are {listed(row)}" + (f"; write '{line}' into the data set's block" if line else "")


_PROBE = "The answer is (B): 3 + 4 = 7, she said."


class _LocalTokenizer:
    """A tokenizer of a file. `name` identifies the file in records: its name and the start of its SHA-256."""

    def __init__(self, tokenizer: Tokenizer, name: str) -> None:
        self._tokenizer = tokenizer
        self.name = name

    def ids(self, text: str) -> Sequence[int]:
        """Return the tokens of a text, without those that a tokenizer adds at its ends."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def text(self, ids: Sequence[int]) -> str:
        """Return the text of tokens."""
        text: str = self._tokenizer.decode(ids, skip_special_tokens=False)
        return text


@lru_cache(maxsize=8)  # loading one of 10 MB takes half a second, which must not lie between two phases
def load_tokenizer(path: Path, search: tuple[Path, ...]) -> _LocalTokenizer:
    """Load a tokenizer; a relative path is looked for in each directory of `search` in turn.

    Raises PlanError: no such file, not a tokenizer, one that does not give a plain English text back, no library.
    """
    found = next((place for place in (directory / path for directory in search) if place.is_file()), path)
    try:
        raw = found.read_bytes()
    except OSError as error:
        raise PlanError(
            f"tokenizer {path}: cannot be read ({error.strerror}); name the model's tokenizer.json, relative to the "
            "YAML's directory or else the working directory"
        ) from error
    local = _LocalTokenizer(_parsed(path, raw), f"{found.name} sha256:{hashlib.sha256(raw).hexdigest()[:16]}")
    if _bare(local.text(local.ids(_PROBE))) != _bare(_PROBE):
        raise PlanError(
            f"tokenizer {path}: does not give the text {_PROBE!r} back once it has encoded it, so it cannot count the "
            "tokens of an output; name the tokenizer.json of the model that is served"
        )
    return local


def _parsed(path: Path, raw: bytes) -> Tokenizer:
    try:
        from tokenizers import Tokenizer  # noqa: PLC0415 - an optional extra
    except ImportError:
        raise PlanError(
            f"tokenizer {path}: needs the tokenizers library; pip install 'pytest-mlperf-audit[tokenizer]'"
        ) from None
    try:
        tokenizer: Tokenizer = Tokenizer.from_buffer(raw)
    except Exception as error:  # noqa: BLE001 - the library raises Exception itself
        words = " ".join(str(error).split())[:120]
        raise PlanError(
            f"tokenizer {path}: is not a tokenizer.json of the tokenizers library ({words}); "
            "name the file of that name in the model's repository"
        ) from None
    tokenizer.no_padding()  # both would change counts
    tokenizer.no_truncation()
    return tokenizer


def _bare(text: str) -> str:
    """Return a text without white space and case, which some tokenizers do not keep."""
    return "".join(text.split()).casefold()
