from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import ziaplot
from ziaplot.style.themes import zptheme

from pytest_mlperf_audit.audits.verdict import Ratio
from pytest_mlperf_audit.report import charts
from pytest_mlperf_audit.report.charts import (
    MAX_SERIES,
    N_COLOURS,
    Strip,
    completions_over_time,
    dash,
    latency_distribution,
    ratio_against_limit,
    strips,
)

NOTHING = np.zeros(0)


def _spread(n: int, seed: int = 1, scale: float = 0.05):
    return np.random.default_rng(seed).lognormal(np.log(scale), 0.3, n)


def _ratio(value: float, row: int | None = None, check: str | None = "throughput_ratio", **ends) -> Ratio:
    return Ratio(value=value, limit=1.1, limit_of="MLPerf", n_repeats=64, n_distinct=64, check=check, row=row, **ends)


def _drawn(svg: str | None) -> str:
    assert svg is not None
    return svg


def _texts(svg: str) -> list[str]:
    return ["".join(element.itertext()) for element in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("draw", [latency_distribution, completions_over_time])
@pytest.mark.parametrize(
    "series",
    [
        [_spread(64), _spread(64, 2)],
        [np.array([0.05])],
        [np.array([0.0])],
        [np.full(64, 0.05)],
        [NOTHING, _spread(3)],
        [_spread(64), _spread(64) / 500],
        [np.array([1e-9, 4000.0])],
        [_spread(100, seed) for seed in range(40)],
        [_spread(1_000_000) + np.arange(1_000_000) * 0.004],
    ],
    ids=["two", "one query", "zero latency", "all alike", "one empty", "far apart", "extremes", "forty", "million"],
)
def test_a_chart_of_any_size_is_small_wellformed_and_finite(draw, series):
    svg = _drawn(draw(series))
    ET.fromstring(svg)
    assert len(svg) < 100_000
    assert not re.search(r"\b(nan|inf)\b", svg.lower())
    assert svg.startswith("<svg ")


@pytest.mark.parametrize("draw", [latency_distribution, completions_over_time])
def test_nothing_completed_gives_no_chart(draw):
    assert draw([NOTHING, NOTHING]) is None
    assert draw([]) is None


def test_no_ratio_gives_no_chart():
    assert ratio_against_limit([]) is None


@pytest.mark.parametrize("value", [1e-6, 0.3, 1.02, 1.1, 5.31, 400, 1e7])
def test_the_ratio_chart_names_ratio_and_limit(value):
    texts = _texts(_drawn(ratio_against_limit([_ratio(value)])))
    assert any(text.startswith("limit 1.1") for text in texts)
    assert f"{value:.2f}" in texts


def test_the_ratio_chart_draws_intervals_and_many_rows():
    svg = _drawn(ratio_against_limit([_ratio(1 + row / 50, row, low=0.9, high=1.3) for row in range(30)]))
    texts = _texts(svg)
    assert "row 0" in texts
    assert f"row {MAX_SERIES}" not in texts
    assert len(svg) < 100_000


def test_the_ratio_chart_draws_the_pooled_ratio_below_the_rows():
    texts = _texts(_drawn(ratio_against_limit([_ratio(1.0, 3), _ratio(1.2, 7), _ratio(1.1, check=None)])))
    assert [text for text in texts if text.startswith(("row", "pooled"))] == ["row 3", "row 7", "pooled"]


def _dots(svg: str) -> list[tuple[str, list[float]]]:
    """Return the number of each strip's colour, and where its dots lie across."""
    colours = dict(re.findall(r'<marker id="([^"]+)"[^>]* fill="var\(--series-(\d)\)"', svg))
    paths = re.findall(r'<path d="([^"]+)"[^>]* marker-mid="url\(#([^)]+)\)"', svg)
    return [(colours[mark], [float(x) for x in re.findall(r"([\d.]+),", path)]) for path, mark in paths]


@pytest.mark.parametrize(
    "seconds",
    [
        [_spread(24) / 50, _spread(72, 2), _spread(24, 3)],
        [np.array([0.02])],
        [np.array([0.0]), np.array([60.0])],
        [np.full(24, 0.05)] * 14,
        [NOTHING, _spread(3)],
        [np.array([1e-9, 4000.0])],
        [_spread(100_000, seed) for seed in range(30)],
    ],
    ids=["three", "one query", "zero latency", "all alike", "one empty", "extremes", "millions"],
)
def test_strips_of_any_size_are_small_wellformed_and_finite(seconds):
    svg = _drawn(strips([Strip(f"kind {index}", values) for index, values in enumerate(seconds)]))
    ET.fromstring(svg)
    assert len(svg) < 160_000
    assert not re.search(r"\b(nan|inf)\b", svg.lower())
    ticks = [text for text in _texts(svg) if re.fullmatch(r"[\d,.]+ (µs|ms|s|min)", text)]
    assert 1 <= len(ticks) <= 4


def test_strips_have_a_dot_for_each_query_and_mark_the_repeats():
    rows = [Strip("exact repeat (R)", _spread(6) / 50, marked=True), Strip("new beginning (P)", _spread(9))]
    svg = _drawn(strips(rows))
    assert [(colour, len(across)) for colour, across in _dots(svg)] == [("1", 6), ("0", 9)]
    assert {"exact repeat (R)", "new beginning (P)"} <= set(_texts(svg))


def test_strips_lie_apart_where_latencies_do():
    rows = [Strip("R", np.full(5, 0.001)), Strip("P", np.full(5, 0.1))]
    (_, cached), (_, computed) = _dots(_drawn(strips(rows)))
    assert len(cached) == len(computed) == 5
    assert max(cached) + 60 < min(computed)
    same = [Strip("R", np.array([0.100])), Strip("P", np.array([0.101]))]
    (_, first), (_, second) = _dots(_drawn(strips(same)))
    assert abs(first[0] - second[0]) < 3, "a difference of 1 % must not fill the chart"


def test_many_dots_are_thinned_evenly():
    svg = _drawn(strips([Strip("R", _spread(10_000)), Strip("P", _spread(10))]))
    assert 200 < sum(len(across) for _, across in _dots(svg)) < 400


@pytest.mark.parametrize("text", ["$x^{2$", r"$\frac{1}{0}$", "<script>", "\u540d\u524d", "a\nb", "x" * 1000, ""])
def test_a_label_from_outside_is_text_and_nothing_else(text):
    svg = _drawn(strips([Strip(text, _spread(3)), Strip("P", _spread(3))]))
    assert "<script" not in svg
    assert max(map(len, _texts(svg))) < 40


def test_no_strip_gives_no_chart():
    assert strips([]) is None
    assert strips([Strip("R", NOTHING)]) is None


def test_colours_are_css_variables_and_nothing_is_dated_or_sized():
    svg = _drawn(latency_distribution([_spread(64), _spread(64, 2)]))
    assert "var(--series-0)" in svg
    assert "var(--series-1)" in svg
    assert not re.search(r"#[0-9a-f]{6}", svg)
    for unwanted in ("<metadata", "<style", 'pt"', "sans-serif", "<script"):
        assert unwanted not in svg
    assert set(ET.fromstring(svg).attrib) == {"class", "viewBox"}


def test_ids_on_a_page_do_not_clash():
    values = [_spread(64)]
    first, second = (
        set(re.findall(r'id="([^"]+)"', _drawn(latency_distribution(values, key=key)))) for key in ("0", "1")
    )
    assert first
    assert not first & second


def test_charts_are_the_same_each_time():
    values = [_spread(64), _spread(64, 2)]
    assert latency_distribution(values) == latency_distribution(values)


def test_series_are_told_apart_without_colour():
    looks = {(index % N_COLOURS, dash(index)) for index in range(MAX_SERIES)}
    assert len(looks) == MAX_SERIES
    assert len({dash(index) for index in range(len(charts.DASHES))}) == len(charts.DASHES)


def test_a_user_of_ziaplot_keeps_their_settings():
    usual = completions_over_time([_spread(64)])
    before = zptheme.theme, zptheme.usercss, ziaplot.config.precision
    ziaplot.theme("taffy")
    ziaplot.css("Graph { color: red } PolyLine { stroke_width: 9 }")
    ziaplot.config.precision = 5
    theirs = zptheme.theme, zptheme.usercss, ziaplot.config.precision
    try:
        assert completions_over_time([_spread(64)]) == usual
        assert theirs == (zptheme.theme, zptheme.usercss, ziaplot.config.precision)
    finally:
        zptheme.theme, zptheme.usercss, ziaplot.config.precision = before


def test_a_limit_and_an_axis_have_words_and_units():
    texts = _texts(_drawn(completions_over_time([_spread(64)])))
    assert {"time since the first query (ms)", "completed queries"} <= set(texts)
    texts = _texts(_drawn(latency_distribution([_spread(64), _spread(64) / 500])))
    assert {"latency (logarithmic)", "completed queries", "50 %", "1 ms"} <= set(texts)


def test_the_number_of_a_ratio_stands_above_its_interval():
    svg = _drawn(ratio_against_limit([_ratio(1.02, low=0.7, high=1.05)]))
    (number,) = [text for text in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text") if text.text == "1.02"]
    (ends,) = re.findall(r'<path d="M ([\d.]+),([\d.]+) L ([\d.]+),[\d.]+" stroke="var\(--series-0\)"', svg)
    assert float(ends[0]) < float(number.attrib["x"]) < float(ends[2])
    assert float(number.attrib["y"]) + float(number.attrib["dy"]) <= float(ends[1]) - 5
