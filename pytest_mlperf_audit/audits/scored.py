"""How a data set is scored, what a phase scored, and whether that is enough; and that every sample came once.

What TEST01, TEST07, TEST09 and the accuracy run have in common. Rule of the samples: mlcommons/inference
`compliance/TEST07/README.md` and `compliance/TEST09/README.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from math import isfinite
from typing import Final

from ..config.dataset import AccuracyConfig, DatasetConfig
from ..errors import PlanError, ScoringError
from ..runs.phase import MeasuredPhase
from ..runs.query import QueryRecord
from ..runs.spec import Score, Scoring
from ..scoring import metrics, word_errors
from ..scoring.extract import own_name
from ..scoring.metrics import METHOD_NAMES, method_of
from ..text import nearest
from .contract import AuditContext
from .verdict import Check, Figure

#: The column of expected answers where the YAML names none, as in the endpoints tool.
_GROUND_TRUTH = "ground_truth"
#: What computes the score of each method of ours, and what says why it cannot: some need a library.
_COMPUTED: Final[Mapping[str, Callable[[Iterable[metrics.Pair], str, str | None], metrics.Tally]]] = {
    "exact_match": metrics.exact_match,
    "rouge": metrics.rouge,
    "wer": word_errors.word_errors,
}
_LACKS: Final[Mapping[str, Callable[[], str | None]]] = {
    "rouge": metrics.rouge_problem,
    "wer": word_errors.problem,
}


def scoring_of(config: DatasetConfig) -> Scoring | str:
    """Return how a data set is scored, or why it cannot be, with the cure, as a clause: "its eval_method is ..."."""
    accuracy = config.accuracy_config or AccuracyConfig(eval_method=config.eval_method)
    if accuracy.command is not None:
        return Scoring(
            method="command",
            pattern=accuracy.pattern,
            command=accuracy.command,
            timeout_s=accuracy.timeout_ms / 1000,
            ground_truth=accuracy.ground_truth,
            threshold=accuracy.threshold,
        )
    eval_method = accuracy.eval_method or config.eval_method or ""
    if (method := method_of(eval_method)) is None:
        return _no_method(eval_method)
    extractor = accuracy.extractor or "identity"
    if (own := own_name(extractor)) is None:
        return f"the extractor {extractor} is not one of ours; use another, or give an external scorer as `command`"
    if (lacks := _LACKS.get(method)) is not None and (problem := lacks()):
        return problem
    if config.path is None:
        return "it has no path; give the file of its rows, or the directory that holds it by --mlperf-data-dir"
    return Scoring(
        method=method,
        extractor=own,
        pattern=accuracy.pattern,
        ground_truth=accuracy.ground_truth or _GROUND_TRUTH,
        threshold=accuracy.threshold,
    )


def _no_method(eval_method: str) -> str:
    if not eval_method:
        return "it has no eval_method; add accuracy_config with eval_method: exact_match, say"
    near = nearest(eval_method, METHOD_NAMES, 0.7)
    hint = f"; did you mean {near!r}?" if near else ""
    return f"its eval_method {eval_method!r} needs an external scorer; give one as accuracy_config.command{hint}"


def first_unscorable(scoring: Scoring, expected: Iterable[str | None]) -> tuple[int, str] | None:
    """Return the first row that cannot be scored, and why: `expected` is the column `scoring.ground_truth`, by row."""
    if scoring.method == "command":
        return None
    for row, text in enumerate(expected):
        if problem := metrics.expected_problem(scoring.method, scoring.extractor, text):
            return row, problem
    return None


def score(scoring: Scoring, outputs: Iterable[metrics.Pair]) -> Score:
    """Return the score of pairs (output, expected answer), streamed, by a built-in method; what fails is its `error`.

    An output of None counts as a wrong answer.
    """
    if scoring.method == "command":
        return Score(value=None, n=0, error="an external scorer judges a whole phase, from its files")
    try:
        tally = _COMPUTED[scoring.method](outputs, scoring.extractor, scoring.pattern)
    except ScoringError as error:
        return Score(value=None, n=0, error=str(error))
    return Score(value=tally.value, n=tally.n, n_unanswered=tally.n_unanswered, metrics=tally.metrics)


def score_of(run: MeasuredPhase) -> Score:
    """Return what a phase scored, as its RunSpec says: from its records, or what the external scorer left there.

    Queries that failed count as wrong answers.
    """
    scoring = run.spec.scoring
    if scoring is None:
        return Score(value=None, n=0, error="the phase was planned without a scorer")
    if scoring.method != "command":
        return score(scoring, _pairs(run.read()))
    return run.score or Score(value=None, n=0, error="the external scorer has not been run on this phase")


def score_check(found: Score, floor: float | None, *, name: str = "score") -> Check:
    """Require a score, and that it is at least `floor` where there is one; undecided where there is no score."""
    if found.error or found.value is None or not isfinite(found.value):
        reason = f"there is no score: {found.error or 'it is no finite number'}"
        return Check(name=name, passed=None, observed=None, limit=floor, reason=reason)
    reason = f"the score of {found.n} outputs is {found.value:.6g}"
    if floor is not None:
        reason += f", at least {floor:g} needed"
    if found.n_unanswered:
        reason += f"; no answer was found in {found.n_unanswered} of them, which count as wrong"
    passed = floor is None or found.value >= floor
    return Check(name=name, passed=passed, observed=found.value, limit=floor, reason=reason)


def score_figures(found: Score, prefix: str = "") -> dict[str, Figure]:
    """Return a score as figures of a verdict; `prefix` begins their names."""
    figures: dict[str, Figure] = {"score": found.value, "n_scored": found.n, "n_unanswered": found.n_unanswered}
    figures |= {name: value for name, value in sorted(found.metrics.items()) if name not in figures}
    if found.exit_status is not None:
        figures["scorer_exit_status"] = found.exit_status
    return {f"{prefix}{name}": value for name, value in figures.items()}


def _pairs(queries: Iterable[QueryRecord]) -> Iterator[metrics.Pair]:
    return ((query.output if query.ok else None, query.expected) for query in queries)


def scoring_for(dataset: str, context: AuditContext) -> Scoring:
    """Return how a data set is scored. Raises PlanError when it is not an accuracy data set, or cannot be scored."""
    scoring = context.scorings.get(dataset)
    if scoring is None:
        known = ", ".join(context.scorings) or "there is none"
        raise PlanError(
            f"dataset: {dataset!r} is not a data set of type accuracy ({known}); name one with accuracy_config"
        )
    if isinstance(scoring, str):
        raise PlanError(f"dataset: {dataset!r} cannot be scored: {scoring}")
    return scoring


class SampleCount:
    """Which samples were logged: give it each entry's index, then ask for the check. Memory grows by distinct ones."""

    def __init__(self) -> None:
        self.n_entries = 0
        self._seen: set[int] = set()
        self._repeated = 0
        self._first_repeated: int | None = None
        self._unnamed = 0

    def add(self, index: int | None) -> None:
        """Take in one entry; None for one that names no sample."""
        self.n_entries += 1
        if index is None:
            self._unnamed += 1
        elif index in self._seen:
            self._repeated += 1
            self._first_repeated = index if self._first_repeated is None else self._first_repeated
        else:
            self._seen.add(index)

    def check(self, expected: int, *, unique: bool) -> Check:
        """Require that `expected` samples were logged, each once where `unique`, at least so many entries otherwise."""
        n, distinct = self.n_entries, len(self._seen)
        if self._unnamed:
            passed, reason = None, f"{self._unnamed} of {n} entries name no sample, so none can be counted"
        elif not unique:
            passed = n >= expected
            reason = f"{n} outputs of {distinct} distinct samples are logged, at least {expected} outputs needed"
        elif self._repeated:
            passed = False
            reason = f"{self._repeated} of {n} entries repeat a sample ({self._first_repeated}); each must come once"
        else:
            passed = distinct == expected
            reason = f"{distinct} of {expected} samples are logged, each once"
        return Check(name="samples", passed=passed, observed=n, limit=expected, reason=reason)
