"""Two sessions or workers at once against one endpoint: phases never overlap, and stay back to back."""

from __future__ import annotations

import itertools


def test_phases_never_overlap(audit, start_sut):
    sut = start_sut(lanes=4, service_ms=10)
    audit.config(sut, "one.yaml")
    # The same endpoint under another name.
    audit.config(sut.url.replace("127.0.0.1", "localhost") + "/", "two.yaml")
    sessions = [audit.start(config=name) for name in ("one.yaml", "two.yaml")]
    outputs = [session.communicate()[0] for session in sessions]
    assert [session.returncode for session in sessions] == [0, 0], outputs
    assert_one_phase_at_a_time(sut)


def test_two_workers_with_a_yaml_each(audit, start_sut):
    sut = start_sut(lanes=4, service_ms=10)
    configs = [f"--mlperf-config={audit.config(sut, name).name}" for name in ("one.yaml", "two.yaml")]
    audit.run(*configs, "-n", "2", "--dist", "loadfile", config=None).assert_outcomes(passed=10)
    assert_one_phase_at_a_time(sut)


def assert_one_phase_at_a_time(sut):
    bodies, times = sut.bodies(), sorted(sut.times())
    phases = [slice(start, start + 8) for start in (0, 8, 16, 24)]
    assert [len(set(bodies[phase])) for phase in phases] == [8, 1, 8, 1]
    for before, after in itertools.pairwise(phases):
        assert max(end for _, end in times[before]) < min(begin for begin, _ in times[after])
    assert sut.counts()["most_in_flight"] == 8
