"""Checks as pytest nodes: wan22.yaml::test04::completion[reference], and those of finished runs.

The file is a Module whose one class per audit holds one function per check, so that fixtures, parametrization, markers,
-k, --lf, ids as arguments, junit and xdist are pytest's own.
"""

from __future__ import annotations

import re
import types
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import Self, override

from ..audits.verdict import Figure, KindState, Verdict
from ..errors import NoVerdictError, RecordError
from ..report.text import failure_text
from ..session.compare import COMPARE
from ..session.finished import RECORDS
from ..session.places import shown
from ..session.recheck import Recheck
from ..session.recheck_results import AUDIT, STATE, names_of_records, result
from ..session.run import AuditRun
from ..session.run_account import CHECK
from ..text import plain
from .crash import point

#: The argument of a check of several phases; no name that a user's pytest_generate_tests would give values to.
_PHASE = "_mlperf_phase"
#: What JUnit tells of a compared figure.
_COMPARED = ("before", "after", "slower", "slower_low", "slower_high")

_CHECK = re.compile(r"(?P<name>[^\[]+)(?:\[(?P<of>.+)\])?")


@dataclass(frozen=True)
class _Group:
    """What becomes a class of tests: an audit, say. `markers` are those of all its checks.

    `marked` gives single checks, of those with brackets, a marker of their own. `line` is where the file asks for it.
    """

    name: str
    title: str
    checks: tuple[str, ...]
    markers: tuple[str, ...] = ()
    marked: Mapping[str, str] = field(default_factory=dict)
    line: int = 1


class CheckFile(pytest.Module):
    """A file whose tests are checks. A subclass says which they are and what each comes to."""

    @abstractmethod
    def groups(self) -> Iterable[_Group]:
        """Return the groups of checks, in order."""

    @abstractmethod
    def prepared(self, item: pytest.Item) -> Callable[[], None]:
        """Return what the test of a check calls. Raised here it is an error of the test, raised there a failure."""

    def _getobj(self) -> types.ModuleType:
        module = types.ModuleType(f"mlperf_{self.path.stem}", doc=f"Checks of {self.path}")
        module.__file__ = str(self.path)
        vars(module).update({group.name: _class_of(group, self.path) for group in self.groups()})
        return module

    def collect(self) -> Iterable[pytest.Class]:
        """Yield one class per group, with its markers."""
        for group in self.groups():
            node: pytest.Class = pytest.Class.from_parent(self, name=group.name)
            for marker in (*group.markers, "mlperf"):
                node.add_marker(marker)
            yield node


class AuditFile(CheckFile):
    """The YAML as a collector."""

    run: AuditRun

    @classmethod
    def of(cls, run: AuditRun, parent: pytest.Collector) -> Self:
        """Collect `run` under `parent`."""
        node: Self = cls.from_parent(parent, path=run.path, nodeid=run.node_id)
        node.run = run
        return node

    @override
    def groups(self) -> Iterable[_Group]:
        groups = [
            _Group(planned.id, planned.audit.title, planned.checks, planned.markers, line=self.run.line_of(planned))
            for planned in self.run.plans
        ]
        if compared := self.run.comparison:
            groups.append(_Group(COMPARE, "Comparison with an earlier run", compared.metrics, (COMPARE,)))
        return groups

    @override
    def prepared(self, item: pytest.Item) -> Callable[[], None]:
        audit_id = group_of(item)
        if audit_id == COMPARE and self.run.comparison:
            return self._compared(item)
        verdict = self._verdict(item, audit_id)
        check = verdict.check(_check_of(item))
        _note_kinds(item, verdict.kinds)
        if not check.tested:
            raise pytest.skip.Exception(plain(check.reason, 1000), _use_item_location=True)
        if check.passed is None:
            pytest.fail(f"{audit_id}: no verdict: {check.reason}", pytrace=False)
        records = shown(self.run.plan(audit_id).phases[0].directory.parent)

        def report() -> None:
            _note_figures(item, {"observed": check.observed, "limit": check.limit, **verdict.figures})
            if not check.passed:
                pytest.fail(failure_text(check, records), pytrace=False)

        return report

    def _compared(self, item: pytest.Item) -> Callable[[], None]:
        """Return what the test of a compared figure calls."""
        comparison, why = None, ""
        try:
            comparison = self.run.compared()
        except (NoVerdictError, RecordError) as error:
            why = str(error)
        if comparison is None:  # outside of the handler, as in _verdict
            pytest.fail(f"{COMPARE}: no verdict: {why}", pytrace=False)
        figure = next(one for one in comparison.figures if one.metric == _check_of(item))
        text = f"{plain(figure.sentence, 600)}\n  against: {plain(comparison.against, 200)}"
        _note_figures(item, {name: getattr(figure, name) for name in _COMPARED} | {"limit": comparison.threshold})
        if figure.passed is None:
            pytest.fail(text, pytrace=False)

        def report() -> None:
            if not figure.passed:
                pytest.fail(text, pytrace=False)

        return report

    def _verdict(self, item: pytest.Item, audit_id: str) -> Verdict:
        """Return the verdict. Fails the test where there is none; the first test says why, and the others name it."""
        try:
            return self.run.verdict(audit_id)
        except (NoVerdictError, RecordError) as error:
            why = str(error)
        # Outside of the handler, or pytest would show the error once more as the cause.
        first = self.run.reported_by.setdefault(f"{audit_id}: {why}", item.nodeid)
        pytest.fail(f"{audit_id}: no verdict: {why if first == item.nodeid else f'see {first}'}", pytrace=False)


