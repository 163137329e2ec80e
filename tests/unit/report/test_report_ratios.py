"""A ratio is never shown without its interval where there is one, nor its evidence without a sentence."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pytest_mlperf_audit.audits.verdict import Ratio
from pytest_mlperf_audit.report import ratios, words
from pytest_mlperf_audit.report.ci_summary import markdown
from pytest_mlperf_audit.report.pictures import pictures_of
from pytest_mlperf_audit.report.text import terminal_lines
from pytest_mlperf_audit.verdicts.differences import Terms, audit_differences
from pytest_mlperf_audit.verdicts.document import AuditEntry, CheckEntry, storable_audit

INTERVAL = {"low": 0.98, "high": 1.083}


def _entry(*found: dict[str, Any], checks: tuple[str, ...] = ()) -> AuditEntry:
    return AuditEntry(
        id="a", title="A", status="PASS", is_audit=True, mlperf_name=None, settings={}, phases=(), notes=(), reason="",
        checks=tuple(_check(name) for name in checks), figures={}, ratios=tuple(_ratio(**one) for one in found),
    )  # fmt: skip


def _ratio(**fields: Any) -> Ratio:
    known: dict[str, Any] = {"value": 1.031, "limit": 1.1, "limit_of": "MLPerf", "n_repeats": 64, "n_distinct": 64}
    return Ratio(**(known | {"check": "throughput_ratio"} | fields))


def _check(name: str) -> CheckEntry:
    return CheckEntry(name=name, node_id="n", status="passed", passed=True, observed=1.031, limit=1.1, reason="r")


def test_headline_and_sentence_carry_the_interval():
    audit = _entry(INTERVAL)
    assert words.headline(audit) == "ratio 1.03 (95 % 0.98 to 1.08), limit 1.10"
    assert words.sentences(audit)[0].startswith("One input repeated 64 times ran 1.03 (95 % 0.98 to 1.08) times as ")


def test_without_an_interval_nothing_is_said_of_it():
    assert words.headline(_entry({})) == "ratio 1.03, limit 1.10"
    assert words.headline(_entry({"low": 0.9})) == "ratio 1.03, limit 1.10"
    assert len(words.sentences(_entry({}))) == 1


def test_a_ratio_over_twins_says_so_and_what_mlperf_compares():
    audit = _entry({"over": "twins", "mlperf": "MLPerf compares with other rows"})
    assert words.headline(audit) == "ratio 1.03 over fresh twins, limit 1.10"
    first, second = words.sentences(audit)
    assert "times as fast as 64 fresh twins of it, as long and never sent before" in first
    assert second == "MLPerf compares with other rows."


def test_a_bound_is_never_shown_equal_to_a_limit_that_it_misses():
    assert ratios.interval(_ratio(low=1.0, high=1.0999)) == "95 % 1.00 to 1.0999"


def test_a_ratio_outside_its_interval_is_set_beside_the_long_run():
    assert ratios.interval(_ratio(low=0.95, high=1.02, long_run=0.984)) == "long run 0.98, 95 % 0.95 to 1.02"


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


def test_without_a_word_nothing_is_said_of_evidence():
    audit = _entry(INTERVAL | {"evidence": None})
    assert len(words.sentences(audit)) == 1
    assert "evidence" not in words.headline(audit)


def test_what_would_decide_is_told_where_it_is_known():
    audit = _entry(INTERVAL | {"evidence": "inconclusive", "queries_to_decide": 12000})
    assert "About 12,000 queries in each phase would settle it" in words.sentences(audit)[1]
    unknown = _entry(INTERVAL | {"evidence": "inconclusive", "queries_to_decide": None})
    assert "queries in each phase" not in words.sentences(unknown)[1]


def test_several_rows_are_pooled():
    audit = _entry(
        {"value": 1.0, "row": 3, "check": "a[3]", "evidence": "suspicious"},
        {"value": 1.05, "row": 7, "check": "a[7]"},
        {"value": 1.02, "check": None, "low": 0.99, "high": 1.05, "evidence": "clean"},
    )
    assert words.headline(audit) == "ratio 1.00 to 1.05 (pooled 1.02, 95 % 0.99 to 1.05), limit 1.10"
    assert words.sentences(audit)[1].startswith("Evidence, all rows taken together: clean. ")
    assert [ratios.name(ratio) for ratio in audit.ratios] == ["row 3", "row 7", "pooled"]


def test_a_check_on_a_ratio_shows_its_interval():
    names = ("throughput_ratio[output_caching_3]", "throughput_ratio[output_caching_7]", "duration[x]")
    row_3 = {"value": 1.0, "row": 3, "check": names[0], "low": 0.9, "high": 1.05}
    audit = _entry(row_3, {"value": 1.05, "row": 7, "check": names[1]}, checks=names)
    assert [words.observed(audit, check) for check in audit.checks] == ["1.031 (95 % 0.90 to 1.05)", "1.031", "1.031"]
    lone = _entry(INTERVAL, checks=("throughput_ratio",))
    assert words.observed_against_limit(lone, lone.checks[0]) == "observed 1.031 (95 % 0.98 to 1.08), limit 1.1"


def test_figures_that_only_sound_like_a_ratio_are_no_chart(make_run, tmp_path):
    (audit,) = make_run().audits
    assert any("ratio" in drawing.caption for drawing in pictures_of(audit, tmp_path, "0").drawings)
    plain = msgspec.structs.replace(audit, ratios=())
    assert plain.figures["ratio"]
    assert plain.figures["limit_ratio"] == 1.1
    assert not any("ratio" in drawing.caption for drawing in pictures_of(plain, tmp_path, "0").drawings)
    assert "ratio" not in words.headline(plain)
    assert not any("One input" in sentence for sentence in words.sentences(plain))


def test_a_verdict_of_before_there_were_typed_ratios_is_confirmed():
    now = _entry(INTERVAL)
    before = msgspec.structs.replace(now, ratios=())
    assert audit_differences(before, now, Terms()) == []
    other = msgspec.structs.replace(now, ratios=(_ratio(**INTERVAL, value=1.05),))
    assert audit_differences(other, now, Terms()) == ["ratios[0].value: 1.05 stored, 1.031 recomputed"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_ratio_that_is_no_number_is_left_out(make_run, value):
    audit = msgspec.structs.replace(make_run().audits[0], ratios=(_ratio(value=value),))
    assert storable_audit(audit).ratios == ()


def test_everywhere_the_interval_that_the_records_give(make_run, tmp_path):
    run = make_run(repeat_s=0.01)
    audit = run.audits[0]
    (ratio,) = audit.ratios
    assert ratio.blocks
    assert ratio.blocks.low
    shown = ratios.interval(ratio)
    assert shown
    assert sum(shown in line for line, _ in terminal_lines(run)) == 3
    assert markdown(run).count(shown) == 3
    (drawn,) = [drawing for drawing in pictures_of(audit, tmp_path, "0").drawings if "ratio" in drawing.caption]
    assert f"({shown}), not below 1.10" in drawn.description
