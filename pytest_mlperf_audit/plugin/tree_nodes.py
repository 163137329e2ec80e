"""A submission tree as pytest nodes: closed/NVIDIA/H200-SXM-141GBx8_TRT/resnet50/Offline::test04.

Plain collectors and items, not Modules: a round has thousands of them, and none takes a fixture.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from ..audits.published.case import AuditDirectory, CaseOutcome, verify
from ..audits.published.tree import TESTS
from ..audits.shipped import SHIPPED
from ..report.round import words
from ..session.round import CASE, Round, carried
from ..text import plain, readable
from .crash import point

_MARKERS = frozenset((*TESTS, *SHIPPED))


class TreeNode(pytest.Directory):
    """The tree."""

    round: Round

    @classmethod
    def of(cls, found: Round, parent: pytest.Collector) -> TreeNode:
        """Collect `found` under `parent`."""
        node: TreeNode = cls.from_parent(parent, path=found.tree, nodeid=readable(found.tree.name))
        node.round = found
        return node

    @override
    def collect(self) -> Iterable[pytest.Collector]:
        for case, audits in self.round.groups():
            node: ScenarioNode = ScenarioNode.from_parent(self, name=case, nodeid=case)
            node.audits = audits
            yield node


class ScenarioNode(pytest.Collector):
    """The audits of one scenario."""

    audits: list[AuditDirectory]

    @override
    def collect(self) -> Iterable[pytest.Item]:
        for audit in self.audits:
            item: CaseItem = CaseItem.from_parent(self, name=audit.test)
            item.audit = audit
            if audit.test in _MARKERS:  # a file audit_xfail.json must not become the marker xfail
                item.add_marker(audit.test)
            item.add_marker("mlperf")
            yield item


class CaseItem(pytest.Item):
    """One audit directory. It is judged when it is set up, so that a doubt is an error and a failure a failure."""

    audit: AuditDirectory
    outcome: CaseOutcome

    @override
    def setup(self) -> None:
        self.outcome = verify(self.audit)
        self.user_properties += [(f"mlperf_{name}", value) for name, value in self.outcome.figures.items()]
        if self.outcome.status == "PASS" and (remarks := list(words.remarks(self.outcome))):
            self.add_report_section("setup", "mlperf", "\n".join(remarks))  # an account of a failure has them anyway
        if self.outcome.status == "SKIPPED":
            raise pytest.skip.Exception(plain(self.outcome.reason, 1000), _use_item_location=True)
        if self.outcome.status == "NO_VERDICT":
            pytest.fail(words.account(self.outcome), pytrace=False)

    @override
    def runtest(self) -> None:
        if self.outcome.status == "FAIL":
            pytest.fail(words.account(self.outcome), pytrace=False)

    @override
    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        return readable(_file_of(self.audit.path)), 0, self.name


def _file_of(path: Path) -> str:
    """Return the file of an audit that says what its submitter found, the directory where there is none."""
    try:
        return str(min(path.glob("verify_*.txt"), default=path))
    except OSError:
        return str(path)


def carry(item: pytest.Item, call: pytest.CallInfo[None], report: Any) -> None:
    """Give a case's outcome to the report that is made when it has been judged. A failure points at its file."""
    if not isinstance(item, CaseItem):
        return
    point(item, call, report.longrepr)
    if report.when == "setup" and hasattr(item, "outcome"):
        setattr(report, CASE, carried(item.outcome))


def tree_at(path: Path, rounds: list[Round], parent: pytest.Collector) -> TreeNode | None:
    """Return the node of the tree that lies at a path, None for any other directory."""
    for found in rounds:
        if found.tree == path:
            return TreeNode.of(found, parent)
    return None
