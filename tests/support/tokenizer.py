"""A tokenizer.json made for tests: bytes, and words that the simulated endpoint has an id for, under that very id."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pytest_mlperf_audit.endpoints.simulated.model import WORDS, id_of

#: Where no id of the simulated vocabulary is.
_FIRST_BYTE = 100_000


def write_tokenizer(path: Path, words: Iterable[str] = WORDS) -> Path:
    """Write a byte-level tokenizer: each word, alone or behind a space, is one token; all else is a token a byte."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    pieces = [spaced for word in words for spaced in (word, f" {word}")]
    vocabulary = {letter: _FIRST_BYTE + at for at, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    vocabulary |= {piece: id_of(piece) for piece in pieces}
    tokenizer: Any = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.add_tokens([AddedToken(piece, normalized=False) for piece in pieces])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.save(str(path))
    return path
