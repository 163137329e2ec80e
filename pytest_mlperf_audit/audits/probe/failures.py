"""What a probe's failed queries come to, in words."""

from __future__ import annotations

from ...runs.query import is_turned_away, refusal
from .evidence import Evidence


def told(evidence: Evidence) -> str:
    """Return how many failed and in which ways, with the server's words and the cure where access or a quota ended."""
    reasons: dict[str, int] = {}
    for record in evidence.failed:
        what = f"{record.outcome} on {(record.tag or '?').partition('/')[2]}"
        reasons[what] = reasons.get(what, 0) + 1
    most = ", ".join(f"{count} {what}" for what, count in sorted(reasons.items(), key=lambda item: -item[1])[:4])
    only = {record.tag.partition("/")[2].partition(".")[0] for record in evidence.failed if record.tag}
    turned_away = next((record for record in evidence.failed if is_turned_away(record.outcome)), None)
    cure = ""
    if turned_away:
        cure = f"; {refusal(turned_away.outcome, turned_away.detail)}"
    elif only == {"R"}:
        cure = "; the endpoint refuses a repeated request, so nothing can be concluded from repeats"
    return f"{len(evidence.failed)} of {evidence.n_queries} probe queries failed: {most}{cure}"
