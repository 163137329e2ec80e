"""What a cache probe found, and what it left undecided, in every place that shows a run."""

from __future__ import annotations

import html
import re

import msgspec
import pytest

from pytest_mlperf_audit.audits.verdict import Check, Finding
from pytest_mlperf_audit.report import words
from pytest_mlperf_audit.report.ci_summary import markdown
from pytest_mlperf_audit.report.clean import NOTHING
from pytest_mlperf_audit.report.findings import arm_rows, conclusion, finding_rows, kind_rows
from pytest_mlperf_audit.report.html import render
from pytest_mlperf_audit.report.pictures import pictures_of
from pytest_mlperf_audit.report.tables import phase_rows
from pytest_mlperf_audit.report.text import WIDTH, terminal_lines
from pytest_mlperf_audit.verdicts.document import storable_audit
from pytest_mlperf_audit.verdicts.files import read_verdict, write_verdict
from tests.support.entries import a_check, an_audit

#: Options of the server under which the null control fires.
UNTRUSTWORTHY = {"null_s": 0.02, "settings": {"thorough": True}}


def _audit(run):
    (audit,) = run.audits
    return audit


def _terminal(run) -> list[str]:
    return [line for line, _ in terminal_lines(run)]


def _joined(run) -> str:
    return " ".join(line.strip() for line in _terminal(run))


def _sent(run) -> int:
    return sum(phase.figures.n_issued for phase in run.audits[0].phases)


def test_a_clean_probe_in_one_line_without_a_throughput(make_probe):
    run = make_probe()
    first, *kinds = _terminal(run)
    assert first == f"PASS cache_probe: CLEAN, {_sent(run)} queries"
    assert " ".join(map(str.strip, kinds)).startswith(
        "caches excluded: response >= 1.5x at 50% hits, near-duplicate >= 1.1x, prefix"
    )


@pytest.mark.parametrize(
    ("design", "left_out"),
    [
        (
            "single",
            "near-duplicate, prefix, semantic, coalescing, URL-keyed (set design: groups and bursts: true)",
        ),
        ("groups", ""),
    ],
)
def test_what_was_not_looked_for_is_named_everywhere(make_probe, tmp_path, design, left_out):
    run = make_probe(settings={"design": design})
    audit = _audit(run)
    line = f"not looked for: {left_out}" if left_out else "excluded: response"
    for place in (_joined(run), words.summary(run), words.sentences(audit)[0]):
        assert line in place
        assert ("not looked for" in place) is bool(left_out)
    rows = {row.kind: row for row in kind_rows(audit)}
    assert rows["semantic cache"].result == ("not looked for" if left_out else "excluded")
    assert (NOTHING in rows["semantic cache"].times) is bool(left_out)
    assert "| semantic cache | " + ("not looked for |" if left_out else "excluded |") in markdown(run)
    assert read_verdict(write_verdict(run, tmp_path)).audits[0].kinds == audit.kinds


def test_a_run_without_a_probe_looked_for_no_kind(make_run):
    run = make_run()
    assert {state.state for state in _audit(run).kinds} == {"not looked for"}
    assert (
        "caches not looked for: response, near-duplicate, prefix, semantic, coalescing, URL-keyed (set probe"
        in _joined(run)
    )


def test_a_check_of_what_was_not_looked_for_has_not_passed(make_probe):
    """However many queries are sent at once, none has to wait for another."""
    run = make_probe(wide=True)
    audit = _audit(run)
    check = audit.check("no_cache[coalescing]")
    assert (audit.status, check.status, check.passed, check.undecided) == ("PASS", "not_run", None, False)
    assert words.check_word(check) == "not looked for"
    assert "| not looked for | no&#95;cache&#91;coalescing&#93; |" in markdown(run)
    assert "did not have to queue" in check.reason
    assert "not looked for: coalescing (up to 64 different queries at once did not have to queue," in _joined(run)


