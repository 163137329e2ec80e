"""What a cache probe found, in words and table rows: its verdict, its comparisons, its kinds of queries."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from ..audits.probe.judges.repeats import BEYOND_REACH, BEYOND_REPEATS
from ..audits.probe.kinds import TITLES, words
from ..audits.probe.plan import probe_of
from ..audits.verdict import ArmSummary, Finding, KindState
from ..text import plain
from ..verdicts.document import AuditEntry, CheckEntry, PhaseEntry
from .clean import NOTHING, number, seconds

#: What CLEAN leaves open, in full and short: where many prompts are repeated, and where few are.
BEYOND = (f"{BEYOND_REACH[:1].upper()}{BEYOND_REACH[1:]}", f"{BEYOND_REPEATS[:1].upper()}{BEYOND_REPEATS[1:]}")
BEYOND_SHORT = (
    "slow, late hits",
    "rare, slow, late hits, and such as come only under load, not soon, or from the third use on",
)
_CHECK = re.compile(r"cache_probe|no_cache\[\w+\]")
_TITLES: dict[str, str] = {str(kind): title for kind, title in TITLES.items()}


class _FindingRow(msgspec.Struct, frozen=True):
    """One comparison as a table row; `bad` where what was found is forbidden."""

    result: str
    bad: bool
    kind: str
    of: str
    effect: str
    interval: str
    fast: str
    slow: str
    measured: str
    p: str
    p_corrected: str
    sentence: str


class KindRow(msgspec.Struct, frozen=True):
    """One kind of cache as a table row; `bad` where it was found and is forbidden, `quiet` where nothing is known."""

    result: str
    bad: bool
    quiet: bool
    kind: str
    times: str
    share: str
    why: str


class _ArmRow(msgspec.Struct, frozen=True):
    """One kind of query as a table row."""

    what: str
    n: str
    median: str
    first_token: str


def is_probe(audit: AuditEntry) -> bool:
    """Whether a cache probe came to a conclusion in this audit; a figure of that name alone is not one."""
    return bool(_verdict(audit))


def is_about_probe(check: CheckEntry) -> bool:
    """Whether a check stands for the cache probe, or a part of it."""
    return bool(_CHECK.fullmatch(check.name))


def headline(audit: AuditEntry) -> str:
    """Return the scripted phases short: 'CLEAN, 110 queries', beside others 'cache probe CLEAN (12 queries)'."""
    if not is_probe(audit):
        return ", ".join(f"{plain(p.label, 40)} {_queries(p.figures.n_issued)}" for p in audit.scripted)
    parts = [_queries(_sent(audit))]
    parts += [f"{failed:,} failed"] if (failed := sum(phase.figures.n_failed for phase in audit.scripted)) else []
    if audit.timed:
        return f"cache probe {_word(audit)} ({', '.join(parts)})"
    return ", ".join([_word(audit), *parts])


def summary(audit: AuditEntry) -> str:
    """Return what the probe found in a sentence, for the summary of a run; why it found nothing is said elsewhere."""
    n = _queries(_sent(audit))
    word = _verdict(audit)
    if word == "CLEAN":
        kinds = f"; {words(audit.kinds)}" if audit.kinds else ""
        return f"The cache probe found no cache in {n}{plain(kinds, 600)}. {_beyond(audit, BEYOND)}."
    if word == "CACHE":
        return f"In {n} the cache probe found: {_kinds(audit)}{_allowance(audit)}."
    return ""


def lead(audit: AuditEntry) -> str:
    """Return what the probe found in one short sentence, "" where it came to nothing."""
    word = _verdict(audit)
    if word == "CLEAN":
        return f"The cache probe found no cache in {_queries(_sent(audit))}, of the kinds that it looked for."
    if word == "CACHE":
        return f"The cache probe found: {_kinds(audit)}{_times(audit)}{_allowance(audit)}."
    return ""


def conclusion(audit: AuditEntry) -> str:
    """Return the probe's verdict in short; on what evidence, or why there is none, stands with its checks."""
    return f"{_word(audit)} in {_queries(_sent(audit))}"


def kinds_line(audit: AuditEntry) -> str:
    """Return what became of each kind of cache in a line, with what no probe shows; "" where no kind is of interest."""
    beyond = f"; out of reach: {_beyond(audit, BEYOND_SHORT)}" if _verdict(audit) == "CLEAN" else ""
    return plain(f"{words(audit.kinds)}{beyond}", 600)


def kind_rows(audit: AuditEntry) -> list[KindRow]:
    """Return the table of kinds of cache."""
    open_ = [check.reason for check in audit.checks if check.undecided]
    failed = [check.reason for check in audit.checks if check.status == "failed"]
    told = {"undecided": ("undecided", open_), "found": ("failed", failed)}
    return [_kind(state, *told.get(state.state, ("", []))) for state in audit.kinds]


def grouped_kind_rows(audit: AuditEntry) -> list[KindRow]:
    """Return the table of kinds of cache, those in one row that have the same state for the same reason."""
    groups: dict[KindRow, list[str]] = {}
    for row in kind_rows(audit):
        groups.setdefault(msgspec.structs.replace(row, kind=""), []).append(row.kind)
    return [msgspec.structs.replace(row, kind=", ".join(kinds)) for row, kinds in groups.items()]


def finding_rows(audit: AuditEntry) -> list[_FindingRow]:
    """Return the table of comparisons."""
    decided = _verdict(audit) not in ("INCONCLUSIVE", "ERROR")
    return [_finding(finding, decided=decided) for finding in audit.findings]


