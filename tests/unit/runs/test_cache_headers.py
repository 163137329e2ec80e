"""Which reply headers are kept as telling of a cache, and which of them say that the reply was a hit."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_mlperf_audit.runs.cache_headers import CACHE_HEADERS, Said, cache_header, said, says_hit

HITS = {
    "x-cache": (
        *("HIT", "Hit from cloudfront", "RefreshHit from cloudfront", "MISS, HIT", "HIT from proxy.example:3128"),
        *("TCP_HIT from a23", "TCP_MEM_HIT", "Miss from child, Hit from parent", "hit-stale", "HIT:1"),
    ),
    "x-cache-status": ("HIT", "STALE", "UPDATING", "REVALIDATED", "Hit"),
    "x-proxy-cache": ("HIT",),
    "cf-cache-status": ("HIT",),
    "x-litellm-cache-key": ("7a28",),
    "age": ("1", "3600"),
    "x-varnish": ("12 3", "5, 12 3"),
    "cache-status": ('"edge"; hit; ttl=3', "edge; fwd=miss, origin; hit"),
    "x-cache-hits": ("1", "0, 4"),
    "cf-aig-cache-status": ("HIT",),
    "x-openrouter-cache-status": ("HIT",),
    "helicone-cache": ("HIT",),
    "x-portkey-cache-status": ("HIT", "SEMANTIC HIT"),
    "apisix-cache-status": ("HIT",),
    "x-cache-key": (),
}
NONE = {
    "x-cache": (
        *("MISS", "Miss from cloudfront", "MISS, MISS", "hit-for-pass", "HIT_FOR_MISS", "hitmiss", "hitpass"),
        *("TCP_MISS from a23", "TCP_REFRESH_MISS", "Error from cloudfront", "CONFIG_NOCACHE", "", "0"),
    ),
    "x-cache-status": ("MISS", "BYPASS", "EXPIRED", "Refresh", "-"),
    "cf-cache-status": ("DYNAMIC", "MISS", "BYPASS", "EXPIRED", "NONE/UNKNOWN"),
    "x-litellm-cache-key": ("", " "),
    "age": ("0", "", "soon", "-3"),
    "x-varnish": ("12", "12, 15", ""),
    "cache-status": ("edge; fwd=uri-miss; stored", 'edge; fwd=miss; detail="no hit"'),
    "x-cache-hits": ("0", "0, 0"),
    "helicone-cache": ("MISS",),
    "x-portkey-cache-status": ("DISABLED", "MISS", "REFRESH"),
    "x-cache-key": ("hit", "/v1/chat"),
}


def test_every_header_of_the_table_has_its_examples():
    assert list(HITS) == [header.name for header in CACHE_HEADERS]
    assert all(header.source for header in CACHE_HEADERS)


@pytest.mark.parametrize("name", HITS)
def test_what_is_served_from_a_cache_is_a_hit(name):
    for value in HITS[name]:
        assert says_hit(cache_header({name: value})), value


@pytest.mark.parametrize("name", NONE)
def test_other_values_are_none(name):
    for value in NONE[name]:
        assert not says_hit(cache_header({name: value})), value


def test_headers_that_tell_of_no_cache_are_not_kept():
    assert cache_header({"cache-control": "max-age=3600", "x-request-id": "1", "x-served-by": "cache-1"}) is None
    assert not says_hit(None)
    assert not says_hit("cache-control: hit")


def test_several_headers_are_told_apart():
    quoted = cache_header({"age": "7", "x-varnish": "12 3", "x-cache": "MISS; from here"})
    assert quoted == "x-cache: MISS; from here; age: 7; x-varnish: 12 3"
    assert said(quoted) == Said(hit=True, own=True, entry="3", age=7)


def test_an_entry_is_told_of_hits_alone():
    assert said("x-cache: HIT; x-cache-key: ab") == Said(hit=True, entry="ab")
    assert said("x-cache: MISS; x-cache-key: ab") == Said()
    assert said('cache-status: edge; hit; key="ab"') == Said(hit=True, entry="ab")
    assert said("x-litellm-cache-key: ab") == Said(hit=True, own=True, entry="ab")


def test_what_was_cut_short_is_read_as_far_as_it_goes():
    quoted = cache_header({"x-cache": "HIT", "x-litellm-cache-key": "k" * 300})
    assert quoted is not None
    assert len(quoted) == 120
    assert says_hit(quoted)


def test_the_method_lists_every_header():
    method = (Path(__file__).parents[3] / "docs" / "method.md").read_text()
    assert not [header.name for header in CACHE_HEADERS if f"`{header.name}`" not in method]
