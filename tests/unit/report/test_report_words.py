from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pytest_mlperf_audit.report.document import AuditEntry, describe
from pytest_mlperf_audit.report.outcome import AuditOutcome, CheckOutcome
from pytest_mlperf_audit.report.ratios import ratios
from pytest_mlperf_audit.report.tables import asked, failures, phase_rows
from pytest_mlperf_audit.report.words import headline, sentences, summary
from pytest_mlperf_audit.runs.order import sequential, with_replacement
from pytest_mlperf_audit.runs.spec import Concurrency, MaxThroughput, Poisson, RunSpec


def _entry(**changes) -> AuditEntry:
    fields: dict[str, Any] = {
        "id": "a", "title": "A", "status": "PASS", "is_audit": True, "mlperf_name": None, "settings": {}, "checks": (),
        "phases": (), "figures": {}, "notes": (), "reason": "",
    }  # fmt: skip
    return AuditEntry(**(fields | changes))


def _ratio_figures(ratio: float, limit: float = 1.1) -> dict[str, float]:
    return {"ratio": ratio, "limit_ratio": limit, "ref_completed": 64, "audit_completed": 64}


def test_a_passing_audit_in_one_sentence():
    (said,) = sentences(_entry(figures=_ratio_figures(1.0213)))
    assert said == (
        "One prompt repeated 64 times ran 1.02 times as fast as 64 different prompts; MLPerf allows less than 1.10."
    )


def test_a_failing_audit_says_what_it_means():
    (said,) = sentences(_entry(figures=_ratio_figures(5.31)))
    assert "5.31 times as fast" in said
    assert "cache of replies" in said


def test_exactly_at_the_limit_is_not_below_it():
    (ratio,) = ratios(_entry(figures=_ratio_figures(1.1)))
    assert not ratio.passed


def test_several_rows_are_one_sentence():
    figures = {"limit_ratio": 1.1, "ref_completed": 64, "audit_completed_3": 20, "ratio_3": 1.0, "ratio_7": 5.0}
    (said,) = sentences(_entry(figures=figures))
    assert "rows 3, 7" in said
    assert "1.00 to 5.00 times" in said
    assert "(rows 7)" in said


def test_the_limit_is_called_mlperfs_only_where_it_is(make_run):
    assert "MLPerf allows less than 1.10" in summary(describe(make_run()))
    own = sentences(_entry(figures=_ratio_figures(1.0, 1.2)))[0]
    assert "this configuration allows less than 1.20, MLPerf less than 1.10" in own


def test_single_stream_has_a_limit_of_its_own(make_run):
    (audit,) = describe(make_run()).audits
    one_lane = tuple(
        msgspec.structs.replace(p, spec=msgspec.structs.replace(p.spec, load=Concurrency(target=1)))
        for p in audit.phases
    )
    said = sentences(msgspec.structs.replace(audit, phases=one_lane, figures=_ratio_figures(1.0, 1.2)))[0]
    assert "MLPerf allows less than 1.20 in SingleStream" in said


def test_intervals_belong_to_their_ratio():
    figures = _ratio_figures(1.02) | {"ratio_low": 0.98, "ratio_high": 1.06, "ratio_3": 1.5, "ratio_ci": 0.95}
    first, second = ratios(_entry(figures=figures))
    assert (first.low, first.high, second.row, second.low) == (0.98, 1.06, "row 3", None)


@pytest.mark.parametrize(
    "figures", [{"ratio": None, "limit_ratio": 1.1}, {"ratio": 1.0}, {"ratio": "1", "limit_ratio": 1}]
)
def test_no_ratio_without_both_numbers(figures):
    assert ratios(_entry(figures=figures)) == []


@pytest.mark.parametrize(
    ("status", "reason", "said"),
    [
        (
            "NO_VERDICT",
            "the endpoint was lost.",
            "No verdict: the endpoint was lost. Nothing is shown either way; run the audit again.",
        ),
        (
            "NO_VERDICT",
            "",
            (
                "No verdict: a phase crashed, was cut short, or left partial records. "
                "Nothing is shown either way; run the audit again."
            ),
        ),
        ("INCOMPLETE", "-k", "Incomplete: 1 of 2 planned checks were run (-k), and a verdict needs them all."),
        ("NOT_RUN", "", "Not run: no check of it was selected, or the session ended before it."),
    ],
)
def test_states_in_words(make_run, status, reason, said):
    checks = (
        CheckOutcome(name="a", node_id="a", status="passed"),
        CheckOutcome(name="b", node_id="b", status="not_run"),
    )
    audit = AuditOutcome(id="t", title="T", status=status, is_audit=True, checks=checks, reason=reason)
    assert summary(describe(make_run(audits=(audit,)))) == said


def test_a_run_of_nothing(make_run):
    assert summary(describe(make_run(audits=()))) == "Nothing was run."


def test_failed_checks_other_than_the_ratio_are_told(make_run):
    text = summary(describe(make_run(failed=20)))
    assert "Failed: completion[reference] (44 of 64 queries completed" in text


def test_headline_has_throughput_and_what_is_missing(make_run):
    (audit,) = describe(make_run(failed=9)).audits
    assert "reference" in headline(audit)
    assert "(55 of 64)" in headline(audit)


def test_phase_rows_leave_out_what_no_phase_has(make_run):
    (audit,) = describe(make_run(failed=64)).audits
    rows = dict(phase_rows(audit.phases))
    assert rows["Failed"] == ["64 (32 http_500, 32 timeout)", "0"]
    assert rows["Latency p50"][0] == ""
    assert rows["Different requests"] == ["64", "1"]
    assert "Early-stopping p90" not in rows
    assert dict(phase_rows(audit.phases[:1])).get("Latency p50") is None
    assert failures(audit.phases[1]) == "0"


def test_what_a_phase_was_asked_for():
    spec = RunSpec(
        label="x",
        n_samples=5000,
        order=sequential(),
        load=MaxThroughput(),
        min_duration_ms=600_000,
        max_duration_ms=1500,
    )
    assert asked(spec) == "5,000 × rows in file order, all at once, for at least 10 min, for at most 1,500 ms"  # noqa: RUF001 - as shown
    paced = RunSpec(label="x", n_samples=2, order=with_replacement(1), load=Poisson(target_qps=2.5, seed=1))
    assert asked(paced) == "2 × rows drawn at random, arriving at 2.5 a second"  # noqa: RUF001 - as shown
