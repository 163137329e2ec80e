"""A phase as mlperf_log_summary.txt. Order and words are LoadGen's, since scripts match them line by line.

Scores are written with all their digits, where LoadGen prints two to six: a script that compares two of them must reach
the verdict that the exact ones give.
"""

from __future__ import annotations

from collections.abc import Iterator

from .._version import __version__
from .phase_log import PERCENTILES, PhaseLog

_RULE = "=" * 48


def summary_text(log: PhaseLog) -> str:
    """Return the whole file, plain ASCII."""
    lines = [
        *_title("MLPerf Results Summary"),
        f"SUT name : {one_line(log.declared.sut_name)}",
        f"Scenario : {log.scenario}",
        "Mode     : PerformanceOnly",
        f"Written by : pytest-mlperf-audit {__version__}, from its own query records",
        *_score(log),
        *_validity(log),
        "",
        *_title("Additional Stats"),
        *_rates(log),
        *_latencies(log),
        "",
        *_title("Test Parameters Used"),
        *(_parameter(setting.name, setting.value) for setting in log.settings()),
        "",
        "No warnings encountered during test.",
        "",
        _errors(len(log.errors())),
    ]
    return "\n".join(lines) + "\n"


def one_line(text: str) -> str:
    """Return a name from outside so that it can neither forge a line nor upset a reader's decoder."""
    return " ".join(text.split()).encode("ascii", "backslashreplace").decode()


def _title(text: str) -> list[str]:
    return [_RULE, text, _RULE]


def _score(log: PhaseLog) -> Iterator[str]:
    """Yield the score's line, nothing where the phase has none."""
    if log.scenario == "SingleStream" and log.n_samples:
        yield f"90.0th percentile latency (ns) : {log.percentile_ns(0.90)}"
    if log.scenario == "Server" and log.completed_per_s is not None:
        yield f"Completed samples per second    : {log.completed_per_s!r}"
    if log.scenario == "Offline" and log.record.figures.qps is not None:
        yield f"Samples per second: {log.record.figures.qps!r}"


def _validity(log: PhaseLog) -> Iterator[str]:
    yield f"Result is : {'VALID' if log.valid else 'INVALID'}"
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


def _yes(met: bool) -> str:
    return "Yes" if met else "NO"


def _rates(log: PhaseLog) -> Iterator[str]:
    issued_per_s, unhindered_per_s = log.per_issue_span(), log.unhindered_per_s()
    if log.scenario == "SingleStream" and issued_per_s is not None and unhindered_per_s is not None:
        yield f"QPS w/ loadgen overhead         : {issued_per_s!r}"
        yield f"QPS w/o loadgen overhead        : {unhindered_per_s!r}"
        yield ""
    if log.scenario == "Server" and issued_per_s is not None:
        yield f"Scheduled samples per second : {issued_per_s!r}"


def _latencies(log: PhaseLog) -> Iterator[str]:
    if not log.n_samples:
        return
    yield f"Min latency (ns)                : {log.latencies_ns[0]}"
    yield f"Max latency (ns)                : {log.latencies_ns[-1]}"
    yield f"Mean latency (ns)               : {log.mean_ns()}"
    yield from (f"{p * 100:.2f} percentile latency (ns)   : {log.percentile_ns(p)}" for p in PERCENTILES)


def _parameter(name: str, value: float) -> str:
    """Return a parameter's line; those with a unit in their name have no space before the colon."""
    return f"{name}{':' if name.endswith(')') else ' :'} {int(value) if isinstance(value, bool) else value}"


def _errors(count: int) -> str:
    if not count:
        return "No errors encountered during test."
    return f"{count} ERROR{'S' if count > 1 else ''} encountered. See detailed log."
