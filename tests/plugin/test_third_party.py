"""An audit and an endpoint adapter of one's own need one conftest.py; a broken one is one message and never a pass."""

from __future__ import annotations

import pytest

CONFTEST = """
from typing import Literal
import json

from pytest_mlperf_audit import Audit, AuditBlock, Check, EndpointAdapter, PlanError, Verdict
from pytest_mlperf_audit.endpoints.base import Reply, digest
from pytest_mlperf_audit.runs.order import sequential
from pytest_mlperf_audit.runs.script import NO_EDIT


class FloorBlock(AuditBlock):
    test: Literal["floor"]
    samples: int = 4


class Floor(Audit[FloorBlock]):
    id = "floor"
    title = "Everything completes"
    config = FloorBlock

    def plan(self, cfg, samples, context):
        return [context.phase("once", cfg.samples, order=sequential())]

    def checks(self, cfg, phases):
        return ["everything", "qps[once]"]

    def verify(self, cfg, runs):
        done, qps = runs["once"].figures.n_completed, runs["once"].figures.qps
        return Verdict(
            audit=self.id,
            checks=(
                Check(name="everything", passed=done == cfg.samples, observed=done, limit=4, reason="counted"),
                Check(name="qps[once]", passed=qps > 0, observed=qps, limit=0, reason="above nothing"),
            ),
            figures={"qps": qps},
        )


class Upper(EndpointAdapter):
    api_type = "upper"
    path = "/v1/videos/generations"

    def problem(self, row):
        return None if "prompt" in row else "no prompt"

    def encode(self, row, edit=NO_EDIT):
        return json.dumps({"shout": edit.apply(row["prompt"]).upper()}).encode()

    def decoder(self, *, keep_output=False):
        return Decoder()


class Decoder:
    def __init__(self):
        self.body = b""

    def feed(self, data, at_ns):
        self.body += data

    def finish(self):
        return Reply(digest=digest(self.body))


def pytest_mlperf_audits():
    return [Floor()]


def pytest_mlperf_endpoint_adapters():
    return [Upper]
"""


@pytest.fixture
def third(audit, sut):
    """A directory with the audit above; `replace` breaks it."""

    def write(*replace: tuple[str, str], **blocks):
        text = CONFTEST
        for old, new in replace:
            assert old in text
            text = text.replace(old, new)
        (audit.path / "conftest.py").write_text(text)
        nothing = dict.fromkeys(("sample_index", "threshold", "probe"))
        audit.config(sut, **{"audit": {"test": "floor", "samples": 4, **nothing}, **blocks})
        return audit

    return write


def test_audit_and_adapter_from_a_conftest(third, sut, lone_or_spread):
    audit = third(endpoint_config={"api_type": "upper"})
    result = audit.run("-m", "floor", "--strict-markers", "-v", *lone_or_spread)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["mlperf-audit: wan22.yaml: floor (4 queries, max_throughput)"])
    result.stdout.fnmatch_lines_random(["*wan22.yaml::floor::everything*", "*wan22.yaml::floor::qps[[]once[]]*"])
    assert {body[:16] for body in sut.bodies()} == {b'{"shout": "SCENE'}
    verdict = audit.verdict()
    assert (sut.received, verdict["status"], verdict["api_type"]) == (4, "PASS", "upper")
    assert "Everything completes" in (audit.report() / "report.html").read_text()


def test_its_marker_is_listed(third):
    result = third().run("--markers", config=None)
    result.stdout.fnmatch_lines(["@pytest.mark.floor: checks of Everything completes"])


def test_its_marker_is_known_without_a_yaml(third):
    audit = third()
    (audit.path / "test_own.py").write_text("import pytest\n@pytest.mark.floor\ndef test_own(): pass\n")
    audit.run("--strict-markers", config=None).assert_outcomes(passed=1)


def test_beside_a_shipped_audit(third, sut):
    test04 = {"test": "test04", "samples": 8, "only": True, "threshold": 0.9, "probe": False}
    audit = third(audit=[{"test": "floor"}, test04])
    audit.run("-m", "floor or test04").assert_outcomes(passed=7)
    assert sut.received == 20
    assert [entry["id"] for entry in audit.verdict()["audits"]] == ["floor", "test04"]


def test_it_is_an_audit_whatever_else_its_class_has(third):
    audit = third(('id = "floor"', 'id = "floor"\n    kind = "performance"'))
    audit.run("-m", "floor").assert_outcomes(passed=2)
    (floor,) = [entry for entry in audit.verdict()["audits"] if entry["id"] == "floor"]
    assert floor["is_audit"] is True


