"""Together with other plugins: nothing is sent twice, nothing breaks."""

from __future__ import annotations

import pytest

ASYNC = """
async def test_async():
    pass
"""


@pytest.mark.own_process
def test_asyncio_in_auto_mode(audit, sut):
    audit.config(sut)
    (audit.path / "test_async.py").write_text(ASYNC)
    options = ("-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function")
    audit.run("-p", "asyncio", *options).assert_outcomes(passed=6)
    assert sut.received == 16


def test_html(audit, start_sut):
    audit.config(start_sut(fault="500", fault_after=9), audit={"min_completion": 1.0})
    result = audit.run(
        "-p", "pytest_metadata.plugin", "-p", "pytest_html.plugin", "--html=all.html", "--self-contained-html"
    )
    result.assert_outcomes(passed=4, failed=1)
    page = (audit.path / "all.html").read_text()
    assert "wan22.yaml::test04::throughput_ratio" in page
    assert "1 of 8 queries completed" in page


def test_reruns_send_nothing_again(audit, start_sut, lone_or_spread):
    sut = start_sut(fault="500", fault_after=9)
    audit.config(sut, audit={"min_completion": 1.0})
    result = audit.run("-p", "rerunfailures", "--reruns", "2", *lone_or_spread)
    result.assert_outcomes(passed=4, failed=1)
    result.stdout.fnmatch_lines(["*1 failed, 4 passed, 2 rerun in*"])
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
    sut = start_sut(fault="500", fault_after=9)
    audit.config(sut, audit={"min_completion": 1.0})
    result = audit.run("-p", "no:terminal", *lone_or_spread)
    assert result.ret == 1
    assert sut.received == 16
    assert audit.verdict()["status"] == "FAIL"


def test_without_terminal_a_mistake_is_still_named(audit, sut):
    audit.config(sut, audit={"samples": 99})
    result = audit.run("-p", "no:terminal")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: wan22.yaml:*samples: 99 *"])


PARAMETRIZED = """
def pytest_generate_tests(metafunc):
    metafunc.fixturenames.append("twice")
    metafunc.parametrize("twice", [1, 2])
"""
ASKING = """
def test_own(mlperf_verdict):
    assert mlperf_verdict["test04"].passed
"""


def test_repeated_tests_judge_again_and_send_once(audit, sut, lone_or_spread):
    audit.config(sut)
    result = audit.run("-p", "pytest_repeat", "--count=2", *lone_or_spread)
    result.assert_outcomes(passed=10)
    assert sut.received == 16
    assert audit.verdict()["status"] == "PASS"
    recheck = audit.run("-p", "pytest_repeat", "--count=2", f"--mlperf-recheck={audit.report()}", config=None)
    assert recheck.ret == 0


def test_of_repeated_tests_the_worst_counts(audit, start_sut):
    audit.config(start_sut(fault="500", fault_after=9), audit={"min_completion": 1.0})
    result = audit.run("-p", "pytest_repeat", "--count=2")
    assert result.ret == 1
    assert audit.verdict()["status"] == "FAIL"


def test_a_conftest_that_parametrizes_every_test(audit, sut):
    (audit.path / "conftest.py").write_text(PARAMETRIZED)
    audit.config(sut)
    audit.run().assert_outcomes(passed=10)
    assert sut.received == 16
    assert audit.verdict()["status"] == "PASS"


@pytest.mark.parametrize("method", ["signal", "thread"])
@pytest.mark.parametrize("place", ["option", "ini"])
def test_a_time_limit_for_tests_does_not_cut_phases_short(audit, start_sut, method, place):
    sut = start_sut(service_ms=30, repeat_ms=60)
    audit.config(sut)
    (audit.path / "test_own.py").write_text(ASKING)
    settings = {"timeout": "0.3", "timeout_method": method}
    if place == "ini":
        (audit.path / "pytest.ini").write_text("[pytest]\n" + "".join(f"{k} = {v}\n" for k, v in settings.items()))
        options = []
    else:
        options = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
    result = audit.run("-p", "pytest_timeout", "-p", "rerunfailures", "--reruns=1", *options)
    result.assert_outcomes(passed=6)
    assert result.ret == 0
    assert sut.received == 16
    assert audit.phase("reference")["attempt"] == 1
