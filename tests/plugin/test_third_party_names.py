"""Phases and checks whose names cannot be told apart, or be part of a path and a test id, are refused when planned."""

from __future__ import annotations

import pytest

from pytest_mlperf_audit import Audit, AuditBlock, AuditContext, PlanError, Verdict
from pytest_mlperf_audit.runs.order import sequential
from pytest_mlperf_audit.runs.spec import MaxThroughput
from pytest_mlperf_audit.session import third_party


class Named(Audit[AuditBlock]):
    id = "named"
    title = "Phases and checks of given names"

    def __init__(self, *names):
        self.names = names

    def plan(self, cfg, samples, context):  # noqa: ARG002
        return [context.phase(name, 4, order=sequential()) for name in self.names]

    def checks(self, cfg, phases):  # noqa: ARG002
        return list(self.names)

    def verify(self, cfg, runs):  # noqa: ARG002
        return Verdict(audit=self.id, checks=())


CFG = AuditBlock(test="named")


def plan(*names):
    return third_party.plan(Named(*names), CFG, [], AuditContext(load=MaxThroughput()))  # type: ignore[arg-type]


@pytest.mark.parametrize("names", [("reference",), ("a", "b_2", "c-3.x")])
def test_labels_that_are_directories(names):
    assert [phase.label for phase in plan(*names)] == list(names)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "audit named: it plans no phase; "),
        (("a", "a"), r"audit named: two of its phases share a name among \['a', 'a'\]; "),
        (("../a",), "audit named: phase '../a' cannot be part of a test id and a path; "),
        ((".hidden",), "audit named: phase '.hidden' "),
        (("a/b",), "audit named: phase 'a/b' "),
        (("",), "audit named: phase '' "),
    ],
)
def test_labels_that_are_not(names, message):
    with pytest.raises(PlanError, match=message):
        plan(*names)


@pytest.mark.parametrize("names", [("ratio",), ("completion[a]", "completion[b]", "p99 latency")])
def test_checks_that_are_test_ids(names):
    assert third_party.checks(Named(*names), CFG, []) == names


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "audit named: it plans no check; "),
        (("a", "a"), "audit named: two of its checks share a name "),
        (("größe",), "audit named: check 'größe' cannot be part of a test id "),
        (("a::b",), "audit named: check 'a::b' "),
        (("a[b",), r"audit named: check 'a\[b' "),
        (("a[b][c]",), r"audit named: check 'a\[b\]\[c\]' "),
        (("a", "a[b]"), r"audit named: check 'a' is planned both with and without \[..\]; "),
    ],
)
def test_checks_that_are_not(names, message):
    with pytest.raises(PlanError, match=message):
        third_party.checks(Named(*names), CFG, [])