def test_a_cache_is_named_with_what_proves_it(make_probe):
    run = make_probe(cached=True)
    text = _joined(run)
    assert text.startswith(
        f"FAIL cache_probe: CACHE: response, {_sent(run)} queries caches found: response; excluded: "
    )
    assert "FAIL no_cache[response]: observed found" in text
    assert "times as fast" in text
    assert "/s" not in text


def test_test04_tells_of_the_probe_beside_its_ratio(make_probed):
    text = _joined(make_probed())
    assert text.startswith("PASS test04: ratio 1.0")
    assert "; cache probe CLEAN (25 queries); reference 1" in text
    assert "cache_probe_trial" not in text
    assert all(len(line) <= WIDTH for line in _terminal(make_probed()))


def test_failed_queries_of_a_probe_are_counted(make_probe):
    run = make_probe(fail="/R.a")
    failed = run.audits[0].phases[0].figures.n_failed
    assert failed > 1
    assert f"NO VERDICT cache_probe: ERROR, {_sent(run)} queries, {failed} failed" in _terminal(run)


def test_an_allowed_cache_is_called_allowed(make_probe):
    run = make_probe(cached=True, settings={"forbid": ["prefix"], "bursts": False})
    audit = _audit(run)
    assert _terminal(run)[0].startswith("PASS cache_probe: CACHE: response (allowed), ")
    assert "which this configuration allows" in words.summary(run)
    assert finding_rows(audit)[0].result == "found, allowed"
    assert not finding_rows(audit)[0].bad
    assert "times as fast" in finding_rows(audit)[0].sentence
    assert conclusion(audit) == f"CACHE: response (allowed) in {_sent(run)} queries"


def test_a_scripted_audit_that_is_no_probe_shows_its_queries(make_probe):
    run = make_probe()
    others = tuple(msgspec.structs.replace(audit, figures={}) for audit in run.audits)
    assert _terminal(msgspec.structs.replace(run, audits=others))[0].startswith("PASS cache_probe: cache_probe 2")


@pytest.mark.parametrize("word", ["CLEAN", "CACHE", "thorough"])
def test_a_figure_called_probe_is_no_probe(make_run, word):
    audit = msgspec.structs.replace(make_run().audits[0], ratios=(), figures={"probe": word, "probe_kinds": "response"})
    assert "probe" not in words.headline(audit)
    assert not any("cache" in sentence for sentence in words.sentences(audit))


@pytest.fixture
def undecided(make_probe):
    return make_probe(**UNTRUSTWORTHY)


def test_undecided_checks_are_never_a_pass(undecided, tmp_path):
    audit = read_verdict(write_verdict(undecided, tmp_path)).audits[0]
    assert audit.status == "NO_VERDICT"
    assert {(check.passed, check.undecided, check.status) for check in audit.checks} == {(None, True, "error")}
    assert audit.reason.startswith("inconclusive: the null control ")
    assert all(check.reason == audit.reason for check in audit.checks)


def test_the_terminal_gives_a_doubt_once(undecided):
    text = _joined(undecided)
    assert text.startswith("NO VERDICT cache_probe: INCONCLUSIVE, ")
    assert text.count("null control") == 1
    assert "undecided no_cache[response], no_cache[near_duplicate], " in text
    assert dict(terminal_lines(undecided))[_terminal(undecided)[-1]] == "fail"


def test_the_ci_summary_gives_a_doubt_to_each_check(undecided):
    text = markdown(undecided)
    assert text.count("| **undecided** | no&#95;cache") == 7
    assert "No verdict: inconclusive: the null control" in text


def test_a_doubt_beside_a_failure_is_told(make_probed):
    run = make_probed(run={"repeat_s": 0.01}, fail="/R")
    audit = _audit(run)
    assert (audit.status, audit.reason) == ("FAIL", "")
    assert "undecided cache_probe: error: 5 of 15 probe queries failed" in _joined(run)
    assert "Undecided: cache_probe (error: 5 of 15 probe queries failed" in words.summary(run)


