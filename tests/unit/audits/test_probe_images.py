"""Known images against new ones, in the probe's records: found, in doubt, or clear."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from pytest_mlperf_audit.audits.probe.conclusion import Conclusion
from pytest_mlperf_audit.audits.probe.script import script
from pytest_mlperf_audit.audits.probe.settings import KINDS
from pytest_mlperf_audit.runs.query import QueryRecord
from tests.support.simulated_probe import planned
from tests.support.virtual_sut import NO_CACHE, Service, VirtualSut

PLAN = planned(image_row=0)
ALLOWED = planned(image_row=0, forbidden=tuple(kind for kind in KINDS if kind != "multimodal"))


@pytest.fixture(scope="module")
def honest() -> list[QueryRecord]:
    """The records of a session without any cache, whose latencies spread by 30 %."""
    return VirtualSut(Service(cv=0.3), NO_CACHE, np.random.default_rng(1)).session(script(PLAN, 1))


def slowed(records: list[QueryRecord], times: float) -> list[QueryRecord]:
    """Return the records with all new images so many times as slow."""
    changed = copy.deepcopy(records)
    for record in changed:
        if (record.tag or "").endswith("/I"):
            record.completed_ns = record.issued_ns + int(times * (record.completed_ns - record.issued_ns))
    return changed


def state(concluded: Conclusion) -> str:
    return next(kind.state for kind in concluded.kinds if kind.kind == "multimodal")


def test_known_images_that_are_much_faster_are_found(honest):
    concluded = Conclusion(PLAN, slowed(honest, 4))
    assert (concluded.proved, concluded.passed, state(concluded)) == (("multimodal",), False, "found")


def test_known_images_that_are_no_faster_are_clear(honest):
    concluded = Conclusion(PLAN, honest)
    assert (concluded.passed, state(concluded)) == (True, "excluded")


def test_known_images_that_seem_to_be_faster_are_no_pass(honest):
    concluded = Conclusion(PLAN, slowed(honest, 1.5))
    (finding,) = [finding for finding in concluded.findings() if finding.kind == "multimodal"]
    assert finding.p is not None
    assert 0.0002 < finding.p <= 0.02, "too few to be sure"
    assert (concluded.passed, state(concluded)) == (None, "undecided")
    assert "a cache may keep what was made of an image" in concluded.reason()


def test_where_such_a_cache_is_allowed_the_doubt_is_none(honest):
    assert Conclusion(ALLOWED, slowed(honest, 1.5)).passed is True
