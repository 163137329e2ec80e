"""--mlperf-plan prints what would be sent, and sends nothing."""

from __future__ import annotations

import pytest


def test_plan(audit, sut):
    audit.config(
        sut,
        name="wan22.yaml",
        type="online",
        audit={"only": False, "audit_samples": 5},
        settings={
            "load_pattern": {"type": "concurrency", "target_concurrency": 2},
            "runtime": {"max_duration_ms": "4h", "n_samples_to_issue": 10},
        },
    )
    result = audit.run("--mlperf-plan")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "wan22.yaml: *",
            f"  endpoint: {sut.url} (videogen)",
            "  data set: prompts, 16 rows loaded",
            "    first row: {'prompt': 'scene 0'}",
            "  report:   mlperf-reports/wan22",
            "  test04: *",
            "    reference: 8 queries, *",
            "    output_caching: 5 queries, *",
            "    checks: completion[[]reference], *",
            "  performance: *",
            "    performance: 10 queries, concurrency 2, at most 14400 s; about 5 s at 1 s a query, 5 min at 60 s",
            "  in all 23 queries, up to 213 if a check stays open",
        ]
    )
    assert sut.received == 0
    assert not audit.report().exists()


@pytest.mark.parametrize("args", [("-n", "2"), ("-p", "no:terminal"), ("-q",)])
def test_plan_with_other_options(audit, sut, args):
    audit.config(sut)
    result = audit.run("--mlperf-plan", *args)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["  in all 16 queries, up to 476 if a check stays open"])
    assert sut.received == 0


def test_plan_refuses_what_a_run_would(audit, sut):
    audit.config(sut, audit={"samples": 99})
    result = audit.run("--mlperf-plan")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: wan22.yaml:*samples: 99*"])
