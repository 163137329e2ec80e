"""An audit's throughput ratios in words: a headline, sentences, intervals."""

from __future__ import annotations

from collections.abc import Sequence

from ..audits.published.score import TOLERANCE
from ..audits.verdict import Evidence, Ratio
from ..verdicts.document import AuditEntry, CheckEntry
from .clean import apart, number

_EVIDENCE: dict[Evidence, str] = {
    "clean": "The whole 95 % interval lies below the limit, and no speed-up is sure.",
    "suspicious": "Repeats are faster by more than chance explains, though by less than the limit forbids.",
    "inconclusive": "The 95 % interval holds the limit, so chance can decide this verdict.",
    "over the limit": "The whole 95 % interval lies above the limit, so chance does not explain it.",
}


def of_rows(audit: AuditEntry) -> tuple[Ratio, ...]:
    """Return the ratios that checks assert, one for each repeated row."""
    return tuple(ratio for ratio in audit.ratios if not ratio.pooled)


def pooled(audit: AuditEntry) -> tuple[Ratio, ...]:
    """Return the ratio of all repeated rows taken together; empty where there is only one row."""
    return tuple(ratio for ratio in audit.ratios if ratio.pooled)[:1]


def of_check(audit: AuditEntry, check: CheckEntry) -> Ratio | None:
    """Return the ratio that a check is about."""
    return next((ratio for ratio in audit.ratios if ratio.check == check.name), None)


def name(ratio: Ratio) -> str:
    """Return what was repeated: 'row 3', 'pooled' for all rows, empty where there is only one."""
    if ratio.pooled:
        return "pooled"
    return "" if ratio.row is None else f"row {ratio.row}"


def interval(ratio: Ratio) -> str:
    """Return '95 % 0.98 to 1.08', with the long-run ratio where the ratio itself lies outside; '' without one."""
    low_end, high_end = bounds(ratio)
    if low_end is None or high_end is None:
        return ""
    low, high = (apart(end, ratio.limit)[0] for end in (low_end, high_end))
    outside = ratio.long_run is not None and not low_end <= ratio.decisive <= high_end
    long_run = f"long run {apart(ratio.long_run, ratio.limit)[0]}, " if outside and ratio.long_run else ""
    return f"{long_run}95 % {low} to {high}"


def bounds(ratio: Ratio) -> tuple[float | None, float | None]:
    """Return the ends of the interval of the ratio that the verdict rests on, None where there is none."""
    return (ratio.blocks.low, ratio.blocks.high) if ratio.blocks else (ratio.low, ratio.high)


def headline(audit: AuditEntry) -> str:
    """Return 'ratio 1.03 (95 % 0.98 to 1.08), limit 1.10', with the evidence's word unless that is clean.

    Where blocks decide: 'ratio 1.03 (95 % 0.98 to 1.08) over 8 pairs of blocks, limit 1.10; the first pair did not
    settle it: 1.31'.
    """
    if not (rows := of_rows(audit)):
        return ""
    whole = _whole(audit)
    doubt = f", evidence {whole.evidence}" if whole and whole.evidence and whole.evidence != "clean" else ""
    over = _over_blocks(rows) or (" over fresh twins" if rows[0].over == "twins" else "")
    return f"ratio {_values(audit)}{over}, limit {_limit(rows)}{doubt}{_first_pair(rows)}"


def beside_mlperf(audit: AuditEntry) -> str:
    """Return what MLPerf compares, where the ratio is of something else, "" where it is MLPerf's."""
    return next((ratio.mlperf for ratio in of_rows(audit)), "")


def _over_blocks(rows: Sequence[Ratio]) -> str:
    pairs = sorted({ratio.blocks.n_pairs for ratio in rows if ratio.blocks})
    return f" over {' and '.join(map(str, pairs))} pairs of blocks" if pairs else ""


def _first_pair(rows: Sequence[Ratio]) -> str:
    """Return by how much the first pair of phases was disturbed, where blocks decided instead."""
    disturbed = [ratio for ratio in rows if ratio.blocks]
    if not disturbed:
        return ""
    named = (f"{f'{of} ' if (of := name(ratio)) else ''}{ratio.value:.3g}{_by_pace(ratio)}" for ratio in disturbed)
    return f"; the first pair did not settle it: {', '.join(named)}"


def _by_pace(ratio: Ratio) -> str:
    """Return the ratio by latencies, where that alone is what the first pair fails by."""
    shows = ratio.pace is not None and ratio.value < ratio.limit <= ratio.pace
    return f" (by latencies {ratio.pace:.3g})" if shows else ""


def lead(audit: AuditEntry) -> str:
    """Return the comparison in a sentence, without what follows from it."""
    rows = of_rows(audit)
    return _compared(audit, rows) if rows else ""


def sentences(audit: AuditEntry) -> list[str]:
    """Return the comparison in a sentence for a reader new to MLPerf, and how sure it is in another."""
    if not (rows := of_rows(audit)):
        return []
    whole = _whole(audit)
    beside = beside_mlperf(audit)
    return [
        _comparison(audit, rows),
        *(_confirmed(ratio) for ratio in rows if ratio.blocks),
        *([f"{beside}."] if beside else []),
        *([_evidence(whole)] if whole and whole.evidence else []),
    ]