class RecheckFile(CheckFile):
    """A verdict.json as a collector: mlperf-reports/wan22/verdict.json::test04::throughput_ratio."""

    recheck: Recheck

    @classmethod
    def of(cls, recheck: Recheck, node_id: str, parent: pytest.Collector) -> Self:
        """Collect a finished run under `parent`."""
        node: Self = cls.from_parent(parent, path=recheck.run.verdict_file, nodeid=node_id)
        node.recheck = recheck
        return node

    @override
    def groups(self) -> Iterable[_Group]:
        stored, known = self.recheck.run.stored, self.recheck.knows
        audits = stored.audits if stored else ()
        yield _Group(
            RECORDS,
            "The run as a whole",
            tuple(names_of_records(self.recheck)),
            marked={f"{AUDIT}[{entry.id}]": entry.test for entry in audits if known(entry.id)},
        )
        for entry in audits:
            # An audit that nobody offers has no marker, and --strict-markers would end the session.
            markers = tuple(filter(None, (entry.test, entry.name))) if known(entry.id) else ()
            yield _Group(entry.id, entry.title, tuple(check.name for check in entry.checks), markers)

    @override
    def prepared(self, item: pytest.Item) -> Callable[[], None]:
        compared = result(self.recheck, group_of(item), _check_of(item))
        item.user_properties.append((STATE, compared.state))
        _note_figures(item, compared.figures)
        if compared.state == "not_run":
            pytest.skip(compared.text)
        if compared.state in ("undecided", "damaged"):
            pytest.fail(compared.text, pytrace=False)

        def report() -> None:
            if compared.state != "confirmed":
                pytest.fail(compared.text, pytrace=False)

        return report


def group_of(item: pytest.Item) -> str:
    """Return the name of a check's group."""
    group = item.getparent(pytest.Class)
    assert group is not None
    return group.name


def _check_of(item: pytest.Item) -> str:
    """Return the name of the check that a test stands for: its own, less what others have parametrized it with."""
    assert isinstance(item, pytest.Function)
    params = item.callspec.params if hasattr(item, "callspec") else {}
    return f"{item.originalname}[{params[_PHASE]}]" if _PHASE in params else item.originalname


def carry(item: pytest.Item, call: pytest.CallInfo[None], report: Any) -> None:
    """Give the id of the check that a test stands for to its report: `pytest --count=2` has two tests of one.

    A failure points at the file.
    """
    if isinstance(item.getparent(pytest.Module), CheckFile):
        point(item, call, report.longrepr)
    if file := item.getparent(AuditFile):
        setattr(report, CHECK, f"{file.run.node_id}::{group_of(item)}::{_check_of(item)}")


def finished_at(path: Path, rechecks: Sequence[tuple[Recheck, str]], parent: pytest.Collector) -> RecheckFile | None:
    """Return the node of the run whose verdict lies at a path, None for any other file."""
    for recheck, node_id in rechecks:
        if recheck.run.verdict_file == path:
            return RecheckFile.of(recheck, node_id, parent)
    return None


def _note_figures(item: pytest.Item, figures: Mapping[str, Figure]) -> None:
    """Add the figures that there are to what JUnit tells of a test."""
    # Not by record_property, which warns under pytest's default junit_family, though it writes the same.
    item.user_properties.extend((f"mlperf_{name}", value) for name, value in figures.items() if value is not None)


def _note_kinds(item: pytest.Item, kinds: Iterable[KindState]) -> None:
    """Add what became of each kind of cache to what JUnit tells of a test: mlperf_cache_prefix, "not looked for"."""
    item.user_properties.extend((f"mlperf_cache_{one.kind}", one.state) for one in kinds)


def _class_of(group: _Group, path: Path) -> type:
    # __test__ makes classes and functions collected whatever the user's python_classes and python_functions say.
    members: dict[str, Any] = {"__test__": True, "__doc__": group.title}
    for name, phases in _grouped(group.checks).items():
        marked = {of: group.marked[f"{name}[{of}]"] for of in phases if f"{name}[{of}]" in group.marked}
        members[name] = check = _check_function(name, phases, marked)
        # Whoever shows where a test stands (annotations, IDEs, -v) shows the audit's block.
        check.__code__ = check.__code__.replace(co_filename=str(path), co_firstlineno=group.line)
    return type(group.name, (), members)


def _grouped(checks: Iterable[str]) -> dict[str, list[str]]:
    """Return the checks' names, each with what stands in brackets behind it: one function, its parameters."""
    grouped: dict[str, list[str]] = {}
    for check in checks:
        match = _CHECK.fullmatch(check)
        name, of = (match["name"], match["of"]) if match else (check, None)
        grouped.setdefault(name, []).extend([of] if of else [])
    return grouped


def _check_function(name: str, phases: list[str], marked: Mapping[str, str]) -> Any:
    def of_audit(self: Any, _mlperf_check: Callable[[], None]) -> None:  # noqa: ARG001
        _mlperf_check()

    def of_phase(self: Any, _mlperf_phase: str, _mlperf_check: Callable[[], None]) -> None:  # noqa: ARG001
        _mlperf_check()

    params = [pytest.param(of, marks=getattr(pytest.mark, marked[of]) if of in marked else ()) for of in phases]
    check: Any = pytest.mark.parametrize(_PHASE, params)(of_phase) if phases else of_audit
    check.__name__ = check.__qualname__ = name
    check.__test__ = True
    return check