def test_numpy_figures_are_numbers(third):
    audit = third(
        ("import json\n", "import json\nimport numpy as np\n"),
        ("passed=done == cfg.samples", "passed=np.bool_(done == cfg.samples)"),
        ("observed=qps", "observed=np.float64(qps)"),
    )
    audit.run("-n", "2").assert_outcomes(passed=2)
    assert audit.verdict()["status"] == "PASS"


def test_figures_with_the_names_of_ours_are_figures(third):
    audit = third(
        ('figures={"qps": qps}', 'figures={"ratio": 0.23, "limit_ratio": 1.0, "evidence": "clean", "probe": "CLEAN"}')
    )
    result = audit.run()
    result.assert_outcomes(passed=2)
    result.stdout.no_fnmatch_line("*ratio*")
    result.stdout.no_fnmatch_line("*probe*")
    page = (audit.report() / "report.html").read_text()
    assert "limit_ratio" in page
    for sentence in ("ne input repeated", "Throughput ratio against its limit", "ache probe"):
        assert sentence not in page


DEFECTS = {
    "verify_raises": (
        ("done, qps = ", "1 / 0; done, qps = "),
        "floor: no verdict: audit floor: its verify() failed with ZeroDivisionError: * (conftest.py:*); *",
    ),
    "verify_exits": (
        ("done, qps = ", "raise SystemExit(0); done, qps = "),
        "floor: no verdict: audit floor: its verify() failed with SystemExit: * (conftest.py:*); *",
    ),
    "verify_skips": (
        ("done, qps = ", "import pytest; pytest.skip('no'); done, qps = "),
        "floor: no verdict: audit floor: its verify() failed with Skipped: no *",
    ),
    "checks_mismatch": (
        ('"everything", "qps[once]"]', '"everything", "other"]'),
        "floor: no verdict: audit floor planned the checks *'other'* but verified *",
    ),
    "one_check_too_few": (
        ('"everything", "qps[once]"]', '"everything"]'),
        "floor: no verdict: audit floor planned the checks *",
    ),
    "figure_of_a_strange_type": (
        ('figures={"qps": qps}', 'figures={"qps": object()}'),
        "floor: no verdict: audit floor: its verify() failed with TypeError: a figure of type object *",
    ),
    "no_verdict_at_all": (
        ("return Verdict(", "return None\n        return Verdict("),
        "floor: no verdict: audit floor: its verify() failed with *",
    ),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_after_the_run_is_no_verdict(third, sut, defect):
    replace, message = DEFECTS[defect]
    audit = third(replace)
    result = audit.run()
    assert result.ret == 6
    result.stdout.fnmatch_lines([f"*{message}"])
    assert_no_traceback(result)
    assert sut.received == 4
    assert audit.verdict()["status"] == "NO_VERDICT"


BAD_PLANS = {
    "plan_error": (
        (
            "        return [context.phase",
            "        raise PlanError('too few moons; wait')\n        return [context.phase",
        ),
        "wan22.yaml:*: audit: too few moons; wait",
    ),
    "plan_raises": (
        ("return [context.phase(", "return [context.phrase("),
        "wan22.yaml:*: audit: audit floor: its plan() failed with AttributeError: *(conftest.py:*",
    ),
    "checks_raises": (
        ("def checks(self, cfg, phases)", "def checks(self, cfg)"),
        "*audit floor: its checks() failed *",
    ),
    "two_of_one_name": (("return [Floor()]", "return [Floor(), Floor()]"), "two audits are called 'floor': *"),
    "name_of_a_shipped_one": (('id = "floor"', 'id = "test04"'), "two audits are called 'test04': *"),
    "adapter_of_a_shipped_name": (('"upper"', '"videogen"'), "two endpoint adapters are called 'videogen': *"),
}


@pytest.mark.parametrize("defect", BAD_PLANS)
def test_a_defect_before_the_run_is_refused(third, sut, defect):
    replace, message = BAD_PLANS[defect]
    audit = third(replace)
    result = audit.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}"])
    assert_no_traceback(result)
    assert sut.received == 0
    assert not audit.report().exists()


def assert_no_traceback(result):
    text = f"{result.stdout}{result.stderr}"
    for word in ("Traceback", "INTERNALERROR", "site-packages"):
        assert word not in text
