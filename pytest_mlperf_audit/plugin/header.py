"""The header: what will run, against what, and where the results go."""

from __future__ import annotations

import pytest

from ..session.judge import PlannedAudit
from ..session.places import above
from ..session.plan_view import endpoint_text, is_scripted, least, load_text
from ..session.run import AuditRun
from ..text import plain
from .keys import RECHECKS, ROUNDS, RUNS, SESSION


def lines(config: pytest.Config) -> list[str]:
    """Return what the header says of runs, finished runs and submission trees."""
    header = _above(config)
    if RECHECKS in config.stash:
        from .recheck_setup import header as recheck_lines

        return [*recheck_lines(config), *header]
    runs = config.stash.get(RUNS, [])
    header += [line for run in runs for line in _run_lines(run, config)]
    if runs and getattr(config.option, "tx", None):
        header.append("mlperf-audit: xdist: one worker measures; tests that others run meanwhile disturb it")
    return header


def _above(config: pytest.Config) -> list[str]:
    """Return a line for each conftest.py that pytest executes on its way to a directory that is only to be read."""
    if config.option.noconftest:
        return []
    read = [found.tree for found in config.stash.get(ROUNDS, [])]
    read += [recheck.directory for recheck, _ in config.stash.get(RECHECKS, [])]
    return [
        f"mlperf-audit: pytest executes {plain(str(path), 4096)}, which lies above what is judged; --noconftest leaves "
        "it out"
        for path in above(read, config.rootpath)
    ]


def _run_lines(run: AuditRun, config: pytest.Config) -> list[str]:
    lines = [f"mlperf-audit: {run.node_id}: {', '.join(_audit(planned) for planned in run.plans)}"]
    lines.append(f"mlperf-audit: endpoint {endpoint_text(run)}")
    lines += [f"mlperf-audit: warning: {warning}" for warning in run.warnings]
    if SESSION in config.stash:
        kept = config.stash[SESSION].kept_as.get(run.node_id)
        lines.append(f"mlperf-audit: report {run.report_dir}{f' (earlier run kept as {kept.name})' if kept else ''}")
    return lines


def _audit(planned: PlannedAudit) -> str:
    """Return an audit in a line: 'test04 (64 + 64 queries, max_throughput, limit 1.1x; cache probe 12 queries)'."""
    timed = [spec for spec in planned.specs if not is_scripted(spec)]
    scripted = [spec for spec in planned.specs if is_scripted(spec)]
    parts = []
    if timed:
        threshold = getattr(planned.cfg, "threshold", None) if planned.id == "test04" else None
        limit = f", limit {1 + threshold:g}x" if threshold is not None else ""
        counts = " + ".join(str(spec.n_samples) for spec in timed)
        parts.append(f"{counts} queries, {load_text(timed[0])}{limit}")
    if scripted:
        fewest, most = sum(map(least, scripted)), sum(spec.n_samples for spec in scripted)
        name = f"{scripted[-1].label.replace('_', ' ')} " if timed else ""
        parts.append(f"{name}{fewest}{'+' if fewest < most else ''} queries")
    return f"{planned.id} ({'; '.join(parts)})"
