"""An AuditRun as pytest nodes: wan22.yaml::test04::completion[reference].

The YAML is a Module whose one class per audit holds one function per check, so that fixtures, parametrization, markers,
-k, --lf, ids as arguments, junit and xdist are pytest's own.
"""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from typing_extensions import Self

from .run import AuditRun, PlannedAudit

_CHECK = re.compile(r"(?P<name>[^\[]+)(?:\[(?P<of>.+)\])?")


class AuditFile(pytest.Module):
    """The YAML as a collector."""

    run: AuditRun

    @classmethod
    def of(cls, run: AuditRun, parent: pytest.Collector) -> Self:
        """Collect `run` under `parent`."""
        node: Self = cls.from_parent(parent, path=run.path, nodeid=run.node_id)
        node.run = run
        return node

    def _getobj(self) -> types.ModuleType:
        module = types.ModuleType(f"mlperf_{self.path.stem}", doc=f"Audits that {self.path} asks for")
        module.__file__ = str(self.path)
        vars(module).update({planned.id: _audit_class(planned) for planned in self.run.plans})
        return module

    def collect(self) -> Iterable[pytest.Class]:
        """Yield one class per audit, marked with its id."""
        for planned in self.run.plans:
            node: pytest.Class = pytest.Class.from_parent(self, name=planned.id)
            node.add_marker(planned.id)
            node.add_marker("mlperf")
            yield node


def _audit_class(planned: PlannedAudit) -> type:
    # __test__ makes classes and functions collected whatever the user's python_classes and python_functions say.
    members: dict[str, Any] = {"__test__": True, "__doc__": planned.audit.title}
    for name, phases in _grouped(planned.checks).items():
        members[name] = _check_function(name, phases)
    return type(planned.id, (), members)


def _grouped(checks: Iterable[str]) -> dict[str, list[str]]:
    """Return the checks' names, each with what stands in brackets behind it: one function, its parameters."""
    grouped: dict[str, list[str]] = {}
    for check in checks:
        match = _CHECK.fullmatch(check)
        name, of = (match["name"], match["of"]) if match else (check, None)
        grouped.setdefault(name, []).extend([of] if of else [])
    return grouped


def _check_function(name: str, phases: list[str]) -> Callable[..., None]:
    def of_audit(self: Any, _mlperf_check: Callable[[], None]) -> None:  # noqa: ARG001
        _mlperf_check()

    def of_phase(self: Any, phase: str, _mlperf_check: Callable[[], None]) -> None:  # noqa: ARG001
        _mlperf_check()

    check: Any = pytest.mark.parametrize("phase", phases)(of_phase) if phases else of_audit
    check.__name__ = check.__qualname__ = name
    check.__test__ = True
    return check  # type: ignore[no-any-return]