def arm_rows(audit: AuditEntry) -> dict[str, list[_ArmRow]]:
    """Return the tables of kinds of queries, by what they are of."""
    tables: dict[str, list[_ArmRow]] = {}
    for arm in audit.arms:
        tables.setdefault(plain(arm.of, 80), []).append(_arm(arm))
    return tables


def arm_name(arm: ArmSummary) -> str:
    """Return what the queries of an arm are, with the letter that stands for it: 'exact repeat (R)'."""
    return plain(f"{arm.what} ({arm.arm})" if len(arm.arm) == 1 else arm.what, 80)


def _beyond(audit: AuditEntry, words: tuple[str, str]) -> str:
    """Return which of two texts tells what a clean probe leaves open: of many prompts, or of few repeated ones."""
    designs = {probe_of(phase.spec).design for phase in audit.scripted if _sent_by_probe(phase)}
    return words[0] if "groups" in designs else words[1]


def _verdict(audit: AuditEntry) -> str:
    """Return the probe's own verdict: CLEAN, CACHE, INCONCLUSIVE, ERROR; '' for an audit that sent no probe."""
    word = audit.figures.get("probe")
    return word if isinstance(word, str) and any(map(_sent_by_probe, audit.scripted)) else ""


def _sent_by_probe(phase: PhaseEntry) -> bool:
    try:
        probe_of(phase.spec)
    except msgspec.ValidationError:
        return False
    return True


def _queries(n: int) -> str:
    return f"{n:,} {'query' if n == 1 else 'queries'}"


def _sentence(text: str) -> str:
    sentence = plain(text, 1000).rstrip(".")
    return f"{sentence[:1].upper()}{sentence[1:]}."


def _word(audit: AuditEntry) -> str:
    kinds = audit.figures.get("probe_kinds")
    word = plain(_verdict(audit), 40)
    return f"{word}: {plain(str(kinds), 80)}{' (allowed)' if _allowance(audit) else ''}" if kinds else word


def _times(audit: AuditEntry) -> str:
    """Return how much faster the cache was, and in what, where that is known."""
    known = [(one.effect, one.measured) for one in audit.findings if one.found and one.effect and one.effect > 1]
    if not known:
        return ""
    effect, measured = max(known)
    part = f", by the time {measured}" if measured.startswith("after") else ""
    part = ", by the time to the first token" if measured.startswith("first") else part
    return f" ({effect:.3g} times as fast as what is computed{part})"


def _sent(audit: AuditEntry) -> int:
    """Return how many queries the probe sent, its trial query aside, as figures, terminal and JUnit count them."""
    known = audit.figures.get("probe_queries")
    if isinstance(known, int) and not isinstance(known, bool):
        return known
    return sum(phase.figures.n_issued for phase in audit.scripted)


def _kinds(audit: AuditEntry) -> str:
    named = str(audit.figures.get("probe_kinds")).split(", ")
    return ", ".join(_TITLES.get(kind, plain(kind, 40)) for kind in named)


def _allowance(audit: AuditEntry) -> str:
    found = [finding for finding in audit.findings if finding.found]
    return ", which this configuration allows" if found and not any(finding.forbidden for finding in found) else ""


def _kind(state: KindState, word: str, told: Sequence[str]) -> KindRow:
    """Return a row, which refers to the check that tells why where one does; `word` is what became of that."""
    found = state.state == "found"
    return KindRow(
        result="found, allowed" if found and not state.forbidden else state.state,
        bad=found and state.forbidden,
        quiet=state.state in ("undecided", "not looked for"),
        kind=plain(state.title, 80),
        times=NOTHING if state.times is None else f"{state.times:.3g}\N{MULTIPLICATION SIGN}",
        share="" if state.share is None else "all hits" if state.share >= 1 else f"{state.share:.0%} of hits",
        why=f"See the {word} check." if any(state.why in reason for reason in told) else _sentence(state.why),
    )


def _result(finding: Finding, *, decided: bool) -> str:
    if finding.found:
        return "found" if finding.forbidden else "found, allowed"
    if finding.p is None:
        return "not tested"
    return "not found" if decided else "undecided"


def _finding(finding: Finding, *, decided: bool) -> _FindingRow:
    return _FindingRow(
        result=_result(finding, decided=decided),
        bad=finding.found and finding.forbidden,
        kind=_TITLES.get(finding.kind, plain(finding.kind, 80)),
        of=plain(finding.of, 80),
        effect=NOTHING if finding.effect is None else f"{finding.effect:.3g}\N{MULTIPLICATION SIGN}",
        interval=_interval(finding),
        fast=NOTHING if finding.fast_s is None else _short(finding.fast_s),
        slow="" if finding.slow_s is None else f"against {_short(finding.slow_s)}",
        measured=plain(finding.measured, 40),
        p="" if finding.p is None else f"uncorrected {finding.p:.2g}",
        p_corrected=NOTHING if finding.p_corrected is None else f"{finding.p_corrected:.2g}",
        sentence=_sentence(finding.sentence),
    )


def _interval(finding: Finding) -> str:
    low, high = finding.effect_low, finding.effect_high
    if low is None:
        return "" if high is None else f"at most {high:.3g}"
    return f"at least {low:.3g}" if high is None else f"{low:.3g} to {high:.3g}"


def _short(value_s: float) -> str:
    """Return seconds with three significant digits, enough for a median."""
    return seconds(float(f"{value_s:.3g}"))


def _arm(arm: ArmSummary) -> _ArmRow:
    return _ArmRow(
        what=arm_name(arm),
        n=number(arm.n),
        median=_short(arm.median_s),
        first_token=NOTHING if arm.first_token_s is None else _short(arm.first_token_s),
    )
