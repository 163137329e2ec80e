from __future__ import annotations

import re

import pytest

from pytest_mlperf_audit.audits.verdict import Check
from pytest_mlperf_audit.report.ci_summary import append, markdown
from tests.support.entries import a_check, an_audit


def _run(make_run, text: str):
    check = Check(name=f"c{text}", passed=False, observed=f"o{text}", limit=1.1, reason=f"r{text}")
    outcome = a_check(name=f"c{text}", node_id="n", status="failed", check=check)
    audit = an_audit(
        id="a",
        title=f"t{text}",
        status="FAIL",
        is_audit=True,
        checks=(outcome,),
        notes=(f"n{text}",),
        reason=f"r{text}",
    )
    return make_run(audits=(audit,), name=f"x{text}", warnings=(f"w{text}",))


def test_tables_of_checks_and_phases(make_run):
    lines = markdown(make_run(repeat_s=0.01)).splitlines()
    assert lines[0] == "## FAIL: wan22&#95;offline"
    assert "### TEST04 output caching: FAIL" in lines
    assert any(line.startswith("| **FAIL** | throughput&#95;ratio | 3") for line in lines)
    assert any(line.startswith("| reference | 64 of 64 | 0 | ") for line in lines)
    assert "SIMULATED" not in "".join(lines)


def test_a_simulated_run_is_marked(make_run):
    text = markdown(make_run(simulated=True))
    assert text.startswith("## PASS (SIMULATED): ")
    assert "> **SIMULATED** " in text
    assert "### TEST04 output caching: PASS (SIMULATED)" in text


@pytest.mark.parametrize(
    "text",
    [
        "|x|\n|---|\n| pass | forged |",
        "\n## PASS: all good\n",
        "<script>alert(1)</script><img src=x onerror=y>",
        "[click](https://example.com) ![i](https://example.com/i.png)",
        "`code` **bold** ~~gone~~ $$\\evil$$ @someone #1 www.example.com",
        "\x1b[31m\u202e",
    ],
)
def test_outside_text_forges_no_structure(make_run, text):
    innocent, hostile = markdown(_run(make_run, "")), markdown(_run(make_run, text))
    marks = re.compile(r"[|<>`*\[\]$@\\~]|^#+|://|www\.", re.MULTILINE)
    assert [marks.findall(line) for line in hostile.splitlines()] == [
        marks.findall(line) for line in innocent.splitlines()
    ]


def test_ten_megabytes_become_a_line(make_run):
    assert len(markdown(_run(make_run, "x" * 10_000_000))) < 20_000


def test_it_is_appended_to_what_is_there(make_run, tmp_path):
    path = tmp_path / "summary.md"
    path.write_text("earlier step\n")
    append(markdown(make_run()), path)
    append(markdown(make_run(simulated=True, audits=())), path)
    text = path.read_text(encoding="utf-8")
    assert text.startswith("earlier step\n\n## PASS: ")
    assert text.count("\n## ") == 2
