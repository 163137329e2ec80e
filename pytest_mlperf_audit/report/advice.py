"""What a reader should do next, for each thing that can have happened, with the place of the page that says more."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ..text import plain
from ..verdicts.document import AuditEntry, CheckEntry, VerdictDocument
from . import findings, ratios
from .deciding import decisive_check

_MOST = 3


class Step(msgspec.Struct, frozen=True):
    """Something to do, and the part of the page that says more: its anchor and what the link says."""

    text: str
    anchor: str
    link: str


_CACHE_OFF = (
    "Switch off every cache of replies before the model, in the server, a gateway or a CDN. Then run the audit again."
)
#: What to do about each kind of cache that is forbidden and was found.
_KINDS = {
    "response": _CACHE_OFF,
    "near_duplicate": "Switch off the cache that answers inputs which are nearly equal, and run the audit again.",
    "semantic": "Switch off the semantic cache (a gateway often has it), and run the audit again.",
    "prefix": "Switch off prefix caching in the server (vLLM: --no-enable-prefix-caching; SGLang: "
    "--disable-radix-cache), or allow it with forbid where your rules do, and run the audit again.",
    "coalescing": "Switch off the merging of equal requests in flight (request coalescing), and run the audit again.",
    "url_keyed": "Make the cache or proxy key on the body of a request too, or switch it off, and run the audit again.",
    "multimodal": "Switch off the cache of encoded images, or allow it with forbid where your rules do.",
    "reuse": "Find out what the server reuses between equal requests, switch it off, and run the audit again.",
}
#: What to do about each check that failed, by the name before its bracket.
_CHECKS = {
    "completion": "Find out why queries failed, in the phases table and the server's log. Then run the audit again.",
    "requests_distinct": "Give the data set distinct rows: equal ones make a cache look like a fast system.",
    "requests_identical": "Remove what differs between repeats (an id, a header, a time), or a cache stays hidden.",
    "score": "Check that the audited server runs the model, precision and settings that you submit.",
    "output_length": "Check the output length limit, the chat template and the stop tokens of the server.",
    "outputs_match": "Compare the outputs below. Then find out why the server answers otherwise under load.",
    "matches": "Compare the outputs below. Then find out why the server answers otherwise under load.",
    "score_within": "Find out why the audit run was faster or slower than the reference run.",
    "eos": "Make the server end each output at its first EOS token, and not count further ones.",
    "first_token": "Find out why the first streamed token is another than the first token of the output.",
    "token_count": "Find out why the server reports another number of tokens than it returned.",
}


#: What to do about a phase that is not whole, by its status.
_BROKEN = {
    "interrupted": "Let the run finish: a key, a signal or a time limit of the job ended it.",
    "endpoint_lost": "Find out why the endpoint stopped answering, from its log, and start it again.",
    "undrained": "Find out why queries were open when a phase ended: the endpoint may need more time, or less load.",
    "refused": "Follow the reason that stands with the phase: it was refused before it was whole.",
    "crashed": "Read the reason that stands with the phase: it could not be carried to its end.",
}


def steps(document: VerdictDocument, audit: AuditEntry | None, place: str) -> list[Step]:
    """Return what to do next about the audit that decided; `place` begins the anchors of its parts."""
    if audit is None:
        return [Step("Ask for an audit in the YAML, or do not deselect it, and run again.", "environment", "This run")]
    of_status = {"FAIL": _failed, "NO_VERDICT": _none, "INCOMPLETE": _incomplete, "NOT_RUN": _incomplete}
    found = list(of_status[audit.status](audit, place)) if audit.status in of_status else []
    if audit.status == "PASS":
        found += _passed(document, audit, place)
    return found[:_MOST]


def _failed(audit: AuditEntry, place: str) -> Iterator[Step]:
    check = decisive_check(audit)
    if check is None:
        return
    yield Step(_about(audit, check), f"{place}-checks", "Why it failed")
    others = [other for other in audit.checks if other.status == "failed" and not _covered(audit, other, check)]
    for other in others[:1]:
        yield Step(_about(audit, other), f"{place}-checks", "The other checks")


def _covered(audit: AuditEntry, other: CheckEntry, check: CheckEntry) -> bool:
    """Whether the advice on `check` is that on `other`, too."""
    return other == check or _about(audit, other) == _about(audit, check)


def _about(audit: AuditEntry, check: CheckEntry) -> str:
    base = check.name.partition("[")[0]
    kinds = [one.kind for one in audit.findings if one.found and one.forbidden]
    if findings.is_about_probe(check):
        named = check.name.partition("[")[2].rstrip("]")
        return _KINDS.get(named or next(iter(kinds), "reuse"), _KINDS["reuse"])
    if ratios.of_check(audit, check) is not None:
        return _KINDS.get(next(iter(kinds), "response"), _CACHE_OFF)
    return _CHECKS.get(base, "Read why the check failed, mend it, and run the audit again.")


def _none(audit: AuditEntry, place: str) -> Iterator[Step]:
    """Yield how to get a verdict: the cure that the reason ends in, else to run again."""
    reason = next((check.reason for check in audit.checks if check.undecided and check.reason), audit.reason)
    _, semicolon, cure = plain(reason, 600).rpartition("; ")
    if semicolon and cure and not cure.startswith("failed:"):
        yield Step(_sentence(cure), f"{place}-checks" if audit.checks else f"{place}-phases", "What broke")
    broken = next((phase for phase in audit.phases if not phase.complete), None)
    if broken is not None:
        yield Step(_BROKEN.get(broken.status, _BROKEN["crashed"]), f"{place}-phases", "The phases")
    if broken is None and any(check.undecided for check in audit.checks):
        quiet = "Run the audit again while nothing else uses the endpoint. If it stays in doubt, send more queries."
        yield Step(quiet, f"{place}-checks", "What is in doubt")
        return
    yield Step("Run the audit again as a whole: phases are never joined from two runs.", "environment", "This run")


def _incomplete(_: AuditEntry, place: str) -> Iterator[Step]:
    yield Step(
        "Run the audit again as a whole, without -k, --lf, --deselect or a single test id.",
        f"{place}-checks",
        "Checks that were not run",
    )


def _passed(document: VerdictDocument, audit: AuditEntry, place: str) -> Iterator[Step]:
    if document.simulated:
        yield Step(
            "Name your endpoint: endpoint_config.endpoints, or --mlperf-endpoint=URL.",
            "environment",
            "This run",
        )
    if any(kind.state in ("undecided", "not looked for") and kind.forbidden for kind in audit.kinds):
        yield Step("See which kinds of cache were not looked for.", f"{place}-kinds", "Kinds of cache")
    yield Step("Keep the report directory: with it anyone can check the verdict.", "check-it", "How to check it")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
