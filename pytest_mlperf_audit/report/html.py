"""report.html: one file, no script, nothing fetched, every text from outside escaped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import jinja2
import msgspec
import numpy as np
from markupsafe import Markup

from ..errors import RecordError
from ..records.log import read_columns
from ..records.store import QUERIES_FILE
from . import charts, tables, words
from .clean import apart, number, plain, seconds
from .document import AuditEntry, PhaseEntry, VerdictDocument

TEMPLATES = Path(__file__).with_name("templates")
PHASES_PER_TABLE = 5


class Drawing(msgspec.Struct, frozen=True):
    """A chart: its caption, its description for those who cannot see it, the SVG itself."""

    caption: str
    description: str
    svg: Markup


class Key(msgspec.Struct, frozen=True):
    """A line of the charts' legend."""

    label: str
    colour: str
    dash: str


class Pictures(msgspec.Struct, frozen=True):
    """All drawings of an audit, their legend, and why any of them is missing."""

    drawings: list[Drawing]
    legend: list[Key]
    notes: list[str]


class _Series(msgspec.Struct, frozen=True):
    latencies_s: charts.Floats
    completed_s: charts.Floats


def render(document: VerdictDocument, report_dir: Path) -> str:
    """Return the page for a verdict whose query records lie in `report_dir`; deterministic.

    Records that cannot be read cost their phase its curves, and the page says so.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"plain": plain, "number": number, "seconds": seconds}
    return environment.get_template("report.html.j2").render(
        run=document,
        words=words,
        phase_rows=tables.phase_rows,
        per_table=PHASES_PER_TABLE,
        pictures=[_pictures(audit, report_dir, str(index)) for index, audit in enumerate(document.audits)],
    )


def _pictures(audit: AuditEntry, report_dir: Path, key: str) -> Pictures:
    notes: list[str] = []
    series = [_series(phase, report_dir, notes) for phase in audit.judged]
    if len(series) > charts.MAX_SERIES:
        notes.append(f"The charts show the first {charts.MAX_SERIES} of {len(series)} phases.")
    ratios = words.ratios(audit)
    drawn = (
        ("Latency", _latencies(audit), charts.latency_distribution([s.latencies_s for s in series], key=key)),
        (
            "Completions over time",
            _completions(audit),
            charts.completions_over_time([s.completed_s for s in series], key=key),
        ),
        ("Throughput ratio against its limit", _ratios(ratios), charts.ratio_against_limit(ratios, key=key)),
    )
    return Pictures(
        drawings=[Drawing(caption, text, Markup(svg)) for caption, text, svg in drawn if svg],  # noqa: S704 - our own SVG
        legend=[
            Key(plain(phase.label, 60), f"series-{index % charts.N_COLOURS}", charts.dash(index))
            for index, phase in enumerate(audit.judged[: charts.MAX_SERIES])
        ],
        notes=notes,
    )


def _series(phase: PhaseEntry, report_dir: Path, notes: list[str]) -> _Series:
    nothing = np.zeros(0)
    try:
        queries = read_columns(report_dir / phase.directory / QUERIES_FILE)
    except RecordError as error:
        notes.append(f"No curve for {plain(phase.label, 60)}: {plain(str(error), 300)}")
        return _Series(nothing, nothing)
    if not (completed := queries.ok).any():
        notes.append(f"No curve for {plain(phase.label, 60)}: no query of it completed.")
        return _Series(nothing, nothing)
    since_first_issue = queries.completed_ns[completed] - queries.issued_ns.min()
    return _Series(queries.latencies_s(), since_first_issue / 1e9)


def _latencies(audit: AuditEntry) -> str:
    described = [
        f"{plain(phase.label, 60)}: half within {seconds(latency.p50_s)}, 99 % within {seconds(latency.p99_s)}"
        for phase in audit.judged
        if (latency := phase.figures.latency)
    ]
    return "Share of completed queries against latency. " + "; ".join(described)


def _completions(audit: AuditEntry) -> str:
    described = [
        f"{plain(phase.label, 60)}: {number(phase.figures.n_completed)} in {seconds(phase.figures.window_s)}"
        for phase in audit.judged
    ]
    return "Completed queries against time since the phase's first query. " + "; ".join(described)


def _ratios(ratios: Sequence[words.Ratio]) -> str:
    described = [
        f"{f'row {ratio.row}: ' if ratio.row else ''}{value}, {'below' if ratio.passed else 'not below'} {limit}"
        for ratio in ratios
        for value, limit in (apart(ratio.value, ratio.limit),)
    ]
    return "Throughput of the repeated prompt over that of different prompts. " + "; ".join(described)
