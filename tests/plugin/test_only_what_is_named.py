"""--mlperf-results and --mlperf-recheck collect what they name: somebody's code beside it is not executed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.submission import Submission

CASE = "closed/Us/sys/resnet50/Offline"


@pytest.fixture
def planted(audit):
    """Write Python files that leave a trace when they are executed; none may."""

    def plant(*places: str) -> None:
        for place in places:
            path = audit.path / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"open({str(audit.path / 'executed')!r}, 'w').close()\ndef test_theirs(): pass\n")

    yield plant
    assert not (audit.path / "executed").exists()


@pytest.fixture
def tree(audit) -> str:
    Submission(audit.path / "round").test04(CASE)
    return "--mlperf-results=round/closed/Us"


def test_code_beside_a_tree_is_left_alone(audit, tree, planted, spread):
    planted(
        "test_above.py",
        "round/test_x.py",
        "round/closed/Them/code/x_test.py",
        "other/test_other.py",
        "round/__init__.py",
        "round/closed/__init__.py",
        "tests/conftest.py",
    )
    result = audit.run(tree, *spread, config=None)
    result.assert_outcomes(passed=1)
    assert result.ret == 0


def test_an_ini_twin_alone_collects_no_more(audit, tree, planted):
    planted("test_above.py")
    (audit.path / "pytest.ini").write_text(f"[pytest]\nmlperf_results = {tree.partition('=')[2]}\n")
    audit.run(config=None).assert_outcomes(passed=1)


def test_testpaths_that_the_ini_file_declares_are_asked_for_beside_its_twin(audit, tree):
    (audit.path / "own").mkdir()
    (audit.path / "own" / "test_own.py").write_text("def test_own(): pass\n")
    settings = f"[pytest]\ntestpaths = own\nmlperf_results = {tree.partition('=')[2]}\n"
    (audit.path / "pytest.ini").write_text(settings)
    audit.run(config=None).assert_outcomes(passed=2)
    audit.run(tree, config=None).assert_outcomes(passed=1)


def test_code_beside_a_finished_run_is_left_alone(audit, finished_run: Path, planted, lone_or_spread):
    finished_run.rename(audit.path / "run")
    planted("test_above.py", "x/test_x.py")
    result = audit.run("--mlperf-recheck=run", *lone_or_spread, config=None)
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*test_theirs*")


def test_trees_and_finished_runs_together(audit, tree, finished_run: Path, planted):
    planted("test_above.py")
    both = audit.run(tree, f"--mlperf-recheck={finished_run}", "-v", config=None)
    assert both.ret == 0
    both.stdout.fnmatch_lines_random(["*closed/Us/sys*PASSED*", "*throughput_ratio*PASSED*"])


def test_a_conftest_above_is_named(audit, tree):
    (audit.path / "conftest.py").write_text("")
    (audit.path / "round" / "conftest.py").write_text("")
    result = audit.run(tree, config=None)
    result.assert_outcomes(passed=1)
    for name in ("conftest.py", "round/conftest.py"):
        result.stdout.fnmatch_lines([f"mlperf-audit: pytest executes {audit.path / name}, which lies above*"])
    result = audit.run(tree, "--noconftest", config=None)
    result.stdout.no_fnmatch_line("*pytest executes*")
