"""Trees in which an absent audit might go unseen: odd spellings, another layout, two rounds, a point beside results."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from pytest_mlperf_audit.audits.published.case import verify
from pytest_mlperf_audit.audits.published.tree import find_audits, survey
from tests.support.submission import Submission

CASE = "closed/Ours/sys/resnet50/Offline"


def absent(tree: Path) -> list[str]:
    return sorted(f"{audit.case}::{audit.test}" for audit in survey(tree).audits if audit.layout == "absent")


@pytest.fixture
def tree(tmp_path: Path) -> Submission:
    """A result of v6.0 with TEST04, and without the TEST01 that it needs as well."""
    made = Submission(tmp_path / "v6.0", old=False)
    made.test04(CASE)
    return made


@pytest.mark.parametrize(
    ("name", "other"),
    [("closed", "Closed"), ("closed", "CLOSED "), ("results", "Results"), ("resnet50", "ResNet50")],
)
def test_names_in_another_spelling_hide_nothing(tree: Submission, name: str, other: str) -> None:
    path = next(path for path in tree.path.rglob(name))
    path.rename(path.with_name(other))
    case = CASE.replace(name, other) if name != "results" else CASE
    assert absent(tree.path) == [f"{case}::test01"]


def test_a_run_whose_directory_is_spelt_otherwise_is_a_result(tree: Submission) -> None:
    place = tree.directory(CASE)
    (place / "performance").rename(place / "Performance")
    assert absent(tree.path) == [f"{CASE}::test01"]


def test_a_point_beside_them_hides_no_audit(tree: Submission) -> None:
    point = tree.path / "closed/Ours/r1"
    point.mkdir()
    (point / "point.yaml").write_text("concurrency: 1\n")
    found = {audit.test: audit.layout for audit in survey(tree.path).audits}
    assert (found["test04"], found["test01"], found["points"]) == ("classic", "absent", "curve")


def test_a_file_of_the_endpoints_tool_stands_for_no_audit_of_loadgens(tree: Submission) -> None:
    shutil.rmtree(tree.directory(CASE) / "TEST04")
    tree.endpoints(CASE)
    assert absent(tree.path) == [f"{CASE}::test01", f"{CASE}::test04"]


def test_a_model_that_may_be_no_endpoints_submission_needs_loadgens_audits(tree: Submission) -> None:
    place = tree.directory(CASE)
    shutil.rmtree(place / "performance/run_1")
    (place / "performance/result_summary.json").write_text("{}")
    assert absent(tree.path) == [f"{CASE}::test01"]


def test_each_round_of_a_tree_has_rules_of_its_own(tmp_path: Path) -> None:
    """retinanet needs TEST01 in v5.1, and nothing in v6.1; resnet needs both tests in either."""
    for name, old in (("v5.1", True), ("v6.1", False)):
        made = Submission(tmp_path / "data" / f"inference_results_{name}", old=old)
        for benchmark in ("resnet50", "retinanet"):
            made.reference(CASE.replace("resnet50", benchmark))
    found = survey(tmp_path / "data")
    assert (found.round, found.remark) == ("v5.1, v6.1", "")
    assert sorted((audit.round, audit.benchmark, audit.test) for audit in found.audits) == [
        ("v5.1", "resnet50", "test01"),
        ("v5.1", "resnet50", "test04"),
        ("v5.1", "retinanet", "test01"),
        ("v6.1", "resnet50", "test01"),
        ("v6.1", "resnet50", "test04"),
    ]
    assert len({(audit.case, audit.test) for audit in found.audits}) == len(found.audits)


def test_one_round_of_a_tree_that_is_not_known_is_said(tmp_path: Path) -> None:
    for name in ("v4.1", "v6.1"):
        Submission(tmp_path / name, old=False).test04(CASE)
    found = survey(tmp_path)
    assert "which audits v4.1 requires is not known here" in found.remark
    assert absent(tmp_path) == [f"{CASE}::test01"]


@pytest.mark.parametrize(
    ("case", "told"),
    [
        ("close/Ours/sys/resnet50/Offline", "no audit is required of close/Ours/results/sys/resnet50/Offline, outside"),
        (f"{CASE}/Offline", "no audit is required of closed/Ours/results/sys/resnet50/Offline/Offline, outside"),
        (CASE.replace("resnet50", "novel"), "the round knows no benchmark novel, so no audit of it is required"),
    ],
)
def test_results_of_which_nothing_is_asked_are_said(tmp_path: Path, case: str, told: str) -> None:
    made = Submission(tmp_path / "v6.0", old=False)
    made.test04(case)
    assert told in survey(made.path).remark


def test_a_stray_result_of_one_round_among_several_is_said(tmp_path: Path) -> None:
    for name, case in (("v6.0", CASE), ("v6.1", CASE.replace("closed", "clsd"))):
        Submission(tmp_path / "data" / f"inference_results_{name}", old=False).test04(case)
    found = survey(tmp_path / "data")
    assert found.round == "v6.0, v6.1"
    assert "no audit is required of clsd/Ours/results/sys/resnet50/Offline, outside" in found.remark


def test_an_open_result_of_any_model_is_nothing_to_remark_on(tmp_path: Path) -> None:
    made = Submission(tmp_path / "v6.0", old=False)
    made.test04("open/Ours/sys/novel/Offline")
    assert survey(made.path).remark == ""


def test_names_that_read_alike_have_ids_of_their_own(tmp_path: Path) -> None:
    """Bytes that are no UTF-8, and a name that spells what is shown of them; not on a file system that has no such."""
    made = Submission(tmp_path / "tree", old=False)
    for name in (os.fsdecode(b"no\xffutf8"), "no\\udcffutf8"):
        made.test04(f"closed/{name}/sys/resnet50/Offline")
    assert len({(audit.case, audit.test) for audit in find_audits(made.path)}) == 2


@pytest.mark.parametrize(
    ("round_name", "division", "withdrawn", "status"),
    [
        ("v6.0", "closed", False, "NO_VERDICT"),
        ("v6.0", "closed", True, "SKIPPED"),
        ("v6.0", "open", False, "SKIPPED"),
        ("v4.1", "closed", False, "SKIPPED"),
    ],
)
def test_taking_the_reference_away_rids_nobody_of_an_audit_that_fails(
    tmp_path: Path, round_name: str, division: str, withdrawn: bool, status: str
) -> None:
    """A result without its log was not withdrawn."""
    case = CASE.replace("closed", division)
    made = Submission(tmp_path / round_name)
    made.test04(case, ratio=2)
    shutil.rmtree(made.directory(case) if withdrawn else made.directory(case) / "performance/run_1")
    (audit,) = (one for one in find_audits(made.path) if one.layout == "classic")
    came = verify(audit)
    assert came.status == status
    assert ("has no" in came.reason) is (status == "NO_VERDICT")


def test_test01_needs_its_reference_whatever_its_outputs_say(tmp_path: Path) -> None:
    """Its other part must not pass alone."""
    made = Submission(tmp_path / "v6.0", old=False)
    made.reference(CASE).unlink()
    (made.directory(CASE) / "TEST01/accuracy").mkdir(parents=True)
    (audit,) = (one for one in find_audits(made.path) if one.test == "test01")
    assert {check.name: check.passed for check in verify(audit).checks}["reference"] is None
