"""Token ids of a text by a local `tokenizer.json`, for servers that reply with text only.

They are not what the model generated: special tokens such as EOS leave no trace in the text, and a model may have
generated the same text in other tokens. Whoever judges such ids must know, so that records say where they are from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import PlanError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_PROBE = "The answer is (B): 3 + 4 = 7, she said."


class LocalTokenizer:
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
def load_tokenizer(path: Path, search: tuple[Path, ...]) -> LocalTokenizer:
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
    local = LocalTokenizer(_parsed(path, raw), f"{found.name} sha256:{hashlib.sha256(raw).hexdigest()[:16]}")
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
        said = " ".join(str(error).split())[:120]
        raise PlanError(
            f"tokenizer {path}: is not a tokenizer.json of the tokenizers library ({said}); "
            "name the file of that name in the model's repository"
        ) from None
    tokenizer.no_padding()  # both would change counts
    tokenizer.no_truncation()
    return tokenizer


def _bare(text: str) -> str:
    """Return a text without white space and case, which some tokenizers do not keep."""
    return "".join(text.split()).casefold()
