"""The main performance run is planned and sent first, unless it is not selected or the YAML leaves it out."""

from __future__ import annotations


def test_main_run_is_sent_first(audit, sut):
    audit.config(sut, audit={"only": False})
    audit.run().assert_outcomes(passed=6)
    assert_sent_in_plan_order(sut)
    verdict = audit.verdict()
    assert verdict["status"] == "PASS"
    assert [entry["id"] for entry in verdict["audits"]] == ["performance", "test04"]


def test_plan_order_holds_whatever_the_order_of_tests(audit, sut, lone_or_spread):
    (audit.path / "conftest.py").write_text("def pytest_collection_modifyitems(items):\n    items.reverse()\n")
    audit.config(sut, audit={"only": False})
    result = audit.run("-v", *lone_or_spread)
    result.assert_outcomes(passed=6)
    assert next(line for line in result.outlines if "::" in line).startswith("wan22.yaml::test04::")
    assert_sent_in_plan_order(sut)


def test_plan_order_holds_under_pytest_randomly(audit, sut):
    audit.config(sut, audit={"only": False})
    audit.run("-p", "randomly").assert_outcomes(passed=6)
    assert_sent_in_plan_order(sut)


def test_main_run_is_not_sent_for_the_audit_alone(audit, sut):
    audit.config(sut, audit={"only": False})
    audit.run("-m", "test04").assert_outcomes(passed=5, deselected=1)
    assert [len(set(part)) for part in (sut.bodies()[:8], sut.bodies()[8:])] == [8, 1]
    verdict = audit.verdict()
    assert [entry["status"] for entry in verdict["audits"]] == ["NOT_RUN", "PASS"]
    assert verdict["status"] == "PASS"


def test_the_audit_is_not_sent_for_the_main_run_alone(audit, sut):
    audit.config(sut, audit=None, settings={"runtime": {"min_duration_ms": 100, "n_samples_to_issue": 4}})
    result = audit.run("-m", "performance", "-v")
    result.stdout.fnmatch_lines_random(["*::performance::completion PASSED*", "*::performance::duration PASSED*"])
    assert sut.received >= 4
    assert audit.verdict()["audits"][0]["phases"][0]["figures"]["window_s"] >= 0.1


def assert_sent_in_plan_order(sut):
    bodies = sut.bodies()
    main, reference, repeats = bodies[:16], bodies[16:24], bodies[24:]
    assert [len(set(main)), len(set(reference)), len(repeats), len(set(repeats))] == [16, 8, 8, 1]
