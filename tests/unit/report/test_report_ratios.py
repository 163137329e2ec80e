"""A ratio is never shown without its interval where there is one, nor its evidence without a sentence."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_mlperf_audit.report import ratios, words
from pytest_mlperf_audit.report.ci_summary import markdown
from pytest_mlperf_audit.report.document import AuditEntry, CheckEntry, describe
from pytest_mlperf_audit.report.pictures import pictures_of
from pytest_mlperf_audit.report.text import terminal_lines

INTERVAL = {"ratio_low": 0.98, "ratio_high": 1.083}


def _entry(figures: dict[str, Any], *checks: str) -> AuditEntry:
    known = {"ratio": 1.031, "limit_ratio": 1.1, "ref_completed": 64, "audit_completed": 64}
    return AuditEntry(
        id="a", title="A", status="PASS", is_audit=True, mlperf_name=None, settings={}, phases=(), notes=(), reason="",
        checks=tuple(_check(name) for name in checks), figures=known | figures,
    )  # fmt: skip


def _check(name: str) -> CheckEntry:
    return CheckEntry(name=name, node_id="n", status="passed", passed=True, observed=1.031, limit=1.1, reason="r")


def test_headline_and_sentence_carry_the_interval():
    audit = _entry(INTERVAL)
    assert words.headline(audit) == "ratio 1.03 (95 % 0.98 to 1.08), limit 1.10"
    assert words.sentences(audit)[0].startswith("One prompt repeated 64 times ran 1.03 (95 % 0.98 to 1.08) times as ")


def test_without_an_interval_nothing_is_said_of_it():
    assert words.headline(_entry({})) == "ratio 1.03, limit 1.10"
    assert words.headline(_entry({"ratio_low": 0.9})) == "ratio 1.03, limit 1.10"
    assert len(words.sentences(_entry({}))) == 1


def test_a_bound_is_never_shown_equal_to_a_limit_that_it_misses():
    (ratio,) = ratios.ratios(_entry({"ratio_low": 1.0, "ratio_high": 1.0999}))
    assert ratio.interval == "95 % 1.00 to 1.0999"


def test_a_ratio_outside_its_interval_is_set_beside_the_long_run():
    (ratio,) = ratios.ratios(_entry({"ratio_low": 0.95, "ratio_high": 1.02, "ratio_long_run": 0.984}))
    assert ratio.interval == "long run 0.98, 95 % 0.95 to 1.02"


@pytest.mark.parametrize(
    ("word", "doubt", "said"),
    [
        ("clean", "", "no speed-up is sure"),
        ("suspicious", ", evidence suspicious", "faster by more than chance explains"),
        ("inconclusive", ", evidence inconclusive", "chance can decide this verdict"),
        ("over the limit", ", evidence over the limit", "above the limit"),
    ],
)
def test_evidence_in_a_word_and_a_sentence(word, doubt, said):
    audit = _entry(INTERVAL | {"evidence": word})
    assert words.headline(audit) == f"ratio 1.03 (95 % 0.98 to 1.08), limit 1.10{doubt}"
    assert words.sentences(audit)[1].startswith(f"Evidence: {word}. ")
    assert said in words.sentences(audit)[1]


@pytest.mark.parametrize("word", ["", "splendid", None, 3])
def test_evidence_in_no_known_word_is_not_shown(word):
    audit = _entry(INTERVAL | {"evidence": word})
    assert len(words.sentences(audit)) == 1
    assert "evidence" not in words.headline(audit)


def test_what_would_decide_is_told_where_it_is_known():
    audit = _entry(INTERVAL | {"evidence": "inconclusive", "queries_to_decide": 12000})
    assert "About 12,000 queries in each phase would settle it" in words.sentences(audit)[1]
    unknown = _entry(INTERVAL | {"evidence": "inconclusive", "queries_to_decide": None})
    assert "queries in each phase" not in words.sentences(unknown)[1]


def test_several_rows_are_pooled():
    rows: dict[str, Any] = {"ratio": None, "ratio_3": 1.0, "ratio_7": 1.05, "ratio_pooled": 1.02}
    rows |= {"ratio_low_pooled": 0.99, "ratio_high_pooled": 1.05, "evidence_pooled": "clean", "evidence_3": "clean"}
    audit = _entry(rows)
    assert words.headline(audit) == "ratio 1.00 to 1.05 (pooled 1.02, 95 % 0.99 to 1.05), limit 1.10"
    assert words.sentences(audit)[1].startswith("Evidence, all rows taken together: clean. ")
    assert [ratio.row for ratio in ratios.ratios(audit)] == ["row 3", "row 7"]


def test_a_check_on_a_ratio_shows_its_interval():
    rows = {"ratio": None, "ratio_3": 1.0, "ratio_low_3": 0.9, "ratio_high_3": 1.05, "ratio_7": 1.05}
    audit = _entry(rows, "throughput_ratio[output_caching_3]", "throughput_ratio[output_caching_7]", "duration[x]")
    assert [words.observed(audit, check) for check in audit.checks] == ["1.031 (95 % 0.90 to 1.05)", "1.031", "1.031"]
    lone = _entry(INTERVAL, "throughput_ratio")
    assert words.observed_against_limit(lone, lone.checks[0]) == "observed 1.031 (95 % 0.98 to 1.08), limit 1.1"


def test_everywhere_the_interval_that_the_records_give(make_run, tmp_path):
    run = make_run(repeat_s=0.01)
    audit = describe(run).audits[0]
    (ratio,) = ratios.ratios(audit)
    assert ratio.low
    assert ratio.interval
    assert sum(ratio.interval in line for line, _ in terminal_lines(run)) == 2
    assert markdown(run).count(ratio.interval) == 2
    (drawn,) = [drawing for drawing in pictures_of(audit, tmp_path, "0").drawings if "ratio" in drawing.caption]
    assert f"({ratio.interval}), not below 1.10" in drawn.description
