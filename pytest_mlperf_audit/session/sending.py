"""What of an audit is sent together, what was sent already, and a phase as it is to be sent now."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter_ns

import msgspec

from ..config.settings import Timeouts
from ..load.group import PlannedPhase
from ..load.patience import Patience
from ..records.files import write_atomic
from ..records.store import SCORE_FILE, TOKENS_FILE, read_phase
from ..runs.order import Scripted
from ..runs.phase import PhaseRecord
from ..runs.script import Script
from ..runs.spec import RunSpec
from . import third_party
from .judge import PlannedAudit


def groups(phases: Sequence[PlannedPhase], *, apart: bool) -> Iterator[list[PlannedPhase]]:
    """Yield phases that are sent back to back: all, or each `apart`; a conditional one is a group of its own."""
    group: list[PlannedPhase] = []
    for phase in phases:
        if group and (apart or phase.spec.conditional or group[0].spec.conditional):
            yield group
            group = []
        group.append(phase)
    yield group


def to_be_scored(phase: PlannedPhase) -> bool:
    """Whether an external scorer is to judge a phase, and has not."""
    scoring = phase.spec.scoring
    return scoring is not None and scoring.method == "command" and not (phase.directory / SCORE_FILE).exists()


def to_be_counted(phase: PlannedPhase) -> bool:
    """Whether the tokens of a phase's replies are to be counted, and were not."""
    keep = phase.spec.keep
    return keep is not None and keep.message and not (phase.directory / TOKENS_FILE).exists()


def is_owed(phase: PlannedPhase) -> bool:
    """Whether something is left to be made of a phase's records."""
    return to_be_scored(phase) or to_be_counted(phase)


def record_of(phase: PlannedPhase) -> PhaseRecord | None:
    """Return the record of a phase that ended, None where there is none. Raises RecordError."""
    return read_phase(phase.directory)


def redrawn(planned: PlannedAudit, phase: PlannedPhase) -> PlannedPhase:
    """Return a phase as it is to be sent now, with a seed that was never used.

    With the seed of an attempt that was cut short, a cache would know the very prompts that no cache can know. The
    record's spec has the seed that was drawn; `require_planned` compares the rest. A salt's seed is the ruleset's.
    """
    if phase.spec.nonce in ("none", "salt") and not isinstance(phase.spec.order, Scripted):
        return phase
    spec = msgspec.structs.replace(phase.spec, nonce_seed=secrets.randbits(63))
    return replace(phase, spec=spec, script=_script(planned, phase, spec))


def _script(planned: PlannedAudit, phase: PlannedPhase, spec: RunSpec) -> Callable[[], Script] | None:
    if not isinstance(spec.order, Scripted):
        return None
    assert phase.source is not None, "a phase of an audit is planned with its rows"
    return partial(third_party.script, planned.audit, planned.cfg, spec, phase.source)


def patience_of(waits: Timeouts, began: Path) -> Patience:
    """Return how long phases may take. The run's time begins when this is first asked, in whichever process.

    `began` is the file that tells the others; who asks holds the endpoint's lock.
    """
    if waits.run_timeout_s is None:
        return Patience(idle_s=waits.endpoint_response_idle_timeout_s)
    if not began.exists():
        write_atomic(began, str(perf_counter_ns()).encode())
    until_ns = int(began.read_text()) + round(waits.run_timeout_s * 1e9)
    return Patience(until_ns, waits.run_timeout_s, waits.endpoint_response_idle_timeout_s)
