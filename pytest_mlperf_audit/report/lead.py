"""What was found, in the sentence that a report begins with, and in the fact that stands beside an audit's status."""

from __future__ import annotations

from ..text import plain
from ..verdicts.document import AuditEntry, CheckEntry
from . import findings, ratios
from .clean import first_sentence
from .deciding import decisive_check
from .labels import check_title
from .words import headline

_MOST = 320


def lead(audit: AuditEntry) -> str:
    """Return what decided an audit in a sentence, and in a second one what else there is that no reader may miss."""
    check = decisive_check(audit)
    if audit.status == "NOT_RUN":
        return f"Not run: {_reason(audit) or 'no check of it was selected, or the session ended before it'}."
    if audit.status == "INCOMPLETE":
        run = sum(check.status in ("passed", "failed") for check in audit.checks)
        return f"Only {run} of {len(audit.checks)} planned checks were run, and a verdict needs them all."
    if audit.status == "NO_VERDICT":
        return _no_verdict(audit, check)
    return " ".join(_decided(audit, check)) or "Every check passed."


def fact(audit: AuditEntry) -> str:
    """Return an audit's fact for a row among others: what decided it, short."""
    check = decisive_check(audit)
    if audit.status in ("NO_VERDICT", "INCOMPLETE", "NOT_RUN") or check is None:
        return lead(audit)
    if ratios.of_check(audit, check) is not None or findings.is_about_probe(check):
        return _upper(headline(audit).partition("; reference")[0])
    return " ".join(_decided(audit, check)) or check_title(check.name)


def _decided(audit: AuditEntry, check: CheckEntry | None) -> list[str]:
    probed = findings.lead(audit)
    if check is None:
        return [probed] if probed else []
    if ratios.of_check(audit, check) is not None:
        return [ratios.lead(audit), *([probed] if probed else [])]
    if findings.is_about_probe(check) and probed:
        return [probed]
    where = f", in {part}" if (part := plain(check.name.partition("[")[2].rstrip("]"), 60)) else ""
    said = f"{_upper(first_sentence(plain(check.reason, _MOST)))}{where}." if check.reason else ""
    more = sum(other.status == "failed" for other in audit.checks) - 1
    others = f" {more} more {'check' if more == 1 else 'checks'} failed." if more > 0 else ""
    return [f"{said}{others}"] if said else []


def _no_verdict(audit: AuditEntry, check: CheckEntry | None) -> str:
    """Return what broke, or what is in doubt; how to get a verdict is said beside it."""
    doubt = check.reason if check is not None and check.undecided else ""
    said = first_sentence(plain(audit.reason or doubt, _MOST)) or "a phase broke off, or left partial records"
    if doubt:
        return f"The data do not decide: {said.removeprefix('inconclusive: ')}."
    return f"What broke: {said.partition(' (records: ')[0]}. Nothing is shown, either way."


def _reason(audit: AuditEntry) -> str:
    return plain(audit.reason, _MOST).rstrip(".")


def _upper(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def found(audit: AuditEntry, *, told: str) -> list[str]:
    """Return what else was found, in sentences: without what was `told` before, and what stands with a check."""
    comparison = ratios.lead(audit) if ratios.of_rows(audit) else ""
    lines = ratios.sentences(audit)
    if comparison and comparison in told:
        lines = [line.removeprefix(comparison).strip() for line in lines]
    lines.append(findings.summary(audit))
    with_checks = any(audit.reason and audit.reason in check.reason for check in audit.checks)
    if audit.reason and not with_checks and first_sentence(audit.reason) not in told:
        lines.append(_upper(f"{_reason(audit)}."))
    return [line for line in lines if line]
