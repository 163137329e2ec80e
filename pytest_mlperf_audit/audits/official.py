"""What the official output tokens of a phase come to, beside what its replies report themselves.

Rule: mlcommons/endpoints_policies `endpoints_rules.md` § 2.8.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from ..runs.phase import MeasuredPhase
from ..runs.spec import Keep
from .verdict import Figure

#: Counts of tokens that differ by no more are taken for alike.
_ALIKE: Final = 0.01


def keep_messages(tokenizer: str) -> Keep:
    """Return what a phase keeps whose replies' tokens are to be counted by the files in the directory `tokenizer`."""
    return Keep(outputs=False, message=True, tokenizer=tokenizer)


def official_figures(run: MeasuredPhase) -> dict[str, Figure]:
    """Return output tokens, tokens per second and the median time per output token; nothing where none were counted."""
    tokens = run.tokens
    if tokens is None or tokens.n_unrendered:
        return {}
    total, window_s = int(tokens.lengths().sum()), run.figures.window_s
    per_token_ns = tokens.per_token_ns(run.queries)
    return {
        "output_tokens": total,
        "output_tokens_per_s": total / window_s if window_s else None,
        "tpot_ms": float(np.median(per_token_ns)) / 1e6 if per_token_ns.size else None,
        "reported_output_tokens": run.figures.output_tokens,
    }


def official_notes(run: MeasuredPhase) -> Iterator[str]:
    """Yield by what the tokens were counted, and what there is to know of that."""
    if run.spec.keep is None or not run.spec.keep.message:
        return
    tokens = run.tokens
    if tokens is None:
        yield "no official output tokens: the run was ended before its replies' tokens were counted"
        return
    if tokens.n_unrendered:
        yield (
            f"no official output tokens: the chat template refuses {tokens.n_unrendered} of {run.figures.n_completed} "
            f"replies ({tokens.refusal}); the token figures are those that the replies report"
        )
        return
    yield f"output tokens are counted by {tokens.tokenizer} and {tokens.template}, once per reply"
    if not tokens.reasoning_field:
        yield "the chat template leaves reasoning out, which therefore counts as no output tokens"
    n, reported, counted = tokens.compared(run.queries)
    if abs(reported - counted) > _ALIKE * max(counted, 1):
        yield (
            f"{n} replies report {reported:,} output tokens in their usage, and have {counted:,} by the official count "
            f"({_against(reported, counted)}): the server counts otherwise, or tokens that no text shows, or "
            "`tokenizer` is not that of the model; the official count stands"
        )


def _against(reported: int, counted: int) -> str:
    return f"{(reported - counted) / counted:+.1%}" if counted else "of none"
