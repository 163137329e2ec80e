"""TEST04's ratios and figures: what stands beside the checks in verdict.json and in MLPerf's file."""

from __future__ import annotations

from collections.abc import Mapping

from ...runs.phase import MeasuredPhase
from ..verdict import BlocksRatio, Figure, Ratio
from . import evidence, rule
from .first_pair import pace_ratio
from .reference import of_row

AUDIT = "output_caching"
_POOLED = "_pooled"


def ratio_name(label: str) -> str:
    """Return the name of the check of the ratio of a phase."""
    return "throughput_ratio" if label == AUDIT else f"throughput_ratio[{label}]"


def ratios(
    threshold: float,
    reference: MeasuredPhase,
    repeats: Mapping[str, MeasuredPhase],
    rows: Mapping[str, int],
    blocks: Mapping[str, BlocksRatio | None],
) -> dict[str, Ratio]:
    """Return the ratio of each repeated row, and of all pooled where there are several, by their figures' suffix."""
    limit, limit_of = 1 + threshold, rule.limit_of(reference.record, threshold)
    each = {
        suffix_of(label): evidence.ratio(
            of_row(reference, rows[label]),
            [run],
            limit,
            limit_of,
            check=ratio_name(label),
            row=None if label == AUDIT else rows[label],
            pace=pace_ratio(of_row(reference, rows[label]), run),
            blocks=blocks[label],
        )
        for label, run in repeats.items()
    }
    if len(repeats) > 1:
        each[_POOLED] = evidence.ratio(reference, list(repeats.values()), limit, limit_of)
    return {suffix: one for suffix, one in each.items() if one}


def figures(
    threshold: float,
    reference: MeasuredPhase,
    repeats: Mapping[str, MeasuredPhase],
    rows: Mapping[str, int],
    found: Mapping[str, Ratio],
) -> dict[str, Figure]:
    """Return the measured numbers; those of a repeated row end in its suffix, `found` have theirs as keys."""
    told: dict[str, Figure] = {
        "ref_qps": reference.figures.qps,
        "ref_completed": reference.figures.n_completed,
        "ref_requested": reference.spec.n_samples,
        "threshold": threshold,
        "limit_ratio": 1 + threshold,
    }
    for label, run in repeats.items():
        suffix = suffix_of(label)
        told |= {
            f"audit_qps{suffix}": run.figures.qps,
            f"audit_completed{suffix}": run.figures.n_completed,
            f"audit_requested{suffix}": run.spec.n_samples,
            f"ratio{suffix}": found[suffix].decisive if suffix in found else None,
            f"sample_index{suffix}": rows[label],
        }
    if reference.figures.early_stopping_p90_s is not None:
        told["ref_early_stopping_p90_s"] = reference.figures.early_stopping_p90_s
        told |= {f"{label}_early_stopping_p90_s": run.figures.early_stopping_p90_s for label, run in repeats.items()}
    told["ref_cv"] = evidence.spread(reference)
    for label, run in repeats.items():
        suffix = suffix_of(label)
        told |= _with_suffix(_of_ratio(found.get(suffix)), suffix)
        told[f"audit_cv{suffix}"] = evidence.spread(run)
    if len(repeats) > 1:
        pooled = found.get(_POOLED)
        told[f"ratio{_POOLED}"] = pooled.value if pooled else None
        told |= _with_suffix(_of_ratio(pooled), _POOLED)
    return told


def _of_ratio(found: Ratio | None) -> dict[str, Figure]:
    """Return a ratio's interval and what it says as figures, empty without an interval.

    Where blocks decide, what the first pair of phases said stands beside them.
    """
    if found is not None and (blocks := found.blocks):
        return {
            "ratio_low": blocks.low,
            "ratio_high": blocks.high,
            "ratio_first_pair": found.value,
            "ratio_first_pair_by_latency": found.pace,
            "ratio_fresh_prompts": blocks.fresh,
            "confirmation": blocks.outcome,
            "confirmation_pairs": blocks.n_pairs,
        }
    if found is None or found.evidence is None:
        return {}
    figures: dict[str, Figure] = {
        "ratio_long_run": found.long_run,
        "ratio_low": found.low,
        "ratio_high": found.high,
        "evidence": found.evidence,
    }
    if found.evidence == "inconclusive":
        figures["queries_to_decide"] = found.queries_to_decide
    return figures


def _with_suffix(figures: Mapping[str, Figure], suffix: str) -> dict[str, Figure]:
    return {f"{name}{suffix}": value for name, value in figures.items()}


def suffix_of(label: str) -> str:
    """Return what the figures of a phase end in: its row, where several are repeated."""
    return "" if label == AUDIT else label.removeprefix(AUDIT)
