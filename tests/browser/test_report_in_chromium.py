"""The report in a real browser: nothing runs, nothing is fetched, it fits a phone, it can be read and printed."""

from __future__ import annotations

import asyncio
import base64
import re

import pytest

from pytest_mlperf_audit.report.write import write_report, write_round_report
from tests.support.rounds import a_round, case, mixed

LONG = "a_name_without_any_place_to_break_" * 8


def _visit(browser, path, visit):
    async def main():
        async with browser.tab() as tab:
            await tab.size(1280)
            await tab.open(path)
            return await visit(tab)

    return asyncio.run(main())


PROBES: dict[str, dict[str, object]] = {
    "cache": {"cached": True, "streamed": True},
    "clean": {},
    "undecided": {"null_s": 0.02, "settings": {"thorough": True}},
}


ROUNDS = {
    "round": mixed(60),
    "round_of_nothing": a_round([], found=5),
    "round_long": a_round([case(0, "FAIL", case=LONG, submitter=LONG, system=LONG, scenario=LONG, reason=LONG)]),
    "round_noted": a_round([case(0, notes=("Server is paced", LONG)), case(1, case=LONG, notes=(LONG,))]),
}


@pytest.fixture(params=["pass", "fail", "many", "nothing", "long", "probed", *PROBES, *ROUNDS])
def report(request, make_run, make_probe, make_probed, tmp_path):
    if request.param in ROUNDS:
        return write_round_report(ROUNDS[request.param], tmp_path)
    if request.param in PROBES:
        return write_report(make_probe(**PROBES[request.param]), tmp_path)
    if request.param == "probed":
        return write_report(make_probed(run={"rows": [1, 2, 3]}), tmp_path)
    runs: dict[str, dict[str, object]] = {
        "pass": {"simulated": True},
        "fail": {"repeat_s": 0.001, "failed": 9},
        "many": {"rows": [1, 2, 3, 4, 5, 6, 7]},
        "nothing": {"failed": 64, "audits": ()},
        "long": {"name": LONG, "endpoint": f"http://{LONG}", "warnings": (LONG,), "environment": {LONG: LONG}},
    }
    return write_report(make_run(**runs[request.param]), tmp_path)


def test_it_loads_without_a_complaint_or_a_request(browser, report):
    async def visit(tab):
        return tab.complaints, tab.requested

    assert _visit(browser, report, visit) == ([], [report.as_uri()])


def test_the_policy_stops_a_script_and_the_test_would_notice(browser, report):
    page = report.read_text(encoding="utf-8")
    report.write_text(
        page.replace(
            "</header>", "<script>document.title = 'owned'</script><img src='https://127.0.0.1:9/x'></header>"
        ),
        encoding="utf-8",
    )

    async def visit(tab):
        return await tab.value("document.title"), tab.complaints

    title, complaints = _visit(browser, report, visit)
    assert title != "owned"
    assert any("Content Security Policy" in text for text in complaints)


@pytest.mark.parametrize("width", [320, 360, 390, 768, 1280])
def test_it_fits_the_screen(browser, report, width):
    async def visit(tab):
        await tab.size(width)
        return await tab.value("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")

    needed, there = _visit(browser, report, visit)
    assert there == width
    assert needed <= there


#: Labels of charts and lines of tables that reach beyond what they stand in.
_CUT_OFF = """(() => {
  const cut = [];
  for (const chart of document.querySelectorAll('svg.chart')) {
    const frame = chart.getBoundingClientRect();
    for (const text of chart.querySelectorAll('text')) {
      const box = text.getBoundingClientRect();
      if (box.left < frame.left - 1 || box.right > frame.right + 1) cut.push(text.textContent);
    }
  }
  for (const table of document.querySelectorAll('table.findings, table.arms, table.checks, table.cases, table.matrix'))
    for (const cell of table.querySelectorAll('tbody td, tbody th'))
      if (cell.scrollWidth > cell.clientWidth + 1) cut.push(cell.textContent);
  return cut;
})()"""


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_is_cut_off(browser, report, width):
    async def visit(tab):
        await tab.size(width)
        return await tab.value(_CUT_OFF)

    assert _visit(browser, report, visit) == []


