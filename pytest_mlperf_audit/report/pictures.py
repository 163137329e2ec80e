"""An audit's charts for the page, each with its caption and its description, from the records on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
from markupsafe import Markup, escape

from ..audits.probe.arms import BURSTS, seconds_by_arm
from ..audits.probe.plan import probe_of
from ..audits.probe.seen.evidence import Evidence
from ..audits.verdict import ArmSummary, Ratio
from ..errors import RecordError
from ..records.log import read_columns, read_queries
from ..records.store import QUERIES_FILE
from ..text import plain
from ..verdicts.document import AuditEntry, PhaseEntry
from . import charts, ratios
from .clean import apart, number, seconds
from .findings import arm_name

#: Arms that a cache answers, if there is one: exact repeats, one by one and at once.
_REPEATS = ("R", "same")
#: Arms that decide nothing between a repeat and its twins: what was sent first, and the self-check.
_ASIDE = ("prime", "T")
_MOST_STRIPS = 6
#: What a picture says where a part of the latency decides.
_PARTS = {"first token": ": time to the first token", "after the first token": ": time after the first token"}


class Drawing(msgspec.Struct, frozen=True):
    """A chart: its caption, its description for those who cannot see it, the SVG itself."""

    caption: str
    description: str
    svg: Markup


class _Key(msgspec.Struct, frozen=True):
    """A line of the charts' legend."""

    label: str
    colour: str
    dash: str


class Pictures(msgspec.Struct, frozen=True):
    """All drawings of an audit, their legend, and why any of them is missing; `strips` are those of its arms.

    `strip_that_decides` is repeats and their twins alone, of the inputs on which the probe decided.
    """

    drawings: list[Drawing]
    legend: list[_Key]
    notes: list[str]
    strips: list[Drawing]
    strip_that_decides: Drawing | None = None


class _Series(msgspec.Struct, frozen=True):
    latencies_s: charts.Floats
    completed_s: charts.Floats


def pictures_of(audit: AuditEntry, report_dir: Path, key: str) -> Pictures:
    """Return the charts of an audit; records that cannot be read cost their phase its curves, as a note says."""
    notes: list[str] = []
    series = [_series(phase, report_dir, notes) for phase in audit.timed]
    if len(series) > charts.MAX_SERIES:
        notes.append(f"The charts show the first {charts.MAX_SERIES} of {len(series)} phases.")
    probed = _probed(audit, report_dir, notes) if audit.arms else []
    known_s = _seconds(probed)
    drawn = (
        ("Latency", _latencies(audit), charts.latency_distribution([s.latencies_s for s in series], key=key)),
        (
            "Completions over time",
            _completions(audit),
            charts.completions_over_time([s.completed_s for s in series], key=key),
        ),
    )
    return Pictures(
        drawings=[
            *(drawing(caption, text, svg) for caption, text, svg in drawn if svg),
            *([ratio] if (ratio := ratio_drawing(ratios.of_rows(audit) + ratios.pooled(audit), key)) else []),
        ],
        legend=[
            _Key(plain(phase.label, 60), f"series-{index % charts.N_COLOURS}", charts.dash(index))
            for index, phase in enumerate(audit.timed[: charts.MAX_SERIES])
        ],
        notes=notes,
        strips=_strips(audit, known_s, key),
        strip_that_decides=_deciding(audit, probed, known_s, f"{key} decides"),
    )


def drawing(caption: str, description: str, svg: str) -> Drawing:
    """Return a chart with its name and its description inside, for screen readers."""
    mark = hashlib.sha256(svg.encode()).hexdigest()[:8]
    head, _, rest = svg.partition(">")
    named = (
        f'{head} role="img" aria-labelledby="t-{mark} d-{mark}"><title id="t-{mark}">{escape(caption)}</title>'
        f'<desc id="d-{mark}">{escape(description)}</desc>{rest}'
    )
    return Drawing(caption, description, Markup(named))  # noqa: S704 - our own SVG


def ratio_drawing(every: Sequence[Ratio], key: str) -> Drawing | None:
    """Return the picture of ratios against their limit, None without one."""
    every = every[: charts.MAX_SERIES]
    svg = charts.ratio_against_limit(every, key=key)
    line = "; the bar is its 95 % interval" if any(None not in ratios.bounds(ratio) for ratio in every) else ""
    return drawing(f"Throughput ratio against its limit{line}", _ratios(every), svg) if svg else None


