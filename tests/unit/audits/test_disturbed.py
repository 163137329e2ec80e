"""A ratio accuses only where neither the client nor a slow part of the slower phase can be all that it fails by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import nextafter
from typing import Any

import msgspec
import pytest

from pytest_mlperf_audit.audits import disturbed
from pytest_mlperf_audit.audits.test01.live import Test01Block, _score_within
from pytest_mlperf_audit.audits.test04.live import Test04
from pytest_mlperf_audit.audits.test04.rule import bounded_notes, point_ratio
from pytest_mlperf_audit.runs.columns import QueryColumns
from pytest_mlperf_audit.runs.order import sequential
from pytest_mlperf_audit.runs.phase import ClientState, MeasuredPhase, PhaseRecord, figures
from pytest_mlperf_audit.runs.query import QueryRecord
from pytest_mlperf_audit.runs.spec import Concurrency, Load, MaxThroughput, RunSpec

S = 10**9


def client(**changes: Any) -> ClientState:
    fields: dict[str, Any] = {
        "lag_p99_s": 0.001, "lag_max_s": 0.002, "lag_mean_s": 0.0005, "lag_samples": 100, "delay_share": 0.0,
        "cpu_share": 0.0, "opened": 0, "reused": 20, "resent": 0,
    }  # fmt: skip
    return ClientState(**{**fields, **changes})


def knowing(run: MeasuredPhase, **state: Any) -> MeasuredPhase:
    """The phase with what its client knew of itself."""
    return replace(run, record=msgspec.structs.replace(run.record, client=client(**state)))


def served(
    times_s: Sequence[float], in_flight: int, lanes: int | None = None, *, at_once: bool = False, state: bool = True
) -> MeasuredPhase:
    """A phase of queries that take so long in service, one after the other on `lanes` of the server."""
    free, places = [0.0] * (lanes or in_flight), [0.0] * (len(times_s) if at_once else in_flight)
    queries = []
    for number, time_s in enumerate(times_s):
        issued_s = min(places)
        ended_s = max(issued_s, min(free)) + time_s
        free[free.index(min(free))] = places[places.index(issued_s)] = ended_s
        queries.append(
            QueryRecord(
                query=number, sample=number, issued_ns=round(issued_s * S), completed_ns=round(ended_s * S),
                request=f"{number:032x}", outcome="completed",
            )
        )  # fmt: skip
    queries.sort(key=lambda query: query.completed_ns)
    load: Load = MaxThroughput() if at_once else Concurrency(target=in_flight)
    spec = RunSpec(label="reference", n_samples=len(times_s), order=sequential(), load=load)
    record = PhaseRecord(
        label="reference", spec=spec, status="complete", figures=figures(QueryColumns(queries), load),
        stopped_by="count", client=client() if state else None,
    )  # fmt: skip
    return MeasuredPhase.of(record, queries)


def judged(reference: MeasuredPhase, run: MeasuredPhase) -> Any:
    """Return MLPerf's comparison of two phases, as far as nothing disturbed the first."""
    point = point_ratio("r", reference, run, 0.1, 0.9)
    assert isinstance(point.observed, float)
    return disturbed.unless_disturbed(point, reference, point.observed, 1.1)


def varied(times_s: Sequence[float]) -> list[float]:
    """The same times with 3 % of variation, each time the same."""
    return [time_s * (1 + 0.03 * ((7 * at) % 11 - 5) / 5) for at, time_s in enumerate(times_s)]


@pytest.fixture
def judge(phase: Callable[..., MeasuredPhase]) -> Callable[..., Any]:
    """Return the check of a ratio `ratio`, of two phases with these client states (None: not noted)."""

    def check(
        ratio: float, before: dict[str, Any] | None, after: dict[str, Any] | None = None, *, probed: bool = False
    ) -> Any:
        reference = phase("reference", window_s=10.0)
        run = phase("output_caching", window_s=10.0 / ratio, row=0)
        reference = reference if before is None else knowing(reference, **before)
        run = run if after is None else knowing(run, **after)
        point = point_ratio("throughput_ratio", reference, run, 0.1, 0.9)
        found = disturbed.unless_disturbed(point, reference, ratio, 1.1)
        return found if probed else disturbed.without_power(found, run)

    return check


