"""Turns that were never sent count against a run of conversations, unless a refusal or the user left them out."""

from __future__ import annotations

from pytest_mlperf_audit.audits.main_run import Performance, PerformanceBlock
from pytest_mlperf_audit.runs.columns import QueryColumns
from pytest_mlperf_audit.runs.phase import MeasuredPhase, PhaseRecord, figures
from pytest_mlperf_audit.runs.query import QueryRecord
from pytest_mlperf_audit.runs.spec import Concurrency, RunSpec
from pytest_mlperf_audit.runs.trajectories import Trajectories

S = 10**9


def record(query, row, conversation, outcome="completed", **more):
    return QueryRecord(
        query=query,
        sample=row,
        issued_ns=query * S,
        completed_ns=(query + 1) * S,
        request=f"{query:032x}",
        outcome=outcome,
        conversation=conversation,
        turn=2 * row + 1,
        **more,
    )


def judged(records, stopped_by="count", floor_ms=0, **order):
    """Judge a run of two conversations, of 3 turns and of 2."""
    played = Trajectories(turns=(3, 2), count=2, **order)
    spec = RunSpec(
        label="performance",
        n_samples=played.n_turns,
        order=played,
        load=Concurrency(target=1),
        min_duration_ms=floor_ms,
    )
    phase = PhaseRecord(
        label=spec.label,
        spec=spec,
        status="complete",
        figures=figures(QueryColumns(records), spec.load),
        stopped_by=stopped_by,
    )
    verdict = Performance().verify(PerformanceBlock(), {"performance": MeasuredPhase.of(phase, records)})
    return {check.name: check for check in verdict.checks}, verdict


ALL = [record(0, 0, "a"), record(1, 1, "a"), record(2, 2, "a"), record(3, 3, "b"), record(4, 4, "b")]


def test_all_turns_completed():
    checks, verdict = judged(ALL)
    assert [check.passed for check in checks.values()] == [True, True]
    assert verdict.notes[:-1] == ()  # the last is SingleStream's


def test_turns_behind_a_failed_one_are_owed():
    records = [record(0, 0, "a", "timeout"), record(1, 3, "b"), record(2, 4, "b")]
    checks, _ = judged(records, "failed_turns")
    assert [check.passed for check in checks.values()] == [False, False]
    assert checks["completion"].reason == (
        "2 of 5 queries completed, at least 5 needed; failed: 1 timeout; 2 never sent, behind a turn of their "
        "conversation that failed"
    )


def test_turns_behind_a_refusal_say_nothing_of_the_system():
    records = [record(0, 0, "a", "http_429", detail="slow down"), record(1, 3, "b"), record(2, 4, "b")]
    checks, _ = judged(records, "failed_turns")
    assert [check.passed for check in checks.values()] == [None, None]
    assert "a refusal says nothing of the system" in checks["completion"].reason


def test_a_refusal_hides_no_failure():
    records = [record(0, 0, "a", "http_429", detail="slow down"), record(1, 3, "b", "http_500")]
    checks, _ = judged(records, "failed_turns")
    assert [check.passed for check in checks.values()] == [False, False]


def test_turns_that_the_user_does_not_want_are_not_owed():
    checks, verdict = judged([*ALL[:2], ALL[3]], "window", stop_at_end=True)
    assert [check.passed for check in checks.values()] == [True, True]
    assert verdict.notes[0].startswith("2 turns were not sent, as stop_issuing_on_first_user_complete asks")


def test_unwanted_turns_do_not_pay_for_a_failed_one():
    checks, _ = judged([ALL[0], record(1, 3, "b", "reset")], "window", stop_at_end=True)
    assert [check.passed for check in checks.values()] == [False, False]
    assert checks["completion"].reason.startswith("1 of 3 queries completed")


def test_turns_left_out_by_the_ceiling_are_owed_whatever_the_user_wants():
    checks, _ = judged(ALL[:2], "ceiling", stop_at_end=True)
    assert [check.passed for check in checks.values()] == [False, False]


def test_conversations_that_are_over_before_the_floor_say_nothing_of_the_system():
    checks, _ = judged(ALL, floor_ms=9000)
    assert checks["duration"].passed is None
    assert checks["duration"].reason.endswith("play more of them (num_trajectories_to_issue)")
    assert judged(ALL, floor_ms=5000)[0]["duration"].passed is True
    assert judged(ALL[:3], "ceiling", floor_ms=9000)[0]["duration"].passed is False


def test_late_turns_are_in_no_rate():
    records = [*ALL[:3], record(3, 3, "b", late=True), record(4, 4, "b", late=True)]
    checks, verdict = judged(records)
    assert [check.passed for check in checks.values()] == [True, True]
    assert (verdict.figures["qps"], verdict.figures["window_s"], verdict.figures["n_completed"]) == (1.0, 3.0, 5)
    assert verdict.notes[0].startswith("2 turns were sent when the first slot had no next conversation to play")
