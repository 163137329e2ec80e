"""--mlperf-results over a tree that somebody made to mislead, or named without a thought for ids."""

from __future__ import annotations

import json
import os
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.support.submission import Submission

CASE = "closed/Us/sys/resnet50/Offline"
NAMES = [
    b"-k",
    b"a::b",
    b"[x]",
    b"a[b]::c",
    b"sp ace",
    b"new\nline",
    b"esc\x1b[31m",
    b"x" * 250,
    b"<b>&",
    b"no\xffutf8",
]


@pytest.fixture
def results(audit):
    """Run a session over trees."""

    def run(*args: str | Path):
        return audit.run(*args, config=None)

    return run


@pytest.fixture
def named(audit) -> list[str]:
    """A tree whose submitters have odd names; the ids that they should have."""
    made = Submission(audit.path / "tree")
    for name in NAMES:
        made.test04(f"closed/{os.fsdecode(name)}/sys/resnet50/Offline")
    shown = [name.replace(b"\n", b"\\n").replace(b"\x1b", b"\\x1b").replace(b"\xff", b"\\udcff") for name in NAMES]
    return [f"closed/{name.decode()}/sys/resnet50/Offline::test04" for name in shown]


def test_odd_names_are_ids_all_the_same(results, audit, named, lone_or_spread):
    result = results("--mlperf-results=tree", "-rA", "--junitxml=out.xml", *lone_or_spread)
    result.assert_outcomes(passed=len(NAMES))
    assert "\x1b" not in str(result.stdout)
    assert len(list(ET.parse(audit.path / "out.xml").iter("testcase"))) == len(NAMES)
    cases = json.loads((audit.report("tree") / "verdict.json").read_text())["cases"]
    assert sorted(f"{case['case']}::{case['test']}" for case in cases) == sorted(named)


def test_odd_ids_can_be_given_back(results, named):
    results("--mlperf-results=tree", *named).assert_outcomes(passed=len(NAMES))
    results("--mlperf-results=tree", named[1]).assert_outcomes(passed=1)


@pytest.mark.parametrize("name", ["round[1]", "a::b"])
def test_a_tree_that_pytest_cannot_name_is_refused(results, audit, name: str):
    Submission(audit.path / name).test04(CASE)
    result = results(f"--mlperf-results={name}")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: --mlperf-results: *pytest can collect nothing from a path with*"])
    (audit.path / "linked").symlink_to(name)
    results("--mlperf-results=linked").assert_outcomes(passed=1)


def test_two_trees_of_one_name_report_apart(results, audit):
    for place, submitter in (("one", "Us"), ("other", "Them")):
        Submission(audit.path / place / "v4").test04(f"closed/{submitter}/sys/resnet50/Offline")
    result = results("--mlperf-results=one/v4", "--mlperf-results=other/v4", "--mlperf-report-dir=out")
    result.assert_outcomes(passed=2)
    trees = [json.loads((audit.path / "out" / name / "verdict.json").read_text())["tree"] for name in ("v4", "v4-2")]
    assert trees == [str(audit.path / "one/v4"), str(audit.path / "other/v4")]


@pytest.mark.parametrize("name", ["xfail", "skip", "skipif", "parametrize", "usefixtures"])
def test_an_audit_files_name_is_no_marker_of_pytest(results, audit, name: str):
    Submission(audit.path / "tree", old=False).endpoints(CASE, name=name, passed=False)
    result = results("--mlperf-results=tree", "--strict-markers")
    assert result.ret == 1
    result.assert_outcomes(failed=1)


@pytest.mark.parametrize(
    ("place", "args", "refused"),
    [
        (".", [], True),
        (".", ["--noconftest"], False),
        ("closed", ["tree/closed"], True),
        ("closed/tests", ["tree/closed"], True),
        ("closed/tests", [], False),
        ("closed/Us/code/test", [f"{CASE}::test04"], False),
    ],
    ids=str,
)
def test_code_of_a_tree_is_not_executed(results, audit, place: str, args: list[str], refused: bool):
    Submission(audit.path / "tree").test04(CASE)
    folder = audit.path / "tree" / place
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "conftest.py").write_text(f"open({str(audit.path / 'executed')!r}, 'w').close()\n")
    result = results("--mlperf-results=tree", *args)
    assert not (audit.path / "executed").exists()
    if refused:
        assert result.ret == 4
        result.stderr.fnmatch_lines(["ERROR: --mlperf-results: *conftest.py: is Python code, which pytest would*"])
    else:
        result.assert_outcomes(passed=1)


def test_code_beside_the_working_directory_in_a_tree_is_not_executed(results, audit, monkeypatch):
    tree = Submission(audit.path / "tree")
    tree.test04(CASE)
    (tree.path / "closed/tests").mkdir()
    (tree.path / "closed/tests/conftest.py").write_text("1 / 0\n")
    monkeypatch.chdir(tree.path / "closed")
    result = results("--mlperf-results=..")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: --mlperf-results: *tests/conftest.py: is Python code*"])
