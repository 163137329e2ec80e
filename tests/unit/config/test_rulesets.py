"""Rulesets by name: what each fixes, and that it takes the place of what the file says."""

from __future__ import annotations

import pytest

from pytest_mlperf_audit.config.rulesets import RULESETS, allowed_caches, find_ruleset, known_rulesets, required_audits

FILE = (
    "type: {type}\nbenchmark_mode: offline\nmodel_params: {{name: m}}\ndatasets: [path: a]\n"
    "submission_ref: {{model: wan-2.2-t2v-a14b, ruleset: {ruleset}}}\nsettings: {settings}\n"
)


def text(ruleset: str = "mlperf-inference-v6.1", kind: str = "submission", settings: str = "{}") -> str:
    return FILE.format(type=kind, ruleset=ruleset, settings=settings)


def test_no_name_is_taken_twice():
    assert len(known_rulesets()) == sum(1 + len(ruleset.aliases) for ruleset in RULESETS)
    assert find_ruleset("mlperf-endpoints-current") is find_ruleset("mlperf-endpoints-v1.0-2026-10-C1-A")
    assert find_ruleset("mlcommons-current") is find_ruleset("mlperf-inference-v6.1")


@pytest.mark.parametrize("kind", ["submission", "offline"])
@pytest.mark.parametrize(
    ("ruleset", "schedule", "sample_index", "qsl"),
    [
        ("mlperf-inference-v5.0", 9933818062894767841, 15036839855038426416, 6023615788873153749),
        ("mlperf-inference-v5.1", 18209322760996052031, 14771362308971278857, 1780908523862526354),
        ("mlperf-inference-v6.0", 3936089224930324775, 14276810075590677512, 2465351861681999779),
        ("mlperf-inference-v6.1", 16159082839903944936, 2747215439041700203, 2085463073848966840),
        ("mlperf-endpoints-v1.0-2026-10-C1-A", 10487924139932647040, 586478644936801402, 0),
        ("mlperf-endpoints-current", 10487924139932647040, 586478644936801402, 0),
        ("mlperf-endpoints-v0.7", 42, 42, 0),
        ("mlperf-edge-v0.1", 42, 42, 0),
    ],
)
def test_a_ruleset_fixes_the_seeds(load, ruleset, schedule, sample_index, qsl, kind):
    loaded = load(text(ruleset, kind))
    runtime = loaded.benchmark.settings.runtime
    assert (runtime.scheduler_random_seed, runtime.dataloader_random_seed) == (schedule, sample_index)
    assert runtime.qsl_rng_seed == qsl
    assert loaded.benchmark.settings.warmup.warmup_random_seed == sample_index
    assert loaded.warnings == ()


def test_other_seeds_in_the_file_give_way_and_are_named(load):
    loaded = load(
        text(settings="\n  runtime: {dataloader_random_seed: 7, scheduler_random_seed: 16159082839903944936}")
    )
    assert loaded.benchmark.settings.runtime.dataloader_random_seed == 2747215439041700203
    (warning,) = loaded.warnings
    assert warning == (
        "wan22.yaml:7: settings.runtime.dataloader_random_seed: 7 gives way to 2747215439041700203, the seed of "
        "mlperf-inference-v6.1"
    )


@pytest.mark.parametrize(
    ("kind", "settings", "floor_ms"),
    [
        ("submission", "{}", 600_000),
        ("submission", "{runtime: {min_duration_ms: 20m}}", 1_200_000),
        ("submission", "{runtime: {min_duration_ms: 0}}", 0),
        ("offline", "{}", 0),
    ],
)
def test_a_submission_lasts_as_long_as_its_ruleset_says_unless_the_file_does(load, kind, settings, floor_ms):
    loaded = load(text(kind=kind, settings=settings))
    assert loaded.benchmark.settings.runtime.min_duration_ms == floor_ms
    said = [warning for warning in loaded.warnings if "min_duration_ms" in warning]
    assert len(said) == (kind == "submission" and floor_ms == 0)
    if said:
        told = "0 s is less than the 600 s of mlperf-inference-v6.1; MLPerf's checker refuses such a run"
        assert said == [f"wan22.yaml:6: settings.runtime.min_duration_ms: {told}"]


@pytest.mark.parametrize(("concurrency", "floor_ms"), [(1, 600_000), (32, 600_000), (33, 1_200_000)])
def test_a_point_of_endpoints_lasts_longer_above_the_lowest_region(load, concurrency, floor_ms):
    settings = f"{{load_pattern: {{type: concurrency, target_concurrency: {concurrency}}}}}"
    of_endpoints = text("mlperf-endpoints-current", settings=settings).replace("mode: offline", "mode: online")
    assert load(of_endpoints).benchmark.settings.runtime.min_duration_ms == floor_ms


