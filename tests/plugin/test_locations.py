"""Where a YAML may lie and how it may be named."""

from __future__ import annotations

import json

import pytest

CHECKS = [
    "completion[reference]",
    "completion[output_caching]",
    "requests_distinct[reference]",
    "requests_identical[output_caching]",
    "throughput_ratio",
]


def test_in_a_subfolder(audit, sut):
    audit.config(sut, "configs/wan22.yaml")
    (audit.path / "prompts.jsonl").rename(audit.path / "configs" / "prompts.jsonl")
    result = audit.run("-k", "ratio or distinct", "-v", config="configs/wan22.yaml")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines_random(["*configs/wan22.yaml::test04::throughput_ratio*"])
    assert sut.received == 16


def test_from_a_subfolder(audit, sut, lone_or_spread, monkeypatch):
    (audit.path / "pytest.ini").write_text("[pytest]\n")
    audit.config(sut, "deep/er/wan22.yaml")
    audit.rows(16, "deep/er/prompts.jsonl")
    monkeypatch.chdir(audit.path / "deep")
    result = audit.run("-v", *lone_or_spread, config="er/wan22.yaml")
    result.assert_outcomes(passed=5)
    result.stdout.fnmatch_lines_random(["*er/wan22.yaml::test04::throughput_ratio*"])
    assert sut.received == 16
    verdict = json.loads((audit.path / "deep" / "mlperf-reports" / "wan22" / "verdict.json").read_text())
    assert verdict["audits"][0]["checks"][4]["node_id"] == "deep/er/wan22.yaml::test04::throughput_ratio"
    assert verdict["status"] == "PASS"


def test_outside_the_rootdir(audit, sut, lone_or_spread, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "wan22.yaml"
    audit.config(sut).rename(elsewhere)
    result = audit.run("--rootdir=.", "-v", *lone_or_spread, config=str(elsewhere))
    result.assert_outcomes(passed=5)
    assert sut.received == 16
    ratio = f"{elsewhere}::test04::throughput_ratio"
    assert audit.verdict()["audits"][0]["checks"][4]["node_id"] == ratio
    result = audit.run("--rootdir=.", "--co", "-q", ratio, config=str(elsewhere))
    assert [line for line in result.outlines if "::" in line] == [ratio]


def test_through_a_symbolic_link(audit, sut):
    (audit.path / "store").mkdir()
    real = audit.config(sut).rename(audit.path / "store" / "shared.yaml")
    (audit.path / "wan22.yaml").symlink_to(real)
    result = audit.run("-v")
    assert [line.split()[0] for line in result.outlines if "::" in line] == [f"wan22.yaml::test04::{c}" for c in CHECKS]
    assert sut.received == 16
    assert audit.verdict()["status"] == "PASS"


@pytest.fixture
def ini(audit, sut):
    """A project whose ini file names the YAML, with a test of its own."""
    audit.config(sut)
    (audit.path / "pytest.ini").write_text("[pytest]\nmlperf_config = wan22.yaml\n")
    (audit.path / "test_own.py").write_text("def test_own():\n    pass\n")
    return audit


def test_named_in_an_ini_file(ini, sut, lone_or_spread):
    ini.run(*lone_or_spread, config=None).assert_outcomes(passed=6)
    assert sut.received == 16
    assert ini.verdict()["status"] == "PASS"


@pytest.mark.parametrize("args", [("test_own.py",), ("test_own.py::test_own",), ("test_own.py", "-n", "2")])
def test_an_ini_file_adds_no_audit_to_explicit_arguments(ini, sut, args):
    ini.run(*args, config=None).assert_outcomes(passed=1)
    assert sut.received == 0
    assert not ini.report().exists()


def test_the_command_line_adds_an_audit_to_explicit_arguments(ini, sut):
    ini.run("test_own.py").assert_outcomes(passed=6)
    assert sut.received == 16


@pytest.mark.parametrize("arg", ["wan22.yaml", ".", "wan22.yaml::test04"])
def test_arguments_may_name_what_the_ini_file_names(ini, arg):
    result = ini.run("--co", "-q", arg, config=None)
    checks = [line for line in result.outlines if "wan22.yaml::" in line]
    assert checks == [f"wan22.yaml::test04::{check}" for check in CHECKS]


@pytest.fixture
def two(audit, start_sut):
    """Two YAMLs, each with a server of its own."""
    suts = start_sut(), start_sut()
    for name, sut in zip(("a.yaml", "b.yaml"), suts, strict=True):
        audit.config(sut, name)
    return suts


BOTH = ("--mlperf-config=a.yaml", "--mlperf-config=b.yaml")


def test_several(audit, two, lone_or_spread):
    audit.run(*BOTH, *lone_or_spread, config=None).assert_outcomes(passed=10)
    assert [sut.received for sut in two] == [16, 16]
    assert [audit.verdict(name)["status"] for name in "ab"] == ["PASS", "PASS"]


@pytest.mark.usefixtures("two")
def test_several_report_below_one_directory(audit):
    audit.run(*BOTH, "--mlperf-report-dir=out", "-k", "ratio", config=None).assert_outcomes(passed=2)
    assert all((audit.path / "out" / name / "verdict.json").exists() for name in "ab")


def test_an_id_chooses_among_several(audit, two):
    audit.run(*BOTH, "b.yaml::test04::throughput_ratio", config=None).assert_outcomes(passed=1)
    assert [sut.received for sut in two] == [0, 16]
    assert not audit.report("a").exists()


def test_the_same_twice_is_once(audit, sut):
    audit.config(sut)
    audit.run("--mlperf-config=./wan22.yaml").assert_outcomes(passed=5)
    assert sut.received == 16
