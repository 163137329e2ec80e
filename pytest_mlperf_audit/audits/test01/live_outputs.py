"""What TEST01 looks at: the sampled outputs of the performance run beside the accuracy run's, and their scores.

The texts of the first outputs that differ are fetched after the comparison, for a person to look at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from ...runs.phase import MeasuredPhase
from ...runs.query import QueryRecord
from ...runs.spec import Score
from ...scoring.metrics import Pair
from ..scored import score
from ..verdict import Check, Diff
from .rule import Differing, SampledOutputs, worst_delta

#: Differing outputs that are shown, and characters kept of each text.
_MOST_SHOWN: Final = 20
_MOST_CHARACTERS: Final = 65_536
_BEFORE: Final = 60
_AFTER: Final = 140
_MOST_LINES: Final = 6


@dataclass(frozen=True)
class Matching:
    """Sampled outputs beside those of the accuracy run; `n_without_ids` completed without the tokens to compare."""

    n_sampled: int
    n_compared: int
    differing: list[Differing]
    n_without_ids: int

    @property
    def n_matching(self) -> int:
        """How many sampled outputs equal the accuracy run's."""
        return self.n_compared - len(self.differing)

    def matches(self, least: int) -> Check:
        """Require that so many outputs match: of none, every rule holds."""
        n = self.n_matching
        reason = f"{n} of {self.n_sampled} sampled outputs equal the accuracy run's, at least {least} needed"
        return Check(name="matches", passed=n >= least, observed=n, limit=least, reason=reason)

    def outputs_match(self) -> Check:
        """Require that no sampled output differs; undecided where none could be compared."""
        n_differing, passed = len(self.differing), None
        if n_differing:
            passed = False
            rows = ", ".join(str(output.sample) for output in self.differing[:3])
            more = ", ..." if n_differing > 3 else ""
            reason = (
                f"{n_differing} of {self.n_compared} sampled outputs differ from the accuracy run's (row {rows}{more})"
            )
        elif self.n_without_ids:
            reason = (
                f"{self.n_without_ids} replies have no token ids to compare; use an endpoint that gives them, or "
                "match: exact"
            )
        elif not self.n_compared:
            reason = f"none of {self.n_sampled} sampled outputs could be compared with the accuracy run's"
        else:
            passed, reason = True, f"all {self.n_compared} sampled outputs equal the accuracy run's"
        return Check(name="outputs_match", passed=passed, observed=n_differing, limit=0, reason=reason)


@dataclass(frozen=True)
class Scores:
    """What both runs scored on the rows that the performance run sampled, as often as it sent them."""

    accuracy: Score
    performance: Score

    def matches(self, least: int) -> Check:
        """Require that so many outputs were scored in both runs."""
        n = min(self.accuracy.n, self.performance.n)
        reason = f"{n} sampled outputs were scored in both runs, at least {least} needed"
        return Check(name="matches", passed=n >= least, observed=n, limit=least, reason=reason)

    def score_delta(self, limit: float) -> Check:
        """Require that no metric differs by more than `limit` per cent; undecided where either run has no score."""
        error = self.accuracy.error or self.performance.error
        if error or not self.performance.metrics:
            reason = f"the runs cannot be compared by score: {error or 'there is none'}"
            return Check(name="score_delta", passed=None, observed=None, limit=limit, reason=reason)
        before, after = self.accuracy.metrics, self.performance.metrics
        worst = worst_delta(before, after, dict.fromkeys(after, limit))
        reason = (
            f"{worst.metric} of {self.performance.n} sampled outputs is {after[worst.metric]:.6g} in the performance "
            f"run and {before[worst.metric]:.6g} in the accuracy run: {worst.percent:.4g} % apart, {limit:g} % allowed"
        )
        passed = worst.percent <= limit
        return Check(name="score_delta", passed=passed, observed=worst.percent, limit=limit, reason=reason)


