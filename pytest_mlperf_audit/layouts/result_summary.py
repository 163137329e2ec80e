"""result_summary.json: a phase's figures under the keys of MLPerf's endpoints tool; report.txt, the same for people.

Sources: mlcommons/endpoints `metrics/report.py` (Report), `metrics_aggregator/registry.py` (DEFAULT_PERCENTILES, each
the value below it), `commands/benchmark/pipeline.py` (run_config). Times are in nanoseconds. What we do not know is
null or empty, as it is there: the commit, and a phase's window by LoadGen's reckoning.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .._version import __version__
from ..config.benchmark import Benchmark
from ..runs.columns import QueryColumns
from ..runs.official import OfficialTokens
from ..runs.query import QueryRecord
from ..stats.percentiles import percentile_estimate
from ..verdicts.document import PhaseEntry

_PERCENTILES: Final = (99.9, 99.0, 97.0, 95.0, 90.0, 80.0, 75.0, 50.0, 25.0, 10.0, 5.0, 1.0)
_LEAST_ESTIMATED: Final = 50.0
_BUCKETS: Final = 30
_FINISH_REASONS: Final = ("stop", "length", "tool_calls", "content_filter", "function_call", "other")

#: Keys whose names or values were others in files of before they were those of the endpoints tool.
RENAMED: Final = frozenset({"percentiles", "early_stopping_percentiles", "median", "effective_scenario"})

_Numbers = NDArray[np.int64] | NDArray[np.float64]


def run_config(benchmark: Benchmark) -> dict[str, Any]:
    """Return what identifies a run: its load pattern, warm-up and seeds, and nothing secret."""
    settings = benchmark.settings
    return {
        **settings.model_dump(mode="json", include={"load_pattern", "warmup"}),
        "scheduler_random_seed": settings.runtime.scheduler_random_seed,
        "dataloader_random_seed": settings.runtime.dataloader_random_seed,
    }


def result_summary(
    phase: PhaseEntry,
    queries: QueryColumns,
    config: dict[str, Any],
    records: Iterable[QueryRecord] = (),
    official: OfficialTokens | None = None,
) -> dict[str, Any]:
    """Return a phase's summary. `records` are its queries once more, for what columns do not hold.

    Tokens are the `official` ones where these were counted, whole; else those that the replies report.

    Late turns of conversations are left out, as in the endpoints tool. It names the scenario, since the checker would
    take the YAML's `type` for it, be it "submission". Offline is written as there, "offline", where tokens were
    counted: only so does the checker not ask for tokens a second by a key that no endpoints submission has
    (constants.py, RESULT_FIELD_BENCHMARK_OVERWRITE).
    """
    if official is not None and official.n_unrendered:
        official = None
    of_tokens = None if official is None else official.per_token_ns(queries)
    figures, queries = phase.figures, queries.timed()
    ok, issued_ns, completed_ns, tokens = queries.ok, queries.issued_ns, queries.completed_ns, queries.tokens
    streamed = ok & (queries.first_token_ns >= 0)
    decoded = streamed & (tokens > 1)
    if of_tokens is None:
        of_tokens = (completed_ns - queries.first_token_ns)[decoded] / (tokens[decoded] - 1)
    lengths = tokens[ok & (tokens >= 0)] if official is None else official.lengths()
    n_tokens = figures.output_tokens if official is None else int(lengths.sum())
    window_s = figures.window_s
    counted = _Counted.of(record for record in records if not record.late)
    n_issued, n_completed = len(queries), figures.n_completed - figures.n_late_completed
    scenario = phase.spec.load.scenario
    return {
        "version": f"pytest-mlperf-audit {__version__}",
        "git_sha": None,
        "test_started_at": _epoch_ns(phase.started_at),
        "test_datetime": phase.started_at,
        "n_samples_issued": n_issued,
        "n_samples_completed": n_completed,
        "n_samples_failed": n_issued - n_completed,
        "failures": queries.failures(),
        "duration_ns": None if window_s is None else round(window_s * 1e9),
        "state": "complete" if phase.complete else "interrupted",
        "complete": phase.complete,
        "mode": "performance",
        "effective_scenario": "offline" if scenario == "Offline" and n_tokens is not None else scenario,
        "min_duration_ms": phase.spec.min_duration_ms,
        "max_duration_ms": phase.spec.max_duration_ms,
        "ttft": _series((queries.first_token_ns - issued_ns)[streamed], estimates=True),
        "tpot": _series(of_tokens, estimates=True),
        "latency": _series((completed_ns - issued_ns)[ok], estimates=True),
        "output_sequence_lengths": _series(lengths),
        "input_sequence_lengths": _series(np.array(counted.prompt_tokens, np.int64)),
        "legacy_loadgen_window_duration_ns": None,
        "qps": figures.qps,
        "tps": n_tokens / window_s if window_s and n_tokens is not None else None,
        "finish_reason_counts": counted.finish_reasons,
        "run_config": config,
    }


class _Counted:
    """What records hold beside the columns, of completed queries."""

    def __init__(self) -> None:
        self.prompt_tokens: list[int] = []
        self._reasons: Counter[str] = Counter()

    @classmethod
    def of(cls, records: Iterable[QueryRecord]) -> _Counted:
        counted = cls()
        for record in records:
            if record.ok:
                if record.prompt_tokens is not None:
                    counted.prompt_tokens.append(record.prompt_tokens)
                if record.finish_reason is not None:
                    counted._reasons[record.finish_reason] += 1
        return counted

    @property
    def finish_reasons(self) -> dict[str, int]:
        """Replies by why they ended, under the endpoints tool's names; empty where none said so."""
        if not self._reasons:
            return {}
        known = {reason: self._reasons[reason] for reason in _FINISH_REASONS[:-1]}
        return {**known, "other": self._reasons.total() - sum(known.values())}