def _deciding(
    audit: AuditEntry, probed: Sequence[Evidence], known_s: Mapping[tuple[str, str], charts.Floats], key: str
) -> Drawing | None:
    """Return repeats against twins, of the inputs on which a cache was found, by what was compared; else of the first.

    A cache of replies that are streamed at a model's pace shows in one part of the latency only.
    """
    found = [(finding.of, finding.measured) for finding in audit.findings if finding.found and finding.forbidden]
    there = list(dict.fromkeys(arm.of for arm in audit.arms if (arm.of, arm.arm) in known_s))
    of, part = next(((of, part) for of, part in (*found, *((of, "") for of in there)) if of in there), ("", ""))
    arms = [arm for arm in audit.arms if arm.of == of and (arm.of, arm.arm) in known_s and arm.arm not in _ASIDE]
    if not arms:
        return None
    arms = arms[:_MOST_STRIPS]
    if part in _PARTS:
        known_s = _seconds(probed, part)
    svg = charts.strips(_rows(arms, known_s), key=key)
    caption = f"Repeats against twins that no cache can know ({plain(of, 60)}){_PARTS.get(part, '')}; "
    medians = "; ".join(
        f"{arm_name(arm)}: median {seconds(float(np.median(known_s[arm.of, arm.arm])))}" for arm in arms
    )
    return drawing(f"{caption}a bar marks the median", f"{caption}{medians}.", svg) if svg else None


def _strips(audit: AuditEntry, known_s: Mapping[tuple[str, str], charts.Floats], key: str) -> list[Drawing]:
    """Return a chart for each kind of input: the arms of a cache probe, one strip each."""
    groups: dict[str, list[ArmSummary]] = {}
    for arm in audit.arms:
        if (arm.of, arm.arm) in known_s:
            groups.setdefault(arm.of, []).append(arm)
    drawn = [(of, arms, charts.strips(_rows(arms, known_s), key=f"{key} {of}")) for of, arms in groups.items()]
    return [drawing(_caption(of), f"{_caption(of)}. {_medians(arms)}", svg) for of, arms, svg in drawn if svg]


def _rows(arms: Sequence[ArmSummary], known_s: Mapping[tuple[str, str], charts.Floats]) -> list[charts.Strip]:
    return [charts.Strip(arm_name(arm), known_s[arm.of, arm.arm], marked=arm.arm in _REPEATS) for arm in arms]


def _caption(of: str) -> str:
    what = "whole bursts, from the first query to the last reply" if of.startswith(BURSTS) else "single queries"
    return f"{plain(of, 80).capitalize()}: latency of {what}; a bar marks the median"


def _medians(arms: Sequence[ArmSummary]) -> str:
    return "; ".join(f"{arm_name(arm)}: median {seconds(arm.median_s)} of {arm.n:,}" for arm in arms)


def _probed(audit: AuditEntry, report_dir: Path, notes: list[str]) -> list[Evidence]:
    """Read what a probe sent; none for scripts that are not the probe's."""
    found: list[Evidence] = []
    for phase in audit.scripted:
        try:
            probe_of(phase.spec)
            evidence = Evidence.of(read_queries(report_dir / phase.directory / QUERIES_FILE))
        except msgspec.ValidationError:
            continue
        except RecordError as error:
            notes.append(f"No strips for {plain(phase.label, 60)}: {plain(str(error), 300)}")
            continue
        found.append(evidence)
    return found


def _seconds(probed: Iterable[Evidence], measured: str = "") -> dict[tuple[str, str], charts.Floats]:
    """Return what each arm of a probe took: all of it, or the part that a comparison is of."""
    found: dict[tuple[str, str], charts.Floats] = {}
    for evidence in probed:
        found |= {arm: np.array(values) for arm, values in seconds_by_arm(evidence, measured).items()}
    return found


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
        for phase in audit.timed
        if (latency := phase.figures.latency)
    ]
    return "Share of completed queries against latency. " + "; ".join(described)


def _completions(audit: AuditEntry) -> str:
    described = [
        f"{plain(phase.label, 60)}: {number(phase.figures.n_completed)} in {seconds(phase.figures.window_s)}"
        for phase in audit.timed
    ]
    return "Completed queries against time since the phase's first query. " + "; ".join(described)


def _ratios(every: Sequence[Ratio]) -> str:
    described = [
        f"{f'{name}: ' if (name := ratios.name(ratio)) else ''}{value}{f' ({bounds})' if bounds else ''}, "
        f"{'below' if ratio.passed else 'not below'} {limit}"
        for ratio in every
        for (value, limit), bounds in ((apart(ratio.decisive, ratio.limit), ratios.interval(ratio)),)
    ]
    return "Throughput of the repeated input over that of different inputs. " + "; ".join(described)
