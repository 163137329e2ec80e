from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from pytest_mlperf_audit.audits.verdict import ArmSummary, Check, Finding
from pytest_mlperf_audit.report.html import render
from pytest_mlperf_audit.report.write import write_report
from pytest_mlperf_audit.verdicts.document import VerdictDocument
from pytest_mlperf_audit.verdicts.files import read_verdict, with_artifacts
from tests.support.entries import a_check, an_audit

VOID = {"meta", "br", "hr", "img", "input", "link", "line"}


class _Page(HTMLParser):
    """A page's tags with their attributes, and its text; fails on tags that do not nest."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if "style" not in self._open:
            self.text += data

    @property
    def shape(self) -> list[tuple[str, list[str]]]:
        return [(tag, sorted(attributes)) for tag, attributes in self.tags]

    @property
    def words(self) -> str:
        return " ".join(self.text.split())


def _page(outcome: VerdictDocument, report_dir: Path) -> _Page:
    return _Page(render(with_artifacts(outcome, report_dir), report_dir))


def test_the_page_says_what_was_found(make_run, tmp_path):
    page = _page(make_run(), tmp_path)
    for said in (
        "PASS wan22_offline",
        "One input repeated 64 times ran",
        "different inputs; MLPerf allows less than 1.10.",
        "Throughput ratio wan22.yaml::test04::throughput_ratio",
        "64 × row 3, 8 in flight, for at most 4 h",  # noqa: RUF001 - as shown
        "audit/reference/queries.jsonl",
        "3.11.7",
    ):
        assert said in page.words
    assert "SIMULATED" not in page.text
    assert sum(tag == "figure" for tag, _ in page.tags) == 3
    ids = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    named = [attributes["aria-labelledby"] for _, attributes in page.tags if attributes.get("role") == "img"]
    assert len(named) == 3
    assert all(set((label or "").split()) <= ids for label in named)


def test_the_page_shows_what_a_probe_found(make_probe, tmp_path):
    page = _page(make_probe(cached=True, streamed=True), tmp_path)
    for said in (
        " queries the cache probe found: response cache.",
        "CACHE: response in 110 queries. The checks above say on what evidence.",
        "found response cache, made-up prompts Response cache on made-up prompts: an exact ",
        "not found prefix cache, made-up prompts No prefix cache on made-up prompts",
        "exact repeat (R)12",
        "First token",
        " queries, one after another, and in bursts of up to 64",
    ):
        assert said in page.words
    assert "queries/s" not in page.words
    assert sum(tag == "figure" for tag, _ in page.tags) == 3
    assert ("tr", {"class": "failed"}) in page.tags


def test_the_page_shows_what_is_undecided(make_probe, tmp_path):
    page = _page(make_probe(null_s=0.02, settings={"thorough": True}), tmp_path)
    assert "inconclusive: the null control shows a difference" in page.words
    assert "As for no_cache[response]." in page.words
    assert "See the undecided check." in page.words
    assert page.words.count("undecided No cache: ") == 7
    assert "First token" not in page.words.partition("What the words mean")[0]


def test_the_page_shows_ratio_interval_and_evidence(make_probed, tmp_path):
    page = _page(make_probed(), tmp_path)
    assert re.search(r"ran 1\.00 \(95 % 0\.\d\d to 1\.\d\d\) times as fast", page.words)
    assert re.search(r"Throughput ratio wan22.*? 1\.\d+ 95 % 0\.\d\d to 1\.\d\d 1\.1 ", page.words)
    assert "Evidence: clean. The whole 95 % interval" in page.words
    assert "The cache probe found no cache in 25 queries; excluded: response >= " in page.words
    assert "CLEAN in 25 queries. The checks above say on what evidence." in page.words
    assert "not looked for near-duplicate cache, prefix cache, semantic cache" in page.words


def test_a_simulated_run_is_marked_everywhere(make_run, tmp_path):
    page = _page(make_run(simulated=True), tmp_path)
    assert "PASS (SIMULATED): wan22_offline" in page.text
    assert page.text.count("SIMULATED") >= 4


def test_a_failing_run_shows_the_failing_checks(make_run, tmp_path):
    page = _page(make_run(repeat_s=0.01, failed=9), tmp_path)
    assert "FAIL Queries completed: reference wan22.yaml::test04::completion[reference]" in page.words
    assert "9 (4 http_500, 5 timeout)" in page.words
    assert "SIMULATED" not in page.text


def test_nothing_is_fetched_and_nothing_runs(make_run, tmp_path):
    page = _page(make_run(), tmp_path)
    policies = [attributes["content"] for _, attributes in page.tags if attributes.get("http-equiv")]
    assert len(policies) == 1
    assert (policies[0] or "").startswith("default-src 'none'; ")
    for tag, attributes in page.tags:
        assert tag not in {"script", "link", "img", "iframe", "object", "embed", "form", "base"}
        assert not any(name.startswith("on") or name in {"src", "action", "srcset"} for name in attributes)
        assert (attributes.get("href") or "#").startswith("#")
        assert all(not (value or "").startswith("http") for name, value in attributes.items() if "xmlns" not in name)


HOSTILE = (
    "</script><script>alert(1)</script>",
    "</style></title><h1>PASS</h1>",
    '" onmouseover="alert(1)',
    "{{ 7 * 7 }}{% raw %}",
    "<!-- ",
    "]]>&lt;svg onload=alert(1)>",
    "\x1b[31m\u202e\x00",
)


def _with(text: str, run: VerdictDocument) -> VerdictDocument:
    (audit,) = run.audits
    check = Check(name=f"n{text}", passed=False, observed=f"o{text}", limit=f"l{text}", reason=f"r{text}")
    phases = tuple(
        msgspec.structs.replace(phase, label=f"{phase.label}{text}", reason=f"p{text}") for phase in audit.phases
    )
    hostile = msgspec.structs.replace(
        audit,
        title=f"t{text}",
        reason=f"r{text}",
        checks=(a_check(name=f"n{text}", node_id=f"i{text}", status="failed", check=check),),
        phases=phases,
        figures={f"f{text}": f"v{text}", "probe": f"p{text}", "probe_kinds": f"k{text}"},
        findings=(Finding(kind=f"k{text}", of=f"o{text}", found=True, forbidden=True, sentence=f"s{text}"),),
        arms=(ArmSummary(arm=f"a{text}", what=f"w{text}", of=f"o{text}", n=1, median_s=0.1),),
        notes=(f"n{text}",),
        settings={f"s{text}": f"v{text}"},
    )
    texts = dict.fromkeys(("name", "config", "endpoint", "api_type", "model", "started_at"), f"x{text}")
    return msgspec.structs.replace(
        run, audits=(hostile,), warnings=(f"w{text}",), environment={f"e{text}": f"v{text}"}, **texts
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_text_from_outside_changes_no_tag(make_run, tmp_path, text):
    run = make_run()
    innocent, hostile = (_page(_with(said, run), tmp_path) for said in ("", text))
    assert hostile.shape == innocent.shape


def test_ten_megabytes_of_reason_stay_out_of_the_page(make_run, tmp_path):
    run = make_run()
    check = Check(name="c", passed=False, observed=1, limit=2, reason="x" * 10_000_000)
    outcome = a_check(name="c", node_id="n", status="failed", check=check)
    audit = an_audit(id="a", title="A", status="FAIL", is_audit=True, checks=(outcome,), reason=check.reason)
    long = msgspec.structs.replace(run, audits=(audit, audit), warnings=(check.reason,), name=check.reason)
    assert len(render(with_artifacts(long, tmp_path), tmp_path)) < 100_000


@pytest.mark.parametrize("asked", [{"failed": 64}, {"n": 1}, {"rows": [1, 2, 3, 4, 5, 6, 7]}, {"audits": ()}])
def test_odd_runs_have_a_page(make_run, tmp_path, asked):
    _page(make_run(**asked), tmp_path)


def test_a_phase_without_completions_says_so(make_run, tmp_path):
    page = _page(make_run(failed=64), tmp_path)
    assert "No curve for reference: no query of it completed." in page.words


def test_unreadable_records_cost_the_curve_and_are_named(make_run, tmp_path):
    run = make_run()
    log = tmp_path / "audit/reference/queries.jsonl"
    log.write_bytes(log.read_bytes()[:-5])
    page = _page(run, tmp_path)
    assert "No curve for reference:" in page.words
    assert "the last record is cut short" in page.words


def test_many_phases_are_drawn_up_to_a_limit(make_run, tmp_path):
    page = _page(make_run(rows=list(range(20)), n=16), tmp_path)
    assert "The charts show the first 12 of 21 phases." in page.words


def test_verdict_is_written_before_the_report(make_run, tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("no charts today")

    run = make_run()
    monkeypatch.setattr("pytest_mlperf_audit.report.html.render", fail)
    with pytest.raises(RuntimeError, match="no charts today"):
        write_report(run, tmp_path)
    assert read_verdict(tmp_path / "verdict.json").status == "PASS"
    assert not (tmp_path / "report.html").exists()


def test_the_written_report_is_whole(make_run, tmp_path):
    path = write_report(make_run(), tmp_path)
    assert path == tmp_path / "report.html"
    page = _Page(path.read_text(encoding="utf-8"))
    assert [tag for tag, _ in page.tags][:2] == ["html", "head"]


_RENDER = """
import sys
from pathlib import Path
from tests.support.entries import a_check, an_audit
from pytest_mlperf_audit.verdicts.files import read_verdict
from pytest_mlperf_audit.report.html import render
from tests.support.entries import a_check, an_audit
directory = Path(sys.argv[1])
sys.stdout.buffer.write(render(read_verdict(directory / "verdict.json"), directory).encode())
assert "matplotlib" not in sys.modules
"""


def test_two_renderings_in_two_processes_are_byte_identical(make_probed, tmp_path):
    written = write_report(make_probed(run={"rows": [3, 7]}), tmp_path).read_bytes()
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "TZ": "Asia/Tokyo"}
        again = subprocess.run(
            [sys.executable, "-c", _RENDER, str(tmp_path)],
            env=environment,
            capture_output=True,
            check=True,
            timeout=120,
        )
        assert again.stdout == written


def test_verdict_and_terminal_text_load_no_chart_library():
    code = (
        "import sys, pytest_mlperf_audit.report.write, pytest_mlperf_audit.report.text, "
        "pytest_mlperf_audit.report.ci_summary\nassert not {'ziaplot', 'jinja2'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_several_audits_have_a_line_each_at_the_top_and_titles_of_their_own(make_run, tmp_path):
    (audit,) = make_run().audits
    named = tuple(msgspec.structs.replace(audit, id=f"test04-{name}", name=name) for name in ("short", "long"))
    text = render(make_run(audits=named), tmp_path)
    assert (
        text.count('-title">TEST04 output caching: short <') == text.count('-title">TEST04 output caching: long <') == 1
    )
    assert len(re.findall('<li><span class="badge PASS">PASS</span> <a href="#audit-[12]">TEST04 ', text)) == 2
    assert text.count("One input repeated 64 times ran") == 2, "once in each section"