@pytest.mark.parametrize(("model", "floor_ms"), [("e2e-rag-db", 0), ("e2e-rag-qna", 0), ("whisper", 600_000)])
def test_a_benchmark_of_one_pass_has_no_floor(load, model, floor_ms):
    loaded = load(text().replace("wan-2.2-t2v-a14b", model))
    assert loaded.benchmark.settings.runtime.min_duration_ms == floor_ms


def test_a_ceiling_below_the_rulesets_floor_is_a_fault(fault):
    message = fault(text(settings="{runtime: {max_duration_ms: 60s}}"))
    assert message == (
        "wan22.yaml:6: settings.runtime.max_duration_ms: 60 s is less than the 600 s that mlperf-inference-v6.1 asks "
        "for; raise it, or set min_duration_ms for a run that is no submission"
    )


@pytest.mark.parametrize(
    ("ruleset", "hint"),
    [("mlperf-inference-v6.2", "did you mean"), ("no-such-round", "known are mlperf-inference-v5.0, mlperf-inf")],
)
@pytest.mark.parametrize("kind", ["submission", "offline"])
def test_an_unknown_ruleset_is_a_fault_with_the_known_ones(fault, ruleset, hint, kind):
    message = fault(text(ruleset, kind))
    assert message.startswith(f"wan22.yaml:5: submission_ref.ruleset: no ruleset is called {ruleset!r}")
    assert hint in message
    assert "mlperf-endpoints-v1.0-2026-10-C1-A" in message


def test_a_finished_runs_file_is_read_as_it_stands(load_as_written):
    """What was sent is judged; a name that was free text then is no fault now."""
    for ruleset in ("mlperf-endpoints-v0.5", "mlperf-inference-v6.1"):
        runtime = load_as_written(text(ruleset)).benchmark.settings.runtime
        assert (runtime.dataloader_random_seed, runtime.min_duration_ms) == (42, 0)


@pytest.mark.parametrize(
    ("ruleset", "division", "allowed"),
    [
        ("", None, set()),
        ("mlperf-inference-v6.1", None, set()),
        ("mlperf-inference-v6.1", "open", set()),
        ("mlperf-endpoints-v1.0-2026-10-C1-A", None, {"prefix", "multimodal"}),
        ("mlperf-endpoints-v1.0-2026-10-C1-A", "standardized-cop", {"prefix", "multimodal"}),
        ("mlperf-endpoints-v1.0-2026-10-C1-A", "standardized-con", set()),
        ("mlperf-endpoints-current", "serviced", {"prefix", "coalescing", "multimodal"}),
        ("mlperf-endpoints-current", "rdi", None),
        ("mlperf-endpoints-v0.5", None, {"prefix", "multimodal"}),
    ],
)
def test_what_a_division_allows_to_be_cached(ruleset, division, allowed):
    assert allowed_caches(ruleset, division) == allowed


def test_a_division_of_another_ruleset_is_a_fault(fault):
    message = fault(text().replace("v6.1}", "v6.1, division: serviced}"))
    assert message == (
        "wan22.yaml:5: submission_ref.division: mlperf-inference-v6.1 has no division 'serviced'; "
        "it has closed, network, open"
    )


@pytest.mark.parametrize(
    ("version", "benchmark", "division", "tests"),
    [
        ("v6.1", "wan-2.2-t2v-a14b", None, ("test04",)),
        ("v6.1", "gpt-oss-120b", None, ("test07", "test09")),
        ("v6.1", "gpt-oss-120b", "open", ()),
        ("v6.0", "pointpainting", None, ("test01", "test04")),
        ("v6.1", "pointpainting", None, ()),
        ("v6.1", "bert", None, ("test01",)),
        ("v6.1", "LLAMA3_1-8b", None, ("test06",)),
        ("v6.1", "llama-2-70b", None, ("test06",)),
        ("v6.1", "resnet50", None, ("test01", "test04")),
        ("v6.1", "dlrm-v3", None, ("test08",)),
        ("v5.0", "gptj-99.9", None, ("test06",)),
        ("v6.1", "llama3.1-8b-edge", None, ()),
    ],
)
def test_the_audits_that_a_benchmark_must_pass(version, benchmark, division, tests):
    ruleset = find_ruleset(f"mlperf-inference-{version}")
    assert ruleset is not None
    assert required_audits(ruleset, benchmark, division) == tests
