"""What was found, in plain words and headline numbers. Every place that shows a run says it with these."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..text import plain
from ..verdicts.document import AuditEntry, CheckEntry, PhaseEntry, VerdictDocument
from . import clean, findings, ratios
from .clean import first_sentence, number

STATUS_WORDS = clean.STATUS_WORDS
_CHECK_WORDS = {"passed": "pass", "failed": "FAIL", "error": "ERROR", "not_run": "not run"}
#: A reason ends in its cure, behind a semicolon.
_SAYS_WHAT_TO_DO = re.compile(r"; (?:set|run|give|raise|lower|see|put|empty|correct|take|add|wait) ")
#: Of a check whose records are there and leave it in doubt.
UNDECIDED = "undecided"
#: Of a check of what nothing was sent for.
NOT_TESTED = "not looked for"

SIMULATED = (
    "The embedded simulated endpoint answered. These numbers say nothing about a real system "
    "and are never written as submission files."
)


def check_word(check: CheckEntry) -> str:
    """Return what became of a check, in a word or three."""
    if not check.tested:
        return NOT_TESTED
    return UNDECIDED if check.undecided and check.status == "error" else _CHECK_WORDS[check.status]


def title(audit: AuditEntry) -> str:
    """Return an audit's title, with the name that the YAML gives it, by which two of one test are told apart."""
    return plain(f"{audit.title}: {audit.name}" if audit.name else audit.title, 120)


def headline(audit: AuditEntry) -> str:
    """Return an audit's main numbers, short.

    'ratio 1.02 (95 % 0.98 to 1.06), limit 1.10; cache probe CLEAN (12 queries); reference 153.1/s, ...'
    """
    parts = [part for part in (ratios.headline(audit), findings.headline(audit), _scores(audit)) if part]
    if rates := ", ".join(_rate(phase) for phase in audit.timed[:3]):
        more = len(audit.timed) - 3
        parts.append(rates + (f" and {more} more phase{'s' if more > 1 else ''}" if more > 0 else ""))
    return "; ".join(parts)


def sentences(audit: AuditEntry) -> list[str]:
    """Return what was tested and found, for a reader who has not seen MLPerf before."""
    lines = ratios.sentences(audit)
    if probed := findings.summary(audit):
        lines.append(probed)
    if state := _state(audit):
        lines.append(state)
    for what, word in (("Failed", "failed"), ("Undecided", "error")):
        checks = [check for check in audit.checks if check.status == word and not _is_covered(audit, check)]
        if checks and (word == "failed" or audit.status != "NO_VERDICT"):
            lines.append(f"{what}: " + "; ".join(_named(check) for check in checks[:6]) + ".")
    if not lines and audit.timed:
        lines.append("; ".join(_completed(phase) for phase in audit.timed[:3]) + ".")
    return lines


def summary(document: VerdictDocument) -> str:
    """Return one paragraph on the whole run."""
    named = len(document.audits) > 1
    lines = []
    for audit in document.audits:
        text = " ".join(sentences(audit))
        lines.append(f"{title(audit)}: {text}" if named and text else text)
    return " ".join(part for part in lines if part) or "Nothing was run."


def openings(document: VerdictDocument) -> list[str]:
    """Return a line on each of several audits; the rest of it stands in the audit's own section."""
    return [f"{title(audit)}: {STATUS_WORDS[audit.status]}{_opening(audit)}" for audit in document.audits]


def _opening(audit: AuditEntry) -> str:
    said = headline(audit) or first_sentence(" ".join(sentences(audit)))
    return f". {said[:1].upper()}{said[1:]}" if said else ""


def failing(audit: AuditEntry) -> Iterator[CheckEntry]:
    """Yield the checks that failed or could not be decided."""
    return (check for check in audit.checks if check.status in ("failed", "error"))


def why(audit: AuditEntry, check: CheckEntry) -> str:
    """Return a check's reason, or which check further up has it: one doubt may leave many open."""
    first = next(other for other in audit.checks if other.reason == check.reason)
    return plain(check.reason, 1000) if first == check or not check.undecided else f"As for {plain(first.name, 100)}."


def observed(audit: AuditEntry, check: CheckEntry) -> str:
    """Return what was observed, a ratio with its interval: '1.031 (95 % 0.98 to 1.08)'."""
    interval = interval_of(audit, check)
    return plain(number(check.observed), 80) + (f" ({interval})" if interval else "")


def interval_of(audit: AuditEntry, check: CheckEntry) -> str:
    """Return the interval of the ratio that a check is about, empty where there is none."""
    ratio = ratios.of_check(audit, check)
    return ratios.interval(ratio) if ratio else ""


def observed_against_limit(audit: AuditEntry, check: CheckEntry) -> str:
    """Return 'observed 1.31, limit 1.10', with only what there is."""
    parts = [f"observed {observed(audit, check)}"] if check.observed is not None else []
    return ", ".join(parts + ([f"limit {plain(number(check.limit), 80)}"] if check.limit is not None else []))


def _is_covered(audit: AuditEntry, check: CheckEntry) -> bool:
    """Whether the sentences on the ratio or on the probe cover a failed check already."""
    if check.status != "failed":
        return False
    return ratios.of_check(audit, check) is not None or (
        findings.is_about_probe(check) and bool(findings.summary(audit))
    )


def _named(check: CheckEntry) -> str:
    return f"{plain(check.name, 80)} ({first_sentence(check.reason)})"


def _scores(audit: AuditEntry) -> str:
    """Return 'score of wan22_vbench 71.5', for each phase that was scored."""
    named = ((phase.label, audit.figures.get(f"score_{phase.label}")) for phase in audit.timed[:3])
    scores = [f"score of {plain(label, 40)} {number(score)}" for label, score in named if score is not None]
    if not scores and isinstance(score := audit.figures.get("score"), (int, float)):
        scores = [f"score {number(score)}"]
    return ", ".join(scores)


def _rate(phase: PhaseEntry) -> str:
    figures = phase.figures
    rate = "nothing" if figures.qps is None else f"{number(figures.qps)}/s"
    short = f" ({figures.n_completed:,} of {figures.n_issued:,} completed)" if figures.n_failed else ""
    return f"{plain(phase.label, 40)} {rate}{short}"


def _completed(phase: PhaseEntry) -> str:
    figures = phase.figures
    rate = f", {number(figures.qps)} queries a second" if figures.qps is not None else ""
    return f"{plain(phase.label, 60)}: {figures.n_completed:,} of {figures.n_issued:,} queries completed{rate}"


def _state(audit: AuditEntry) -> str:
    """Say why an audit neither passed nor failed, or what its own reason adds."""
    reason = plain(audit.reason).rstrip(".")
    if audit.status == "NO_VERDICT":
        why = reason or "a phase crashed, was cut short, or left partial records"
        again = "" if _SAYS_WHAT_TO_DO.search(why) else "; run the audit again"
        return f"No verdict: {why}. Nothing is shown either way{again}."
    if audit.status == "INCOMPLETE":
        run = sum(check.status in ("passed", "failed") for check in audit.checks)
        why = f" ({reason})" if reason else ""
        return f"Incomplete: {run} of {len(audit.checks)} planned checks were run{why}, and a verdict needs them all."
    if audit.status == "NOT_RUN":
        return f"Not run: {reason or 'no check of it was selected, or the session ended before it'}."
    return f"{reason}." if reason else ""
