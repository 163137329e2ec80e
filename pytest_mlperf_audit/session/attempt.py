"""One attempt at a group of phases: what must be new each time it is sent, however often a plan is carried out."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import msgspec

from ..load.group import PlannedPhase
from ..runs.order import Scripted
from ..runs.script import Script
from ..runs.spec import RunSpec
from . import third_party
from .judge import PlannedAudit


def drawn(planned: PlannedAudit, phase: PlannedPhase) -> PlannedPhase:
    """Return a phase as it is to be sent now, with a seed that was never used.

    With the seed of an attempt that was cut short, a cache would know the very prompts that no cache can know. The
    record's spec has the seed that was drawn; `require_planned` compares the rest.
    """
    if phase.spec.nonce == "none" and not isinstance(phase.spec.order, Scripted):
        return phase
    spec = msgspec.structs.replace(phase.spec, nonce_seed=secrets.randbits(63))
    return replace(phase, spec=spec, script=_script(planned, phase, spec))


def _script(planned: PlannedAudit, phase: PlannedPhase, spec: RunSpec) -> Callable[[], Script] | None:
    if not isinstance(spec.order, Scripted):
        return None
    assert phase.source is not None, "a phase of an audit is planned with its rows"
    return partial(third_party.script, planned.audit, planned.cfg, spec, phase.source)