@pytest.mark.parametrize(
    ("ratio", "state", "passed"),
    [
        (2.0, None, False),  # of before the client noted its state: as ever
        (2.0, {}, False),
        (2.0, {"cpu_share": 0.1, "delay_share": 0.3}, False),  # 2 x 0.6 is 1.2
        (2.0, {"cpu_share": 0.2, "delay_share": 0.3}, None),  # 2 x 0.5 is 1.0
        (2.0, {"cpu_share": 0.5}, None),
        (2.0, {"delay_share": 0.5}, None),
        (1.25, {"cpu_share": 0.12}, False),  # 1.25 x 0.88 is the limit, to the last digits
        (1.25, {"cpu_share": 0.121}, None),
        (5.0, {"cpu_share": 0.5, "delay_share": 0.15}, False),
        (50.0, {"cpu_share": 0.69}, False),
        (50.0, {"cpu_share": 0.70}, None),  # the client alone set the pace
        (50.0, {"cpu_share": 1.3}, None),
        (50.0, {"delay_share": 0.71}, None),
        (50.0, {"cpu_share": 0.4, "delay_share": 0.35}, None),
        (1.0, {"cpu_share": 0.99}, True),  # a busy reference takes no pass away
        (1.0, {"cpu_share": 0.3, "delay_share": 0.3}, True),
    ],
)
def test_what_the_client_may_have_taken_of_the_reference(judge, ratio, state, passed):
    check = judge(ratio, state)
    assert check.passed is passed
    assert check.observed == pytest.approx(ratio)
    if passed is None:
        assert "undecided, for in the reference phase the client " in check.reason
        assert "settings.client.num_workers" in check.reason
        assert check.reason.startswith(("2 ", "2.5 ", "4 ", "100 ")), "the figures are still said first"


def test_a_client_that_bounds_the_repeats_makes_a_ratio_a_lower_bound(judge):
    assert judge(2.0, {}, {"cpu_share": 1.0}).passed is False


@pytest.mark.parametrize(
    ("state", "probed", "passed"),
    [
        ({"cpu_share": 0.7}, False, None),
        ({"cpu_share": nextafter(0.7, 0)}, False, True),
        ({"cpu_share": 0.7}, True, True),  # the probe tells
        ({"delay_share": 0.9}, False, None),
        ({"delay_share": 0.9, "lag_samples": 19}, False, True),  # a phase too short to know
        ({"cpu_share": 0.9, "lag_samples": 0}, False, None),
        (None, False, True),
    ],
)
def test_a_pass_in_which_no_faster_system_could_have_shown(judge, state, probed, passed):
    check = judge(1.0, {}, state, probed=probed)
    assert check.passed is passed
    assert ("so that no faster system could have shown" in check.reason) is (passed is None)


def test_the_audit_is_undecided_without_the_probe_and_says_what_bounded_it(block, phase):
    runs = {
        "reference": knowing(phase("reference"), cpu_share=0.95),
        "output_caching": knowing(phase("output_caching", row=0), cpu_share=0.95),
    }
    verdict = Test04().verify(block(), runs)
    assert [check.name for check in verdict.checks if check.passed is None] == ["throughput_ratio"]
    told = [note for note in verdict.notes if "the client was the bottleneck (CPU share 95%" in note]
    assert [note.partition(":")[0] for note in told] == ["reference", "output_caching"]


def test_a_pass_that_rests_on_the_probe_says_so(phase):
    runs = {"output_caching": knowing(phase("output_caching", row=0), cpu_share=0.95)}
    told = bounded_notes(phase("reference"), runs, probed=True)
    assert len(told) == 2
    assert told[1].endswith("so the cache probe alone tells whether there is a cache")
    assert len(bounded_notes(phase("reference"), runs, probed=False)) == 1


FAST, SLOW = 0.03, 0.3


