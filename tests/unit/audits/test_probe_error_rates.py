"""That the probe errs no more often than it says: counted out where that can be done, and on seeded sessions.

tests/benchmarks/simulate_probe.py measures the same on many thousand sessions, for docs/method.md.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import combinations
from math import comb

import numpy as np
import pytest

from pytest_mlperf_audit.audits.probe import settings
from pytest_mlperf_audit.audits.probe.judges import groups as judge
from pytest_mlperf_audit.audits.probe.judges import repeats
from pytest_mlperf_audit.audits.probe.seen.contrast import Contrast
from pytest_mlperf_audit.audits.probe.sent.few import N_SINGLE
from pytest_mlperf_audit.stats.ranks import Effect, least_u, stratified_u

SENT = 2 * N_SINGLE
ALL = comb(SENT, N_SINGLE)


def rejects(ranks: tuple[int, ...]) -> bool:
    """Whether the test of all ten queries finds repeats with these ranks faster."""
    again = np.array([ranks], float)
    twins = np.array([[rank for rank in range(SENT) if rank not in ranks]], float)
    return stratified_u(again, twins) <= settings.ALPHA


def chance_of_leading(slowest: int, least: int) -> Fraction:
    """The chance that, at some time before the last query, all repeats lead the twins so far, `least` of them or more.

    Of the twins, those above the `slowest` repeat are led; which of them are sent by then is chance.
    """
    led = SENT - 1 - slowest
    chance = Fraction(0)
    for last in range(N_SINGLE - 1, SENT):  # the place of the last repeat
        sent = max(least, last + 1 - N_SINGLE)
        if sent < N_SINGLE:
            chance += Fraction(comb(last, N_SINGLE - 1), ALL) * Fraction(comb(led, sent), comb(N_SINGLE, sent))
    return chance


def false_alarms(least: int) -> Fraction:
    """Of the single-prompt design without a cache, if leading at all were enough to stop: an upper bound."""
    chance = Fraction(0)
    for ranks in combinations(range(SENT), N_SINGLE):
        chance += 1 if rejects(ranks) else chance_of_leading(max(ranks), least)
    return chance / ALL


def test_the_single_design_of_before_stopped_early_within_alpha():
    assert false_alarms(repeats._EARLY_TWINS) == pytest.approx(0.009524, abs=1e-6)
    assert false_alarms(repeats._EARLY_TWINS - 1) > settings.ALPHA


def test_the_looks_of_the_single_design_share_alpha():
    later = 2 * (len(repeats.STRATA) - 1)  # two tests at each
    assert least_u(1, N_SINGLE, N_SINGLE) == repeats._FIRST_ALPHA
    assert repeats._FIRST_ALPHA + later * repeats._LATER_ALPHA <= settings.ALPHA


def contrast(name: str, p: float, least_p: float) -> Contrast:
    return Contrast("response", name, p, least_p, lambda: Effect(9.0, 5.0, 20.0), 0.01, 0.09, 24)


def test_what_cannot_be_found_at_a_look_costs_the_others_nothing():
    """Six groups: no signed rank on six pairs falls below 1/64, so that two contrasts share the look."""
    alpha = 0.003
    tested = [contrast("a", 0.0014, 1e-6), contrast("b", 0.5, least_u(6, 1, 3))]
    tested += [contrast(name, 2.0**-6, 2.0**-6) for name in "cdefg"]
    found = {one.contrast.of: one for one in judge._judge(tested, alpha)}
    assert found["a"].p_corrected == pytest.approx(2 * 0.0014 * settings.ALPHA / alpha)
    assert [name for name, one in found.items() if one.found] == ["a"]


def test_what_is_left_out_of_a_family_is_never_found():
    """Whatever the least p values are, at their least p: alone in the family they would be found."""
    rng = np.random.default_rng(1)
    for _ in range(300):
        least = 10 ** rng.uniform(-5, -1, 8)
        tested = [contrast(str(at), float(p), float(p)) for at, p in enumerate(least)]
        found = [one for one in judge._judge(tested, 0.003) if one.found]
        sizes = [size for size in range(1, 9) if sum(least <= 0.003 / size) <= size]
        assert len(found) <= sizes[0]
        assert all(one.contrast.least_p <= 0.003 / sizes[0] for one in found)


def test_looks_bursts_late_repeats_and_urls_share_alpha():
    parts = (settings.LOOKS_ALPHA, settings.BURST_ALPHA, *settings.LATE_ALPHAS, *settings.URLS_ALPHAS)
    assert pytest.approx(settings.ALPHA) == sum(parts)
    assert settings.LATE_ALPHAS[0] >= 2 * 2 * 0.5**12, "two tests of each of two passes of twelve prompts"
    assert 1 / comb(16, 8) <= settings.URLS_ALPHAS[0]
    assert settings.LOOKS_ALPHA / 3 >= 9 * 0.5**12, "twelve pairs can show one of nine contrasts at the second look"
    least = 2 / comb(14, 7)
    assert least <= settings.BURST_ALPHA < 2 * 6 / comb(12, 6)


@pytest.mark.parametrize("cv", [0.05, 0.3, 0.8])
def test_honest_servers_are_seldom_accused(probed, cv):
    words = Counter(probed(sut={"cv": cv, "seed": seed}, seed=seed).conclusion.judgement.word for seed in range(60))
    assert words["CLEAN"] >= 57


@pytest.mark.parametrize("cv", [0.05, 0.3, 0.8])
def test_a_full_cache_is_found_at_the_first_look(probed, cv):
    for seed in range(20):
        run = probed(sut={"cache": "exact", "hit_s": 0.001, "cv": cv, "seed": seed}, seed=seed)
        assert run.conclusion.proved == ("response",)
        assert run.conclusion.evidence.n_groups() == 6
