"""A round across its cases: runs that stand for several results, findings by kind, the matrix."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_mlperf_audit.audits.published.case import CaseOutcome, RunPrint
from pytest_mlperf_audit.verdicts.review import findings, matrix
from pytest_mlperf_audit.verdicts.round import round_status
from tests.support.rounds import case

NS = (2886990545, 2851793802043, 1402310993711, 1398001232117)


def of(place: str, latencies: tuple[int, ...] = NS, *, role: Any = "audit", **changes: Any) -> CaseOutcome:
    """A case that passed: place is submitter/system/benchmark/scenario."""
    submitter, system, benchmark, scenario = place.split("/")
    log = f"closed/{place}/{changes.get('test', 'test04')}/{role}/mlperf_log_detail.txt"
    fields = {"submitter": submitter, "system": system, "benchmark": benchmark, "scenario": scenario}
    runs = (RunPrint(role=role, log=log, latencies_ns=latencies),)
    return case(0, case=f"closed/{place}", runs=runs, **{**fields, **changes})


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        ("A/s/resnet50/Offline", "B/s/resnet50/Offline", "one run for several submitters"),
        ("A/s/resnet50/Offline", "A/t/resnet50/Offline", "one run for several systems"),
        ("A/s/resnet50/Offline", "A/s/3d-unet-99/Offline", "one run for several benchmarks"),
        ("A/s/resnet50/Offline", "A/s/resnet50/Server", "one run for several scenarios"),
    ],
)
def test_one_run_for_several_results_fails(one: str, other: str, kind: str) -> None:
    cases = [of(one, log_scenario="Offline"), of(other, log_scenario="Offline")]
    (found,) = findings(cases)
    assert (found.status, found.kind, found.cases) == ("FAIL", kind, tuple(sorted(each.id for each in cases)))
    assert len(found.logs) == 2
    assert round_status(cases, 2, [found]) == "FAIL"


@pytest.mark.parametrize(
    ("one", "other", "of_log"),
    [
        ("A/s/bert-99/Offline", "A/s/bert-99.9/Offline", "Offline"),
        ("A/s/yolo-95/offline", "A/s/yolo-99/offline", "Offline"),
        ("A/s_datacenter/rnnt/Offline", "A/s_edge/rnnt/Offline", "Offline"),
        ("A/s/resnet50/singlestream", "A/s/resnet50/MultiStream", "SingleStream"),
        ("A/s/resnet50/SingleStream", "A/s/resnet50/offline", "SingleStream"),
        ("A/s/gptj/Server", "A/s/gptj/Interactive", "Server"),
        ("A/s/resnet50/Offline", "A/s/resnet50/offline", "Offline"),
    ],
)
def test_what_may_rest_on_one_run(one: str, other: str, of_log: str) -> None:
    assert findings([of(one, log_scenario=of_log), of(other, log_scenario=of_log)]) == ()


def test_submitters_may_never_share_a_run_whatever_else_may() -> None:
    assert findings([of("A/s/bert-99/Offline"), of("B/s/bert-99.9/Offline")])


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        ((*NS[:3], 7), True),
        ((*NS[:2], 7, 9), False),
        ((1000, 2000, 3000, NS[0]), False),
        (NS[::-1], True),
    ],
)
def test_three_latencies_to_the_nanosecond_are_one_run(other: tuple[int, ...], is_same: bool) -> None:
    found = findings([of("A/s/resnet50/Offline"), of("B/s/resnet50/Offline", tuple(sorted(other)))])
    assert bool(found) is (is_same if other != NS[::-1] else True)


@pytest.mark.parametrize(("ticks", "is_same"), [((1000, 2000, 3000, 5000), True), ((1000, 2000, 3000, 6000), False)])
def test_of_a_coarse_clock_all_must_agree(ticks: tuple[int, ...], is_same: bool) -> None:
    cases = [of("A/s/resnet50/Offline", (1000, 2000, 3000, 5000)), of("B/s/resnet50/Offline", ticks)]
    assert bool(findings(cases)) is is_same


def test_a_reference_that_two_audits_of_a_result_share_is_no_finding() -> None:
    cases = [of("A/s/resnet50/Offline", test=test) for test in ("test01", "test04")]
    cases += [of("A/s/resnet50/Offline", role="reference", test="test09")]
    assert findings(cases) == ()


def test_many_results_on_the_runs_of_another_submitter_are_one_finding() -> None:
    cases = [
        of(f"{who}/s/{benchmark}/Offline", (at, at + 1, at + 2))
        for at, benchmark in ((1001, "resnet50"), (2001, "rnnt"))
        for who in ("A", "B")
    ]
    (found,) = findings(cases)
    assert len(found.cases) == 4
    assert found.sentence.startswith("the same runs stand for A and B: 4 results")


def test_findings_are_by_kind_failures_first_and_equal_sentences_once() -> None:
    cut = [case(n, "NO_VERDICT") for n in range(9)]
    fast = [case(20 + n, "FAIL", reason=f"13{n} queries/s repeating one sample, ratio 1.3{n}") for n in range(3)]
    lone = case(40, "FAIL", test="test06", reason="no sample is logged, so nothing was tested")
    found = findings([*cut, lone, *fast, case(50), case(51, "SKIPPED")])
    assert [(one.status, one.kind, len(one.cases), one.whole) for one in found] == [
        ("FAIL", "test04", 3, False),
        ("FAIL", "test06", 1, True),
        ("NO_VERDICT", "test04", 9, True),
    ]
    assert [one.sentence for one in found] == [
        "… … repeating one sample, ratio …",
        "no sample is logged, so nothing was tested",
        cut[0].reason,
    ]


def test_tests_and_rounds_stay_in_what_many_have_in_common() -> None:
    reasons = [f"MLPerf v6.0 requires TEST06 of llama2-70b-9{n} in closed, and there is no a/TEST06" for n in (8, 9)]
    (found,) = findings([case(n, "FAIL", reason=reason) for n, reason in enumerate(reasons)])
    assert found.sentence == "MLPerf v6.0 requires TEST06 of … in closed, and there is no …"


def test_the_matrix_counts_by_submitter_and_benchmark() -> None:
    cells = matrix([case(0), case(0, "FAIL", test="test01"), case(1), case(9)])
    assert [(cell.submitter, cell.benchmark, cell.counts) for cell in cells] == [
        ("Company 0", "resnet50", {"FAIL": 1, "PASS": 1}),
        ("Company 0", "stable-diffusion-xl", {"PASS": 1}),
        ("Company 1", "resnet50", {"PASS": 1}),
    ]


@pytest.mark.parametrize(
    ("by_ns", "is_same"), [((1, 1, 1, 1), True), ((-5000, -5000, -5000, -5000), True), ((1, 2, 5, 9), False)]
)
def test_a_copy_whose_latencies_were_all_moved_alike_is_one_run(by_ns: tuple[int, ...], is_same: bool) -> None:
    moved = tuple(sorted(ns + by for ns, by in zip(NS, by_ns, strict=True)))
    assert bool(findings([of("A/s/resnet50/Offline"), of("B/s/resnet50/Offline", moved)])) is is_same


def test_gaps_of_a_few_microseconds_are_alike_by_chance() -> None:
    one, other = (tuple(base + step for step in (0, 1001, 2003, 3007, 4009)) for base in (7_000_001, 9_123_457))
    assert findings([of("A/s/resnet50/Offline", one), of("B/s/resnet50/Offline", other)]) == ()
