"""Scores over the outputs of a phase, streamed: pairs of an output and what the data set expects, one at a time."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Final, Literal, Protocol

import msgspec

from ..errors import ScoringError
from .extract import Extractor

_BuiltIn = Literal["exact_match", "rouge", "wer"]

_METHODS: Final[dict[str, _BuiltIn]] = {
    "exact_match": "exact_match",
    "pass_at_1": "exact_match",
    "string_match": "exact_match",
    "rouge": "rouge",
    "wer": "wer",
    "word_error_rate": "wer",
}
METHOD_NAMES: Final = tuple(_METHODS)


def method_of(eval_method: str) -> _BuiltIn | None:
    """Return the built-in method of that name, None where only an external command can score."""
    return _METHODS.get(eval_method)


#: An output and the expected answer. No output: the query failed, or nothing was kept of its reply.
Pair = tuple["str | None", "str | None"]

ROUGE: Final = ("rouge1", "rouge2", "rougeL")
#: What the score of a ROUGE run is, of all three.
_ROUGE_VALUE: Final = "rougeL"
#: ROUGE-L compares every word of an output with every word of the reference. Beyond so many pairs, 160 MiB and some
#: seconds of them, an output counts as unanswered.
_MOST_WORD_PAIRS: Final = 20_000_000
_WORD: Final = re.compile(r"[a-z0-9]+", re.IGNORECASE | re.ASCII)
_ROUGE_CURE: Final = "ROUGE needs the library rouge-score; pip install 'pytest-mlperf-audit[rouge]'"


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """What outputs scored, in per cent; of `n`, `n_unanswered` had no answer, which counts as a wrong one."""

    value: float
    n: int
    n_unanswered: int
    metrics: dict[str, float]


class _FMeasure(Protocol):
    fmeasure: float


class _Scorer(Protocol):
    def score(self, target: str, prediction: str) -> dict[str, _FMeasure]: ...


def expected_problem(method: str, extractor_name: str, expected: str | None) -> str | None:
    """Return why an output cannot be compared with what the data set expects of its row, None if it can."""
    if expected is None or not expected.strip():
        return "there is no expected answer; name its column as ground_truth"
    if method == "exact_match" and Extractor(extractor_name).wanted(expected) is None:
        shown = expected if len(expected) <= 40 else f"{expected[:39]}…"
        return f"the expected answer {shown!r} is no choice (choice1, A, b or (C)); correct it, or the extractor"
    return None


def exact_match(pairs: Iterable[Pair], name: str, pattern: str | None = None) -> Tally:
    """Return how many per cent of the outputs have the expected answer.

    Raises ScoringError when a row has no expected answer, or there are no outputs.
    """
    extractor = Extractor(name, pattern)
    n = n_right = n_unanswered = 0
    for output, expected in pairs:
        answer = answer_in(extractor, output)
        right = extractor.wanted(required("exact_match", name, n, expected))
        n += 1
        if answer is None:
            n_unanswered += 1
        elif right is not None and extractor.same(answer, right):
            n_right += 1
    value = 100 * n_right / at_least_one(n)
    return Tally(value=value, n=n, n_unanswered=n_unanswered, metrics={"exact_match": value})


def rouge(pairs: Iterable[Pair], name: str, pattern: str | None = None) -> Tally:
    """Return the mean F1 of ROUGE-1, ROUGE-2 and ROUGE-L (with stemming, as MLPerf's scripts have it), in per cent.

    Raises ScoringError without the library, when a row has no reference, or there are no outputs.
    """
    extractor, scorer = Extractor(name, pattern), _rouge_scorer()
    sums = dict.fromkeys(ROUGE, 0.0)
    n = n_unanswered = 0
    for output, expected in pairs:
        reference = required("rouge", name, n, expected)
        answer = answer_in(extractor, output)
        n += 1
        if answer is None or _word_pairs(answer, reference) > _MOST_WORD_PAIRS:
            n_unanswered += 1
            continue
        for key, value in scorer.score(reference, answer).items():
            sums[key] += value.fmeasure
    metrics = {key: 100 * total / at_least_one(n) for key, total in sums.items()}
    return Tally(value=metrics[_ROUGE_VALUE], n=n, n_unanswered=n_unanswered, metrics=metrics)


def rouge_problem() -> str | None:
    """Return what keeps ROUGE from being computed here, with its cure; None when nothing does."""
    return None if find_spec("rouge_score") else _ROUGE_CURE


def _rouge_scorer() -> _Scorer:
    try:
        from rouge_score.rouge_scorer import RougeScorer  # noqa: PLC0415 - an extra, and slow to load
    except ImportError:
        raise ScoringError(_ROUGE_CURE) from None
    scorer: _Scorer = RougeScorer(list(ROUGE), use_stemmer=True)
    return scorer


def answer_in(extractor: Extractor, output: str | None) -> str | None:
    """Return the answer in an output, None where there is none."""
    answer = extractor.answer(output) if output else None
    return answer if answer and answer.strip() else None


def required(method: str, name: str, at: int, expected: str | None) -> str:
    """Return what is expected of output `at`. Raises ScoringError where nothing is, or what cannot be compared."""
    if problem := expected_problem(method, name, expected):
        raise ScoringError(f"output {at + 1} cannot be scored: {problem}")
    assert expected is not None
    return expected


def _word_pairs(one: str, other: str) -> int:
    return _n_words(one) * _n_words(other)


def _n_words(text: str) -> int:
    return sum(1 for _ in _WORD.finditer(text))


def at_least_one(n: int) -> int:
    """Return a number of outputs. Raises ScoringError where there are none."""
    if not n:
        raise ScoringError("there are no outputs to score")
    return n
