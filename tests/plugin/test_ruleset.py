"""`submission_ref.ruleset`: what it fixes is what is sent and recorded, and what a submission lacks is said."""

from __future__ import annotations

import pytest
import yaml

V6_1 = {"model": "wan-2.2-t2v-a14b", "ruleset": "mlperf-inference-v6.1"}
SAMPLE_INDEX = 2747215439041700203
SUBMISSION = {"type": "submission", "benchmark_mode": "offline", "submission_ref": V6_1}
POISSON = {"type": "poisson", "target_qps": 5}
CLOSED = {"type": "concurrency", "target_concurrency": 2}
SHORT = {"runtime": {"min_duration_ms": 0, "dataloader_random_seed": 7}}


def test_the_seeds_of_the_ruleset_order_what_is_sent(audit, sut):
    audit.config(sut, settings=SHORT, submission_ref=V6_1)
    result = audit.run()
    assert result.ret == 0, str(result.stdout)
    result.stdout.fnmatch_lines(["*dataloader_random_seed: 7 gives way to 2747215439041700203*"])
    runtime = yaml.safe_load((audit.report() / "config.yaml").read_text())["settings"]["runtime"]
    assert (runtime["dataloader_random_seed"], runtime["scheduler_random_seed"]) == (SAMPLE_INDEX, 16159082839903944936)
    assert audit.phase("reference")["spec"]["order"]["seed"] == SAMPLE_INDEX
    assert audit.run(f"--mlperf-recheck={audit.report()}", config=None).ret == 0


def test_an_unknown_ruleset_keeps_the_run_from_starting(audit, sut):
    audit.config(sut, submission_ref={**V6_1, "ruleset": "mlperf-inference-6.1"})
    result = audit.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: wan22.yaml:*submission_ref.ruleset: no ruleset is called 'mlperf-inference-6.1'; did you mean *"]
    )
    assert sut.received == 0


@pytest.mark.parametrize(
    ("division", "n_samples", "said"),
    [
        (None, 12, ["requires TEST01 of resnet", "requires TEST04 of resnet", "asks for 24576 samples or more"]),
        ("open", 12, []),
    ],
)
def test_what_a_submission_lacks(audit, sut, division, n_samples, said):
    reference = {"model": "resnet", "ruleset": "mlperf-inference-v6.1", "division": division}
    audit.config(
        sut,
        audit=None,
        settings={"runtime": {"n_samples_to_issue": n_samples}},
        **{**SUBMISSION, "submission_ref": reference},
    )
    result = audit.run("--mlperf-plan")
    assert result.ret == 0
    shown = str(result.stdout)
    assert [line for line in shown.splitlines() if "mlperf-inference-v6.1 requires" in line or "asks for" in line] == [
        line for line in shown.splitlines() if any(part in line for part in said)
    ]
    for part in said:
        assert part in shown
    assert "at least 600 s" in shown


def test_a_model_that_the_ruleset_does_not_know_is_told(audit, sut):
    """What it requires would not be looked up, and nobody would see that."""
    reference = {"model": "lama3.1-8b", "ruleset": "mlperf-inference-v6.1"}
    audit.config(sut, audit=None, **{**SUBMISSION, "submission_ref": reference})
    shown = " ".join(str(audit.run("--mlperf-plan").stdout).split())
    assert "submission_ref.model: 'lama3.1-8b' is no benchmark that mlperf-inference-v6.1 asks anything of" in shown


@pytest.mark.parametrize(
    ("model", "benchmark_mode", "load", "least"),
    [
        ("stable-diffusion-xl", "offline", None, 500),
        ("wan-2.2-t2v-a14b", "offline", None, 20),
        ("wan-2.2-t2v-a14b", "online", {"type": "concurrency", "target_concurrency": 1}, 20),
        ("stable-diffusion-xl", "online", {"type": "concurrency", "target_concurrency": 1}, 0),
        ("resnet", "offline", None, 0),
    ],
)
def test_too_few_queries_of_test04_are_told(audit, sut, model, benchmark_mode, load, least):
    reference = {"model": model, "ruleset": "mlperf-inference-v6.1"}
    settings = {"load_pattern": load} if load else {}
    submission = {"type": "submission", "benchmark_mode": benchmark_mode, "submission_ref": reference}
    audit.config(sut, audit={"only": False}, settings=settings, **submission)
    shown = " ".join(str(audit.run("--mlperf-plan").stdout).split())
    told = f"asks for {least} queries or more in each phase of TEST04 of {model}"
    assert ("queries or more in each phase" in shown, told in shown) == (least > 0, least > 0)
    assert (f"this one has 8; set samples: {least} and sample_index: 3" in shown) == (least > 0)


def test_a_submission_that_has_all_is_not_told_of_anything(audit, sut):
    audit.rows(60)
    audit.config(sut, audit={"only": False, "samples": 20}, **SUBMISSION)  # MLPerf's count for the model
    shown = str(audit.run("--mlperf-plan").stdout)
    assert "mlperf-inference-v6.1" not in shown
    assert shown.count("at least 600 s") >= 3, "both phases of the audit, and the performance run"


@pytest.mark.parametrize(
    ("load", "streaming", "audit_block", "division", "said"),
    [
        (POISSON, "off", None, None, ["poisson arrivals", "streamed replies", "audits in the division standardized"]),
        (CLOSED, "on", {"only": False}, "serviced", []),
        (CLOSED, "on", None, "serviced", ["audits in the division serviced"]),
        (CLOSED, "on", None, "rdi", []),
    ],
)
def test_what_a_point_of_endpoints_lacks(audit, load, streaming, audit_block, division, said):
    reference = {"model": "llama3.1-8b", "ruleset": "mlperf-endpoints-current", "division": division}
    audit.config(
        None,
        type="submission",
        benchmark_mode="online",
        accuracy=False,
        submission_ref=reference,
        audit=audit_block,
        model_params={"name": "m", "streaming": streaming},
        endpoint_config={"api_type": "openai", "simulated": {"service_time_ms": 1}},
        settings={"load_pattern": load},
    )
    result = audit.run("--mlperf-plan")
    assert result.ret == 0
    told = [line for line in result.outlines if "mlperf-endpoints-v1.0-2026-10-C1-A" in line]
    assert len(told) == len(said)
    for part, line in zip(said, told, strict=True):
        assert part in line