def _series(values: _Numbers, *, estimates: bool = False) -> dict[str, Any]:
    """Summarize a series; empty for none. Latencies have `early_stopping_percentiles`, null where too few."""
    if not values.size:
        return {}
    kind = float if values.dtype.kind == "f" else int
    percentiles = np.percentile(values, _PERCENTILES, method="lower")
    by_name = {str(p): kind(value) for p, value in zip(_PERCENTILES, percentiles, strict=True)}
    summary: dict[str, Any] = {
        "total": kind(values.sum()),
        "min": kind(values.min()),
        "max": kind(values.max()),
        "median": by_name["50.0"],
        "avg": float(values.mean()),
        "std_dev": float(values.std(ddof=1)) if values.size > 1 else 0.0,
        "percentiles": by_name,
    }
    if estimates:
        exact = values.astype(np.float64)
        summary["early_stopping_percentiles"] = {
            str(p): percentile_estimate(exact, p / 100) for p in _PERCENTILES if p >= _LEAST_ESTIMATED
        }
    return summary | {"histogram": _histogram(values)}


def _histogram(values: _Numbers) -> dict[str, Any]:
    """Return counts in buckets that widen evenly on a logarithmic scale; one bucket where all values are alike."""
    low, high = float(values.min()), float(values.max())
    if low <= 0 or low == high:
        edges = np.linspace(low, high, _BUCKETS + 1) if low < high else np.array([low, high])
    else:
        edges = np.geomspace(low, high, _BUCKETS + 1)
    inner = np.searchsorted(edges[1:-1], values, side="right")
    counts = np.bincount(inner, minlength=len(edges) - 1)
    ends = [float(edge) for edge in edges]
    return {"buckets": list(pairwise(ends)), "counts": [int(count) for count in counts]}


def _epoch_ns(timestamp: str) -> int:
    """Return an ISO 8601 time as nanoseconds since 1970, 0 where it is not one."""
    try:
        return int(datetime.fromisoformat(timestamp.replace("Z", "+00:00")).timestamp() * 1000) * 1_000_000
    except ValueError:
        return 0


def report_text(summary: dict[str, Any]) -> str:
    """Return report.txt: the summary's figures for people."""
    return "\n".join(_report_lines(summary)) + "\n"


def _report_lines(summary: dict[str, Any]) -> Iterator[str]:
    yield f"Version: {summary['version']}"
    for section, values in summary["run_config"].items():
        shown = ", ".join(f"{key}={value}" for key, value in values.items()) if isinstance(values, dict) else values
        yield f"{section}: {shown}"
    yield f"Started: {summary['test_datetime']}"
    yield f"Samples issued: {summary['n_samples_issued']}"
    yield f"Samples completed: {summary['n_samples_completed']}"
    yield f"Samples failed: {summary['n_samples_failed']}"
    duration_ns = summary["duration_ns"]
    yield f"Duration: {'none' if duration_ns is None else f'{duration_ns / 1e9:.2f} s'}"
    for name in ("qps", "tps"):
        yield f"{name.upper()}: {'none' if summary[name] is None else f'{summary[name]:.2f}'}"
    sections = (("ttft", 1e-6, "ms"), ("tpot", 1e-6, "ms"), ("latency", 1e-6, "ms"))
    for name, scale, unit in (
        *sections,
        ("input_sequence_lengths", 1, "tokens"),
        ("output_sequence_lengths", 1, "tokens"),
    ):
        if series := summary[name]:
            yield ""
            yield f"{name} in {unit}:"
            yield from _series_lines(series, scale)


def _series_lines(series: dict[str, Any], scale: float) -> Iterator[str]:
    for key in ("min", "max", "median", "avg", "std_dev"):
        yield f"  {key}: {series[key] * scale:.2f}"
    estimates = series.get("early_stopping_percentiles", {})
    for name, value in series["percentiles"].items():
        estimate = estimates.get(name)
        told = "" if estimate is None else f", early-stopping estimate {estimate * scale:.2f}"
        yield f"  percentile {name}: {value * scale:.2f}{told}"
