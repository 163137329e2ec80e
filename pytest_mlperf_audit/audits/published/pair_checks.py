"""The checks that TEST01 and TEST04 of a submission make alike of a pair of runs.

The logs must be such that a comparison says something: whole, of two runs, of one scenario, valid, and for Server with
one target latency. Then the scores are compared, each test by its own rule. A log that was published twice may have
been edited, to look like two.
"""

from __future__ import annotations

import filecmp
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from ..verdict import Check
from .pair import Latencies, Pair
from .score import SCENARIOS

#: Latencies to the nanosecond that two logs must share to be of one run. In the sample of v4.1 no two runs share any.
_ENOUGH = 3
#: A clock that ticks in microseconds shows in multiples of these; two runs may well share such figures.
_COARSE_NS = 1000


class Wording(NamedTuple):
    """How a test calls its checks, and how it words what is said of `{run}`'s log, `{first}` or all `{runs}`.

    `score` is the name of the check of the scores; `may_lack_latency` is whether a log may have no target latency.
    """

    test: str
    prefix: str
    score: str
    logs: str
    cut: str
    whole: str
    nameless: str
    no_validity: str
    latency: tuple[str, str]
    may_lack_latency: bool


def not_readable(words: Wording, reason: str) -> Check:
    """Return the one check of a directory whose logs are not there to be judged."""
    return Check(name=f"{words.prefix}logs_whole", passed=None, observed=None, limit=2, reason=reason)


def checks(
    pair: Pair,
    words: Wording,
    compare: Callable[[float, float, float, str], Check],
    *,
    same_file: bool,
    own: Sequence[Check] = (),
) -> list[Check]:
    """Return every check; that of the scores is the last, `own` are those that the test alone makes.

    `compare` judges the reference's and the audit's score by a tolerance, in a unit.
    """
    found = [_logs_whole(pair, words), _separate_runs(pair, words, same_file=same_file)]
    found += [_scenario(pair, words), _valid(pair, words), *own]
    if pair.reference.scenario == pair.audit.scenario == "Server":
        found += _target_latency(pair, words)
    return [*found, _score(pair, words, compare)]


def is_same_file(one: Path, other: Path) -> bool:
    """Return whether two files have the same bytes, and any; false where one cannot be read."""
    try:
        return one.stat().st_size > 0 and filecmp.cmp(one, other, shallow=False)
    except OSError:
        return False


def is_same_run(one: Latencies, other: Latencies) -> bool:
    """Return whether two logs are of one run, by their latencies."""
    return _n_shared(one, other) >= _ENOUGH


def _n_shared(one: Latencies, other: Latencies) -> int:
    """Return how many latencies, by name and to the nanosecond, two logs share."""
    return len({value for _, value in one & other if value % _COARSE_NS})


def _logs_whole(pair: Pair, words: Wording) -> Check:
    cut = [
        f"the {run.name} run's {run.log} {'is empty' if run.empty else f'{words.cut}{run.unread}'}"
        for run in pair
        if not run.whole
    ]
    return Check(
        name=f"{words.prefix}logs_whole",
        passed=None if cut else True,
        observed=2 - len(cut),
        limit=2,
        reason="; ".join(cut) or words.whole,
    )


def _separate_runs(pair: Pair, words: Wording, *, same_file: bool) -> Check:
    """Require that the two logs are of two runs."""
    latencies = pair.reference.latencies_ns, pair.audit.latencies_ns
    edited = is_same_run(*latencies)
    if same_file:
        reason = f"the two {words.logs} are the same file, byte for byte: one run was published twice"
    elif edited:
        reason = (
            f"the two {words.logs} are of one run: {_n_shared(*latencies)} of their latencies are the same to the "
            "nanosecond, so one of them is the other, edited"
        )
    else:
        reason = f"the two {words.logs} are of different runs"
    same = same_file or edited
    return Check(
        name=f"{words.prefix}separate_runs", passed=not same, observed=1 if same else 2, limit=2, reason=reason
    )


def _scenario(pair: Pair, words: Wording) -> Check:
    """Require that both runs are of one scenario, and one that has a score."""
    before, after = pair.reference.scenario, pair.audit.scenario
    passed: bool | None = before == after
    if nameless := [run.name for run in pair if not run.scenario]:
        passed, reason = None, words.nameless.format(first=nameless[0], runs=" and the ".join(nameless))
    elif not passed:
        reason = f"the reference run is of scenario {before}, the audit run of {after}"
    elif before not in SCENARIOS:
        passed, reason = None, f"{words.test} has no rule for scenario {before}"
    else:
        reason = f"both runs are of scenario {before}"
    return Check(name=f"{words.prefix}scenario", passed=passed, observed=after, limit=before, reason=reason)


def _valid(pair: Pair, words: Wording) -> Check:
    """Require that LoadGen calls both runs VALID."""
    others = [run for run in pair if run.validity != "VALID"]
    reasons = [
        f"LoadGen calls the {run.name} run INVALID"
        if run.validity == "INVALID"
        else words.no_validity.format(run=run.name, unread=run.unread)
        for run in others
    ]
    invalid = any(run.validity == "INVALID" for run in others)
    return Check(
        name=f"{words.prefix}valid",
        passed=False if invalid else None if others else True,
        observed=others[0].validity if others else "VALID",
        limit="VALID",
        reason="; ".join(reasons) or "LoadGen calls both runs VALID",
    )


def _target_latency(pair: Pair, words: Wording) -> list[Check]:
    before, after = (run.target_latency_ns for run in pair)
    passed: bool | None = before == after
    stated = ["none" if value is None else f"{value:.0f} ns" for value in (before, after)]
    reason = f"{words.latency[0 if passed else 1]}: {stated[0]} and {stated[1]}"
    if words.may_lack_latency and None in (before, after):
        if passed:
            return []
        which = "audit" if before is None else "reference"
        passed, reason = None, f"only the {which} run's summary has a target latency"
    name = f"{words.prefix}target_latency"
    return [Check(name=name, passed=passed, observed=after, limit=before, reason=reason)]


def _score(pair: Pair, words: Wording, compare: Callable[[float, float, float, str], Check]) -> Check:
    before, after = pair.reference.score, pair.audit.score
    scenario = pair.reference.scenario or ""
    tolerated = pair.reference.tolerance
    alike = scenario == pair.audit.scenario and pair.reference.unit == pair.audit.unit
    if before is not None and after is not None and alike:
        return compare(before, after, tolerated, pair.reference.unit)
    missing = [
        f"no score in the {run.name} run's {run.log}{run.no_score}{run.unread}" for run in pair if run.score is None
    ]
    return Check(
        name=words.score,
        passed=None,
        observed=None,
        limit=1 + tolerated,
        reason="; ".join(missing) or "scores of different scenarios, or in different units, cannot be compared",
    )
