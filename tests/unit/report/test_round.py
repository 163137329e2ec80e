"""The report of a submission tree: document, words and page."""

from __future__ import annotations

import json

import jsonschema
import msgspec
import pytest

from pytest_mlperf_audit.report.round import words
from pytest_mlperf_audit.report.round.html import render
from pytest_mlperf_audit.report.write import write_round_report
from pytest_mlperf_audit.verdicts.round import SCHEMA_FILE, RoundDocument, round_schema
from tests.support.rounds import a_round, case, mixed

REGENERATE = "not current; run python docs/generate.py"


def test_the_published_schema_is_current_and_valid():
    assert json.loads(SCHEMA_FILE.read_text()) == round_schema(), REGENERATE
    jsonschema.Draft202012Validator.check_schema(round_schema())


@pytest.mark.parametrize("count", [0, 1, 40])
def test_documents_validate_and_read_back(tmp_path, count):
    written = mixed(count)
    write_round_report(written, tmp_path)
    raw = (tmp_path / "verdict.json").read_bytes()
    jsonschema.Draft202012Validator(round_schema()).validate(json.loads(raw))
    assert msgspec.json.decode(raw, type=RoundDocument) == written


@pytest.mark.parametrize(
    ("statuses", "found", "status"),
    [
        (["PASS", "PASS"], 2, "PASS"),
        (["PASS", "PASS"], 3, "INCOMPLETE"),
        (["PASS", "SKIPPED"], 2, "INCOMPLETE"),
        (["SKIPPED", "SKIPPED"], 2, "NOT_RUN"),
        ([], 2, "NOT_RUN"),
        (["PASS", "NO_VERDICT", "SKIPPED"], 3, "NO_VERDICT"),
        (["PASS", "NO_VERDICT", "FAIL"], 3, "FAIL"),
    ],
)
def test_the_status_is_the_worst_and_pass_needs_all(statuses, found, status):
    cases = [case(number, of_case) for number, of_case in enumerate(statuses)]
    assert a_round(cases, found).status == status


def test_cases_are_in_the_order_of_their_ids():
    document = a_round([case(number) for number in (70, 3, 41)])
    assert [one.id for one in document.cases] == sorted(one.id for one in document.cases)


def test_no_number_that_json_lacks(tmp_path):
    write_round_report(a_round([case(figures={"ratio": float("inf"), "reference_score": float("nan")})]), tmp_path)
    json.loads((tmp_path / "verdict.json").read_text(), parse_constant=pytest.fail)


def test_the_summary_counts():
    text = words.summary(mixed(40))
    assert text.startswith("40 of 40 audit directories of 13 systems by 9 submitters: 37 passed, 1 failed, ")
    assert "In 1 cases" not in text
    assert "In 1 case MLCommons" in text


def test_the_terminal_names_what_did_not_pass_and_each_defect_once():
    lines = [line for line, _ in words.terminal_lines(a_round([case(n, "NO_VERDICT") for n in range(30)]))]
    assert lines[0] == "NO VERDICT: 30 without a verdict"
    assert sum(line.startswith("  NO VERDICT closed/") for line in lines) == 20
    assert "  and 10 more; the report lists all" in lines
    assert lines[-1] == "  30 x TEST04/verify_performance.py: a log without a score line counts as a score of 0"


def test_the_account_of_a_case():
    first, *rest = words.account(case(0, "NO_VERDICT", notes=("Server: 10 against 12 queries a second",))).splitlines()
    assert first == "test04 no verdict: the summary of the audit run is cut short"
    assert rest == [
        "  throughput_ratio: the summary of the audit run is cut short; its last line is missing",
        "  upstream: PASS because it found no score, and counts 0 (TEST04/verify_performance.py)",
        "  known defect: a log without a score line counts as a score of 0",
        "  note: Server: 10 against 12 queries a second",
        "  files: closed/Company 0/compliance/H200-SXM-141GBx8_TRT_0/resnet50/Offline/TEST04",
    ]


def test_text_from_a_tree_is_escaped_everywhere():
    hostile = "<script>alert(1)</script>\x1b[31m\n"
    texts = dict.fromkeys(("case", "division", "submitter", "system", "benchmark", "scenario", "test"), hostile)
    page = render(a_round([case(0, "NO_VERDICT", reason=hostile, notes=(hostile,), **texts)]))
    assert "<script" not in page
    assert "\x1b" not in page


def test_the_page_is_deterministic_and_shows_every_case():
    document = mixed(200)
    page = render(document)
    assert page == render(document)
    assert page.count('data-label="System"') == len({one.case for one in document.cases})
    assert page.count("<svg") == 1


def test_notes_on_what_passed_are_on_the_page_and_others_stand_beside_the_account():
    page = render(a_round([case(0, notes=("Server's load is paced",)), case(1, "FAIL", notes=("much slower",))]))
    assert "1 note on audits that passed or were skipped" in page
    assert f"<code>{case(0).id}</code> Server&#39;s load is paced" in page
    assert page.count("much slower") == 1


def test_a_script_that_agrees_is_not_among_those_that_say_otherwise():
    other = case(0, "NO_VERDICT").upstream[0]
    agreeing = msgspec.structs.replace(other, script="TEST01/verify_performance.py", reason="it agrees")
    page = render(a_round([case(0, "NO_VERDICT", upstream=(agreeing, other))]))
    assert "it agrees" not in page
    assert "it found no score" in page
