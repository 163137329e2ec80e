"""What a reader has without scrolling, on a screen, a phone and paper: verdict, sentence, picture, next step."""

from __future__ import annotations

import asyncio
import base64
import re

import msgspec
import pytest

from pytest_mlperf_audit.audits.verdict import Check
from pytest_mlperf_audit.report.write import write_report
from tests.support.entries import a_check, an_audit

SCREENS = {"desk": (1280, 800), "phone": (390, 844)}
#: Where the parts of the first screen end, in pixels from the top.
_ENDS = """Object.fromEntries([['verdict', '.banner .status'], ['said', '.opening > .summary'],
  ['picture', '.decides svg.chart'], ['next', '.next li a']]
  .map(([name, where]) => [name, document.querySelector(where).getBoundingClientRect().bottom]))"""


def _visit(browser, path, visit, width=1280, height=800):
    async def main():
        async with browser.tab() as tab:
            await tab.size(width, height)
            await tab.open(path)
            return await visit(tab)

    return asyncio.run(main())


def _pages(browser, path) -> int:
    async def visit(tab):
        printed = await tab.send("Page.printToPDF", printBackground=False, preferCSSPageSize=True)
        return base64.b64decode(printed["data"])

    return len(re.findall(rb"/Type\s*/Page\b", _visit(browser, path, visit)))


def _scored(status, observed):
    check = Check(name="score", passed=status == "passed", observed=observed, limit=60.698, reason=f"{observed} found")
    entry = a_check(name="score", node_id="llm.yaml::test07::score", status=status, check=check)
    return an_audit(id="test07", title="TEST07", status="PASS" if status == "passed" else "FAIL", checks=(entry,))


@pytest.fixture(params=["pass", "fail", "no_verdict", "undecided", "several"])
def state(request, make_run, make_probe, make_probed, tmp_path):
    run = {
        "pass": lambda: make_probed(run={"simulated": True}),
        "fail": lambda: make_run(repeat_s=0.001, simulated=True),
        "undecided": lambda: make_probe(null_s=0.02),
    }
    if request.param in run:
        return write_report(run[request.param](), tmp_path)
    (audit,) = make_run().audits
    if request.param == "several":
        return write_report(make_run(audits=(_scored("passed", 80.5), audit, _scored("failed", 12.5))), tmp_path)
    broken = msgspec.structs.replace(audit.phases[0], status="interrupted", reason="interrupted after 40 queries")
    checks = tuple(
        a_check(name=check.name, node_id=check.node_id, status="not_run", check=None) for check in audit.checks
    )
    reason = "phase reference: interrupted after 40 queries"
    cut = {"status": "NO_VERDICT", "phases": (broken,), "checks": checks, "reason": reason, "ratios": ()}
    return write_report(make_run(audits=(msgspec.structs.replace(audit, **cut),)), tmp_path)


@pytest.mark.parametrize("screen", SCREENS)
def test_verdict_sentence_picture_and_next_step_need_no_scrolling(browser, state, screen):
    width, height = SCREENS[screen]

    async def visit(tab):
        return await tab.value(_ENDS)

    ends = _visit(browser, state, visit, width, height)
    assert all(0 < end <= height for end in ends.values()), ends


def test_each_link_leads_to_a_place_that_shows(browser, state):
    async def visit(tab):
        return await tab.value("""[...document.querySelectorAll('a')].map(link => {
            link.click(); const to = document.querySelector(link.getAttribute('href'));
            return [link.getAttribute('href'), to !== null && to.checkVisibility({contentVisibilityAuto: true})]; })""")

    links = _visit(browser, state, visit)
    assert links
    assert [href for href, shows in links if not shows] == []


def test_failing_checks_come_first_and_passing_ones_are_folded(browser, make_run, tmp_path):
    page = write_report(make_run(repeat_s=0.001), tmp_path)

    async def visit(tab):
        return await tab.value("""[[...document.querySelectorAll('.checks.wrong tbody tr')].map(row => row.className),
            document.querySelector('.checks.calm').closest('details').open]""")

    assert _visit(browser, page, visit) == [["failed"], False]


def test_folded_parts_are_open_on_paper(browser, make_run, tmp_path):
    page = write_report(make_run(), tmp_path)

    async def visit(tab):
        await tab.send("Emulation.setEmulatedMedia", media="print")
        return await tab.value("""[...document.querySelectorAll('details td, details dd')]
            .filter(cell => !cell.checkVisibility() || !cell.getBoundingClientRect().height)
            .map(cell => cell.outerHTML)""")

    assert _visit(browser, page, visit) == []


def test_test04_takes_two_pages(browser, make_probed, tmp_path):
    assert _pages(browser, write_report(make_probed(run={"simulated": True}), tmp_path)) <= 2


def test_four_audits_take_four_pages(browser, make_run, tmp_path):
    (audit,) = make_run().audits
    four = tuple(
        msgspec.structs.replace(audit, id=f"test0{place}", title=f"TEST0{place}", phases=audit.phases[:1], ratios=())
        for place in (1, 6, 7, 9)
    )
    assert _pages(browser, write_report(make_run(audits=four), tmp_path)) <= 4


@pytest.mark.parametrize("many", ["checks", "warnings", "notes", "figures", "artifacts", "audits", "ratios"])
def test_ten_thousand_of_anything_stay_small(make_run, tmp_path, many):
    run = make_run()
    (audit,) = run.audits
    n = 10_000
    each = {
        "checks": {"checks": audit.checks[:1] * n},
        "notes": {"notes": tuple(f"note {i}, with some words that a note may have" for i in range(n))},
        "figures": {"figures": {f"figure_{i}": i for i in range(n)}},
        "ratios": {"ratios": tuple(msgspec.structs.replace(audit.ratios[0], row=i) for i in range(n))},
    }
    if many in each:
        run = msgspec.structs.replace(run, audits=(msgspec.structs.replace(audit, **each[many]),))
    elif many == "warnings":
        run = msgspec.structs.replace(run, warnings=tuple(f"warning {i} of a phase of the run" for i in range(n)))
    elif many == "audits":
        run = msgspec.structs.replace(run, audits=(_scored("failed", 12.5),) * n)
    else:
        (tmp_path / "kept").mkdir()
        for i in range(n):
            (tmp_path / f"kept/{i}").write_bytes(b"")
    assert write_report(run, tmp_path).stat().st_size <= 500_000
