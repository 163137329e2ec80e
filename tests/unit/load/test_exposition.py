"""Pages as vLLM, SGLang, Triton and TensorRT-LLM give them by their public documentation, shortened; and worse ones."""

from __future__ import annotations

import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlperf_audit.load.exposition import NotReadableError, cache_page, change, require_exposition

VLLM = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 2.0
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.4125
# TYPE vllm:cache_config_info gauge
vllm:cache_config_info{block_size="16",enable_prefix_caching="True",engine="0"} 1.0
# HELP vllm:prefix_cache_queries_total Prefix cache queries, in terms of number of queried tokens.
# TYPE vllm:prefix_cache_queries_total counter
vllm:prefix_cache_queries_total{engine="0",model_name="m"} 1000.0
vllm:prefix_cache_queries_total{engine="1",model_name="m"} 1.2e+03
# HELP vllm:prefix_cache_queries_created Prefix cache queries, in terms of number of queried tokens.
# TYPE vllm:prefix_cache_queries_created gauge
vllm:prefix_cache_queries_created{engine="0",model_name="m"} 1.7441e+09
# TYPE vllm:prefix_cache_hits_total counter
vllm:prefix_cache_hits_total{engine="0",model_name="m"} 250.0
# TYPE vllm:gpu_prefix_cache_hit_rate gauge
vllm:gpu_prefix_cache_hit_rate{model_name="m"} -1.0
# TYPE vllm:time_to_first_token_seconds histogram
vllm:time_to_first_token_seconds_bucket{le="0.001",model_name="m"} 0.0
vllm:time_to_first_token_seconds_count{model_name="m"} 7.0
"""
SGLANG = """\
# HELP sglang:prompt_tokens_total Number of prefill tokens processed.
# TYPE sglang:prompt_tokens_total counter
sglang:prompt_tokens_total{model_name="meta-llama/Llama-3.1-8B-Instruct"} 8.128902e+06
# TYPE sglang:cached_tokens_total counter
sglang:cached_tokens_total{cache_source="device",model_name="meta-llama/Llama-3.1-8B-Instruct"} 61024.0
sglang:cached_tokens_total{cache_source="host",model_name="meta-llama/Llama-3.1-8B-Instruct"} 6.0
# HELP sglang:cache_hit_rate The cache hit rate
# TYPE sglang:cache_hit_rate gauge
sglang:cache_hit_rate{model_name="meta-llama/Llama-3.1-8B-Instruct"} 0.007507552643049313
"""
TRITON = """\
# HELP nv_inference_count Number of inferences performed (does not include cached requests)
# TYPE nv_inference_count counter
nv_inference_count{model="wan22",version="1"} 3.000000
# HELP nv_cache_util Cache utilization [0.0 - 1.0]
# TYPE nv_cache_util gauge
# HELP nv_cache_num_hits_per_model Number of cache hits per model
# TYPE nv_cache_num_hits_per_model counter
nv_cache_num_hits_per_model{model="wan22",version="1"} 12.000000
nv_cache_num_hits_per_model{model="vae",version="1"} 0.000000
# HELP nv_cache_hit_duration_per_model Total cache hit duration per model, in microseconds
# TYPE nv_cache_hit_duration_per_model counter
nv_cache_hit_duration_per_model{model="wan22",version="1"} 923.000000
# TYPE nv_cache_num_misses_per_model counter
nv_cache_num_misses_per_model{model="wan22",version="1"} 3.000000
"""
TRTLLM = """\
# TYPE trtllm_kv_cache_hit_rate gauge
trtllm_kv_cache_hit_rate{engine_type="trtllm",model_name="m"} 0.25
# TYPE trtllm_kv_cache_utilization gauge
trtllm_kv_cache_utilization{engine_type="trtllm",model_name="m"} 0.5
# TYPE trtllm_kv_cache_reused_blocks_total counter
trtllm_kv_cache_reused_blocks_total{engine_type="trtllm",model_name="m"} 4.0
"""


def sums(page):
    return change({}, page.counts).added, {name: value for (name, _), value in page.levels.items()}


@pytest.mark.parametrize(
    ("page", "counts", "levels"),
    [
        (
            VLLM,
            {"vllm:prefix_cache_queries_total": 2200, "vllm:prefix_cache_hits_total": 250},
            {"vllm:gpu_prefix_cache_hit_rate": -1},
        ),
        (SGLANG, {"sglang:cached_tokens_total": 61030}, {"sglang:cache_hit_rate": 0.007507552643049313}),
        (TRITON, {"nv_cache_num_hits_per_model": 12, "nv_cache_num_misses_per_model": 3}, {}),
        (TRTLLM, {"trtllm_kv_cache_reused_blocks_total": 4}, {"trtllm_kv_cache_hit_rate": 0.25}),
        ("", {}, {}),
        ("x_cache_hits 3\r\nx_cache_hit_ratio 0.5\r\n# EOF\r\n", {"x_cache_hits": 3}, {"x_cache_hit_ratio": 0.5}),
        ('x_cache_hits{a="cache \u2028 }{ \\" b"} 3 1700000000000\n', {"x_cache_hits": 3}, {}),
    ],
    ids=["vllm", "sglang", "triton", "trtllm", "empty", "without types", "oddly labelled"],
)
def test_a_page(page, counts, levels):
    require_exposition(page)
    assert sums(cache_page(page)) == (counts, levels)


@pytest.mark.parametrize(
    "line",
    [
        "# TYPE x_cache_hit_tokens histogram\nx_cache_hit_tokens_count 3\nx_cache_hit_tokens_bucket{le='1'} 3",
        "x_cache_hits NaN",
        "x_cache_hits +Inf",
        "architecture_cache 4",
        "cache_admission_total 4",
        "x_hits_total 4",
        "x_cache_lookup_latency 4",
        "cache<b>_hits 3",
        "# x_cache_hits 3",
    ],
)
def test_what_tells_nothing(line):
    assert cache_page(line) == ({}, {})


def test_a_bad_line_that_has_nothing_to_do_with_caches_is_no_matter():
    assert sums(cache_page("{{{ nonsense\nx_cache_hits 3\n"))[0] == {"x_cache_hits": 3}


@pytest.mark.parametrize(
    "page",
    [
        '[{"cpuMemUsage": 0, "iter": 1, "kvCacheStats": {"reusedBlocks": 4}}]',
        "[]",
        "{}",
        '{"detail": "Not Found"}',
        "<html><body><h1>Welcome to nginx!</h1></body></html>",
        "hello",
        "x_cache_hits{{{ 1",
        "x_cache_hits many",
        "x" * 10**6,
    ],
)
def test_what_is_no_metrics_page(page):
    with pytest.raises(NotReadableError):
        require_exposition(page)


def test_the_start_of_a_long_page_is_looked_at():
    require_exposition("a 1\n" * 10**5)


@pytest.mark.parametrize(
    "page",
    [
        "x_cache_hits{{{ 1",
        "x_cache_hits",
        f'x_cache_hits{{a="{"y" * 10_000}"}} 1',
        "\n".join(f"cache_hits_{n} 1" for n in range(10_001)),
    ],
    ids=["braces", "no value", "long line", "many lines"],
)
def test_cache_counters_that_cannot_be_read(page):
    with pytest.raises(NotReadableError):
        cache_page(page)


@given(st.text(alphabet=st.sampled_from('cahe_its{}"=,# \n\\1.+-NaN\té')) | st.text())
def test_no_page_makes_anything_else_of_it(text):
    for look in (require_exposition, cache_page):
        with suppress(NotReadableError):
            look(f'x_cache_hits{{a="b"}} 1\nx_cache_hits{text}\n# TYPE x_cache_hits {text}')


def test_a_count_beyond_a_float():
    with suppress(NotReadableError):  # as releases of the parser have it
        assert cache_page(f"x_cache_hits {'1' * 400}") == ({}, {})


series = st.tuples(
    st.sampled_from(["a", "b"]), st.frozensets(st.tuples(st.just("l"), st.sampled_from("xyz")), max_size=1)
)
pages = st.dictionaries(series, st.integers(0, 10**9).map(float))


@given(pages, pages)
def test_what_a_phase_added(before, after):
    added, began_again = change(before, after)
    assert set(added) == {name for name, _ in {**before, **after}}
    assert all(value >= 0 for value in added.values())
    if not began_again:
        totals = {name: math.fsum(value for (one, _), value in after.items() if one == name) for name in added}
        was = {name: math.fsum(value for (one, _), value in before.items() if one == name) for name in added}
        assert added == {name: totals[name] - was[name] for name in added}


def test_a_counter_that_began_again():
    one, other = ("hits", frozenset([("engine", "0")])), ("hits", frozenset([("engine", "1")]))
    assert change({one: 10.0, other: 5.0}, {one: 3.0, other: 6.0}) == ({"hits": 4.0}, ("hits",))
    assert change({one: 10.0}, {}) == ({"hits": 0.0}, ("hits",))
