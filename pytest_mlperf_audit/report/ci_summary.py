"""A GitHub job summary: the run as Markdown that no text from outside can break out of."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..text import plain
from ..verdicts.document import AuditEntry, CheckEntry, PhaseEntry, VerdictDocument
from ..verdicts.review import Finding
from ..verdicts.round import RoundDocument
from . import findings, ratios
from .clean import number, seconds
from .round import words as round_words
from .tables import failures
from .words import SIMULATED, STATUS_WORDS, check_word, observed, summary, title

_MAX_CHECKS = 100
_MAX_PHASES = 50
_ACTIVE = re.compile(r"[\\`*_{}\[\]<>#|~&$@]|(?<=:)/|(?<=www)\.", re.IGNORECASE)


def markdown(run: VerdictDocument) -> str:
    """Return the job summary: status, what was found, and a table of checks and of phases for each audit."""
    lines = [f"## {STATUS_WORDS[run.status]}{_marked(run)}: {_text(run.name, 120)}", ""]
    if run.simulated:
        lines += [f"> **SIMULATED** {_text(SIMULATED)}", ""]
    lines += [_text(summary(run), 1500), ""]
    for warning in run.warnings[:_MAX_CHECKS]:
        lines.append(f"- warning: {_text(warning, 300)}")
    for audit in run.audits:
        lines += ["", *_audit(audit, run)]
    return "\n".join(lines) + "\n"


def round_markdown(document: RoundDocument) -> str:
    """Return the job summary of a submission tree: its status, its counts, and a table of what did not pass."""
    wrong = document.findings
    rows = [(STATUS_WORDS[one.status], _audits(one), _text(one.sentence, 300)) for one in wrong[:_MAX_CHECKS]]
    name = _text(round_words.name(document), 120)
    lines = [
        f"## {STATUS_WORDS[document.status]}: {name}",
        "",
        _text(round_words.summary(document), 1500),
        "",
    ]
    lines += _table(("Result", "Audit", "Why"), rows)
    if len(wrong) > _MAX_CHECKS:
        lines += ["", f"and {len(wrong) - _MAX_CHECKS} more"]
    return "\n".join(lines) + "\n"


def _audits(finding: Finding) -> str:
    """Return the one audit of a finding, or how many of which kind there are."""
    if len(finding.cases) == 1:
        return _text(finding.cases[0], 200)
    return f"{len(finding.cases)} x {_text(finding.kind, 80)}, {_text(finding.cases[0], 200)} …"


def append(text: str, path: Path) -> None:
    """Append a summary to a file, as GITHUB_STEP_SUMMARY names one. Raises OSError."""
    with path.open("a", encoding="utf-8") as file:
        file.write("\n" + text)


def _audit(audit: AuditEntry, run: VerdictDocument) -> Iterator[str]:
    yield f"### {_text(title(audit), 120)}: {STATUS_WORDS[audit.status]}{_marked(run)}"
    yield ""
    yield from _table(
        ("Result", "Check", "Observed", "Limit", "Why"), [_check(audit, c) for c in audit.checks[:_MAX_CHECKS]]
    )
    if audit.kinds:
        yield ""
        heads = ("Kind of cache", "Result", "Excluded from", "Why")
        yield from _table(heads, [_kind(row) for row in findings.kind_rows(audit)])
    yield ""
    of_phases = ("Phase", "Completed", "Failed", "Throughput", "p50", "p90", "p99")
    yield from _table(of_phases, [_phase(phase) for phase in audit.phases[:_MAX_PHASES]])
    for note in filter(None, (ratios.beside_mlperf(audit), *audit.notes)):
        yield f"- {_text(note, 300)}"


def _check(audit: AuditEntry, check: CheckEntry) -> list[str]:
    result = check_word(check)
    cells = [check.name, observed(audit, check), number(check.limit), plain(check.reason, 300)]
    return [f"**{result}**" if check.status in ("failed", "error") else result, *(_text(cell) for cell in cells)]


def _kind(row: findings.KindRow) -> list[str]:
    result = f"**{_text(row.result)}**" if row.bad else _text(row.result)
    return [_text(row.kind), result, _text(f"{row.times} {row.share}".strip()), _text(row.why, 300)]


def _phase(phase: PhaseEntry) -> list[str]:
    figures = phase.figures
    latency = None if phase.scripted else figures.latency
    quantiles = (latency.p50_s, latency.p90_s, latency.p99_s) if latency else (None, None, None)
    qps = "" if figures.qps is None or phase.scripted else f"{number(figures.qps)} queries per second"
    completed = f"{figures.n_completed:,} of {figures.n_issued:,}"
    return [_text(cell) for cell in (phase.label, completed, failures(phase), qps, *map(seconds, quantiles))]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if rows:
        yield f"| {' | '.join(heads)} |"
        yield f"|{'---|' * len(heads)}"
        yield from (f"| {' | '.join(row)} |" for row in rows)


def _marked(run: VerdictDocument) -> str:
    return " (SIMULATED)" if run.simulated else ""


def _text(text: str, limit: int = 400) -> str:
    """Return text as Markdown that shows just that text: one line, every active character a numeric entity.

    `://`, `www.` and `@` are broken up as well, so that GitHub makes neither links nor mentions of outside text.
    """
    return _ACTIVE.sub(lambda match: f"&#{ord(match[0])};", plain(text, limit))
