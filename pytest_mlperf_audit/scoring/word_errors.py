"""Word error rate as MLPerf has it for Whisper, streamed.

Rule: mlcommons/inference `speech2text/accuracy_eval.py` and `helpers.py`. Both texts pass Whisper's English normalizer.
Words are then laid side by side from the front, and up to three words of one text that are one word of the other are
joined. The rate is the sum of all edit distances through the sum of all words of the references, which are counted as
they were before words were joined.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import Any, Final

from ..errors import ScoringError
from .extract import Extractor
from .metrics import Pair, Tally, answer_in, at_least_one, required

_LIBRARIES: Final = ("rapidfuzz", "whisper_normalizer")
_CURE: Final = (
    "the word error rate needs the libraries rapidfuzz and whisper-normalizer; pip install 'pytest-mlperf-audit[wer]'"
)
#: As many words of one text as may be one of the other.
_MOST_JOINED: Final = 3


def problem() -> str | None:
    """Return what keeps the rate from being computed here, with its cure; None when nothing does."""
    return None if all(map(find_spec, _LIBRARIES)) else _CURE


def word_errors(pairs: Iterable[Pair], name: str, pattern: str | None = None) -> Tally:
    """Return what is right of all words, 100 minus the word error rate, both in per cent.

    Where there is no output, each word of the reference is an error. Raises ScoringError without the libraries, when a
    row has no reference, or there are no outputs.
    """
    extractor, (normalized, distance) = Extractor(name, pattern), _libraries()
    n = n_unanswered = n_errors = n_words = 0
    for output, expected in pairs:
        reference = normalized(required("wer", name, n, expected)).split()
        answer = answer_in(extractor, output)
        n += 1
        n_unanswered += answer is None
        n_words += len(reference)
        n_errors += distance(*aligned(normalized(answer or "").split(), reference))
    at_least_one(n)
    if not n_words:
        raise ScoringError("the references have no words, once normalized")
    rate = 100 * n_errors / n_words
    return Tally(value=100 - rate, n=n, n_unanswered=n_unanswered, metrics={"wer": rate})


def aligned(hypothesis: list[str], reference: list[str]) -> tuple[list[str], list[str]]:
    """Return both texts' words, those joined that are one word of the other."""
    texts: tuple[list[str], list[str]] = [], []
    i = j = 0
    while i < len(hypothesis) and j < len(reference):
        n, m = _joined(hypothesis[i : i + _MOST_JOINED], reference[j : j + _MOST_JOINED])
        texts[0].append("".join(hypothesis[i : i + n]))
        texts[1].append("".join(reference[j : j + m]))
        i, j = i + n, j + m
    return [*texts[0], *hypothesis[i:]], [*texts[1], *reference[j:]]


def _joined(hypothesis: list[str], reference: list[str]) -> tuple[int, int]:
    """Return how many of the first words of each belong together."""
    for count in range(2, _MOST_JOINED + 1):
        if len(reference) >= count and "".join(reference[:count]) == hypothesis[0]:
            return 1, count
        if len(hypothesis) >= count and "".join(hypothesis[:count]) == reference[0]:
            return count, 1
    return 1, 1


def _libraries() -> tuple[Callable[[str], str], Callable[[list[str], list[str]], int]]:
    """Return Whisper's normalizer, and the edit distance of two lists."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its source has an escape that Python warns of, an error under -W error
            from rapidfuzz.distance import Levenshtein  # noqa: PLC0415 - an extra
            from whisper_normalizer.english import EnglishTextNormalizer  # noqa: PLC0415 - an extra
    except ImportError:
        raise ScoringError(_CURE) from None
    normalize: Any = EnglishTextNormalizer()

    def normalized(text: str) -> str:
        try:
            return str(normalize(text))
        except Exception:  # noqa: BLE001 - made for what people say: odd numbers make it raise anything
            return text.lower()

    return normalized, Levenshtein.distance
