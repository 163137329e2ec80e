"""Calls into an audit's own code, which anybody may have written: a defect there is one message and never a pass."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from ..audits.contract import Audit, AuditContext, Samples
from ..audits.verdict import Verdict
from ..config.block import AuditBlock
from ..errors import MlperfAuditError, NoVerdictError, PlanError
from ..runs.phase import MeasuredPhase
from ..runs.script import Script
from ..runs.spec import RunSpec

#: A label is a directory's name; a check's name is a part of a test id, which pytest keeps as it is only in ASCII.
LABEL = re.compile(r"\w[\w.-]*", re.ASCII)
CHECK = re.compile(r"[^\[\]:]+(\[[^\[\]:]+\])?")


def plan(audit: Audit[Any], cfg: AuditBlock, samples: Samples, context: AuditContext) -> list[RunSpec]:
    """Return an audit's phases. Raises PlanError."""
    with _as_message(audit, "plan", PlanError):
        phases = list(audit.plan(cfg, samples, context))
    _require_names(audit, "phase", [phase.label for phase in phases], LABEL)
    return phases


def checks(audit: Audit[Any], cfg: AuditBlock, phases: Sequence[RunSpec]) -> tuple[str, ...]:
    """Return the names of an audit's checks. Raises PlanError."""
    with _as_message(audit, "checks", PlanError):
        names = tuple(audit.checks(cfg, phases))
    _require_names(audit, "check", names, CHECK)
    if both := {name.partition("[")[0] for name in names if "[" in name} & set(names):
        raise PlanError(f"audit {audit.id}: check {both.pop()!r} is planned both with and without [..]; rename one")
    return names


def warnings(audit: Audit[Any], cfg: AuditBlock, phases: Sequence[RunSpec], samples: Samples) -> list[str]:
    """Return what an audit has to say of its phases. Raises PlanError."""
    with _as_message(audit, "warnings", PlanError):
        return [str(each) for each in audit.warnings(cfg, phases, samples)]


def script(audit: Audit[Any], cfg: AuditBlock, phase: RunSpec, samples: Samples) -> Script:
    """Return the script of a phase. Raises PlanError."""
    with _as_message(audit, "script", PlanError):
        return audit.script(cfg, phase, samples)


def wanted(audit: Audit[Any], cfg: AuditBlock, phase: RunSpec, runs: Mapping[str, MeasuredPhase]) -> bool:
    """Return whether a conditional phase is to be sent. Raises NoVerdictError."""
    with _as_message(audit, "wanted", NoVerdictError):
        return bool(audit.wanted(cfg, phase, runs))


def verify(audit: Audit[Any], cfg: AuditBlock, planned: Sequence[str], runs: Mapping[str, MeasuredPhase]) -> Verdict:
    """Return an audit's verdict as plain values, one check for each that was planned. Raises NoVerdictError."""
    with _as_message(audit, "verify", NoVerdictError):
        verdict = msgspec.convert(msgspec.to_builtins(audit.verify(cfg, runs), enc_hook=_number), Verdict)
    names = [check.name for check in verdict.checks]
    if sorted(names) != sorted(planned):
        raise NoVerdictError(f"audit {audit.id} planned the checks {list(planned)} but verified {names}")
    return verdict


@contextmanager
def _as_message(audit: Audit[Any], method: str, kind: type[MlperfAuditError]) -> Iterator[None]:
    try:
        yield
    except (PlanError, NoVerdictError, KeyboardInterrupt):
        raise
    except BaseException as error:  # SystemExit and pytest's own outcomes would end the session as if all were well
        frame = traceback.extract_tb(error.__traceback__)[-1]
        raise kind(
            f"audit {audit.id}: its {method}() failed with {type(error).__name__}: {error} "
            f"({Path(frame.filename).name}:{frame.lineno}); this is a defect of the audit, so tell its author"
        ) from error


def _require_names(audit: Audit[Any], what: str, names: Sequence[str], allowed: re.Pattern[str]) -> None:
    if not names:
        raise PlanError(f"audit {audit.id}: it plans no {what}; an audit needs at least one")
    for name in names:
        if not (allowed.fullmatch(name) and name.isascii() and name.isprintable()):
            raise PlanError(f"audit {audit.id}: {what} {name!r} cannot be part of a test id and a path; rename it")
    if len(set(names)) < len(names):
        raise PlanError(f"audit {audit.id}: two of its {what}s share a name among {list(names)}; rename one")


def _number(value: Any) -> Any:
    """Turn a numpy scalar into Python's own number, as verdicts hold."""
    try:
        return value.item()
    except AttributeError:
        raise TypeError(f"a figure of type {type(value).__name__} cannot be recorded; use a number or text") from None
