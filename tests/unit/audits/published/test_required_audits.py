"""What a round requires and a tree lacks: the tables of MLPerf's checker, by round, division, model and layout."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pytest_mlperf_audit.audits.published.case import verify
from pytest_mlperf_audit.audits.published.required import required_tests, round_named
from pytest_mlperf_audit.audits.published.tree import survey
from tests.support.submission import Submission, summary

SEEDS = """\
qsl_rng_seed : 2465351861681999779
sample_index_rng_seed : 14276810075590677512
schedule_rng_seed : 3936089224930324775
"""


@pytest.mark.parametrize(
    ("name", "benchmark", "tests"),
    [
        ("v5.0", "resnet50", ("test01", "test04")),
        ("v5.1", "mobilenetv2", ("test01", "test04")),
        ("v5.0", "llama3_1-8b", ()),
        ("v5.1", "llama3_1-8b", ("test06",)),
        ("v5.1", "pointpainting", ("test01", "test04")),
        ("v6.0", "dlrm-v3", ("test08",)),
        ("v6.0", "gpt-oss-120b", ("test07", "test09")),
        ("v6.0", "wan-2.2-t2v-a14b", ("test04",)),
        ("v6.1", "retinanet", ()),
        ("v6.1", "e2e-rag-qna", ("test09",)),
        ("v6.1", "llama2-70b-99", ()),
        ("v6.0", "our-own-model", ()),
        ("v4.1", "resnet50", ()),
    ],
)
def test_what_the_checker_asks_for(name: str, benchmark: str, tests: tuple[str, ...]) -> None:
    assert required_tests(name, benchmark, is_endpoints=False) == tests


def test_of_an_endpoints_submission_it_requires_wans_file_alone() -> None:
    assert required_tests("v6.1", "wan-2.2-t2v-a14b", is_endpoints=True) == ("test04",)
    assert required_tests("v6.1", "gpt-oss-120b", is_endpoints=True) == ()


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("data/inference_results_v6.0", "v6.0"),
        ("v5.1/closed/Us/results/xavier-tflite-v2.3", "v5.1"),
        ("mlperf-V4.1/closed", "v4.1"),
        ("submission/closed/Us/compliance/sys-v2.1", ""),
        ("submission", ""),
    ],
)
def test_the_round_is_named_above_the_division(path: str, name: str) -> None:
    assert round_named(Path(path)) == name


CASE = "closed/Ours/sys/resnet50/Offline"


@pytest.mark.parametrize(("name", "old"), [("v5.1", True), ("v6.0", False)])
def test_an_audit_that_is_not_there_fails_by_its_name(tmp_path: Path, name: str, old: bool) -> None:
    tree = Submission(tmp_path / f"inference_results_{name}", old=old)
    tree.test04(CASE)
    found = {audit.test: audit for audit in survey(tree.path).audits}
    assert (found["test01"].case, found["test01"].layout) == (CASE, "absent")
    came = verify(found["test01"])
    assert (came.status, came.id) == ("FAIL", f"{CASE}::test01")
    where = "compliance" if old else "results"
    assert came.reason == (
        f"MLPerf {name} requires TEST01 of resnet50 in the closed division, and there is no "
        f"closed/Ours/{where}/sys/resnet50/Offline/TEST01"
    )
    assert verify(found["test04"]).status == "PASS"


@pytest.mark.parametrize("case", [CASE.replace("closed", "open"), CASE.replace("resnet50", "novel")])
def test_the_open_division_and_other_models_need_none(tmp_path: Path, case: str) -> None:
    tree = Submission(tmp_path / "v6.0", old=False)
    tree.test04(case)
    assert [audit.test for audit in survey(tree.path).audits] == ["test04"]


def test_a_tree_without_any_audit_is_judged_by_what_it_lacks(tmp_path: Path) -> None:
    tree = Submission(tmp_path / "v5.1")
    tree.reference(CASE)
    assert [audit.test for audit in survey(tree.path).audits] == ["test01", "test04"]


@pytest.mark.parametrize("below", ["closed", "closed/Ours"])
def test_a_part_of_a_round_lacks_the_same(tmp_path: Path, below: str) -> None:
    tree = Submission(tmp_path / "v5.1")
    tree.test04(CASE)
    assert [audit.case for audit in survey(tree.path / below).audits if audit.layout == "absent"] == [CASE]


def test_seeds_tell_the_round_of_a_tree_without_a_name(tmp_path: Path) -> None:
    tree = Submission(tmp_path / "submission", old=False)
    tree.test04(CASE)
    tree.reference(CASE, text=summary() + SEEDS)
    found = survey(tree.path)
    assert (found.round, found.remark) == ("v6.0", "")
    assert [audit.test for audit in found.audits] == ["test01", "test04"]


@pytest.mark.parametrize(
    ("name", "told"), [("inference_results_v4.1", "v4.1 requires"), ("ours", "the round requires")]
)
def test_a_round_that_the_tables_do_not_know_fails_nobody_and_is_said(tmp_path: Path, name: str, told: str) -> None:
    tree = Submission(tmp_path / name)
    tree.test04(CASE)
    found = survey(tree.path)
    assert [audit.layout for audit in found.audits] == ["classic"]
    assert f"which audits {told} is not known here" in found.remark


def test_an_endpoints_submission_of_wan_needs_its_file(tmp_path: Path) -> None:
    tree = Submission(tmp_path / "v6.1", old=False)
    for scenario in ("Offline", "SingleStream"):
        case = f"closed/Ours/sys/wan-2.2-t2v-a14b/{scenario}"
        tree.endpoints(case)
        (tree.directory(case) / "performance").mkdir()
        (tree.directory(case) / "performance/result_summary.json").write_text("{}")
    shutil.rmtree(tree.directory(case) / "audit")
    found = {audit.case: audit for audit in survey(tree.path).audits}
    assert found[case].layout == "absent"
    assert found[case].path.name == "audit_output_caching_test.json"


def test_a_scenario_spelt_otherwise_is_the_same(tmp_path: Path) -> None:
    tree = Submission(tmp_path / "v5.1")
    tree.reference(CASE)
    for test in ("TEST01", "TEST04"):
        (tmp_path / "v5.1/closed/Ours/compliance/sys/resnet/offline" / test).mkdir(parents=True)
    assert [audit.layout for audit in survey(tree.path).audits] == ["classic", "classic"]
