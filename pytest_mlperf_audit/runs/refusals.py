"""Refusals by what guards an endpoint, not by the system under test: by them a failed query says nothing of it.

Sources: RFC 9110, 15.5 (401, 402, 403, 407) and RFC 6585, 4 (429).
"""

from __future__ import annotations

from collections.abc import Mapping

#: A key that expired, was withdrawn or has no money left; asking again is in vain.
NO_ACCESS = frozenset({"http_401", "http_402", "http_403", "http_407"})

#: A rate limit or a quota, which may be over in a moment.
RATE_LIMITED = frozenset({"http_429"})


def is_turned_away(outcome: str) -> bool:
    """Whether a query's outcome is such a refusal."""
    return outcome in NO_ACCESS or outcome in RATE_LIMITED


def n_turned_away(failures: Mapping[str, int]) -> int:
    """Return how many queries were refused so, of failures counted by outcome."""
    return sum(count for outcome, count in failures.items() if is_turned_away(outcome))


def cure(outcome: str) -> str:
    """Return what is to be done about a refusal, as a clause."""
    if outcome in NO_ACCESS:
        return "use credentials that are valid, and paid for, until the run is over"
    if outcome in RATE_LIMITED:
        return "audit the server behind the rate limit, or with a quota that the whole run fits in, or lower the load"
    return "see the server's log"


def said(outcome: str, detail: str | None) -> str:
    """Return a refusal with the server's words, and the cure."""
    words = f" ({detail})" if detail else ""
    return f"{outcome}{words}; {cure(outcome)}"
