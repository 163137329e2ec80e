"""Whether a ratio may be one of lengths: a repeated row's reply may be shorter than those of its twins.

Twins have the row's length, and a model may answer them at another. An honest model's time a query then lies between
"the same for all" (the prompt is the work) and "the same for each output token" (the output is). So a speed-up is sure
only where it shows in queries per second and in tokens per second, and is excluded where it shows in neither.
"""

from __future__ import annotations

from math import sqrt
from typing import Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from ...runs.phase import MeasuredPhase
from ..verdict import Check
from .reference import may_differ_in_length

#: Mean lengths are taken as so many standard errors to the favour of the system.
_STANDARD_ERRORS: Final = 3.0


class TokensRatio(NamedTuple):
    """Mean output tokens of the repeats over those of the reference, and the least that it may be in truth."""

    mean: float
    least: float


def tokens_ratio(reference: MeasuredPhase, run: MeasuredPhase) -> TokensRatio | None:
    """Return how long the repeats' replies are beside the reference's, None where replies do not say."""
    twins, repeats = _tokens(reference), _tokens(run)
    if twins is None or repeats is None:
        return None
    least = max(0.0, repeats.mean() - _STANDARD_ERRORS * _standard_error(repeats))
    most = twins.mean() + _STANDARD_ERRORS * _standard_error(twins)
    return TokensRatio(float(repeats.mean() / twins.mean()), float(least / most))


def _tokens(run: MeasuredPhase) -> NDArray[np.int64] | None:
    queries = run.queries
    tokens = queries.tokens[queries.ok]
    return tokens if len(tokens) and (tokens > 0).all() else None


def _standard_error(tokens: NDArray[np.int64]) -> float:
    return float(tokens.std(ddof=1)) / sqrt(len(tokens)) if len(tokens) > 1 else 0.0


def unless_lengths_differ(
    check: Check, reference: MeasuredPhase, run: MeasuredPhase, limit: float, *, probed: bool
) -> Check:
    """Return the check of a ratio, `observed`, as the lengths of replies allow.

    A FAIL needs both ratios, of queries and of tokens per second, surely not below the limit. Where one is below it,
    the check passes if a cache was `probed` for as well, and is undecided if not. Without counts of tokens a FAIL is
    undecided. Where replies have no length, or rows are the reference, as MLPerf has it, the check stands.
    """
    ratio = check.observed
    if check.passed is None or not isinstance(ratio, float) or not may_differ_in_length(reference.spec):
        return check
    if (tokens := tokens_ratio(reference, run)) is None:
        return check if check.passed else _changed(check, None, _UNKNOWN)
    in_tokens = ratio * (tokens.mean if check.passed else tokens.least)
    if (ratio < limit) == (in_tokens < limit):
        return check
    words = (
        f"of output tokens it {'is' if check.passed else 'may be'} {in_tokens:.4g}, since replies to the repeats have "
        f"{tokens.mean:.3g} times as many as those to their twins"
    )
    if probed:
        return _changed(check, True, f"{words}: that alone may be the ratio, and the cache probe decides")
    return _changed(check, None, f"undecided, for {words}: leave the cache probe on, or have replies of one length")


_UNKNOWN = (
    "undecided, for replies do not say how many tokens they have, and a row whose own reply is short may be that much "
    "faster: have the server count them (model_params.stream_usage: true where replies are streamed)"
)


def _changed(check: Check, passed: bool | None, why: str) -> Check:
    return msgspec.structs.replace(check, passed=passed, reason=f"{check.reason}; {why}")
