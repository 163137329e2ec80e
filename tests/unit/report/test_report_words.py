from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pytest_mlperf_audit.audits.verdict import Ratio
from pytest_mlperf_audit.report.tables import failures, phase_rows, workload
from pytest_mlperf_audit.report.words import headline, interval_of, openings, sentences, summary
from pytest_mlperf_audit.runs.order import in_turn, sequential, with_replacement
from pytest_mlperf_audit.runs.spec import Concurrency, MaxThroughput, Poisson, RunSpec
from pytest_mlperf_audit.verdicts.document import AuditEntry, CheckEntry
from tests.support.entries import a_check, an_audit


def _with_ratio(value: float, **changes: Any) -> AuditEntry:
    return an_audit(ratios=(_ratio(value, **changes),))


def _ratio(value: float, **changes: Any) -> Ratio:
    known: dict[str, Any] = {
        "limit": 1.1,
        "limit_of": "MLPerf",
        "n_repeats": 64,
        "n_distinct": 64,
        "check": "throughput_ratio",
    }
    return Ratio(value=value, **(known | changes))


def test_a_passing_audit_in_one_sentence():
    (said,) = sentences(_with_ratio(1.0213))
    assert said == (
        "One input repeated 64 times ran 1.02 times as fast as 64 different inputs; MLPerf allows less than 1.10."
    )


def test_a_failing_audit_says_what_it_means():
    (said,) = sentences(_with_ratio(5.31))
    assert "5.31 times as fast" in said
    assert "cache of replies" in said


def test_exactly_at_the_limit_is_not_below_it():
    assert not _ratio(1.1).passed
    assert "cache of replies" in sentences(_with_ratio(1.1))[0]


def test_several_rows_are_one_sentence():
    rows = (_ratio(1.0, row=3, check="a[3]", n_repeats=20), _ratio(5.0, row=7, check="a[7]"))
    (said,) = sentences(an_audit(ratios=rows))
    assert "rows 3, 7" in said
    assert "1.00 to 5.00 times" in said
    assert "(rows 7)" in said


def test_the_limit_is_called_mlperfs_only_where_it_is(make_run):
    assert "MLPerf allows less than 1.10" in summary(make_run())
    own = sentences(_with_ratio(1.0, limit=1.2, limit_of="configuration"))[0]
    assert "this configuration allows less than 1.20, MLPerf less than 1.10" in own


def test_single_stream_has_a_limit_of_its_own():
    (said,) = sentences(_with_ratio(1.0, limit=1.2, limit_of="SingleStream"))
    assert "MLPerf allows less than 1.20 in SingleStream" in said


@pytest.mark.parametrize(
    "figures",
    [
        {"ratio": 0.23, "limit_ratio": 1.0},
        {"ratio_3": 0.23, "limit_ratio": 1.0, "ratio_low_3": 0.2, "ratio_high_3": 0.3, "evidence_3": "inconclusive"},
        {"ratio": 1.5, "limit_ratio": 1.1, "ref_completed": 64, "audit_completed": 64, "evidence": "clean"},
    ],
)
def test_figures_of_any_name_are_no_ratios(figures):
    check = CheckEntry(
        name="throughput_ratio", node_id="n", status="failed", passed=False, observed=1.5, limit=1.1, reason="slow"
    )
    audit = an_audit(figures=figures, checks=(check,))
    assert headline(audit) == ""
    assert sentences(audit) == ["Failed: throughput_ratio (slow)."]
    assert interval_of(audit, check) == ""


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
        a_check(name="a", node_id="a", status="passed"),
        a_check(name="b", node_id="b", status="not_run"),
    )
    audit = an_audit(id="t", title="T", status=status, is_audit=True, checks=checks, reason=reason)
    assert summary(make_run(audits=(audit,))) == said


def test_a_run_of_nothing(make_run):
    assert summary(make_run(audits=())) == "Nothing was run."


def test_failed_checks_other_than_the_ratio_are_told(make_run):
    text = summary(make_run(failed=20))
    assert "Failed: completion[reference] (44 of 64 queries completed" in text


def test_headline_has_throughput_and_what_is_missing(make_run):
    (audit,) = make_run(failed=9).audits
    assert "reference" in headline(audit)
    assert "(55 of 64 completed)" in headline(audit)


def test_phase_rows_leave_out_what_no_phase_has(make_run):
    (audit,) = make_run(failed=64).audits
    rows = dict(phase_rows(audit.phases))
    assert rows["Failed"] == ["64 (32 http_500, 32 timeout)", "0"]
    assert rows["Whole latency p50 / p90 / p99"][0] == ""
    assert rows["Different requests"] == ["64", "1"]
    assert "Early-stopping p90" not in rows
    assert dict(phase_rows(audit.phases[:1])).get("Whole latency p50 / p90 / p99") is None
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
    assert workload(spec) == "5,000 × rows in file order, all at once, for at least 10 min, for at most 1,500 ms"  # noqa: RUF001 - as shown
    for order, rows in ((in_turn([3]), "row 3"), (in_turn([9, 3]), "rows 9 and 3 in turn")):
        twins = RunSpec(label="x", n_samples=8, order=order, load=Concurrency(target=2), nonce="twin")
        assert workload(twins) == f"8 × fresh twins of {rows}, 2 in flight"  # noqa: RUF001 - as shown
    paced = RunSpec(label="x", n_samples=2, order=with_replacement(1), load=Poisson(target_qps=2.5, seed=1))
    assert workload(paced) == "2 × rows drawn at random, arriving at 2.5 a second"  # noqa: RUF001 - as shown


def test_two_audits_of_one_test_are_told_apart(make_run):
    (audit,) = make_run().audits
    short, long = (msgspec.structs.replace(audit, id=f"test04-{name}", name=name) for name in ("short", "long"))
    run = make_run(audits=(short, long))
    first, second = openings(run)
    assert first.startswith("TEST04 output caching: short: PASS. Ratio ")
    assert second.startswith("TEST04 output caching: long: PASS. Ratio ")
    assert "TEST04 output caching: long: One input repeated" in summary(run)