def test_a_doubt_of_any_audit_is_shown_with_its_numbers_left_out(make_run):
    check = Check(name="c", passed=None, observed=None, limit=3, reason="too noisy")
    outcome = a_check(name="c", node_id="n", status="error", check=check, reason=check.reason)
    audit = an_audit(id="a", title="A", status="NO_VERDICT", is_audit=True, checks=(outcome,), reason="too noisy")
    assert _terminal(make_run(audits=(audit,))) == ["NO VERDICT a", "  too noisy", "  undecided c"]


def test_an_undecided_check_that_was_not_run_is_called_so(make_run):
    check = Check(name="c", passed=None, observed=None, limit=3, reason="too noisy")
    outcome = a_check(name="c", node_id="n", status="not_run", check=check, reason=check.reason)
    audit = an_audit(id="a", title="A", status="INCOMPLETE", is_audit=True, checks=(outcome,))
    run = make_run(audits=(audit,))
    assert "| not run | c |" in markdown(run)
    assert _terminal(run) == ["INCOMPLETE a"]


def test_a_reason_is_told_at_the_top_and_with_its_check_and_no_more(undecided, tmp_path):
    (reason,) = {check.reason for check in _audit(undecided).checks if check.undecided}
    assert render(undecided, tmp_path).count(html.escape(reason)) <= 2
    assert "\n".join(_terminal(undecided)).count(reason[:40]) == 1
    assert {row.result for row in finding_rows(_audit(undecided))} == {"undecided"}
    assert conclusion(_audit(undecided)) == f"INCONCLUSIVE in {_sent(undecided)} queries"


def test_rows_of_findings(make_probe):
    first, *others = finding_rows(_audit(make_probe(cached=True)))
    assert (first.result, first.bad, first.kind, first.of) == ("found", True, "response cache", "made-up prompts")
    assert first.effect.endswith("\N{MULTIPLICATION SIGN}")
    assert " to " in first.interval
    assert first.slow.startswith("against 2")
    assert first.p.startswith("uncorrected ")
    assert float(first.p_corrected) < 0.01
    assert {row.bad for row in others if row.result == "not found"} == {False}


def test_what_could_not_be_tested_has_no_numbers(make_run):
    finding = Finding(kind="novel", of="x", found=False, forbidden=True, sentence="nothing was sent.")
    bounds = {"effect": 3.0, "p": 0.5, "p_corrected": 1.0, "fast_s": 0.5}
    audit = an_audit(
        id="a",
        title="A",
        status="PASS",
        is_audit=True,
        checks=(),
        findings=(
            finding,
            msgspec.structs.replace(finding, effect_low=2.0, **bounds),
            msgspec.structs.replace(finding, effect_high=4.0, **bounds),
        ),
    )
    untested, above, below = finding_rows(_audit(make_run(audits=(audit,))))
    assert (untested.result, untested.kind, untested.sentence) == ("not tested", "novel", "Nothing was sent.")
    assert (untested.interval, untested.slow, untested.p) == ("", "", "")
    assert (above.interval, below.interval) == ("at least 2", "at most 4")


def test_rows_of_arms(make_probe):
    tables = arm_rows(_audit(make_probe(streamed=True)))
    assert list(tables) == [
        "made-up prompts",
        "the data set's prompts",
        "made-up prompts, late and at once",
        "fresh prompts",
        "bursts",
    ]
    rows = {row.what: row for row in tables["made-up prompts"]}
    assert rows["exact repeat (R)"].n == "12"
    assert rows["exact repeat (R)"].first_token.endswith(" ms")
    assert tables["bursts"][0].what == "4 different at once"


