from __future__ import annotations

from pytest_mlperf_audit.audits.counters import counter_notes
from pytest_mlperf_audit.runs.phase import ServerCounters


def test_a_counter_that_rose_and_one_that_did_not():
    notes = counter_notes(
        {
            "reference": ServerCounters(added={"hits_total": 0.0, "misses_total": 0.0}),
            "output_caching": ServerCounters(added={"hits_total": 1024.0, "misses_total": 0.0}),
        }
    )
    assert notes == (
        "server counters: hits_total rose by 0 in reference, by 1,024 in output_caching",
        "server counters: misses_total did not rise",
    )


def test_a_gauge():
    notes = counter_notes(
        {"reference": ServerCounters(levels={"hit_rate": 0.0}), "again": ServerCounters(levels={"hit_rate": 2 / 3})}
    )
    assert notes == ("server counters: hit_rate stood at 0 after reference, at 0.6667 after again",)


def test_a_gap_is_said_once():
    gap = ServerCounters(problems=("http://h/metrics answers 404",))
    notes = counter_notes({"reference": ServerCounters(added={"hits": 1.0}), "a": gap, "b": gap})
    assert notes == (
        "server counters: hits rose by 1 in reference",
        "server counters: http://h/metrics answers 404 (figures incomplete for a, b)",
    )


def test_pages_that_know_of_no_cache():
    notes = counter_notes({"reference": ServerCounters()})
    assert notes == ("server counters: the metrics pages name none that tells of a cache",)


def test_nothing_was_asked():
    assert counter_notes({"reference": None}) == ()
    assert counter_notes({}) == ()


def test_a_page_with_very_many_counters():
    many = ServerCounters(added={f"hits_{at:02}": float(at % 2) for at in range(60)})
    notes = counter_notes({"reference": many})
    assert len(notes) == 12
    quiet = counter_notes({"reference": ServerCounters(added={f"hits_{at:02}": 0.0 for at in range(60)})})
    assert len(quiet) == 1
    assert quiet[0].endswith("hits_11 and 48 more did not rise")
