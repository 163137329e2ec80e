"""A finished run as pytest nodes: mlperf-reports/wan22/verdict.json::test04::throughput_ratio."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest
from typing_extensions import Self, override

from ..session.finished import RECORDS
from ..session.recheck import Recheck
from ..session.recheck_account import AUDIT, names_of_records, result
from .audit_nodes import CheckFile, Group, check_of, group_of, note_figures

#: The property of a report that says what a test came to; see results.State.
STATE = "mlperf_recheck"


class RecheckFile(CheckFile):
    """A verdict.json as a collector."""

    recheck: Recheck

    @classmethod
    def of(cls, recheck: Recheck, node_id: str, parent: pytest.Collector) -> Self:
        """Collect a finished run under `parent`."""
        node: Self = cls.from_parent(parent, path=recheck.run.verdict_file, nodeid=node_id)
        node.recheck = recheck
        return node

    @override
    def groups(self) -> Iterable[Group]:
        stored, known = self.recheck.run.stored, self.recheck.knows
        audits = stored.audits if stored else ()
        yield Group(
            RECORDS,
            "The run as a whole",
            tuple(names_of_records(self.recheck)),
            marked={f"{AUDIT}[{entry.id}]": entry.id for entry in audits if known(entry.id)},
        )
        for entry in audits:
            # An audit that nobody offers has no marker, and --strict-markers would end the session.
            markers = (entry.id,) if known(entry.id) else ()
            yield Group(entry.id, entry.title, tuple(check.name for check in entry.checks), markers)

    @override
    def prepared(self, item: pytest.Item) -> Callable[[], None]:
        found = result(self.recheck, group_of(item), check_of(item))
        item.user_properties.append((STATE, found.state))
        note_figures(item, found.figures)
        if found.state == "not_run":
            pytest.skip(found.text)
        if found.state in ("undecided", "damaged"):
            pytest.fail(found.text, pytrace=False)

        def report() -> None:
            if found.state != "confirmed":
                pytest.fail(found.text, pytrace=False)

        return report


def file_at(path: Path, rechecks: Sequence[tuple[Recheck, str]], parent: pytest.Collector) -> RecheckFile | None:
    """Return the node of the run whose verdict lies at a path, None for any other file."""
    for recheck, node_id in rechecks:
        if recheck.run.verdict_file == path:
            return RecheckFile.of(recheck, node_id, parent)
    return None
