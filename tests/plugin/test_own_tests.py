"""A user's own tests and fixtures, beside our checks or alone."""

from __future__ import annotations

import pytest

OWN = """
import pytest

@pytest.fixture(scope="session")
def ratio(mlperf_verdict):
    return mlperf_verdict["test04"].figures["ratio"]

def test_config(mlperf_config):
    assert mlperf_config.model_params.name == "wan22"

def test_endpoint(mlperf_endpoint):
    assert mlperf_endpoint.urls and not mlperf_endpoint.simulated

def test_phases(mlperf_phases):
    assert list(mlperf_phases) == ["test04"]
    assert mlperf_phases["test04"]["reference"].figures.n_completed == 8

@pytest.mark.test04
def test_verdict(mlperf_verdict, ratio):
    assert mlperf_verdict["test04"].passed
    assert 0 < ratio < 1.9
"""


@pytest.fixture
def own(audit, sut):
    audit.config(sut)
    (audit.path / "test_own.py").write_text(OWN)
    return audit


def test_beside_our_checks(own, sut, lone_or_spread):
    own.run("--strict-markers", *lone_or_spread).assert_outcomes(passed=9)
    assert sut.received == 16
    assert own.verdict()["status"] == "PASS"


def test_alone(own, sut, lone_or_spread):
    assert own.run("-k", "test_own", *lone_or_spread).parseoutcomes()["passed"] == 4
    assert sut.received == 16
    assert own.verdict()["status"] == "INCOMPLETE"


def test_the_configuration_alone_needs_no_endpoint(own, sut):
    own.run("-k", "test_config").assert_outcomes(passed=1, deselected=8)
    assert sut.received == 0
    assert not own.report().exists()


def test_with_several_yamls_each_test_runs_for_each(own, start_sut):
    own.config(start_sut(), "a.yaml")
    own.config(start_sut(), "b.yaml")
    result = own.run("-v", "-k", "test_own", "--mlperf-config=a.yaml", "--mlperf-config=b.yaml", config=None)
    result.assert_outcomes(passed=8, deselected=10)
    result.stdout.fnmatch_lines_random(["*test_phases[[]a] PASSED*", "*test_phases[[]b] PASSED*"])


def test_skipped_without_a_yaml(own, sut):
    result = own.run("-rs", "--strict-markers", config=None)
    result.assert_outcomes(skipped=4)
    result.stdout.fnmatch_lines(["*needs --mlperf-config*"])
    assert sut.received == 0


def test_a_fixture_asked_for_in_passing_says_what_to_do(own, sut):
    (own.path / "test_own.py").write_text(
        "def test_late(request):\n    request.getfixturevalue('mlperf_phases')['test04']\n"
    )
    result = own.run("-k", "test_late")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*wan22.yaml was not prepared*; name mlperf_phases*among the test's arguments*"])
    assert sut.received == 0


def test_an_unknown_audit_names_the_known_ones(own):
    (own.path / "test_own.py").write_text("def test_typo(mlperf_phases):\n    mlperf_phases['test4']\n")
    result = own.run("-k", "test_typo")
    result.stdout.fnmatch_lines(["*asks for no audit 'test4'; it has *test04*"])


def test_odd_collection_settings(audit, sut):
    (audit.path / "pytest.ini").write_text(
        "[pytest]\naddopts = --strict-markers\n"
        "python_files = spec_*.py\npython_classes = Suite*\npython_functions = check_*\n"
    )
    (audit.path / "spec_own.py").write_text(
        "class SuiteOwn:\n    def check_this(self): pass\n    def test_not(self): 1/0\n"
    )
    audit.config(sut)
    audit.run().assert_outcomes(passed=6)
    assert sut.received == 16


def test_a_users_own_failure_leaves_the_verdict_alone(audit, sut):
    audit.config(sut)
    (audit.path / "test_own.py").write_text("def test_own():\n    assert False\n")
    result = audit.run()
    result.assert_outcomes(passed=5, failed=1)
    assert result.ret == 1
    assert audit.verdict()["status"] == "PASS"


@pytest.mark.parametrize("mark", ["skip", "xfail"])
def test_a_check_that_a_conftest_skips_is_no_pass(audit, start_sut, mark):
    sut = start_sut(fault="500", fault_after=9)
    audit.config(sut, audit={"min_completion": 1.0})
    (audit.path / "conftest.py").write_text(
        "import pytest\ndef pytest_collection_modifyitems(items):\n"
        f"    for item in items: item.add_marker(pytest.mark.{mark}(reason='no'))\n"
    )
    assert audit.run().ret == 0
    assert audit.verdict()["status"] in {"NOT_RUN", "INCOMPLETE"}


def test_a_report_turned_into_a_pass_is_no_pass(audit, start_sut):
    sut = start_sut(fault="500", fault_after=9)
    audit.config(sut, audit={"min_completion": 1.0})
    (audit.path / "conftest.py").write_text(
        "import pytest\n@pytest.hookimpl(wrapper=True)\ndef pytest_runtest_makereport(item, call):\n"
        "    report = yield\n    report.outcome = 'passed'\n    report.longrepr = None\n    return report\n"
    )
    result = audit.run()
    result.assert_outcomes(passed=5)
    assert result.ret == 6
    assert audit.verdict()["status"] == "NO_VERDICT"


def test_a_file_that_cannot_be_imported_is_told_how_to_leave_out(audit, sut):
    audit.config(sut)
    (audit.path / "test_theirs.py").write_text("import nowhere_to_be_found\n")
    result = audit.run()
    assert result.ret == 2
    result.stdout.fnmatch_lines(["*to run them alone: pytest wan22.yaml --mlperf-config=wan22.yaml"])
    assert sut.received == 0
    audit.run("wan22.yaml").assert_outcomes(passed=5)
