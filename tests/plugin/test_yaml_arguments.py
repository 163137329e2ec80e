"""`pytest wan22.yaml`, and ids copied from a FAILED line, need no --mlperf-config; only what is named is taken."""

from __future__ import annotations

import pytest

from tests.conftest import CHECKS


def collected(audit, *args):
    result = audit.run("--collect-only", "-q", *args, config=None)
    return [line for line in result.outlines if "::" in line]


def test_a_yaml_runs(audit, sut, lone_or_spread):
    audit.config(sut)
    audit.run("wan22.yaml", *lone_or_spread, config=None).assert_outcomes(passed=len(CHECKS))
    assert audit.verdict()["status"] == "PASS"


def test_an_id_chooses(audit, sut):
    audit.config(sut)
    node_id = "wan22.yaml::test04::throughput_ratio"
    assert collected(audit, node_id) == [node_id]
    audit.run(node_id, config=None).assert_outcomes(passed=1)


def test_what_is_named_and_nothing_else(audit, sut):
    audit.config(sut)
    audit.config(sut, name="sub/other.yaml")
    assert len(collected(audit, "sub/other.yaml")) == len(CHECKS)
    assert collected(audit, ".") == []
    assert collected(audit) == []


def test_several_and_one_s_own_tests(audit, sut):
    audit.config(sut)
    audit.config(sut, name="other.yml")
    (audit.path / "test_own.py").write_text("def test_own(): pass\n")
    assert len(collected(audit, "wan22.yaml", "other.yml", "test_own.py")) == 2 * len(CHECKS) + 1


def test_beside_the_option_both_are_collected(audit, sut):
    audit.config(sut)
    audit.config(sut, name="other.yaml")
    assert len(collected(audit, "--mlperf-config=wan22.yaml", "other.yaml")) == 2 * len(CHECKS)
    chosen = collected(audit, "--mlperf-config=wan22.yaml", "wan22.yaml::test04::throughput_ratio")
    assert len(chosen) == 1


def test_an_ini_file_s_yaml_is_left_out(audit, sut):
    audit.config(sut)
    audit.config(sut, name="other.yaml")
    audit.pytester.makeini("[pytest]\nmlperf_config = wan22.yaml\n")
    assert all(line.startswith("other.yaml::") for line in collected(audit, "other.yaml"))
    assert len(collected(audit, "wan22.yaml::test04::throughput_ratio")) == 1


@pytest.mark.parametrize("text", ["stages: []\n", "# audit: none\nname: x\n", "", "nested:\n  audit: 1\n"])
def test_the_yaml_of_another_tool_is_not_ours(audit, text):
    (audit.path / "other.yaml").write_text(text)
    result = audit.run("other.yaml", config=None)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: not found: *other.yaml*"])


def test_a_mistake_in_it_is_told_as_ever(audit, sut):
    audit.config(sut, audit={"treshold": 3})
    result = audit.run("wan22.yaml", config=None)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: wan22.yaml:*did you mean 'threshold'*"])


def test_an_endpoint_goes_with_it(audit, start_sut):
    yaml, option = start_sut(), start_sut()
    audit.config(yaml)
    audit.run("wan22.yaml", f"--mlperf-endpoint={option.url}", config=None).assert_outcomes(passed=len(CHECKS))
    assert yaml.received == 0