def comparison(accuracy: MeasuredPhase, performance: MeasuredPhase, *, tokens: bool) -> Matching:
    """Compare the sampled outputs with the accuracy run's, by what was kept of them: the text's digest, or tokens."""
    outputs = SampledOutputs()
    n_without_ids = 0

    def kept(query: QueryRecord) -> bytes | None:
        nonlocal n_without_ids
        output = query.output_ids if tokens else query.reply
        if query.ok and output is None:
            n_without_ids += tokens
        return output.encode() if query.ok and output is not None else None

    for query in _sampled_queries(performance):
        outputs.add(query.sample, kept(query), query.query)
    for query in accuracy.read():
        outputs.add_reference(query.sample, kept(query))
    return Matching(outputs.n_sampled, outputs.n_compared, outputs.differing_outputs, n_without_ids)


def scores_of(accuracy: MeasuredPhase, performance: MeasuredPhase) -> Scores:
    """Score both runs over the sampled rows, those of the accuracy run as often as the performance run sampled them."""
    scoring = performance.spec.scoring
    if scoring is None:
        none = Score(value=None, n=0, error="the phases were planned without a scorer")
        return Scores(none, none)
    times = Counter(query.sample for query in _sampled_queries(performance))
    repeated = (query for query in accuracy.read() for _ in range(times.get(query.sample, 0)))
    return Scores(score(scoring, _pairs(repeated)), score(scoring, _pairs(_sampled_queries(performance))))


def diffs_of(found: Matching, accuracy: MeasuredPhase, performance: MeasuredPhase) -> tuple[Diff, ...]:
    """Return where the first differing outputs begin to differ; reads both runs again only where there are any."""
    first = found.differing[:_MOST_SHOWN]
    if not first:
        return ()
    before = _texts(accuracy, {output.sample for output in first}, by_row=True)
    after = _texts(performance, {output.query for output in first}, by_row=False)
    return tuple(
        Diff(
            of=f"row {output.sample}: accuracy run (-), query {output.query} of the performance run (+)",
            text=diff(before.get(output.sample), after.get(output.query)),
        )
        for output in first
    )


def diff(before: str | None, after: str | None) -> str:
    """Return where two texts begin to differ, as a short unified diff; "" where no texts were kept."""
    if before is None or after is None:
        return ""
    if before == after:  # as far as they were kept
        return f"@@ the first {len(before)} characters are the same @@"
    shorter = min(len(before), len(after))
    at = next((at for at in range(shorter) if before[at] != after[at]), shorter)
    lines = [f"@@ character {at} @@", *_window("-", before, at), *_window("+", after, at)]
    return "\n".join(lines)


def _sampled_queries(run: MeasuredPhase) -> Iterator[QueryRecord]:
    """Yield the queries whose replies the phase kept, failed ones too."""
    keep = run.spec.keep
    chosen = keep.chosen(run.spec.n_samples) if keep else frozenset()
    return (query for query in run.read() if chosen is None or query.query in chosen)


def _texts(run: MeasuredPhase, wanted: set[int], *, by_row: bool) -> dict[int, str | None]:
    found: dict[int, str | None] = {}
    for query in run.read():
        key = query.sample if by_row else query.query
        if key in wanted:
            found[key] = query.output if query.output is None else query.output[:_MOST_CHARACTERS]
    return found


def _pairs(queries: Iterable[QueryRecord]) -> Iterator[Pair]:
    return ((query.output if query.ok else None, query.expected) for query in queries)


def _window(sign: str, text: str, at: int) -> list[str]:
    start = max(0, at - _BEFORE)
    shown = ("…" if start else "") + text[start : at + _AFTER] + ("…" if len(text) > at + _AFTER else "")
    lines = shown.splitlines() or [""]
    kept = lines if len(lines) <= _MOST_LINES else [*lines[:_MOST_LINES], "…"]
    return [f"{sign}{line}" for line in kept]
