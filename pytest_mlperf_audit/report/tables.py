"""Rows of the report's tables, as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from ..runs.order import InTurn, Scripted, Single, WithoutReplacement, WithReplacement
from ..runs.phase import ClientState
from ..runs.spec import Concurrency, MaxThroughput, RunSpec
from ..runs.trajectories import Trajectories
from ..text import plain
from ..verdicts.document import PhaseEntry
from .clean import number, percent, seconds

#: A row: what it shows, then one cell a phase.
_Row = tuple[str, list[str]]
_Cell = Callable[[PhaseEntry], str]


def phase_rows(phases: Sequence[PhaseEntry]) -> list[_Row]:
    """Return the phase table, one column a phase; rows that no phase has anything for are left out."""
    rows = [(name, [cell(phase) for phase in phases]) for name, cell in _PHASE_CELLS]
    return [(name, cells) for name, cells in rows if any(cells)]


def workload(spec: RunSpec) -> str:
    """Say what a phase was asked to send: a count, which rows, and under which load."""
    if isinstance(spec.order, Scripted):
        parts = [_sent_one_by_one(spec)]
    elif isinstance(spec.order, Trajectories):
        parts = [_conversations(spec, spec.order)]
    else:
        parts = [_rows(spec), _load(spec)]
    if spec.min_duration_ms:
        parts.append(f"for at least {_span(spec.min_duration_ms)}")
    if spec.max_duration_ms:
        parts.append(f"for at most {_span(spec.max_duration_ms)}")
    return ", ".join(parts)


def failures(phase: PhaseEntry) -> str:
    """Say how many queries failed and why: '3 (2 timeout, 1 http_500)'."""
    figures = phase.figures
    if not figures.n_failed:
        return "0"
    reasons = ", ".join(f"{count:,} {plain(reason, 40)}" for reason, count in figures.failures.items())
    return f"{figures.n_failed:,} ({reasons})" if reasons else f"{figures.n_failed:,}"


def _conversations(spec: RunSpec, order: Trajectories) -> str:
    at_once = f", {spec.load.target:,} at a time" if isinstance(spec.load, Concurrency) else ""
    salted = ", salted" if order.salt_seed is not None else ""
    return f"{order.count:,} conversations of {spec.n_samples:,} turns{at_once}{salted}"


def _rows(spec: RunSpec) -> str:
    order = spec.order
    what = "rows in file order"
    if isinstance(order, Single):
        what = f"row {order.index}"
    elif isinstance(order, InTurn):
        rows = " and ".join(map(str, order.rows))
        what = f"row{'s' if len(order.rows) > 1 else ''} {rows}{' in turn' if len(order.rows) > 1 else ''}"
    elif isinstance(order, WithReplacement):
        what = "rows drawn at random"
    elif isinstance(order, WithoutReplacement):
        what = "distinct rows, shuffled" + (" (again when used up)" if order.wrap else "")
    what = f"fresh twins of {what}" if spec.nonce == "twin" else what
    return f"{spec.n_samples:,} × {what}"  # noqa: RUF001 - a multiplication sign


def _sent_one_by_one(spec: RunSpec) -> str:
    if spec.n_samples == 1:
        return "1 query"
    how = _load(spec)
    if isinstance(spec.load, Concurrency):
        bursts = f", and in bursts of up to {spec.load.target:,}" if spec.load.target > 1 else ""
        how = f"one after another{bursts}"
    return f"{_requested(spec)} queries, {how}"


def _requested(spec: RunSpec) -> str:
    """Return how many queries a phase sends, '64', or '110 to 540' where a script decides."""
    least = spec.order.at_least if isinstance(spec.order, Scripted) else spec.n_samples
    return f"{spec.n_samples:,}" if least >= spec.n_samples else f"{least:,} to {spec.n_samples:,}"


def _load(spec: RunSpec) -> str:
    load = spec.load
    if isinstance(load, Concurrency):
        return f"{load.target:,} in flight"
    if isinstance(load, MaxThroughput):
        return "all at once" if load.max_in_flight < 0 else f"at most {load.max_in_flight:,} in flight"
    return f"arriving at {load.target_qps:g} a second"


def _span(duration_ms: int) -> str:
    """Return a duration in the largest unit that holds it whole: 4 h, 10 min, 90 s."""
    for unit_ms, unit in ((3_600_000, "h"), (60_000, "min"), (1_000, "s")):
        if duration_ms % unit_ms == 0:
            return f"{duration_ms // unit_ms:,} {unit}"
    return f"{duration_ms:,} ms"


def _status(phase: PhaseEntry) -> str:
    again = f" (attempt {phase.attempt})" if phase.attempt > 1 else ""
    why = f": {plain(phase.reason, 200)}" if phase.reason else ""
    return f"{phase.status.replace('_', ' ')}{again}{why}"


def _timed(cell: _Cell) -> _Cell:
    """Leave out what means nothing where a script chose the queries, of several kinds and mostly one by one."""
    return lambda phase: "" if phase.scripted else cell(phase)


def _latencies(phase: PhaseEntry) -> str:
    summary = phase.figures.latency
    return _joined((summary.p50_s, summary.p90_s, summary.p99_s)) if summary else ""


def _joined(values_s: Sequence[float]) -> str:
    """Return durations side by side, the unit once where they share it: '4.1 / 5 / 9.2 ms'."""
    shown = [seconds(value_s) for value_s in values_s]
    units = {text.rpartition(" ")[2] for text in shown}
    if len(units) > 1:
        return " / ".join(shown)
    return f"{' / '.join(text.rpartition(' ')[0] for text in shown)} {units.pop()}"


def _first_token(phase: PhaseEntry) -> str:
    summary = phase.figures.time_to_first_token
    return _joined((summary.p50_s, summary.p90_s, summary.p99_s)) if summary else ""


def _per_token(phase: PhaseEntry) -> str:
    tokens = phase.figures.tokens
    summary = tokens.time_per_output_token if tokens else None
    return _joined((summary.p50_s, summary.p90_s, summary.p99_s)) if summary else ""


def _token_rates(phase: PhaseEntry) -> str:
    tokens = phase.figures.tokens
    rates = (tokens.tokens_per_s, tokens.tokens_per_s_per_user) if tokens else ()
    return " / ".join(map(number, rates)) if any(rates) else ""


def _goodput(phase: PhaseEntry) -> str:
    found = phase.figures.goodput
    if found is None:
        return ""
    if found.share is None or found.qps is None:
        return "not measured"
    left_out = f", {found.n_unmeasured:,} not measured" if found.n_unmeasured else ""
    return f"{percent(found.share)}, {number(found.qps)} queries/s{left_out}"


def _throughput(phase: PhaseEntry) -> str:
    return "" if phase.figures.qps is None else f"{number(phase.figures.qps)} queries/s"


def _early_stopping(phase: PhaseEntry) -> str:
    estimate_s = phase.figures.early_stopping_p90_s
    return seconds(estimate_s) if estimate_s else ""


def _tenths(phase: PhaseEntry) -> str:
    rates = phase.figures.qps_by_tenth
    return f"{number(min(rates))} / {number(max(rates))} queries/s" if rates else ""


def _client(cell: Callable[[ClientState], str]) -> _Cell:
    return lambda phase: cell(phase.client) if phase.client else ""


def _processes(hosts: Sequence[str]) -> str:
    """Return how many processes shared a phase, and where: "3 processes (2 popen, ssh=a)"."""
    if not hosts:
        return ""
    where = (f"{count} {plain(host, 80)}" if count > 1 else plain(host, 80) for host, count in Counter(hosts).items())
    return f"{len(hosts)} {'process' if len(hosts) == 1 else 'processes'} ({', '.join(where)})"


_PHASE_CELLS: tuple[tuple[str, _Cell], ...] = (
    ("Status", _status),
    ("Asked for", lambda phase: workload(phase.spec)),
    ("Queries planned", lambda phase: _requested(phase.spec)),
    ("Queries sent", lambda phase: number(phase.figures.n_issued)),
    ("Completed", lambda phase: number(phase.figures.n_completed)),
    ("Failed", failures),
    ("Late, in no rate", lambda phase: number(phase.figures.n_late) if phase.figures.n_late else ""),
    ("Throughput", _timed(_throughput)),
    ("Slowest / fastest tenth", _timed(_tenths)),
    ("Window", _timed(lambda phase: seconds(phase.figures.window_s) if phase.figures.window_s else "")),
    ("Duration", lambda phase: seconds(phase.duration_s)),
    ("Whole latency p50 / p90 / p99", _timed(_latencies)),
    ("Whole latency CV", _timed(lambda phase: percent(phase.figures.latency.cv) if phase.figures.latency else "")),
    ("Time to first token p50 / p90 / p99", _timed(_first_token)),
    ("Time per output token p50 / p90 / p99", _timed(_per_token)),
    ("Output tokens/s, all / per user", _timed(_token_rates)),
    ("Goodput", _timed(_goodput)),
    ("Early-stopping p90", _timed(_early_stopping)),
    ("Different requests", lambda phase: number(phase.figures.n_distinct_requests)),
    ("Different rows", lambda phase: number(phase.figures.n_distinct_samples)),
    ("Output tokens", lambda p: "" if p.figures.output_tokens is None else number(p.figures.output_tokens)),
    ("Cached prompt tokens", lambda p: number(p.figures.cached_tokens) if p.figures.cached_tokens else ""),
    ("Most in flight", lambda phase: number(phase.figures.most_in_flight) if phase.figures.most_in_flight else ""),
    ("Sent by", lambda phase: _processes(phase.sent_by)),
    ("Connections opened / used again", _client(lambda client: f"{number(client.opened)} / {number(client.reused)}")),
    ("Queries sent once more", _client(lambda client: number(client.resent) if client.resent else "")),
    ("Client's CPU share", _client(lambda client: percent(client.cpu_share))),
    ("Client late, p99 / worst", _client(lambda c: _joined((c.lag_p99_s, c.lag_max_s)))),
    ("Client's part of latencies", _timed(_client(lambda client: f"{percent(client.delay_share)} at most"))),
    ("Records", lambda phase: plain(phase.directory, 200)),
)
