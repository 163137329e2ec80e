"""A test of one's own beside the audit: it reads the same phases, which are sent once."""


def test_median_latency_is_steady(mlperf_phases):
    reference = mlperf_phases["test04"]["reference"].figures.latency
    repeated = mlperf_phases["test04"]["output_caching"].figures.latency
    assert repeated.p50_s > 0.5 * reference.p50_s, "the repeated prompt is answered in less than half the time"


def test_verdict_carries_the_ratio(mlperf_verdict):
    assert mlperf_verdict["test04"].figures["ratio"] < 1.20
