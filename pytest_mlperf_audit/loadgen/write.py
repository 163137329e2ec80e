"""A phase as LoadGen's two logs, mlperf_log_summary.txt and mlperf_log_detail.txt.

Order and words of the summary are LoadGen's, since scripts match them line by line; the detail log has LoadGen's keys
where we have what they mean. Scores are written with all their digits, where LoadGen prints two to six: a script that
compares two of them must reach the verdict that the exact ones give. A figure that the phase does not have is left out,
where LoadGen would write 0. Nothing says that LoadGen wrote the logs: the version is given as ours, and there is no
build information.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .._version import __version__
from ..runs.spec import Concurrency, MaxThroughput
from .fields import FIELDS, SETTINGS, latency_key, latency_line
from .phase_log import PERCENTILES, PhaseLog

_RULE: Final = "=" * 48
_Entry = tuple[str, Any]


def summary_text(log: PhaseLog) -> str:
    """Return the whole summary, plain ASCII; of an accuracy run its last lines, since LoadGen has no more of one."""
    if log.mode == "AccuracyOnly":
        return f"\nNo warnings encountered during test.\n\n{_closing(len(log.errors()))}\n"
    lines = [
        *_title("MLPerf Results Summary"),
        _figure("sut_name", _one_line(log.declared.sut_name)),
        _figure("scenario", log.scenario),
        _figure("mode", log.mode),
        f"Written by : pytest-mlperf-audit {__version__}, from its own query records",
        *_score(log),
        *_result(log),
        "",
        *_title("Additional Stats"),
        *_other_rates(log),
        *(f"{latency_line(name)}{ns}" for name, ns in log.latencies()),
        "",
        *_title("Test Parameters Used"),
        *(_figure(name, int(it) if isinstance(it, bool) else it) for name, it in log.settings().items()),
        "",
        "No warnings encountered during test.",
        "",
        _closing(len(log.errors())),
    ]
    return "\n".join(lines) + "\n"


def _title(text: str) -> list[str]:
    return [_RULE, text, _RULE]


def _figure(name: str, value: object) -> str:
    return f"{FIELDS[name].line}{value}"


def _score(log: PhaseLog) -> Iterator[str]:
    """Yield the score's line, nothing where the phase has none."""
    if log.scenario == "SingleStream" and log.n_samples:
        yield _figure("percentile_90_latency_ns", log.percentile_ns(0.90))
    for name in ("completed_samples_per_second", "samples_per_second"):
        if (rate := log.rates().get(name)) is not None:
            yield _figure(name, rate)
    of_tokens = {"Offline": "tokens_per_second", "Server": "completed_tokens_per_second"}.get(log.scenario)
    if of_tokens and (rate := log.tokens_per_second()) is not None:
        yield _figure(of_tokens, rate)


def _other_rates(log: PhaseLog) -> Iterator[str]:
    rates = log.rates()
    overhead = [_figure(name, rates[name]) for name in ("issued_per_second", "unhindered_per_second") if name in rates]
    if len(overhead) == 2:
        yield from (*overhead, "")
    if "scheduled_samples_per_second" in rates:
        yield _figure("scheduled_samples_per_second", rates["scheduled_samples_per_second"])


def _result(log: PhaseLog) -> Iterator[str]:
    yield _figure("validity", _validity(log))
    if log.scenario == "Server":
        yield f"  Performance constraints satisfied : {_yes(log.perf_constraints_met)}"
    yield f"  Min duration satisfied : {_yes(log.duration_met)}"
    yield f"  Min queries satisfied : {_yes(log.queries_met)}"
    yield f"  Early stopping satisfied: {_yes(log.early_stopping.met)}"
    if not log.valid:
        yield "Recommendations:"
        yield from (f" * {sentence}" for sentence in log.recommendations())
    if log.early_stopping.text:
        yield "Early Stopping Result:"
        yield log.early_stopping.text


def _validity(log: PhaseLog) -> str:
    return "VALID" if log.valid else "INVALID"


def _yes(met: bool) -> str:
    return "Yes" if met else "NO"


def _closing(n_errors: int) -> str:
    if not n_errors:
        return "No errors encountered during test."
    return f"{n_errors} ERROR{'S' if n_errors > 1 else ''} encountered. See detailed log."


def detail_text(log: PhaseLog) -> str:
    """Return the whole detail log, one JSON object a line. Times are milliseconds after the phase's start."""
    done_ms = (log.record.figures.window_s or 0.0) * 1000
    lines = [
        *(_line(entry, 0.0) for entry in (*_origin(log), *_settings(log), *_issued(log))),
        *(_line(("error_runtime", error), done_ms, is_error=True) for error in log.errors()),
        *(_line(entry, done_ms) for entry in _results(log)),
        _line(("num_errors", len(log.errors())), done_ms),
    ]
    return "\n".join(lines) + "\n"


def _results(log: PhaseLog) -> Iterator[_Entry]:
    """Yield what LoadGen logs of a performance run alone."""
    if log.mode == "PerformanceOnly":
        yield from (*_outcome(log), *_measured(log), *_token_figures(log))


