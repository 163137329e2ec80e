"""What cannot be rechecked is named: exit status 4 where there is no finished run, 6 or 1 where it is damaged."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

CUSTOM = Path(__file__).parents[2] / "conftest_examples" / "custom_audit"


def recheck(audit, directory, *args):
    return audit.run(f"--mlperf-recheck={directory}", *args, config=None)


@pytest.fixture
def run(audit, finished_run):
    """A finished run below the directory of the session."""
    return finished_run.rename(audit.path / "run")


def no_trace(run):
    shutil.rmtree(run)
    run.mkdir()
    (run / "notes.txt").write_text("x")


def empty(run):
    shutil.rmtree(run)
    run.mkdir()


def a_file(run):
    shutil.rmtree(run)
    run.write_text("x")


def above(run):
    run.rename(run.with_name("aside"))
    run.mkdir()
    run.with_name("aside").rename(run / "wan22")


def linked_verdict(run):
    (run / "verdict.json").rename(run.parent / "other.json")
    (run / "verdict.json").symlink_to(run.parent / "other.json")


def pipe(run):
    (run / "verdict.json").unlink()
    os.mkfifo(run / "verdict.json")


def tree(run):
    (run / "verdict.json").write_text('{"schema_version": 1, "kind": "round"}')


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (shutil.rmtree, "*/run: no such directory; name the report directory of a finished run*"),
    "file": (a_file, "*/run: is a file; name the report directory, *"),
    "empty": (empty, "*/run: is empty; name the report directory*"),
    "no_trace": (no_trace, "*/run: holds no verdict.json and no query records, so it is no run of ours*"),
    "above": (above, "*/run: holds no verdict.json; did you mean */run/wan22[?]"),
    "half_written": (
        lambda run: (run / "verdict.json").unlink(),
        "*/run: holds query records but no verdict.json: the run was stopped before its end*",
    ),
    "link": (linked_verdict, "*/run: its verdict.json is no regular file*"),
    "pipe": (pipe, "*/run: its verdict.json is no regular file*"),
    "tree": (tree, "*/verdict.json is the report on a submission tree*use --mlperf-results"),
    "code": (lambda run: (run / "audit" / "conftest.py").write_text("1 / 0"), "*/conftest.py: is Python code*"),
}


@pytest.mark.parametrize("which", REFUSED)
def test_what_is_no_finished_run_is_refused(audit, run, which):
    harm, said = REFUSED[which]
    harm(run)
    result = recheck(audit, "run")
    assert result.ret == 4
    result.stderr.fnmatch_lines([f"ERROR: --mlperf-recheck: {said}"])
    assert "Traceback" not in f"{result.stdout}{result.stderr}"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_directory(audit, run):
    run.chmod(0)
    try:
        result = recheck(audit, "run")
    finally:
        run.chmod(0o755)
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: *cannot be read (Permission denied)*"])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"schema_version": 2}', "schema version 2"),
        (b"", "not a verdict"),
        (b"[" * 100_000, "not a verdict"),
        (b"\xff\xfe", "not a verdict"),
    ],
    ids=["foreign", "empty", "deep", "no_utf8"],
)
def test_a_verdict_that_cannot_be_used(audit, run, content, said):
    (run / "verdict.json").write_bytes(content)
    result = recheck(audit, "run", "--strict-markers")
    assert result.ret == 6
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(
        [f"records verdict: cannot be rechecked: *{said}*", "NOT RECHECKED: no verdict that can be used; 2 tests: *"]
    )


@pytest.mark.parametrize("args", [(), ("-n", "2")], ids=["plain", "n2"])
def test_exchanged_phases_fail_without_a_traceback(audit, run, args):
    for one, other in [("reference", "aside"), ("output_caching", "reference"), ("aside", "output_caching")]:
        (run / "audit" / one).rename(run / "audit" / other)
    result = recheck(audit, "run", *args)
    assert result.ret == 1
    result.assert_outcomes(passed=4, failed=1, errors=7)
    result.stdout.fnmatch_lines(
        [
            "*audit/output_caching and audit/reference were exchanged: each holds what was recorded of the other",
            "DIFFERS: stored PASS; 12 tests: *",
        ]
    )
    assert "Traceback" not in str(result.stdout)


def test_a_hostile_name_reaches_no_terminal(audit, run, reseal):
    path = run / "verdict.json"
    content = json.loads(path.read_text())
    content["audits"][1]["checks"][0]["reason"] = "\x1b[31m\nPASSED"
    content["model"] = "\x1b]0;owned\x07"
    path.write_text(json.dumps(content))
    reseal(path)
    result = recheck(audit, "run")
    assert result.ret == 1
    assert "\x1b" not in str(result.stdout)
    assert "PASSED" not in result.outlines


@pytest.fixture
def custom(audit, sut):
    """A finished run of test04, and of an audit that a conftest.py offers, which is still there."""
    shutil.copy(CUSTOM / "conftest.py", audit.path)
    test04 = {"test": "test04", "samples": 8, "only": True, "threshold": 0.9, "probe": False}
    ceiling = {"test": "latency_ceiling", "only": True, "samples": 8, "p90_ms": 60_000}
    audit.config(sut, audit=[test04, ceiling])
    assert audit.run().ret == 0
    return audit.report()


def test_an_audit_of_ones_own(audit, custom):
    result = recheck(audit, custom, "--strict-markers", "-m", "latency_ceiling", "-v")
    result.assert_outcomes(passed=3, deselected=8)
    result.stdout.fnmatch_lines(["*::latency_ceiling::p90 PASSED*"])


def test_an_audit_that_nobody_offers_any_more(audit, custom):
    (audit.path / "conftest.py").unlink()
    result = recheck(audit, custom, "--strict-markers")
    assert result.ret == 6
    result.assert_outcomes(passed=8, errors=3)
    result.stdout.fnmatch_lines(
        [
            "latency_ceiling p90: cannot be rechecked: audit latency_ceiling is not known here*",
            "  latency_ceiling::completion and 1 more: cannot be rechecked: audit latency_ceiling is not known here*",
        ]
    )
