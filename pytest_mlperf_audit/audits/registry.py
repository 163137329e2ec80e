"""The audits known to a run: the shipped ones, and those offered through the pytest_mlperf_audits hook."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

from ..config.block import AuditBlock
from ..errors import ConfigError
from .contract import MLPERF_NAME, Audit
from .main_run import Accuracy, AccuracyBlock, Performance, PerformanceBlock
from .shipped import SHIPPED

Registry = dict[str, Audit[Any]]


def shipped() -> Registry:
    """Return the shipped audits by id."""
    homes = (home.split(":") for home in SHIPPED.values())
    return gather(getattr(import_module(f".{module}", __package__), name)() for module, name in homes)


def runs() -> dict[str, tuple[Audit[Any], AuditBlock]]:
    """Return the main run and the accuracy run by id, with their settings; no `audit:` block asks for them."""
    return {"performance": (Performance(), PerformanceBlock()), "accuracy": (Accuracy(), AccuracyBlock())}


def gather(offered: Iterable[Audit[Any]]) -> Registry:
    """Return audits by id. Raises ConfigError when two claim a name, and for what is no audit."""
    audits: Registry = {}
    claimed: dict[str, Audit[Any]] = {name: run for name, (run, _) in runs().items()}
    for audit in offered:
        _require_audit(audit)
        for name in (audit.id, *audit.aliases):
            if (other := claimed.setdefault(name, audit)) is not audit:
                raise ConfigError(
                    f"two audits are called {name!r}: {type(other).__module__}.{type(other).__qualname__} and "
                    f"{type(audit).__module__}.{type(audit).__qualname__}; rename one"
                )
        audits[audit.id] = audit
    return audits


def _require_audit(audit: Any) -> None:
    """Raise ConfigError for what cannot be run as an audit, or not be written into a file of its name."""
    if not isinstance(audit, Audit):
        raise ConfigError(
            f"an audit was offered that is {audit!r:.200}: offer instances of subclasses of pytest_mlperf_audit.Audit"
        )
    if audit.mlperf_name is not None and not MLPERF_NAME.fullmatch(audit.mlperf_name):
        raise ConfigError(
            f"audit {audit.id}: mlperf_name {audit.mlperf_name!r} is a part of files' names; "
            "use lower-case letters, digits and _"
        )


def models(audits: Mapping[str, Audit[Any]]) -> dict[str, type[AuditBlock]]:
    """Return each audit's configuration model, for the union that `audit:` is read as."""
    return {name: audit.config for name, audit in audits.items()}


def entry_id(audit: Audit[Any], cfg: AuditBlock) -> str:
    """Return the id of an entry of `audit:` in test ids and files: the audit's, and its own name where it has one."""
    return f"{audit.id}-{cfg.name}" if cfg.name else audit.id


def find(audits: Mapping[str, Audit[Any]], test: str) -> Audit[Any]:
    """Return the audit that `test:` names, by id or alias. Raises KeyError."""
    for audit in audits.values():
        if test == audit.id or test in audit.aliases:
            return audit
    raise KeyError(test)