def _line(entry: _Entry, time_ms: float, *, is_error: bool = False) -> str:
    key, value = entry
    content = {
        "key": key,
        "value": _one_line(value) if isinstance(value, str) else value,
        "time_ms": round(time_ms, 6),
        "namespace": "mlperf::logging",
        "event_type": "POINT_IN_TIME",
        "metadata": {
            "is_error": is_error,
            "is_warning": False,
            "file": "pytest_mlperf_audit",
            "line_no": 0,
            "pid": 0,
            "tid": 0,
        },
    }
    return f":::MLLOG {json.dumps(content)}"


def _one_line(text: str) -> str:
    """Return a name from outside so that it can neither forge a line nor upset a reader's decoder."""
    return " ".join(text.split()).encode("ascii", "backslashreplace").decode()


def _origin(log: PhaseLog) -> Iterator[_Entry]:
    yield "loadgen_version", f"pytest-mlperf-audit {__version__}"
    if started := _utc(log.record.started_at):
        yield "test_datetime", started
    yield FIELDS["sut_name"].key, log.declared.sut_name
    yield "qsl_name", log.declared.qsl_name
    yield "qsl_reported_total_count", log.declared.qsl_size
    yield "qsl_reported_performance_count", log.declared.qsl_size


def _utc(timestamp: str) -> str | None:
    """Return an ISO 8601 time as LoadGen writes it, None where it is not one."""
    try:
        moment = datetime.fromisoformat(timestamp.replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


#: What LoadGen derives, and does not repeat of its settings as they were asked for.
_DERIVED: Final = frozenset(
    (
        "samples_per_query",
        "target_qps",
        "target_latency_ns",
        "max_async_queries",
        "performance_sample_count",
        "accuracy_sample_count",
    )
)


def _settings(log: PhaseLog) -> Iterator[_Entry]:
    settings = log.settings()
    asked = settings | {"min_query_count": log.record.spec.n_samples}
    yield "requested_scenario", log.scenario
    yield "requested_test_mode", log.mode
    yield from ((f"requested_{name}", asked[name]) for name in SETTINGS if name not in _DERIVED)
    if log.tokens is not None:
        yield "requested_use_token_latencies", True
    yield FIELDS["scenario"].key, log.scenario
    yield FIELDS["mode"].key, log.mode
    for name, value in settings.items():
        yield FIELDS[name].key, value
        if name == "max_query_count":
            yield "effective_min_sample_count", log.record.spec.n_samples
    yield "effective_target_latency_percentile", 0.9 if log.scenario == "SingleStream" else 0.99
    yield "effective_sample_concatenate_permutation", False


def _issued(log: PhaseLog) -> Iterator[_Entry]:
    yield "generic_message", f"Driven by pytest-mlperf-audit, {_load(log)}; phase {log.record.label}"
    yield "generated_query_count", log.n_queries
    yield "generated_samples_per_query", log.samples_per_query


def _load(log: PhaseLog) -> str:
    load = log.record.spec.load
    if isinstance(load, Concurrency):
        return f"{load.target} in flight at any time"
    if isinstance(load, MaxThroughput):
        return "every query issued at once" + (f", {load.max_in_flight} in flight" if load.max_in_flight > 0 else "")
    return f"Poisson arrivals at {load.target_qps:g} queries per second"


def _outcome(log: PhaseLog) -> Iterator[_Entry]:
    yield FIELDS["validity"].key, _validity(log)
    if log.scenario == "Server":
        yield "result_perf_constraints_met", log.perf_constraints_met
    yield "result_min_duration_met", log.duration_met
    yield "result_min_queries_met", log.queries_met
    yield "early_stopping_met", log.early_stopping.met
    if why := " ".join(log.recommendations()):
        yield "result_invalid_reason", why
    yield "early_stopping_result", log.early_stopping.text
    yield "result_query_count", log.n_queries


def _measured(log: PhaseLog) -> Iterator[_Entry]:
    yield from ((FIELDS[name].key, rate) for name, rate in log.rates().items())
    estimates = {"ss": log.early_stopping.p90_ns, "ms": log.early_stopping.p99_ns}
    yield from ((f"early_stopping_latency_{of}", ns) for of, ns in estimates.items() if ns is not None)
    yield from ((latency_key(name), ns) for name, ns in log.latencies())


def _token_figures(log: PhaseLog) -> Iterator[_Entry]:
    """Yield what LoadGen logs with use_token_latencies; of Offline the rate alone."""
    if log.tokens is None:
        return
    rate = log.tokens_per_second()
    if log.scenario == "Offline":
        yield "result_tokens_per_second", rate
        return
    yield from _times(log.tokens.first_ns, "result_first_token_{}_latency_ns", "result_first_token_{}_latency_ns")
    per_token = log.tokens.per_token_ns
    yield from _times(per_token, "result_time_to_output_token_{}", "result_time_per_output_token_{}_ns")
    yield "result_completed_tokens_per_second", rate


def _times(sorted_ns: NDArray[np.int64], of_all: str, of_one: str) -> Iterator[_Entry]:
    """Yield three figures of all times under the key `of_all`, and percentiles under `of_one`."""
    if not sorted_ns.size:
        return
    for name, value in (("min", sorted_ns[0]), ("max", sorted_ns[-1]), ("mean", sorted_ns.mean())):
        yield of_all.format(name), int(value)
    for percentile in PERCENTILES:
        name = f"{percentile * 100:.2f}_percentile"
        yield of_one.format(name), int(sorted_ns[int(sorted_ns.size * percentile)])
