"""Phases that did the same work and took far longer, or less, for it."""

from __future__ import annotations

import msgspec
import pytest

from pytest_mlperf_audit.audits.test04.consistency import notes
from pytest_mlperf_audit.runs.spec import Concurrency


@pytest.fixture
def phases(phase):
    """Make a main run, a reference phase and repeats, each of 40 queries in so many seconds."""

    def make(main_s=10.0, reference_s=10.0, repeats_s=10.0):
        repeats = {"repeats": phase("repeats", n=40, window_s=repeats_s, row=3)}
        main, reference = phase("performance", n=40, window_s=main_s), phase("reference", n=40, window_s=reference_s)
        return main, reference, repeats

    return make


def test_phases_of_like_rates_are_not_told_of(phases):
    assert notes(*phases(reference_s=8.0, repeats_s=10.0)) == ()
    assert notes(None, *phases(main_s=30.0)[1:]) == ()


def test_repeats_far_below_the_reference_are(phases):
    (note,) = notes(*phases(repeats_s=25.0))
    assert note.startswith("repeats: repeats came at 0.4 of the reference's rate: ")


def test_a_reference_far_above_the_main_run_is(phases):
    (note,) = notes(*phases(main_s=25.0))
    assert note.startswith("reference: its rows came at 2.5 times the rate of the main run's later half, ")


def test_only_the_same_load_is_compared(phases):
    main, reference, repeats = phases(main_s=25.0)
    spec = msgspec.structs.replace(main.spec, load=Concurrency(target=1))
    other = type(main)(msgspec.structs.replace(main.record, spec=spec), main.queries, main.read)
    assert notes(other, reference, repeats) == ()