@pytest.mark.parametrize("width", [320, 390])
def test_no_table_of_phases_has_to_be_scrolled_on_a_phone(browser, make_run, tmp_path, width):
    page = write_report(make_run(rows=[1, 2, 3, 4, 5, 6, 7]), tmp_path)

    async def visit(tab):
        await tab.size(width)
        return await tab.value(
            "[...document.querySelectorAll('.scroll')].map(box => [box.scrollWidth, box.clientWidth])"
        )

    tables = _visit(browser, page, visit)
    assert tables
    assert all(needed <= there for needed, there in tables)


#: Middle of the dots of each strip, in pixels, from left to right.
_STRIPS = """[...document.querySelectorAll('.drawn svg.chart')].map(chart => {
  const rows = {};
  for (const strip of chart.querySelectorAll('path[marker-mid]')) {
    const marker = chart.getElementById(strip.getAttribute('marker-mid').slice(5, -1));
    const toScreen = strip.getScreenCTM(), fill = getComputedStyle(marker).fill;
    for (const [, x, y] of strip.getAttribute('d').matchAll(/([\\d.]+),([\\d.]+)/g))
      (rows[fill] ||= []).push(new DOMPoint(x, y).matrixTransform(toScreen).x);
  }
  return Object.values(rows).map(xs => [Math.min(...xs), Math.max(...xs)]);
})"""


def test_a_cache_shows_at_a_glance(browser, make_probe, tmp_path):
    """Exact repeats have a colour of their own, and lie apart from all else."""

    async def visit(tab):
        return await tab.value(_STRIPS)

    charts = _visit(browser, write_report(make_probe(cached=True), tmp_path), visit)
    assert len(charts) == 2
    for others, repeats in charts:
        assert repeats[1] + 20 < others[0]


#: Every kind of element with text whose contrast (WCAG 2) against what lies behind it is below 4.5.
_CONTRAST = """(() => {
  const parse = text => { const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number); return [r, g, b, a]; };
  const linear = v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => .2126 * linear(r / 255) + .7152 * linear(g / 255) + .0722 * linear(b / 255);
  const behind = node => {
    for (; node; node = node.parentElement) {
      const found = parse(getComputedStyle(node).backgroundColor);
      if (found[3]) return found;
    }
    return [255, 255, 255, 1];
  };
  const worst = {};
  for (const node of document.querySelectorAll('body *')) {
    const svg = node.tagName === 'text';
    if (!svg && ![...node.childNodes].some(child => child.nodeType === 3 && child.data.trim())) continue;
    const style = getComputedStyle(node);
    const [a, b] = [light(parse(svg ? style.fill : style.color)), light(behind(node))];
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05), name = node.tagName + '.' + node.classList;
    worst[name] = Math.min(worst[name] || 99, ratio);
  }
  return Object.entries(worst).filter(([, ratio]) => ratio < 4.5).map(([name, ratio]) => name + ' ' + ratio.toFixed(2));
})()"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_can_be_read_in_light_and_dark(browser, report, scheme):
    async def visit(tab):
        await tab.media(scheme)
        dark = await tab.value("getComputedStyle(document.body).backgroundColor")
        return dark, await tab.value(_CONTRAST)

    background, unreadable = _visit(browser, report, visit)
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")
    assert unreadable == []


def test_it_prints(browser, report):
    async def visit(tab):
        await tab.media("dark")
        printed = await tab.send("Page.printToPDF", printBackground=False, paperWidth=8.27, paperHeight=11.69)
        return base64.b64decode(printed["data"])

    document = _visit(browser, report, visit)
    assert document.startswith(b"%PDF")
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", document)) <= 12


def test_six_thousand_rows_can_be_used(browser, tmp_path):
    path = write_round_report(mixed(6000), tmp_path)
    assert path.stat().st_size < 8 * 2**20

    async def visit(tab):
        await tab.value("document.querySelector('section.next a').click() || 0")
        return await tab.value(
            "[document.querySelector(location.hash) !== null,"
            " document.querySelector('table.picture').getBoundingClientRect().width > 0]"
        )

    assert _visit(browser, path, visit) == [True, True]
