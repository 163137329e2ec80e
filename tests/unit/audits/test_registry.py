from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_mlperf_audit.audits import registry, shipped
from pytest_mlperf_audit.audits.contract import Audit
from pytest_mlperf_audit.audits.probe.live import CacheProbe
from pytest_mlperf_audit.audits.shipped import mlperf_names, published_tests, ratio_limits
from pytest_mlperf_audit.audits.test04.live import Test04
from pytest_mlperf_audit.audits.verdict import Check, Verdict
from pytest_mlperf_audit.config.block import AuditBlock
from pytest_mlperf_audit.errors import ConfigError


class Mine(Audit[AuditBlock]):
    id = "mine"
    title = "Mine"
    aliases = ("my_audit",)

    def plan(self, cfg, samples, context):  # noqa: ARG002
        return []

    def checks(self, cfg, phases):  # noqa: ARG002
        return ["ok"]

    def verify(self, cfg, runs):  # noqa: ARG002
        return Verdict(audit=self.id, checks=(Check(name="ok", passed=True, observed=1, limit=1, reason=""),))


def named(audit_id: str, *aliases: str) -> Audit[AuditBlock]:
    audit: Audit[AuditBlock] = type(f"Named_{audit_id}", (Mine,), {"id": audit_id, "aliases": aliases})()
    return audit


def test_the_shipped_audits():
    audits = registry.shipped()
    assert list(audits) == ["test01", "test04", "test06", "test07", "test09", "cache_probe"]
    assert isinstance(registry.find(audits, "test04"), Test04)
    assert isinstance(registry.find(audits, "cache_probe"), CacheProbe)
    assert registry.find(audits, "output_caching_test") is audits["test04"]


def test_the_folder_of_an_mlperf_test_says_what_lists_of_tests_need():
    assert published_tests() == ("test01", "test04", "test06", "test07", "test09", "test08")
    audits = registry.shipped()
    live = {audits[test].mlperf_name: test for test in published_tests()[:4]}
    assert mlperf_names() == {**live, "accuracy_in_performance_dlrmv3_test": "test08"}, "test08 is published alone"
    assert ratio_limits() == {"test01": (0.9, 1.1), "test04": (1.1, 1.2)}


def test_every_folder_of_a_test_is_shipped_and_knows_no_other_test():
    home = Path(shipped.__file__).parent
    folders = [path.parent for path in home.glob("test*/published.py")]
    assert {folder.name for folder in folders} == set(published_tests())
    for path in (path for folder in folders for path in folder.glob("*.py")):
        others = set(re.findall(r"^\s*(?:from|import) .*\b(test\d\d)\b", path.read_text(), re.MULTILINE))
        assert not others - {path.parent.name}, path


def test_a_third_party_audit_needs_no_edit_of_ours():
    audits = registry.gather([*registry.shipped().values(), Mine()])
    assert registry.find(audits, "mine") is registry.find(audits, "my_audit") is audits["mine"]
    assert registry.models(audits)["mine"] is AuditBlock


def test_an_unknown_audit_is_not_found():
    with pytest.raises(KeyError):
        registry.find(registry.shipped(), "test05")


@pytest.mark.parametrize(
    ("second", "name"),
    [
        (named("mine"), "mine"),
        (named("other", "mine"), "mine"),
        (named("my_audit"), "my_audit"),
        (named("other", "my_audit"), "my_audit"),
        (named("performance"), "performance"),
        (named("other", "performance"), "performance"),
    ],
)
def test_two_audits_of_one_name_are_refused_with_both(second, name):
    with pytest.raises(ConfigError, match=rf"two audits are called '{name}': .* and .*Named_.*; rename one"):
        registry.gather([Mine(), second])


def test_the_same_object_offered_twice_is_one_audit():
    mine = Mine()
    assert registry.gather([mine, mine]) == {"mine": mine}


def test_a_verdict_without_a_check_is_no_pass():
    assert not Verdict(audit="mine", checks=()).passed
    with pytest.raises(KeyError):
        Verdict(audit="mine", checks=()).check("ok")


@pytest.mark.parametrize(
    ("offered", "message"),
    [
        (1, "an audit was offered that is 1: offer instances of subclasses"),
        (Mine, "offer instances"),
        (type("Loud", (Mine,), {"mlperf_name": "../LOUD"})(), "mlperf_name '../LOUD' is a part of files' names"),
    ],
)
def test_what_is_no_audit_is_refused(offered, message):
    with pytest.raises(ConfigError, match=message):
        registry.gather([offered])
