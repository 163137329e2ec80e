"""Query records to PhaseFigures: the one place where a phase's numbers are computed, live and from disk."""

from __future__ import annotations

import numpy as np

from ..stats.early_stopping import percentile_estimate
from ..stats.latency import summarize
from .columns import QueryColumns
from .phase import PhaseFigures
from .spec import Load


def figures(queries: QueryColumns, load: Load) -> PhaseFigures:
    """Compute every figure of a phase; total, so that a phase without queries has figures too.

    The early-stopping percentile is MLPerf's SingleStream score, so it is computed for one query in flight only.

    The window opens with the first issue of any query and closes with the last completion of a completed
    one, so that neither client start-up nor a late failure changes a throughput.
    """
    n_issued = len(queries)
    ok = queries.ok
    n_completed = int(ok.sum())
    issued_ns = queries.issued_ns
    window_s = float(queries.completed_ns[ok].max() - issued_ns.min()) / 1e9 if n_completed else None
    latencies_s = queries.latencies_s()
    streamed = ok & (queries.first_token_ns >= 0)
    first_token_s = (queries.first_token_ns[streamed] - issued_ns[streamed]) / 1e9
    counted = ok & (queries.tokens >= 0)
    return PhaseFigures(
        n_issued=n_issued,
        n_completed=n_completed,
        failures=queries.failures(),
        window_s=window_s,
        issue_span_s=float(np.ptp(issued_ns)) / 1e9 if n_issued else 0.0,
        qps=n_completed / window_s if window_s else None,
        latency=summarize(latencies_s) if n_completed else None,
        time_to_first_token=summarize(first_token_s) if streamed.any() else None,
        early_stopping_p90_s=percentile_estimate(latencies_s, 0.90) if load.scenario == "SingleStream" else None,
        n_distinct_requests=queries.distinct_requests(),
        n_distinct_samples=len(np.unique(queries.samples)),
        first_request=queries.first_request(),
        output_tokens=int(queries.tokens[counted].sum()) if counted.any() else None,
        cached_tokens=queries.cached_tokens,
        models=dict(sorted(queries.models.items())),
    )