def _confirmed(ratio: Ratio) -> str:
    """Say why blocks were sent, and what they came to."""
    blocks = ratio.blocks
    if blocks is None:
        return ""
    of = f" of {name(ratio)}" if name(ratio) else ""
    sentence = (
        f"The two phases{of} did not settle the ratio ({ratio.value:.3g}): {'; '.join(blocks.why)}. So "
        f"{blocks.n_pairs} pairs of blocks of {blocks.block_size} queries were sent, fresh inputs of the same cost "
        "against repeats, each pair in an order drawn by chance. "
    )
    if blocks.outcome == "PASS":
        return f"{sentence}They exclude that repeats are {blocks.excluded:.3g} times as fast."
    if blocks.outcome == "FAIL":
        return f"{sentence}Repeats are surely faster, and so are fresh inputs that are repeated ({blocks.fresh:.3g})."
    return f"{sentence}They leave it undecided."


def _whole(audit: AuditEntry) -> Ratio | None:
    """Return the ratio that speaks for all rows: the pooled one, or the only one."""
    rows = of_rows(audit)
    return next(iter(rows if len(rows) == 1 else pooled(audit)), None)


def _values(audit: AuditEntry) -> str:
    """Return one ratio with its interval, or the range of several with the pooled one."""
    rows, whole = of_rows(audit), _whole(audit)
    beside = interval(whole) if whole else ""
    if whole and len(rows) > 1:
        beside = f"pooled {apart(whole.value, whole.limit)[0]}" + (f", {beside}" if beside else "")
    return _span(rows) + (f" ({beside})" if beside else "")


def _span(rows: tuple[Ratio, ...]) -> str:
    """Return the ratios as one number or as a range, precise enough to be told from their limit."""
    ends = {min(ratio.decisive for ratio in rows), max(ratio.decisive for ratio in rows)}
    return " to ".join(apart(value, rows[0].limit)[0] for value in sorted(ends))


def _limit(rows: tuple[Ratio, ...]) -> str:
    return max((apart(ratio.decisive, ratio.limit)[1] for ratio in rows), key=len)


def _comparison(audit: AuditEntry, rows: tuple[Ratio, ...]) -> str:
    sentence = _compared(audit, rows)
    over = tuple(ratio for ratio in rows if not (ratio.passed or _undecided(audit, ratio)))
    if over and not (rows[0].blocks and len(rows) == 1):
        which = f" (rows {_listed(over)})" if 1 < len(rows) != len(over) else ""
        sentence += f" Such a speed-up{which} is what a cache of replies brings: what is computed anew takes as long."
    return sentence


def _compared(audit: AuditEntry, rows: tuple[Ratio, ...]) -> str:
    first = rows[0]
    who = f"One input repeated {number(first.n_repeats)} times"
    if first.blocks and len(rows) == 1:
        return (
            f"In blocks of one input repeated and of fresh inputs of the same cost, repeats ran {_values(audit)} "
            f"times as fast; {_allowed(first, _limit(rows))}."
        )
    if len(rows) > 1:
        who = f"Single inputs (rows {_listed(rows)}), each repeated {number(first.n_repeats)} times,"
    return (
        f"{who} ran {_values(audit)} times as fast as {number(first.n_distinct)} {_what(rows)}; "
        f"{_allowed(first, _limit(rows))}."
    )


def _what(rows: tuple[Ratio, ...]) -> str:
    """Return what the reference phase sent."""
    if rows[0].over == "rows":
        return "different inputs"
    return f"fresh twins of {'it' if len(rows) == 1 else 'each'}, as long and never sent before"


def _undecided(audit: AuditEntry, ratio: Ratio) -> bool:
    """Whether the check of a ratio is in doubt, so that nothing follows from the ratio."""
    return any(check.name == ratio.check and check.undecided for check in audit.checks)


def _listed(rows: tuple[Ratio, ...]) -> str:
    names = [str(ratio.row) for ratio in rows]
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _allowed(ratio: Ratio, limit: str) -> str:
    """Say whose limit it is: MLPerf's, its own for SingleStream, or one that the YAML chose."""
    if ratio.limit_of == "MLPerf":
        return f"MLPerf allows less than {limit}"
    if ratio.limit_of == "SingleStream":
        return f"MLPerf allows less than {limit} in SingleStream"
    return f"this configuration allows less than {limit}, MLPerf less than {1 + TOLERANCE:.2f}"


def _evidence(ratio: Ratio) -> str:
    if ratio.evidence is None:
        return ""
    together = ", all rows taken together" if ratio.pooled else ""
    sentence = f"Evidence{together}: {ratio.evidence}. {_EVIDENCE[ratio.evidence]}"
    if ratio.evidence == "inconclusive" and ratio.queries_to_decide is not None:
        needed = number(ratio.queries_to_decide)
        sentence += f" About {needed} queries in each phase would settle it, the ratio staying as it is."
    return sentence
