"""TEST06: is a language model's output what it is reported as? Judged from the accuracy log of the audit run.

Rules: mlcommons/inference `compliance/TEST06/README.md` (see audits.rules.tokens).
"""

from __future__ import annotations

from ...errors import RecordError
from ...loadgen.accuracy_log import Entry
from ..models import find_model
from ..published.accuracy_logs import ACCURACY_LOG, recorded, sample_name, summary_of, take_whole, undecided
from ..published.case import AuditDirectory, Reverified
from ..published.pair import prints_of
from ..tokens import TokenRules
from ..verdict import Check
from . import SAMPLES, upstream


def verify(found: AuditDirectory) -> Reverified:
    """Check the log's samples, first tokens (unless Offline), ends of sequence and token counts.

    Which tokens end a sequence is the model's affair (audits.models). Where they are not known, upstream's default of 2
    is not taken for them: it is some other token of most models. The check then passes only if no output ends in the
    same token twice, whichever it be, and is undecided otherwise.

    First tokens are not looked at where every summary, of the audit run and of the reference run, says Offline; without
    a summary the directory's name counts.

    A log that is missing, was cut or cannot be read leaves `samples` undecided, and there is no other check.
    """
    model = find_model(found.benchmark)
    eos_ids = model.eos_ids if model else None
    audit = summary_of(found.path)
    scenarios = [run.scenario for run in (audit, summary_of(found.results)) if run and run.scenario]
    first_needed = any(name.lower() != "offline" for name in scenarios or [found.scenario])
    rules = TokenRules(eos_ids, first_token_needed=first_needed)
    shown = Reverified(
        log_scenario=scenarios[0] if scenarios else None,
        recorded=recorded(found, "verify_accuracy.txt"),
        runs=prints_of(found, audit),
    )

    def take(entry: Entry) -> None:
        rules.add(sample_name(entry), entry.data, entry.token_data, entry.token_count)

    log = found.path / ACCURACY_LOG
    unreadable = ""
    script, is_fed = upstream.Script(rules, first_needed=first_needed), False
    try:
        is_fed = take_whole(log, take, take_raw=script.take_entry).array
    except RecordError as error:
        unreadable = str(error)
        shown.checks = [undecided("samples", unreadable)]
    else:
        shown.checks, shown.figures = _checks(rules), rules.figures
        shown.notes = _notes(rules, found, eos_known=eos_ids is not None)
    if log.is_file():
        if not is_fed:
            script = upstream.Script(rules, first_needed=first_needed)
        said, shown.defects = upstream.said(log, script, is_fed=is_fed, readable=not unreadable)
        shown.upstream = [said]
    return shown


def _checks(rules: TokenRules) -> list[Check]:
    """Return the rules' checks; of outputs that are all empty they say nothing."""
    checks = rules.checks()
    if rules.n_samples and not rules.n_tokens and not rules.n_without_output:
        told = f"{rules.n_samples} samples are logged, and the output of each is empty, so nothing was tested"
        checks[0] = undecided("samples", told)
    return checks


def _notes(rules: TokenRules, found: AuditDirectory, *, eos_known: bool) -> list[str]:
    notes = []
    if 0 < rules.n_samples < SAMPLES:
        notes.append(f"{rules.n_samples} samples are logged, {SAMPLES} is what the audit's configuration aims at")
    if not eos_known:
        notes.append(f"which token ends a sequence of {found.benchmark or 'this model'} is not known here")
    if rules.width != 4 and rules.n_samples:
        notes.append("the token ids are int64; upstream's script reads int32 unless it is told --dtype int64")
    return notes
