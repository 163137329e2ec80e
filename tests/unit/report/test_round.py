"""The report of a submission tree: document, words and page."""

from __future__ import annotations

import csv
import json
import re

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


def test_a_curve_is_no_audit_directory(tmp_path):
    rules = [
        case(test=rule, scenario="curve", directory="acme/results/x/m", system="x") for rule in ("seeds", "points")
    ]
    text = words.summary(a_round(rules))
    assert text.startswith("2 of 2 rules on 1 curve of 1 system by ")
    page = write_round_report(a_round(rules), tmp_path).read_text()
    assert "audit director" not in page
    assert "<dt>Rule on a curve</dt>" in page
    assert "<dt>TEST04</dt>" not in page
    both = words.summary(a_round([*rules, case(1)]))
    assert both.startswith("3 of 3 audit directories and rules on 1 curve of 2 systems by ")


def test_the_terminal_names_what_did_not_pass_and_each_defect_once():
    cases = [*(case(n, "NO_VERDICT") for n in range(30)), case(31, "FAIL")]
    lines = [line for line, _ in words.terminal_lines(a_round(cases))]
    assert lines[0] == "FAIL: 1 failed, 30 without a verdict"
    assert lines[1].startswith(f"  FAIL {case(31).id}: 131 queries/s repeating one sample")
    assert lines[2] == "  NO VERDICT 30 x test04: the summary of the audit run is cut short"
    assert sum(line.startswith("      closed/") for line in lines) == 3
    assert "      and 27 more" in lines
    assert lines[-1] == "  30 x TEST04/verify_performance.py: a log without a score line counts as a score of 0"


def test_a_screen_holds_a_dozen_kinds():
    words_of = "abcdefghijklmnopqrst"
    lines = [
        line for line, _ in words.terminal_lines(a_round([case(n, "FAIL", reason=w) for n, w in enumerate(words_of)]))
    ]
    assert sum(line.startswith("  FAIL closed/") for line in lines) == 12
    assert "  and 8 more kinds; the report lists all" in lines


def test_the_page_says_equal_sentences_once_and_has_the_matrix():
    document = a_round([case(n, "NO_VERDICT") for n in range(30)])
    page = render(document)
    assert page.count("its last line is missing") == 1
    assert page.count("a log without a score line counts as a score of 0") == 2  # here, and where upstream differs
    assert '<table class="picture">' in page[: page.index("<main>")]
    assert "2 without a verdict" in page


def test_the_page_names_the_tree_and_not_where_it_lies():
    page = render(a_round([case(0)]))
    assert "<h1>inference_<wbr>results_<wbr>v4.1</h1>" in page
    assert "/data" not in page
    named = render(a_round([case(0, "FAIL", reason="/data/inference_results_v4.1/closed/x.txt is cut short")]))
    assert "<p>closed/x.txt is cut short</p>" in named


def test_sheets_for_a_spreadsheet(tmp_path):
    hostile = case(0, "FAIL", reason="=HYPERLINK(1)", submitter='a "quoted", name')
    write_round_report(a_round([hostile, case(1)]), tmp_path)
    rows = {
        name: list(csv.reader((tmp_path / f"{name}.csv").read_text().splitlines()))
        for name in ("cases", "findings", "matrix")
    }
    assert [len(of_file) for of_file in rows.values()] == [3, 2, 3]
    assert rows["findings"][1] == ["1", "FAIL", "test04", "'=HYPERLINK(1)", hostile.id]
    assert rows["matrix"][0] == ["division", "submitter", "benchmark", "PASS", "FAIL", "NO_VERDICT", "SKIPPED"]
    assert rows["matrix"][2][1] == 'a "quoted", name'


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


def test_a_page_of_ten_thousand_cases_is_small_and_names_all():
    document = mixed(10_000)
    page = render(document)
    assert len(page.encode()) <= 500_000
    assert {one.system for one in document.cases} <= set(re.findall(r"<b>(H200[^<]*)</b>", page))


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
    listed = page[page.index('<h2 id="all">') :]
    assert all(f"<b>{one.system}</b>" in listed for one in document.cases)
    assert page.count("<svg") == 1


def test_notes_on_what_passed_are_on_the_page_and_others_stand_beside_the_account():
    page = render(a_round([case(0, notes=("Server's load is paced",)), case(1, "FAIL", notes=("much slower",))]))
    assert "1 note on audits that passed or were skipped" in page
    assert "<p>Server&#39;s load is paced</p>" in page
    assert page.count("much slower") == 1


def test_a_script_that_agrees_is_not_among_those_that_say_otherwise():
    other = case(0, "NO_VERDICT").upstream[0]
    agreeing = msgspec.structs.replace(other, script="TEST01/verify_performance.py", reason="it agrees")
    page = render(a_round([case(0, "NO_VERDICT", upstream=(agreeing, other))]))
    assert "it agrees" not in page
    assert "it found no score" in page
