from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from pytest_mlperf_audit.audits.verdict import Check
from pytest_mlperf_audit.report.text import WIDTH, fact, failure_text, terminal_lines
from tests.support.entries import a_check, an_audit


def _assert_fit(text: str) -> None:
    assert not any(unicodedata.category(char) in {"Cc", "Cf", "Cs"} for char in text), ascii(text)


def test_a_passing_run_is_three_lines(make_run, tmp_path):
    lines = terminal_lines(make_run(), tmp_path)
    assert [kind for _, kind in lines] == ["pass", "plain", "plain", "plain"], "one of them is folded"
    assert lines[0][0].startswith("PASS test04: ratio ")
    assert ", limit 1.10; reference " in lines[0][0]
    assert lines[1][0].startswith("  caches not looked for: response, ")
    assert lines[-1][0] == f"report: {tmp_path / 'report.html'}"


def test_a_failing_run_shows_observed_limit_and_reason(make_run):
    lines = terminal_lines(make_run(repeat_s=0.01))
    text = " ".join(line.strip() for line, _ in lines)
    assert lines[0][1] == "fail"
    assert "FAIL throughput_ratio: observed 3" in text
    assert "over 8 pairs of blocks, limit 1.10; the first pair did not settle it: 5.0" in text
    lines = terminal_lines(make_run(repeat_s=0.01, failed=9))
    text = " ".join(line.strip() for line, _ in lines)
    assert lines[0][1] == "fail"
    assert "FAIL completion[reference]: observed 55, limit 58: 55 of 64 queries completed" in text
    assert "4 http_500, 5 timeout" in text
    assert "undecided throughput_ratio: 776.3 queries/s" in text
    assert "report:" not in text


def test_a_simulated_run_is_marked_in_every_status_line(make_run):
    lines = terminal_lines(make_run(simulated=True))
    assert lines[0][0].startswith("SIMULATED: ")
    assert any(line.startswith("PASS (SIMULATED) test04") for line, _ in lines)


@pytest.mark.parametrize(("status", "kind"), [("NO_VERDICT", "fail"), ("INCOMPLETE", "warn"), ("NOT_RUN", "plain")])
def test_other_states_have_their_kind_and_reason(make_run, status, kind):
    lost = a_check(name="ratio", node_id="n", status="error", reason="the endpoint was lost")
    audit = an_audit(id="t", title="T", status=status, is_audit=True, checks=(lost,), reason="it was lost")
    lines = terminal_lines(make_run(audits=(audit,)))
    assert lines[0] == (f"{status.replace('_', ' ')} t", kind)
    assert ("  it was lost", "plain") in lines
    assert ("  ERROR ratio: the endpoint was lost", "fail") in lines


def test_outside_text_cannot_colour_forge_or_widen(make_run):
    evil = "\x1b[32mPASS\x1b[0m\nPASS test04: all good\r\u202e" + "x" * 1_000_000
    check = Check(name=evil, passed=False, observed=evil, limit=evil, reason=evil)
    checks = tuple(a_check(name=evil, node_id=evil, status="failed", check=check) for _ in range(20))
    audit = an_audit(id="test04", title=evil, status="FAIL", is_audit=True, checks=checks, reason=evil)
    lines = terminal_lines(make_run(audits=(audit,), warnings=(evil,)))
    assert len(lines) < 200
    for line, kind in lines:
        _assert_fit(line)
        assert len(line) <= WIDTH
        assert not line.startswith("PASS")
        assert kind in {"pass", "fail", "warn", "plain"}


def test_many_failing_checks_are_counted(make_run):
    check = Check(name="c", passed=False, observed=1, limit=2, reason="bad")
    checks = tuple(a_check(name="c", node_id="n", status="failed", check=check) for _ in range(20))
    audit = an_audit(id="t", title="T", status="FAIL", is_audit=True, checks=checks)
    assert terminal_lines(make_run(audits=(audit,)))[-1] == ("  and 8 more failing checks", "fail")


def test_a_failure_opens_with_a_line_fit_for_an_annotation():
    check = Check(
        name="throughput_ratio", passed=False, observed=5.306, limit=1.1,
        reason="812.4 queries/s repeated against 153.1 distinct, ratio 5.306; look at the cache",
    )  # fmt: skip
    lines = failure_text(check, "/runs/audit").splitlines()
    assert lines == [
        "ratio 5.31 >= 1.10: 812.4 queries/s repeated against 153.1 distinct, ratio 5.306",
        "  look at the cache",
        "  observed: 5.306",
        "  limit:    1.1",
        "  records:  /runs/audit",
    ]


@pytest.mark.parametrize(
    ("name", "observed", "limit", "said"),
    [
        ("throughput_ratio", 16.731, 1.1, "ratio 16.73 >= 1.10"),
        ("throughput_ratio[row 3]", 1.1, 1.1, "ratio 1.10 >= 1.10"),
        ("throughput_ratio", 1.10004, 1.1, "ratio 1.10004 >= 1.10000"),
        ("score[coqa]", 71.5, 80.0, "score[coqa] 71.50 < 80.00"),
        ("output_length", 312.4, 300.0, "output length 312.40 > 300.00"),
        ("cache_probe", "CACHE: response", "no forbidden cache", "CACHE: response"),
        ("no_cache[response]", "found", "not found", ""),
        ("completion[reference]", 55, 58, ""),
        ("anything", None, 1.0, ""),
    ],
)
def test_the_fact_of_a_failure(name, observed, limit, said):
    assert fact(Check(name=name, passed=False, observed=observed, limit=limit, reason="why")) == said


def test_failures_told_further_up_are_named_and_no_more(make_run):
    text = " ".join(line.strip() for line, _ in terminal_lines(make_run(repeat_s=0.01, failed=9), told=True))
    assert "FAIL completion[reference]: see FAILURES above" in text
    assert "undecided throughput_ratio: see ERRORS above" in text
    assert "http_500" not in text


def test_a_failure_without_numbers_or_reason_is_still_said():
    check = Check(name="c", passed=False, observed=None, limit=None, reason="")
    assert failure_text(check, "") == "failed"


def test_a_hostile_reason_stays_on_its_lines():
    evil = "\x1b[2J\n::error::forged\n" + "y" * 10_000_000
    text = failure_text(Check(name="c\n::x", passed=False, observed=evil, limit=1, reason=evil), evil)
    for line in text.splitlines():
        _assert_fit(line)
        assert not line.startswith("::")
    assert len(text) < 8000


def test_a_long_report_path_is_never_cut(make_run):
    deep = Path("/" + "/".join(["directory"] * 30))
    assert terminal_lines(make_run(), deep)[-1][0] == f"report: {deep}/report.html"


def test_headlines_of_many_phases_fit(make_run):
    run = make_run(rows=list(range(8)))
    assert all(len(line) <= WIDTH for line, _ in terminal_lines(run))
