"""Failures point at the audit's block in the YAML: annotations, IDEs, --tb=line and the short summary show that."""

from __future__ import annotations

import json

import pytest

#: Notes what a plugin is told of each test.
NOTE = """
import json

def pytest_runtest_logreport(report):
    crash = getattr(report.longrepr, "reprcrash", None)
    if report.failed or report.when == "call":
        with open("noted.jsonl", "a") as file:
            crashed = crash and [crash.path, crash.lineno, crash.message]
            file.write(json.dumps([report.nodeid, report.location[:2], crashed]) + "\\n")
"""


def noted(audit):
    (audit.path / "conftest.py").write_text(NOTE)

    def read():
        lines = (audit.path / "noted.jsonl").read_text().splitlines()
        return {node_id: (place, crash) for node_id, place, crash in map(json.loads, lines)}

    return read


def line_of(audit, text, name="wan22.yaml"):
    return (audit.path / name).read_text().splitlines().index(text) + 1


def test_a_failure_and_a_pass(audit, start_sut, lone_or_spread):
    read = noted(audit)
    audit.config(start_sut(fault="500", fault_after=9), "deep/wan22.yaml", audit={"min_completion": 1.0})
    (audit.path / "prompts.jsonl").rename(audit.path / "deep" / "prompts.jsonl")
    result = audit.run("--tb=line", *lone_or_spread, config="deep/wan22.yaml")
    line = line_of(audit, "audit:", "deep/wan22.yaml")
    tests = read()
    assert {tuple(place) for place, _ in tests.values()} == {("deep/wan22.yaml", line - 1)}
    _place, crash = tests["deep/wan22.yaml::test04::completion[output_caching]"]
    assert crash[:2] == [str(audit.path / "deep" / "wan22.yaml"), line]
    assert crash[2].startswith("1 of 8 queries completed")
    result.stdout.fnmatch_lines([f"{audit.path}/deep/wan22.yaml:{line}: 1 of 8 queries completed*"])


def test_no_verdict(audit, start_sut):
    read = noted(audit)
    audit.config(start_sut(fault="die", fault_after=10))
    result = audit.run()
    line = line_of(audit, "audit:")
    failed = [crash for _, crash in read().values() if crash]
    assert len(failed) == 5
    assert {(path, at) for path, at, _ in failed} == {(str(audit.path / "wan22.yaml"), line)}
    result.stdout.fnmatch_lines(["ERROR wan22.yaml::test04::* - test04: no verdict: *"])


def test_each_block_of_a_list_has_a_line_of_its_own(audit, sut):
    audit.config(sut)
    text = (audit.path / "wan22.yaml").read_text()
    start, _, end = text.partition("audit:\n")
    block, _, rest = end.partition("settings:\n")
    entry = "".join(f"    {line}\n" for line in block.strip().splitlines()).replace("    ", "  - ", 1)
    entry = entry.replace("      ", "    ")
    both = "".join(f"{entry}    name: {name}\n" for name in ("long", "short"))
    (audit.path / "wan22.yaml").write_text(f"{start}audit:\n{both}settings:\n{rest}")
    result = audit.run("--collect-only", "-q")
    assert result.ret == 0
    lines = (audit.path / "wan22.yaml").read_text().splitlines()
    items, _ = audit.pytester.inline_genitems("--mlperf-config=wan22.yaml", "-p", "mlperf_audit")
    places = {item.nodeid.split("::")[1]: item.location[1] + 1 for item in items}
    assert {lines[at - 1] for at in places.values()} == {"  - test: test04"}
    assert len(set(places.values())) == 2


def test_an_error_of_somebody_else_keeps_its_place(audit, sut):
    read = noted(audit)
    audit.config(sut)
    (audit.path / "test_own.py").write_text(
        "import pytest\n\n\ndef test_own():\n    pytest.fail('own', pytrace=False)\n"
    )
    audit.run()
    assert read()["test_own.py::test_own"][1][1:] == [5, "Failed: own"]


@pytest.mark.parametrize("check", ["throughput_ratio", "completion[reference]"])
def test_ids_are_as_before(audit, sut, check):
    audit.config(sut)
    audit.run(f"wan22.yaml::test04::{check}", "--junitxml=junit.xml").assert_outcomes(passed=1)
    name = f'classname="wan22.yaml.test04" name="{check}"'
    assert name in (audit.path / "junit.xml").read_text()
