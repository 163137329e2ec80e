"""What TEST01 looks at: the sampled outputs of the performance run beside the accuracy run's, and their scores."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ...runs.phase import MeasuredPhase
from ...runs.query import QueryRecord
from ...runs.scoring import Score
from ...scoring.metrics import Pair
from ..scored import score
from ..verdict import Check, Diff
from .outputs import MOST_CHARACTERS, Answers, Compared, compare, diffs


@dataclass(frozen=True)
class Matching:
    """Sampled outputs beside those of the accuracy run; `without_ids` completed without the tokens to compare."""

    compared: Compared
    without_ids: int

    def matches(self, least: int) -> Check:
        """Require that so many outputs match: of none, every rule holds."""
        n = self.compared.n_matching
        reason = f"{n} of {self.compared.n_sampled} sampled outputs equal the accuracy run's, at least {least} needed"
        return Check(name="matches", passed=n >= least, observed=n, limit=least, reason=reason)

    def outputs_match(self) -> Check:
        """Require that no sampled output differs; undecided where none could be compared."""
        found, passed = self.compared, None
        if found.n_differing:
            passed = False
            told = ", ".join(str(one.row) for one in found.first[:3])
            more = ", ..." if found.n_differing > 3 else ""
            reason = (
                f"{found.n_differing} of {found.n_compared} sampled outputs differ from the accuracy run's "
                f"(row {told}{more})"
            )
        elif self.without_ids:
            reason = (
                f"{self.without_ids} replies have no token ids to compare; use an endpoint that gives them, or match: "
                "exact"
            )
        elif not found.n_compared:
            reason = f"none of {found.n_sampled} sampled outputs could be compared with the accuracy run's"
        else:
            passed, reason = True, f"all {found.n_compared} sampled outputs equal the accuracy run's"
        return Check(name="outputs_match", passed=passed, observed=found.n_differing, limit=0, reason=reason)


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
        """Require that no metric differs by more than `limit` per cent, relative to the performance run's score.

        That is how MLPerf's submission checker has it. Undecided where either run has no score.
        """
        error = self.accuracy.error or self.performance.error
        if error or not self.performance.metrics:
            reason = f"the runs cannot be compared by score: {error or 'there is none'}"
            return Check(name="score_delta", passed=None, observed=None, limit=limit, reason=reason)
        deltas = {name: _delta(self.accuracy.metrics[name], after) for name, after in self.performance.metrics.items()}
        worst = max(deltas, key=lambda name: deltas[name])
        reason = (
            f"{worst} of {self.performance.n} sampled outputs is {self.performance.metrics[worst]:.6g} in the "
            f"performance run and {self.accuracy.metrics[worst]:.6g} in the accuracy run: {deltas[worst]:.4g} % apart, "
            f"{limit:g} % allowed"
        )
        return Check(
            name="score_delta", passed=deltas[worst] <= limit, observed=deltas[worst], limit=limit, reason=reason
        )


def comparison(accuracy: MeasuredPhase, performance: MeasuredPhase, *, tokens: bool) -> Matching:
    """Compare the sampled outputs with the accuracy run's, by what was kept of them: the text's digest, or tokens."""
    without_ids = 0

    def digest(query: QueryRecord) -> bytes | None:
        nonlocal without_ids
        kept = query.output_ids if tokens else query.reply
        if not query.ok:
            return None
        if kept is None:
            without_ids += tokens
            return None
        return hashlib.blake2b(kept.encode(), digest_size=16).digest()

    answers = Answers(accuracy.queries.samples)
    for query in accuracy.read():
        if (known := digest(query)) is not None:
            answers.add(query.sample, known)
    sampled = ((query.query, query.sample, digest(query)) for query in sampled_queries(performance))
    return Matching(compare(answers, sampled), without_ids)


def scores_of(accuracy: MeasuredPhase, performance: MeasuredPhase) -> Scores:
    """Score both runs over the sampled rows, those of the accuracy run as often as the performance run sampled them."""
    scoring = performance.spec.scoring
    if scoring is None:
        none = Score(value=None, n=0, error="the phases were planned without a scorer")
        return Scores(none, none)
    times = Counter(query.sample for query in sampled_queries(performance))
    repeated = (query for query in accuracy.read() for _ in range(times.get(query.sample, 0)))
    return Scores(score(scoring, _pairs(repeated)), score(scoring, _pairs(sampled_queries(performance))))


def diffs_of(found: Compared, accuracy: MeasuredPhase, performance: MeasuredPhase) -> tuple[Diff, ...]:
    """Return where the first differing outputs begin to differ; reads both runs again only where there are any."""
    if not found.first:
        return ()
    before = _texts(accuracy, {one.row for one in found.first}, by_row=True)
    after = _texts(performance, {one.query for one in found.first}, by_row=False)
    return tuple(
        Diff(of=f"row {one.row}: accuracy run (-), query {one.query} of the performance run (+)", text=text)
        for one, text in diffs(found.first, before, after)
    )


def sampled_queries(run: MeasuredPhase) -> Iterator[QueryRecord]:
    """Yield the queries whose replies the phase kept, failed ones too."""
    keep = run.spec.keep
    chosen = keep.chosen(run.spec.n_samples) if keep else frozenset()
    return (query for query in run.read() if chosen is None or query.query in chosen)


def _texts(run: MeasuredPhase, wanted: set[int], *, by_row: bool) -> dict[int, str | None]:
    found: dict[int, str | None] = {}
    for query in run.read():
        key = query.sample if by_row else query.query
        if key in wanted:
            found[key] = query.output if query.output is None else query.output[:MOST_CHARACTERS]
    return found


def _pairs(queries: Iterable[QueryRecord]) -> Iterator[Pair]:
    return ((query.output if query.ok else None, query.expected) for query in queries)


def _delta(before: float, after: float) -> float:
    """Return by how many per cent of `after` two scores differ; of 0, anything but 0 is all of it away."""
    if after == 0:
        return 0.0 if before == 0 else 100.0
    return abs(1 - before / after) * 100
