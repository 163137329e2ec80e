"""The audit's phases also tell whether the endpoint streams."""


def test_every_phase_was_streamed(first_token_latencies):
    assert all(summary is not None for summary in first_token_latencies.values())


def test_first_token_comes_before_the_last(mlperf_phases, first_token_latencies):
    for label, record in mlperf_phases["test04"].items():
        assert first_token_latencies[label].p50_s < record.figures.latency.p50_s
