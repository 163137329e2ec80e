"""Finding the audits of a tree: every round's layout, quirks of spelling, parts of a tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_mlperf_audit.errors import ConfigError
from pytest_mlperf_audit.mlperf.submission.tree import find_audits
from tests.support.submission import Submission

CASE = "closed/Some Company/H200x8_TRT/resnet50/Offline"


@pytest.fixture
def old(tmp_path: Path) -> Submission:
    """A tree as of v5.1 and older."""
    return Submission(tmp_path / "v5.1")


def test_the_old_layout(old: Submission):
    old.test04(CASE)
    (audit,) = find_audits(old.path)
    assert (audit.case, audit.test, audit.layout) == (CASE, "test04", "classic")
    assert (audit.division, audit.submitter, audit.system) == ("closed", "Some Company", "H200x8_TRT")
    assert (audit.benchmark, audit.scenario) == ("resnet50", "Offline")
    assert audit.path == old.path / "closed/Some Company/compliance/H200x8_TRT/resnet50/Offline/TEST04"
    assert audit.results == old.path / "closed/Some Company/results/H200x8_TRT/resnet50/Offline"


def test_the_new_layout(tmp_path: Path):
    new = Submission(tmp_path, old=False)
    new.test04(CASE)
    new.endpoints("open/Other/sys/wan-2.2-t2v-a14b/SingleStream")
    first, second = find_audits(tmp_path)
    assert first.results == first.path.parent
    assert (second.case, second.test, second.layout) == (
        "open/Other/sys/wan-2.2-t2v-a14b/SingleStream",
        "test04",
        "endpoints",
    )
    assert second.path.name == "audit_output_caching_test.json"


@pytest.mark.parametrize("below", ["closed", "closed/Some Company", "closed/Some Company/compliance/H200x8_TRT"])
def test_a_part_of_a_tree_has_the_same_ids(old: Submission, below: str):
    old.test04(CASE)
    (audit,) = find_audits(old.path / below)
    assert audit.case == CASE
    assert audit.results == old.path / "closed/Some Company/results/H200x8_TRT/resnet50/Offline"


@pytest.mark.parametrize(
    ("compliance", "results"),
    [
        ("sys/resnet50/offline", "sys/resnet50/Offline"),
        ("sys/resnet50/MultiStreeam", "sys/resnet50/MultiStream"),
        ("sys/bert-99/bert-99/Offline", "sys/bert-99/Offline"),
        ("sys/llama3_1-8b/Server", "sys/llama3.1-8b/Server"),
        ("sys/resnet/Server", "sys/resnet50/Server"),
    ],
)
def test_the_reference_in_another_spelling(tmp_path: Path, compliance: str, results: str):
    (tmp_path / "closed/Us/compliance" / compliance / "TEST04").mkdir(parents=True)
    (tmp_path / "closed/Us/results" / results).mkdir(parents=True)
    (audit,) = find_audits(tmp_path)
    assert audit.results == tmp_path / "closed/Us/results" / results


def test_two_spellings_alike_are_not_guessed_between(tmp_path: Path):
    (tmp_path / "closed/Us/compliance/sys/resnet50/offline/TEST04").mkdir(parents=True)
    for name in ("Offline", "OFFLINE"):
        (tmp_path / "closed/Us/results/sys/resnet50" / name).mkdir(parents=True)
    (audit,) = find_audits(tmp_path)
    assert not audit.results.exists()


def test_both_layouts_of_one_scenario_have_ids_of_their_own(tmp_path: Path):
    tree = Submission(tmp_path, old=False)
    tree.test04(CASE)
    tree.endpoints(CASE)
    first, second = find_audits(tmp_path)
    assert (first.case, second.case) == (CASE, f"{CASE}/audit")


def test_other_tests_and_other_files_are_left_alone(tmp_path: Path):
    tree = Submission(tmp_path)
    tree.test04(CASE)
    scenario = tree.compliance(CASE)
    for name in ("TEST05", "TEST08", "TEST99", "TEST04-A", "notes"):
        (scenario / name).mkdir()
    (tmp_path / "closed/Some Company/code/x/TEST04").mkdir(parents=True)
    assert [audit.test for audit in find_audits(tmp_path)] == ["test04"]


def test_every_audit_is_found_once_and_in_order(tmp_path: Path):
    tree = Submission(tmp_path)
    for test in ("TEST09", "TEST01", "TEST07", "TEST06", "TEST04"):
        (tree.compliance(CASE) / test).mkdir(parents=True)
    assert [audit.test for audit in find_audits(tmp_path)] == ["test01", "test04", "test06", "test07", "test09"]


@pytest.mark.parametrize(
    ("name", "message"),
    [("nowhere", "does not exist"), ("file", "is a file"), ("empty", "no audit was found")],
)
def test_what_is_no_tree(tmp_path: Path, name: str, message: str):
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=message) as caught:
        find_audits(tmp_path / name)
    assert str(caught.value).startswith(f"--mlperf-results: {tmp_path}") or name == "empty"
