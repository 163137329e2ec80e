"""--mlperf-compare holds a run against an earlier one, as tests; what cannot be compared is refused before a query."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pytest_mlperf_audit.verdicts.files import read_verdict, write_verdict

ALLOWED = "--mlperf-compare-threshold=150%"  # wide: a busy machine doubles a latency
ANY = "--mlperf-compare-threshold=900%"


def _config(audit: Any, ms: int = 4, name: str = "wan22.yaml", samples: int = 60, **blocks: Any) -> Path:
    """Write a YAML with a main run of `samples` queries one after the other, and an audit that is left out."""
    settings = {
        "load_pattern": {"type": "concurrency", "target_concurrency": 1},
        "runtime": {"n_samples_to_issue": samples},
    }
    asked: dict[str, Any] = {
        "type": "online",
        "audit": {"only": False},
        "settings": settings,
        "endpoint_config": {"simulated": {"service_time_ms": ms, "lanes": 1}},
    }
    return audit.config(None, name, **{**asked, **blocks})  # type: ignore[no-any-return]


@pytest.fixture
def earlier(audit: Any) -> Path:
    """The report directory of a run of 60 queries of 4 ms."""
    _config(audit)
    assert audit.run("-m", "performance", "--mlperf-report-dir=earlier", "--mlperf-history=history.jsonl").ret == 0
    return Path(audit.path, "earlier")


@pytest.mark.usefixtures("earlier")
@pytest.mark.parametrize("against", ["earlier", "history.jsonl"])
def test_a_run_that_is_as_fast_passes(audit, spread, against: str):
    result = audit.run("-m", "performance or compare", f"--mlperf-compare={against}", ANY, "-v", *spread)
    assert result.ret == 0
    result.stdout.fnmatch_lines_random(["*wan22.yaml::compare::throughput*", "*wan22.yaml::compare::latency_p50*"])
    result.stdout.fnmatch_lines(["PASS compare: performance performance, against *", "  throughput: *"])
    verdict = audit.verdict()
    assert verdict["comparison"]["status"] == "PASS"
    assert verdict["comparison"]["threshold"] == 9
    assert "Compared with an earlier run" in (audit.report() / "report.html").read_text()


@pytest.mark.usefixtures("earlier")
@pytest.mark.parametrize("against", ["earlier", "history.jsonl"])
def test_a_slower_run_fails_and_says_by_how_much(audit, against: str):
    _config(audit, ms=40)
    result = audit.run("-m", "performance or compare", f"--mlperf-compare={against}", ALLOWED)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["FAILED wan22.yaml::compare::latency_p50 - median latency: slower by*"])
    assert audit.verdict()["status"] in {"PASS", "INCOMPLETE"}
    assert audit.verdict()["comparison"]["status"] == "FAIL"


def test_what_the_queries_leave_open_is_no_pass(audit):
    _config(audit, samples=20)
    assert audit.run("-m", "performance", "--mlperf-report-dir=earlier").ret == 0
    result = audit.run("-m", "performance or compare", "--mlperf-compare=earlier")
    assert result.ret == 6
    result.stdout.fnmatch_lines(["throughput: undecided: the earlier run has too few completed queries*"])
    assert audit.verdict()["comparison"]["status"] == "NO_VERDICT"


@pytest.mark.usefixtures("earlier")
def test_a_comparison_alone_runs_what_it_needs(audit):
    result = audit.run("wan22.yaml::compare", "--mlperf-compare=earlier", ANY)
    result.assert_outcomes(passed=2)
    assert [phase["label"] for entry in audit.verdict()["audits"] for phase in entry["phases"]] == ["performance"]


@pytest.mark.usefixtures("earlier")
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"samples": 48}, "its queries were 60, and are 48 here"),
        ({"datasets": [{"path": "other.jsonl"}]}, "sent another request for row"),
        ({"endpoint_config": {"endpoints": ["http://127.0.0.1:9"]}}, "the simulated endpoint answered there"),
        (
            {"endpoint_config": {"api_type": "openai", "simulated": {"service_time_ms": 4, "lanes": 1}}},
            "has api_type videogen, and wan22.yaml has openai",
        ),
    ],
)
def test_another_workload_is_refused_before_a_query(audit, change: dict[str, Any], says: str):
    rows = Path(audit.path, "prompts.jsonl").read_text().splitlines()
    Path(audit.path, "other.jsonl").write_text("\n".join(reversed(rows)))
    _config(audit, **change)
    result = audit.run("-m", "performance or compare", "--mlperf-compare=earlier")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --mlperf-compare: *{says}*"])
    assert not audit.report().exists()


def test_other_rows_are_refused_before_a_query(audit, earlier: Path):
    rows = Path(audit.path, "prompts.jsonl")
    rows.write_text(rows.read_text().replace("scene", "view"))
    result = audit.run(f"--mlperf-compare={earlier}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --mlperf-compare: *sent another request for row*"])


@pytest.mark.parametrize(
    ("against", "says"),
    [
        ("nowhere", "no such file or directory"),
        (".", "holds no verdict.json"),
        ("wan22.yaml", "is the YAML that is run itself"),
        ("empty.jsonl", "has no run of this workload among its 0"),
    ],
)
def test_nothing_to_compare_with_is_refused(audit, against: str, says: str):
    _config(audit)
    Path(audit.path, "empty.jsonl").touch()
    result = audit.run(f"--mlperf-compare={against}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --mlperf-compare: *{says}*"])


def test_two_yamls_are_compared_in_one_session(audit):
    _config(audit, name="one.yaml")
    _config(audit, ms=40, name="two.yaml")
    options = ["--mlperf-config=one.yaml", "--mlperf-config=two.yaml", "--mlperf-compare=one.yaml"]
    result = audit.run(*options, "-m", "performance or compare", config=None)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["FAIL compare: performance performance, against one.yaml"])
    verdict = json.loads(Path(audit.path, "mlperf-reports", "one", "verdict.json").read_text())
    assert verdict["comparison"] is None


def test_failed_queries_are_no_speed_up(audit, earlier: Path):
    simulated = {"service_time_ms": 1, "lanes": 1, "error_rate": 0.3}
    _config(audit, endpoint_config={"simulated": simulated})
    result = audit.run("wan22.yaml::compare", f"--mlperf-compare={earlier}", ALLOWED)
    assert result.ret == 6
    result.stdout.fnmatch_lines(["*undecided: * of the queries of this run failed*"])


@pytest.mark.parametrize("given", ["fast", "-3%", "0"])
def test_a_threshold_is_a_share(audit, given: str):
    _config(audit)
    result = audit.run("--mlperf-compare=earlier", f"--mlperf-compare-threshold={given}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*is no share in per cent; give for example 10%*"])


def test_a_history_grows_by_a_line_a_run_and_its_spread_counts(audit):
    _config(audit, ms=2, samples=30)
    for _ in range(6):
        assert audit.run("-m", "performance", "--mlperf-history=h.jsonl").ret == 0
    assert len(Path(audit.path, "h.jsonl").read_text().splitlines()) == 6
    audit.run_with_pictures("-m", "performance or compare", "--mlperf-compare=h.jsonl", "--mlperf-history=h.jsonl", ANY)
    comparison = audit.verdict()["comparison"]
    assert comparison["against"] == "6 runs of h.jsonl"
    assert len(comparison["trend"]) == 7
    assert "chart trend" in (audit.report() / "report.html").read_text()


@pytest.mark.usefixtures("earlier")
def test_a_recheck_confirms_a_comparison_and_finds_it_edited(audit):
    assert audit.run("-m", "performance or compare", "--mlperf-compare=earlier", ANY).ret == 0
    where = audit.report()
    assert audit.run(f"--mlperf-recheck={where}", "-k", "records", config=None).ret == 0
    verdict = read_verdict(where / "verdict.json")
    figures = tuple(
        msgspec.structs.replace(figure, after=figure.after and figure.after * 2)
        for figure in verdict.comparison.figures  # type: ignore[union-attr]
    )
    edited = msgspec.structs.replace(
        verdict,
        comparison=msgspec.structs.replace(verdict.comparison, figures=figures),  # type: ignore[type-var]
    )
    write_verdict(edited, where)
    result = audit.run(f"--mlperf-recheck={where}", "-k", "records", config=None)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*comparison*after*"])


def test_a_recheck_compares_nothing(audit, earlier: Path):
    result = audit.run(f"--mlperf-recheck={earlier}", "--mlperf-compare=earlier", config=None)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --mlperf-compare*--mlperf-recheck*"])
