"""What the simulated model says: an answer to each request, in words and token ids, honestly or not.

A word is a token. An Answer always gives the same Output, so a cache that replays an Answer replays its words. Known
prompts are a file of rows with a text `prompt`: those that a precomputed table or an allow-list knows in advance. With
a column of answers the model knows what to answer to them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from ...config.dataset import DatasetConfig
from ...config.endpoint import Dishonesty, EndpointConfig, SimulatedConfig
from ...datasets import Dataset, load_dataset
from ...errors import DatasetError
from .exchange import Answer, Ask

WORDS: Final = (
    "amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron", "inlet", "jade", "knoll", "larch",
)  # fmt: skip
#: What ends an output twice where the configuration names no token that ends it once.
_ANY_EOS: Final = 2
_FIRST_ID: Final = 10
_FIRST_SPACED_ID: Final = 30
_FIRST_OTHER_ID: Final = 1000
_N_OTHER_IDS: Final = 29_000
_HASTY: Final = "Well"
_FILLER: Final = " so"
_LETTERS: Final = "ABCD"
_CHOICE = re.compile(r"[A-J]")
_PIECE = re.compile(r"\s*\S+")

_IDS: Final = {
    **{word: _FIRST_ID + at for at, word in enumerate(WORDS)},
    **{f" {word}": _FIRST_SPACED_ID + at for at, word in enumerate(WORDS)},
}


class _Known(NamedTuple):
    """Known prompts, the absolute path of the file they are from, and the answers to them where there is a column."""

    path: Path
    prompts: frozenset[str]
    answers: Mapping[str, str]


def load_known(path: Path, search: Sequence[Path], answer_column: str | None = None) -> _Known:
    """Load known prompts; a relative path is looked for in each directory of `search` in turn.

    Raises DatasetError: no such file, not a data set, a row without a text as its prompt, or without an answer.
    """
    dataset = load_dataset(DatasetConfig(name="known_prompts", path=path), search)
    prompts = [_prompt(dataset, index) for index in range(len(dataset))]
    answers = [_answer(dataset, index, answer_column) for index in range(len(dataset))] if answer_column else []
    return _Known(dataset.path, frozenset(prompts), dict(zip(prompts, answers, strict=False)))


def with_known_prompts(config: EndpointConfig, search: Sequence[Path]) -> EndpointConfig:
    """Return the endpoint with an absolute path to the known prompts, if it has any. Raises as load_known does."""
    if (path := config.simulated.known_prompts) is None:
        return config
    found = load_known(path, search, config.simulated.answer_column).path
    return config.model_copy(update={"simulated": config.simulated.model_copy(update={"known_prompts": found})})


def _prompt(dataset: Dataset, index: int) -> str:
    prompt = dataset[index].get("prompt")
    if not isinstance(prompt, str):
        raise DatasetError(f"{dataset.where(index)}: has no text 'prompt', as a known prompt must; give it one")
    return prompt


def _answer(dataset: Dataset, index: int, column: str) -> str:
    answer = dataset[index].get(column)
    if answer is None or not str(answer).strip():
        raise DatasetError(
            f"{dataset.where(index)}: has no answer in column {column!r}, which simulated.answer_column names; "
            "give it one, or name another column"
        )
    return str(answer)


class Output(msgspec.Struct, frozen=True, gc=False):
    """The tokens of a reply: the text of each, "" for one that ends the sequence, and its id.

    `n_reported` is what usage says of their number; `hasty` is a word that a stream begins with though it is none of
    the output's.
    """

    pieces: tuple[str, ...]
    ids: tuple[int, ...]
    n_reported: int
    hasty: str = ""

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.pieces)


class Model:
    """Answers requests; knows by their number which of them are for honest answers. `answers` are those it knows."""

    def __init__(self, config: SimulatedConfig, answers: Mapping[str, str]) -> None:
        self._config = config
        self._answers = answers
        self._n_asked = 0

    def reset(self) -> None:
        """Forget how many requests there were."""
        self._n_asked = 0

    def answer(self, ask: Ask, reused_words: int) -> Answer:
        """Return the answer to the next request."""
        number, self._n_asked = self._n_asked, self._n_asked + 1
        config, dishonest = self._config, self._config.dishonest
        if number < config.dishonest_after or (dishonest.startswith("skipped") and number > config.dishonest_after):
            dishonest = "none"
        return Answer.to(ask, reused_words, says=self._says(ask.question, dishonest), dishonest=dishonest)

    def _says(self, question: str, dishonest: Dishonesty) -> str:
        right = self._answers.get(question)
        if right is None:
            return ""
        share = self._config.accuracy * (0.5 if dishonest in {"cheap_model", "other_model"} else 1.0)
        drawn = hashlib.blake2b(f"{self._config.seed} {question}".encode(), digest_size=6).digest()
        if int.from_bytes(drawn, "big") / 2**48 < share:
            return right
        wrong = [letter for letter in _LETTERS if letter != right] if _CHOICE.fullmatch(right) else [f"not {right}"]
        return wrong[drawn[-1] % len(wrong)]


def output(config: SimulatedConfig, answer: Answer) -> Output:
    """Return an answer's tokens."""
    dishonest = answer.dishonest
    if dishonest == "skipped_empty":
        return Output((), (), 0)
    pieces = _pieces(config.output_tokens, answer)
    if dishonest == "truncated":
        pieces = pieces[: max(1, len(pieces) // 2)]
    elif dishonest == "padded":
        pieces += [_FILLER] * len(pieces)
    ids = [id_of(piece) for piece in pieces]
    ends = [] if config.eos_id is None else [config.eos_id]
    if dishonest == "double_eos":
        ends = 2 * (ends or [_ANY_EOS])
    n_tokens = len(ids) + len(ends)
    return Output(
        pieces=(*pieces, *("" for _ in ends)),
        ids=(*ids, *ends),
        n_reported=n_tokens + (max(1, n_tokens // 10) if dishonest == "wrong_usage" else 0),
        hasty=_HASTY if dishonest == "wrong_first_token" else "",
    )


def id_of(piece: str) -> int:
    """Return the token id of a word with the white space before it: equal for equal ones."""
    if (known := _IDS.get(piece)) is not None:
        return known
    hashed = hashlib.blake2b(piece.encode("utf-8", "surrogatepass"), digest_size=6).digest()
    return _FIRST_OTHER_ID + int.from_bytes(hashed, "big") % _N_OTHER_IDS


def _pieces(n_words: int, answer: Answer) -> list[str]:
    """Return the words of an answer; equal prompts give equal words, and a known answer that is a choice ends them."""
    if not answer.says:
        return _split(_noise(answer.source, n_words))
    if not _CHOICE.fullmatch(answer.says):
        return _split(answer.says)
    conclusion = f"The answer is ({answer.says})."
    return _split(f"{_noise(answer.source, max(0, n_words - len(conclusion.split())))} {conclusion}".strip())


def _noise(source: bytes, n_words: int) -> str:
    return " ".join(WORDS[byte % len(WORDS)] for byte in hashlib.shake_128(source).digest(n_words))


def _split(text: str) -> list[str]:
    return _PIECE.findall(text)
