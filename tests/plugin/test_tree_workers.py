"""Under xdist, a report of a tree's audit travels in one piece and arrives as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_mlperf_audit.audits.published.tree import survey
from pytest_mlperf_audit.plugin.tree_workers import pack, unpack
from pytest_mlperf_audit.session.surveys import packed_surveys, unpacked_surveys
from tests.support.submission import Submission

_DATA = {
    "location": ("tree/closed/x", 0, "test04"),
    "keywords": {"test04": 1, "": 1},
    "outcome": "skipped",
    "longrepr": ("tree/closed/x", 1, "Skipped: not published"),
    "when": "setup",
    "user_properties": [("mlperf_ratio", 1.01), ("mlperf_unit", "ns"), ("mlperf_sample_index", 3), ("mlperf_x", None)],
    "sections": [("Captured setup", "a\u00e4")],
    "duration": 0.25,
    "start": 1.5,
    "stop": 1.75,
    "mlperf_case": "{}",
    "extras": [],
    "nodeid": "closed/x::test04",
    "$report_type": "TestReport",
}


def test_a_report_arrives_as_it_was_sent() -> None:
    packed = pack(dict(_DATA))
    assert set(packed) == {"$mlperf_packed", "longrepr", "extras", "$report_type"}
    unpack(packed)
    assert packed == _DATA
    assert isinstance(packed["location"], tuple)
    assert all(isinstance(each, tuple) for each in packed["user_properties"])
    plain = dict(packed)
    unpack(plain)
    assert plain == packed


@pytest.mark.parametrize(
    "odd",
    [
        {"user_properties": [("x", [1])]},
        {"user_properties": [("x", (1, 2))]},
        {"user_properties": [("x", 2**70)]},
        {"user_properties": [["x", 1]]},
        {"keywords": {"x": "y"}},
        {"location": ["x", 0, "y"]},
        {"sections": [("x", "\ud800")]},
        {"user_properties": [("x", object())]},
    ],
)
def test_what_another_plugin_made_of_a_report_is_left_alone(odd: dict[str, object]) -> None:
    data = _DATA | odd
    assert pack(data) is data


def test_the_workers_know_what_the_controller_found(tmp_path: Path) -> None:
    tree = Submission(tmp_path / "inference_results_v5.0")
    tree.test04("closed/X/S/resnet50/Offline")
    (tree.path / "closed" / "od\udcffd").mkdir()
    found = survey(tree.path)
    assert unpacked_surveys(packed_surveys([(tree.path, found)])) == {tree.path: found}


def test_workers_do_not_walk_the_tree_and_report_as_one_process_does(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # this may be a worker itself
    tree = Submission(pytester.path / "round")
    tree.test04("closed/X/S/resnet50/Offline")
    tree.test04("closed/Y/S/resnet50/Offline", ratio=1.5)
    pytester.makeconftest(
        """
        import os
        from pytest_mlperf_audit.session import round as rounds

        walked = rounds.survey

        def survey(tree):
            assert "PYTEST_XDIST_WORKER" not in os.environ
            return walked(tree)

        rounds.survey = survey

        def pytest_runtest_logreport(report):
            if "PYTEST_XDIST_WORKER" not in os.environ:
                known = [report.nodeid, report.when, report.outcome, report.location, report.keywords,
                         report.user_properties, report.sections, str(report.longrepr),
                         getattr(report, "mlperf_case", None)]
                print("SEEN", repr(known))
        """
    )
    seen = []
    for workers in ("0", "2"):
        done = pytester.runpytest_subprocess("-s", "-p", "no:randomly", "-n", workers, f"--mlperf-results={tree.path}")
        done.assert_outcomes(passed=1, failed=1)
        seen.append(sorted(line[line.index("SEEN") :] for line in done.outlines if "SEEN" in line))
    assert len(seen[0]) == 2 * len(("setup", "call", "teardown"))
    assert seen[0] == seen[1]
