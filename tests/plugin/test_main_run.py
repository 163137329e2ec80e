"""The main performance run: planned and sent after the audits or before them, or not at all."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("order", "ids"),
    [(None, ["test04", "performance"]), ("after", ["performance", "test04"])],
    ids=["default", "after"],
)
def test_audits_are_sent_before_the_main_run_or_after_it(audit, sut, order, ids):
    audit.config(sut, audit={"only": False}, audit_order=order)
    audit.run().assert_outcomes(passed=7)
    assert_sent_in_plan_order(sut, ids)
    verdict = audit.verdict()
    assert verdict["status"] == "PASS"
    assert [entry["id"] for entry in verdict["audits"]] == ids


def test_plan_order_holds_whatever_the_order_of_tests(audit, sut, lone_or_spread):
    (audit.path / "conftest.py").write_text("def pytest_collection_modifyitems(items):\n    items.reverse()\n")
    audit.config(sut, audit={"only": False}, audit_order="after")
    result = audit.run("-v", *lone_or_spread)
    result.assert_outcomes(passed=7)
    assert next(line for line in result.outlines if "::" in line).startswith("wan22.yaml::test04::")
    assert_sent_in_plan_order(sut, ["performance", "test04"])


def test_plan_order_holds_under_pytest_randomly(audit, sut):
    audit.config(sut, audit={"only": False})
    audit.run("-p", "randomly").assert_outcomes(passed=7)
    assert_sent_in_plan_order(sut)


def test_main_run_is_not_sent_for_the_audit_alone(audit, sut):
    audit.config(sut, audit={"only": False})
    audit.run("-m", "test04").assert_outcomes(passed=5, deselected=2)
    assert [len(set(part)) for part in (sut.bodies()[:8], sut.bodies()[8:])] == [8, 1]
    verdict = audit.verdict()
    assert [entry["status"] for entry in verdict["audits"]] == ["PASS", "NOT_RUN"]
    assert verdict["status"] == "PASS"


def test_the_audit_is_not_sent_for_the_main_run_alone(audit, sut):
    audit.config(sut, audit=None, settings={"runtime": {"min_duration_ms": 100, "n_samples_to_issue": 4}})
    result = audit.run("-m", "performance", "-v")
    result.stdout.fnmatch_lines_random(["*::performance::completion PASSED*", "*::performance::duration PASSED*"])
    assert sut.received >= 4
    assert audit.verdict()["audits"][0]["phases"][0]["figures"]["window_s"] >= 0.1


@pytest.mark.parametrize(("sent", "ids"), [(64, ["early_stopping"]), (63, [])])
def test_a_single_stream_score_needs_64_queries(audit, start_sut, sent, ids):
    load = {"load_pattern": {"type": "concurrency", "target_concurrency": 1}, "runtime": {"n_samples_to_issue": sent}}
    audit.config(start_sut(repeat_ms=1), audit=None, type="online", settings=load)
    audit.run("-m", "performance").assert_outcomes(passed=2 + len(ids))
    (main,) = audit.verdict()["audits"]
    assert [check["name"] for check in main["checks"]] == ["completion", "count", *ids]
    assert bool(main["notes"]) == (not ids)


def assert_sent_in_plan_order(sut, ids=("test04", "performance")):
    bodies = sut.bodies()
    sizes = {"test04": [8, 1], "performance": [16]}
    parts = {"test04": [bodies[:8], bodies[8:16]], "performance": [bodies[16:]]}
    if ids[0] == "performance":
        parts = {"performance": [bodies[:16]], "test04": [bodies[16:24], bodies[24:]]}
    assert {name: [len(set(part)) for part in some] for name, some in parts.items()} == sizes
