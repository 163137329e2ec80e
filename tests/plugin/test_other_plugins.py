"""Together with other plugins: nothing is sent twice, nothing breaks."""

from __future__ import annotations

import pytest

ASYNC = """
async def test_async():
    pass
"""


def test_asyncio_in_auto_mode(audit, sut):
    audit.config(sut)
    (audit.path / "test_async.py").write_text(ASYNC)
    options = ("-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function")
    audit.run("-p", "asyncio", *options).assert_outcomes(passed=6)
    assert sut.received == 16


def test_html(audit, start_sut):
    audit.config(start_sut(fault="500", fault_after=8))
    result = audit.run(
        "-p", "pytest_metadata.plugin", "-p", "pytest_html.plugin", "--html=all.html", "--self-contained-html"
    )
    result.assert_outcomes(passed=3, failed=2)
    page = (audit.path / "all.html").read_text()
    assert "wan22.yaml::test04::throughput_ratio" in page
    assert "0 of 8 queries completed" in page


def test_reruns_send_nothing_again(audit, start_sut, lone_or_spread):
    sut = start_sut(fault="500", fault_after=8)
    audit.config(sut)
    result = audit.run("-p", "rerunfailures", "--reruns", "2", *lone_or_spread)
    result.assert_outcomes(passed=3, failed=2)
    result.stdout.fnmatch_lines(["*2 failed, 3 passed, 4 rerun in*"])
    assert result.ret == 1
    assert sut.received == 16
    assert audit.verdict()["status"] == "FAIL"


def test_reruns_do_not_revive_a_phase_that_ended_badly(audit, start_sut):
    sut = start_sut(fault="die", fault_after=10)
    audit.config(sut)
    result = audit.run("-p", "rerunfailures", "--reruns", "1")
    assert result.ret == 6
    assert audit.verdict()["status"] == "NO_VERDICT"
    assert not list(audit.report().rglob("attempt-*"))


def test_with_every_plugin_that_is_installed(audit, sut, monkeypatch):
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    audit.config(sut, audit={"only": False})
    result = audit.pytester.runpytest_subprocess("--mlperf-config=wan22.yaml", "-W", "ignore")
    result.assert_outcomes(passed=7)
    result.stdout.fnmatch_lines(["plugins:*mlperf-audit*"])
    bodies = sut.bodies()
    assert [len(set(bodies[:8])), len(set(bodies[8:16])), len(set(bodies[16:]))] == [8, 1, 16]


def test_without_terminal_the_verdict_is_written(audit, start_sut, lone_or_spread):
    sut = start_sut(fault="500", fault_after=8)
    audit.config(sut)
    result = audit.run("-p", "no:terminal", *lone_or_spread)
    assert result.ret == 1
    assert sut.received == 16
    assert audit.verdict()["status"] == "FAIL"


def test_without_terminal_a_mistake_is_still_named(audit, sut):
    audit.config(sut, audit={"samples": 99})
    result = audit.run("-p", "no:terminal")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: wan22.yaml:*samples: 99 *"])
