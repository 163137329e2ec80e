"""Finding the audits of a tree: every round's layout, quirks of spelling, parts of a tree."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from pytest_mlperf_audit.audits.published.case import CaseOutcome, verify
from pytest_mlperf_audit.audits.published.tree import find_audits, survey
from pytest_mlperf_audit.errors import ConfigError
from tests.support.submission import Submission

CASE = "closed/Some Company/H200x8_TRT/resnet50/Offline"


@pytest.fixture
def old(tmp_path: Path) -> Submission:
    """A tree as of v5.1 and older."""
    return Submission(tmp_path / "v3.1")


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
    for name in ("TEST05", "test05_sr", "TEST99", "notes"):
        (scenario / name).mkdir()
    (tmp_path / "closed/Some Company/code/x/TEST04").mkdir(parents=True)
    found = survey(tmp_path)
    assert [audit.test for audit in found.audits] == ["test04"]
    assert found.not_judged == {"TEST05": 1, "TEST05_SR": 1, "TEST99": 1}


@pytest.mark.parametrize("code", ["src/x/compliance/TEST06", "tools/compliance/nvidia/TEST06", "code/TEST04"])
def test_copies_of_upstreams_scripts_are_no_audits(tmp_path: Path, code: str):
    tree = Submission(tmp_path, old=False)
    tree.test04(CASE)
    (tmp_path / "closed/Some Company" / code).mkdir(parents=True)
    assert [audit.case for audit in find_audits(tmp_path)] == [CASE]


def test_a_system_may_have_the_name_of_a_folder_of_code(tmp_path: Path):
    tree = Submission(tmp_path)
    tree.test04("closed/Us/src/resnet50/Offline")
    assert [audit.system for audit in find_audits(tmp_path)] == ["src"]


def test_a_folder_compliance_within_the_scenario(tmp_path: Path):
    tree = Submission(tmp_path, old=False)
    tree.test04(CASE)
    scenario = tree.compliance(CASE)
    (scenario / "compliance/TEST01").mkdir(parents=True)
    found = {audit.test: audit for audit in find_audits(tmp_path)}
    assert (found["test01"].case, found["test01"].results) == (CASE, scenario)


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


def test_a_tree_deeper_than_python_recurses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tree = tmp_path / "tree"
    Submission(tree).test04(CASE)
    monkeypatch.chdir(tree / "closed")
    for _ in range(1200):
        Path("d").mkdir()
        os.chdir("d")
    found = find_audits(tree)
    for _ in range(1200):  # pytest's own cleaning up would recurse
        os.chdir("..")
        Path("d").rmdir()
    assert [audit.case for audit in found] == [CASE]


def test_a_linked_directory_of_the_tree_is_one_of_its_own(old: Submission):
    old.test04(CASE)
    scenario = old.compliance(CASE)
    scenario.with_name("Server").symlink_to("Offline")
    assert [audit.case for audit in find_audits(old.path)] == [CASE, CASE.replace("Offline", "Server")]


def test_links_in_circles_and_out_of_the_tree_are_not_followed(old: Submission, tmp_path: Path):
    old.test04(CASE)
    Submission(tmp_path / "other").test04("closed/Them/sys/resnet50/Offline")
    scenario = old.compliance(CASE)
    (scenario / "up").symlink_to(old.path)
    (scenario / "here").symlink_to(".")
    (scenario / "self").symlink_to("self")
    (scenario / "nowhere").symlink_to("nothing")
    (scenario / "out").symlink_to(tmp_path / "other")
    for name in ("one", "other"):
        (old.path / "closed" / name).mkdir()
    (old.path / "closed/one/x").symlink_to("../other")
    (old.path / "closed/other/x").symlink_to("../one")
    assert [audit.case for audit in find_audits(old.path)] == [CASE]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"new\nline", "new\\nline"),
        (b"esc\x1b[31m", "esc\\x1b[31m"),
        ("right\u202eleft".encode(), "right\\u202eleft"),
        (b"no\xffutf8", "no\\udcffutf8"),
        ("Société Générale".encode(), "Société Générale"),
    ],
)
def test_names_that_no_terminal_should_see(old: Submission, name: bytes, shown: str):
    old.test04(f"closed/{os.fsdecode(name)}/sys/resnet50/Offline")
    (audit,) = find_audits(old.path)
    assert audit.case == f"closed/{shown}/sys/resnet50/Offline"
    assert audit.submitter == shown
    came = verify(audit)
    assert came.status == "PASS"
    assert msgspec.json.decode(msgspec.json.encode(came), type=CaseOutcome) == came
