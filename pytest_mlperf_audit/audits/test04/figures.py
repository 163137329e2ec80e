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
        told |= _with_suffix(evidence.ratio_figures(found.get(suffix)), suffix)
        told[f"audit_cv{suffix}"] = evidence.spread(run)
    if len(repeats) > 1:
        pooled = found.get(_POOLED)
        told[f"ratio{_POOLED}"] = pooled.value if pooled else None
        told |= _with_suffix(evidence.ratio_figures(pooled), _POOLED)
    return told


def _with_suffix(figures: Mapping[str, Figure], suffix: str) -> dict[str, Figure]:
    return {f"{name}{suffix}": value for name, value in figures.items()}


def suffix_of(label: str) -> str:
    """Return what the figures of a phase end in: its row, where several are repeated."""
    return "" if label == AUDIT else label.removeprefix(AUDIT)
