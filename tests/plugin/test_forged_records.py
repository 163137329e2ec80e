"""Records that were edited, exchanged or made up while a session runs are not passed."""

from __future__ import annotations

import pytest

# Runs after the first check and before the others, in the order of the file.
FORGE = """
import json, pathlib, pytest, shutil
audit = pathlib.Path("mlperf-reports/wan22/audit")

@pytest.hookimpl(trylast=True)
def pytest_runtest_setup(item):
    if item.name == "{before}" and not pathlib.Path("done").exists():
        pathlib.Path("done").touch()
        {forge}

def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
"""

FORGERIES = {
    "failed_queries_declared_completed": """
        record = json.loads((audit / "output_caching" / "phase.json").read_text())
        record["figures"].update(n_completed=8, failures={})
        (audit / "output_caching" / "phase.json").write_text(json.dumps(record))""",
    "phases_exchanged": """
        shutil.copytree(audit / "reference", audit / "output_caching", dirs_exist_ok=True)""",
    "phase_removed": """
        (audit / "output_caching" / "phase.json").unlink()""",
    "log_cut_short": """
        path = audit / "output_caching" / "queries.jsonl"
        path.write_bytes(path.read_bytes()[:-20])""",
    "another_version": """
        edit(audit / "output_caching" / "phase.json", '"schema_version": 1', '"schema_version": 99')""",
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_edited_between_the_checks(audit, start_sut, forgery):
    sut = start_sut(fault="500", fault_after=9)
    audit.config(sut, audit={"min_completion": 1.0})
    forge = FORGERIES[forgery].strip()
    (audit.path / "conftest.py").write_text(FORGE.format(before="throughput_ratio", forge=forge))
    result = audit.run()
    assert (audit.path / "done").exists()
    assert result.ret == 6
    assert audit.verdict()["status"] == "NO_VERDICT"
    assert "INTERNALERROR" not in str(result.stdout)
    assert sut.received == 16


HONEST = {
    "slower_figures": ('"qps": ', '"qps": 1'),
    "another_plan": ('"n_samples": 8', '"n_samples": 4'),
}


@pytest.mark.parametrize("edit", HONEST)
def test_an_edit_that_changes_no_outcome_is_no_pass_either(audit, sut, edit):
    audit.config(sut)
    old, new = HONEST[edit]
    forge = f"edit(audit / 'reference' / 'phase.json', {old!r}, {new!r})"
    (audit.path / "conftest.py").write_text(FORGE.format(before="throughput_ratio", forge=forge))
    result = audit.run()
    result.assert_outcomes(passed=5)
    assert result.ret == 6
    verdict = audit.verdict()
    assert verdict["status"] == "NO_VERDICT"
    assert "edited" in verdict["audits"][0]["reason"]


MADE_UP = """
import pathlib, pytest, shutil

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    here = pathlib.Path("mlperf-reports/wan22/audit")
    if not here.exists():
        shutil.copytree("mlperf-reports/wan22.1/audit", here)
"""


def test_records_of_an_earlier_run_are_not_taken_for_this_one(audit, sut, start_sut):
    audit.config(sut)
    audit.run().assert_outcomes(passed=5)
    faulty = start_sut(fault="500", fault_after=1)
    audit.config(faulty, audit={"samples": 7})
    (audit.path / "conftest.py").write_text(MADE_UP)
    result = audit.run()
    assert result.ret == 6
    result.stdout.fnmatch_lines(["*phase.json: the record of another phase than the one planned*"])
    assert audit.verdict()["status"] == "NO_VERDICT"