@pytest.mark.parametrize("design", ["groups", "single", "anytime"])
def test_every_arm_has_its_strip(make_probe, tmp_path, design):
    """The names by which arms are known in the verdict and those in the records must stay the same."""
    audit = _audit(make_probe(cached=True, settings={"design": design}))
    pictures = pictures_of(audit, tmp_path, "0")
    assert len(pictures.strips) == len({arm.of for arm in audit.arms})
    described = " ".join(drawing.description for drawing in pictures.strips)
    assert described.count(": median ") == len(audit.arms) > 2
    paths = re.findall(r'<path d="([^"]+)"[^>]* marker-mid=', "".join(drawing.svg for drawing in pictures.strips))
    assert sum(path.count(",") for path in paths) >= sum(arm.n for arm in audit.arms)


def test_bursts_are_drawn_by_their_makespan(make_probe, tmp_path):
    audit = _audit(make_probe())
    (bursts,) = [d for d in pictures_of(audit, tmp_path, "0").strips if d.caption.startswith("Bursts")]
    assert "whole bursts, from the first query to the last reply" in bursts.caption
    # One lane: both of a burst take twice as long as one alone, which 20 ms is.
    assert re.search(r"4 identical at once: median (7[6-9]|8[0-4])\.\d+ ms of \d", bursts.description)


def test_scripted_phases_are_in_no_other_chart(make_probe, make_probed, tmp_path):
    alone = pictures_of(_audit(make_probe()), tmp_path, "0")
    assert (alone.drawings, alone.legend) == ([], [])
    beside = pictures_of(_audit(make_probed()), tmp_path, "0")
    assert [key.label for key in beside.legend] == ["reference", "output_caching"]
    assert "cache_probe" not in " ".join(drawing.description for drawing in beside.drawings)
    assert len(beside.drawings) == 3


def test_unreadable_records_cost_the_strips_and_are_named(make_probe, tmp_path):
    audit = _audit(make_probe())
    (tmp_path / "audit/cache_probe/queries.jsonl").unlink()
    pictures = pictures_of(audit, tmp_path, "0")
    assert pictures.strips == []
    assert pictures.notes[0].startswith("No strips for cache_probe: ")


def test_arms_of_a_script_that_is_not_the_probes_have_no_strips(make_probe, tmp_path):
    audit = _audit(make_probe())
    (phase,) = audit.phases
    order = msgspec.structs.replace(phase.spec.order, parameters={"what": "ever"})
    other = msgspec.structs.replace(phase, spec=msgspec.structs.replace(phase.spec, order=order))
    assert pictures_of(msgspec.structs.replace(audit, phases=(other,)), tmp_path, "0").strips == []


def test_the_phase_table_has_no_throughput_for_a_script(make_probed):
    rows = dict(phase_rows(_audit(make_probed()).phases))
    trial, reference, _, probe = range(4)
    assert (rows["Throughput"][trial], rows["Throughput"][probe]) == ("", "")
    assert rows["Throughput"][reference].endswith(" queries/s")
    assert (rows["Whole latency p50 / p90 / p99"][probe], rows["Window"][probe], rows["Whole latency CV"][probe]) == (
        "",
        "",
        "",
    )
    assert (rows["Queries sent"][probe], rows["Failed"][probe], rows["Duration"][probe]) == ("25", "0", "1 s")
    assert rows["Asked for"][trial] == "1 query"
    assert rows["Asked for"][probe] == "15 to 162 queries, one after another, and in bursts of up to 2"


def test_the_ci_summary_has_no_throughput_for_a_script(make_probe):
    (line,) = [line for line in markdown(make_probe()).splitlines() if line.startswith("| cache&#95;probe |")]
    assert line.split("|")[4:7] == ["  ", " – ", " – "]  # noqa: RUF001 - as shown


def test_an_arm_without_a_median_is_left_out_of_the_document(make_probe):
    run = make_probe()
    broken = msgspec.structs.replace(run.audits[0].arms[0], median_s=float("nan"))
    audit = msgspec.structs.replace(run.audits[0], arms=(broken, *run.audits[0].arms[1:]))
    assert storable_audit(audit).arms == run.audits[0].arms[1:]
