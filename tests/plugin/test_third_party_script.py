"""Somebody else's scripted phase, as docs/writing-an-audit.md shows it; and what it may do wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

HEAD = """
import secrets
from typing import Literal

from pytest_mlperf_audit import Audit, AuditBlock, Check, Verdict
from pytest_mlperf_audit.errors import RefusedError
from pytest_mlperf_audit.runs.order import Scripted
from pytest_mlperf_audit.runs.script import Edit, Round, Step
from pytest_mlperf_audit.runs.spec import Concurrency


class TwiceBlock(AuditBlock):
    test: Literal["twice"]


class Twice(Audit[TwiceBlock]):
    id = "twice"
    title = "Every prompt twice"
    config = TwiceBlock

    def checks(self, cfg, phases):
        return ["same", "enough"]

    def verify(self, cfg, runs):
        replies = {}
        for record in runs["twice"].read():
            replies.setdefault((record.sample, record.request), []).append((record.tag, record.reply))
        pairs = list(replies.values())
        same = all(len({reply for _, reply in pair}) == 1 for pair in pairs)
        assert {tuple(tag for tag, _ in pair) for pair in pairs} == {("first", "again")}
        few = len(pairs) < 20
        return Verdict(audit=self.id, checks=(
            Check(name="same", passed=same, observed=len(pairs), limit=None, reason="compared"),
            Check(name="enough", passed=None if few else True, observed=len(pairs), limit=20, reason="too few pairs"),
        ))

"""
TAIL = """

def pytest_mlperf_audits():
    return [Twice()]
"""


def example() -> str:
    """The methods that the page shows."""
    page = (ROOT / "docs" / "writing-an-audit.md").read_text()
    return page.partition("records of the one before:\n\n")[2].partition("\n\n* ")[0]


@pytest.fixture
def twice(audit, sut):
    """A directory with that audit; `replace` breaks it."""

    def write(*replace: tuple[str, str], rows: int = 20):
        text = HEAD + example() + TAIL
        for old, new in replace:
            assert old in text
            text = text.replace(old, new)
        (audit.path / "conftest.py").write_text(text)
        audit.rows(rows)
        audit.config(sut, audit=[{"test": "twice", "only": True}])
        return audit

    return write


def test_the_example_of_the_page_runs(twice, sut, lone_or_spread):
    audit = twice()
    result = audit.run(*lone_or_spread)
    assert result.ret == 0, str(result.stdout)
    result.assert_outcomes(passed=2)
    assert sut.received == 40
    prompts = [json.loads(body)["prompt"] for body in sut.bodies()]
    assert prompts[::2] == prompts[1::2]
    assert len(set(prompts)) == 20
    seed = audit.phase("twice")["spec"]["nonce_seed"]
    assert prompts[0] == f"scene 0 {seed:x}"


def test_its_cost_is_in_the_plan(twice, sut):
    twice().run("--mlperf-plan").stdout.fnmatch_lines(["    twice: 20 to 200 queries*", "  in all 20 to 200 queries"])
    assert sut.received == 0


def test_an_undecided_check_is_an_error_and_no_verdict(twice, lone_or_spread):
    audit = twice(rows=10)
    result = audit.run(*lone_or_spread)
    assert result.ret == 6
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*twice: no verdict: too few pairs*", "NO VERDICT twice*"])
    assert audit.verdict()["status"] == "NO_VERDICT"


DEFECTS = {
    "raises": ('records = yield Round((Step("first"', 'raise OSError("mine"); records = yield Round((Step("first"'),
    "too_many": ('"twice", 200', '"twice", 5'),
    "at_once": ('Step("again", row, twin)))', 'Step("again", row, twin)), at_once=True)'),
    "no_such_row": ('Step("first", row', 'Step("first", row + 1000'),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_of_a_script_is_no_verdict(twice, defect):
    audit = twice(DEFECTS[defect])
    result = audit.run()
    assert result.ret == 6, str(result.stdout)
    assert audit.phase("twice")["status"] == "crashed"
    result.stdout.fnmatch_lines(["NO VERDICT twice*"])
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


def test_a_refusal_is_no_verdict_in_the_audits_own_words(twice, sut):
    audit = twice(
        (
            "                return\n",
            "                return\n            raise RefusedError('it is shy; ask nicely')\n",
        )
    )
    result = audit.run()
    assert result.ret == 6
    assert audit.phase("twice")["status"] == "refused"
    assert "it is shy; ask nicely" in audit.verdict()["audits"][-1]["reason"]
    assert sut.received == 2


def test_a_scripted_phase_without_a_script(twice, sut):
    result = twice(("    def script(", "    def scrpt(")).run()
    assert result.ret in {4, 6}
    assert "is scripted, but the audit has no script for it" in f"{result.stdout}{result.stderr}"
    assert sut.received == 0