@pytest.mark.parametrize(
    ("times_s", "in_flight", "words"),
    [
        (6 * [FAST] + 10 * [SLOW], 8, "queries from number 7 of 16 on took 10"),
        (6 * [FAST] + 58 * [SLOW], 8, "queries from number 7 of 64 on took "),
        (16 * [SLOW] + 48 * [FAST], 8, "the first 16 of 64 queries took 10"),
        (20 * [FAST] + 20 * [SLOW] + 24 * [FAST], 1, "queries 21 to 40 of 64 took 10"),
        (6 * [FAST] + 58 * [SLOW], 1, "queries from number 7 of 64 on"),
    ],
)
def test_a_reference_that_was_slow_for_a_part_of_its_time(phase, times_s, in_flight, words):
    reference = served(varied(times_s), in_flight)
    qps = in_flight / FAST
    repeats = phase("output_caching", n=64, window_s=64 / qps, row=0)
    check = judged(reference, repeats)
    assert isinstance(check.observed, float)
    assert check.observed > 1.3
    assert check.passed is None
    assert words in check.reason
    faster = phase("output_caching", n=64, window_s=64 / qps / 2, row=0)
    known = times_s.count(FAST) > in_flight or in_flight == 1  # one wave of fast queries tells no pace
    assert judged(reference, faster).passed is (False if known else None)
    old = served(varied(times_s), in_flight, state=False)
    assert judged(old, repeats).passed is False


def test_all_at_once_a_slow_part_shows_where_one_works_after_the_other(phase):
    reference = served(varied(6 * [FAST] + 58 * [SLOW]), 64, 1, at_once=True)
    repeats = phase("output_caching", n=64, window_s=64 * FAST, row=0)
    assert judged(reference, repeats).passed is None


@pytest.mark.parametrize(("in_flight", "lanes"), [(8, 8), (8, 4), (8, 1), (64, 8), (1, 1)])
@pytest.mark.parametrize("n", [64, 400])
def test_a_steady_system_is_steady_however_its_queries_queue(n, in_flight, lanes):
    part = disturbed.unsteady(served(varied(n * [FAST]), in_flight, lanes))
    assert part is None or part.rest > 0.9


def test_a_client_and_a_slow_part_together_may_explain_what_neither_does(phase):
    reference = served(varied(16 * [2 * FAST] + 48 * [FAST]), 8)
    qps = reference.figures.qps
    assert qps is not None
    window_s = 64 / qps / 1.5
    repeats = phase("output_caching", n=64, window_s=window_s, row=0)
    assert judged(reference, repeats).passed is False, "1.5 x 0.8"
    assert judged(knowing(phase("reference", n=64, window_s=1.5 * window_s), cpu_share=0.1),
                            repeats).passed is False  # fmt: skip
    check = judged(knowing(reference, cpu_share=0.1), repeats)
    assert check.passed is None
    assert " and the first 16 of 64 queries took " in check.reason


@pytest.mark.parametrize(
    ("before_s", "after_s", "before", "after", "passed"),
    [
        (10.0, 10.0, {}, {}, True),
        (10.0, 5.0, {}, {}, False),
        (10.0, 5.0, {"cpu_share": 0.6}, {}, None),  # the reference run may have been slow by the client
        (10.0, 5.0, {}, {"cpu_share": 0.6}, False),
        (5.0, 10.0, {}, {}, False),
        (5.0, 10.0, {}, {"cpu_share": 0.6}, None),  # here the other one
        (5.0, 10.0, {"cpu_share": 0.6}, {}, False),
        (5.0, 10.0, {}, {"cpu_share": 0.4}, False),
    ],
)
def test_runs_that_should_score_alike(phase, before_s, after_s, before, after, passed):
    runs = (
        knowing(phase("reference", window_s=before_s), **before),
        knowing(phase("performance", window_s=after_s), **after),
    )
    cfg = Test01Block.model_validate({"test": "test01", "sampling_target": 30, "samples": 60})
    assert _score_within(cfg, *runs).passed is passed
