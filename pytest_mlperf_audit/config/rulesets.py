"""MLPerf's rulesets by the name that `submission_ref.ruleset` gives: what each fixes. Tables only; each has its source.

Inference: mlcommons/inference at commit b66003e1 (2026-08), `tools/submission/submission_checker/constants.py`
(MODEL_CONFIG: `seeds`, `models_TEST01` and on; TEST_DURATION_MS; OFFLINE_MIN_SPQ_SINCE_V4), and
mlcommons/inference_policies `inference_rules.adoc` (caching of queries, responses and intermediate results is
prohibited, a KV cache does not apply across queries). The checker asks for no audit in the open division.

Endpoints: mlcommons/endpoints_policies `seedset.yaml` (the cohorts' seed sets) and `endpoints_rules.md`, version 1.0
(§ 2.2.1, 2.2.2, 2.3.1, 2.4.1 and 2.9.5: what may be cached, by division; § 2.9.5.1: the salt; § 6.2: durations). v0.7
had 42 for every seed. Edge: mlcommons/endpoints `config/rulesets/mlcommons/rules.py`. The names are those of that
tool's `config/ruleset_registry.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Seeds:
    """The seeds of a round. LoadGen's `qsl` is None where no LoadGen runs, `model` where the round has none."""

    schedule: int
    sample_index: int
    qsl: int | None = None
    model: int | None = None


@dataclass(frozen=True, kw_only=True)
class Division:
    """What a division allows to be cached, by the cache probe's names of kinds, and whether it asks for audits.

    `allowed` is None where every cache is allowed.
    """

    name: str
    allowed: frozenset[str] | None = frozenset()
    audited: bool = True


@dataclass(frozen=True, kw_only=True)
class Ruleset:
    """A round's or a cohort's rules.

    `min_duration_ms` is that of a performance run; `no_floor` are the benchmarks without one, and `longer` says above
    which concurrency it is how many ms. `points`: a run is a point of a curve, at a fixed concurrency, with streamed
    replies. `audits` are the
    benchmarks that must pass a test, by the test's id, under the submission checker's names. `offline_samples` are the
    fewest samples of a closed Offline run, by benchmark. The first of `divisions` holds where none is named. `salted`
    says that each prompt of the performance run must carry a salt.
    """

    name: str
    aliases: tuple[str, ...] = ()
    seeds: Seeds
    divisions: tuple[Division, ...]
    min_duration_ms: int = 0
    no_floor: frozenset[str] = frozenset()
    longer: tuple[int, int] | None = None
    points: bool = False
    audits: Mapping[str, frozenset[str]] = field(default_factory=dict)
    offline_samples: Mapping[str, int] = field(default_factory=dict)
    salted: bool = False

    def floor_ms(self, benchmark: str, concurrency: int | None) -> int:
        """Return how long a performance run must last, at a concurrency where it has one."""
        if benchmark in self.no_floor:
            return 0
        if self.longer and concurrency is not None and concurrency > self.longer[0]:
            return self.longer[1]
        return self.min_duration_ms

    def division(self, name: str | None) -> Division | None:
        """Return a division by name, the first without one, None where there is none of that name."""
        if name is None:
            return self.divisions[0]
        return next((division for division in self.divisions if division.name == name), None)


_TEN_MINUTES_MS = 600_000


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_CLOSED = (Division(name="closed"), Division(name="network"), Division(name="open", audited=False))

_V5_0_TEST01 = _names(
    "resnet retinanet bert-99 bert-99.9 dlrm-v2-99 dlrm-v2-99.9 3d-unet-99 3d-unet-99.9 stable-diffusion-xl rgat "
    "pointpainting"
)
_V5_1_TEST06 = _names(
    "llama2-70b-99 llama2-70b-99.9 llama2-70b-interactive-99 llama2-70b-interactive-99.9 llama3.1-405b llama3.1-8b "
    "llama3.1-8b-interactive llama3.1-405b-interactive mixtral-8x7b deepseek-r1"
)

#: OFFLINE_MIN_SPQ_SINCE_V4, one table for all versions.
_OFFLINE: Final = {
    "resnet": 24576,
    "retinanet": 24576,
    "bert-99": 10833,
    "bert-99.9": 10833,
    "dlrm-v2-99": 24576,
    "dlrm-v2-99.9": 24576,
    "3d-unet-99": 43,
    "3d-unet-99.9": 43,
    "llama3.1-8b": 13368,
    "llama3.1-8b-edge": 5000,
    "llama2-70b-99": 24576,
    "llama2-70b-99.9": 24576,
    "llama2-70b-interactive-99": 24576,
    "llama2-70b-interactive-99.9": 24576,
    "stable-diffusion-xl": 5000,
    "mixtral-8x7b": 15000,
    "llama3.1-405b": 8313,
    "rgat": 788379,
    "deepseek-r1": 4388,
    "gpt-oss-120b": 6396,
    "whisper": 1633,
    "pointpainting": 6636,
    "yolo-99": 1525,
    "yolo-95": 1525,
    "dlrm-v3": 349823,
    "qwen3-vl-235b-a22b": 48289,
    "wan-2.2-t2v-a14b": 50,
    "e2e-rag-qna": 824,
    "e2e-rag-db": 2515,
}


def _inference(version: str, seeds: Seeds, audits: Mapping[str, frozenset[str]], *aliases: str) -> Ruleset:
    return Ruleset(
        name=f"mlperf-inference-{version}",
        aliases=aliases,
        seeds=seeds,
        divisions=_CLOSED,
        min_duration_ms=_TEN_MINUTES_MS,
        no_floor=_names("e2e-rag-qna e2e-rag-db"),
        audits=audits,
        offline_samples=_OFFLINE,
    )


#: Above the Ultra Low Concurrency region a point lasts 20 minutes.
_LONGER = (32, 1_200_000)
#: Prefixes may be used again by name. Of images that were seen before the rules say nothing: told, it fails nothing.
_PREFIX = frozenset({"prefix", "multimodal"})
_ENDPOINTS = (
    Division(name="standardized-cop", allowed=_PREFIX),
    Division(name="standardized-con"),
    Division(name="serviced", allowed=_PREFIX | {"coalescing"}),
    Division(name="rdi", allowed=None, audited=False),
)

RULESETS: Final = (
    _inference(
        "v5.0",
        Seeds(qsl=6023615788873153749, sample_index=15036839855038426416, schedule=9933818062894767841),
        {
            "test01": _V5_0_TEST01,
            "test04": _names("resnet stable-diffusion-xl pointpainting"),
            "test06": _names(
                "llama2-70b-99 llama2-70b-99.9 llama2-70b-interactive-99 llama2-70b-interactive-99.9 gptj-99 gptj-99.9 "
                "mixtral-8x7b"
            ),
        },
    ),
    _inference(
        "v5.1",
        Seeds(qsl=1780908523862526354, sample_index=14771362308971278857, schedule=18209322760996052031),
        {
            "test01": _V5_0_TEST01 | {"whisper"},
            "test04": _names("resnet stable-diffusion-xl pointpainting"),
            "test06": _V5_1_TEST06,
        },
    ),
    _inference(
        "v6.0",
        Seeds(qsl=2465351861681999779, sample_index=14276810075590677512, schedule=3936089224930324775),
        {
            "test01": _V5_0_TEST01 | {"whisper", "yolo-99", "yolo-95"},
            "test04": _names("resnet stable-diffusion-xl pointpainting wan-2.2-t2v-a14b"),
            "test06": _V5_1_TEST06,
            "test07": _names("gpt-oss-120b"),
            "test08": _names("dlrm-v3"),
            "test09": _names("gpt-oss-120b"),
        },
    ),
    _inference(
        "v6.1",
        Seeds(qsl=2085463073848966840, sample_index=2747215439041700203, schedule=16159082839903944936),
        {
            "test01": _names(
                "resnet bert-99 bert-99.9 3d-unet-99 3d-unet-99.9 stable-diffusion-xl rgat whisper yolo-99 yolo-95"
            ),
            "test04": _names("resnet stable-diffusion-xl wan-2.2-t2v-a14b"),
            "test06": _names(
                "llama2-70b-99.9 llama2-70b-interactive-99 llama2-70b-interactive-99.9 llama3.1-8b "
                "llama3.1-8b-interactive deepseek-r1"
            ),
            "test07": _names("gpt-oss-120b"),
            "test08": _names("dlrm-v3"),
            "test09": _names("gpt-oss-120b e2e-rag-qna"),
        },
        "mlcommons-current",
    ),
    Ruleset(
        name="mlperf-endpoints-v1.0-2026-10-C1-A",
        aliases=("mlperf-endpoints-current",),
        seeds=Seeds(schedule=10487924139932647040, sample_index=586478644936801402, model=9315206023656308754),
        divisions=_ENDPOINTS,
        min_duration_ms=_TEN_MINUTES_MS,
        longer=_LONGER,
        points=True,
        salted=True,
    ),
    Ruleset(
        name="mlperf-endpoints-v0.7",
        seeds=Seeds(schedule=42, sample_index=42, model=42),
        divisions=_ENDPOINTS,
        min_duration_ms=_TEN_MINUTES_MS,
        longer=_LONGER,
        points=True,
    ),
    Ruleset(
        name="mlperf-edge-v0.1",
        aliases=("mlperf-edge-current",),
        seeds=Seeds(schedule=42, sample_index=42),
        divisions=(Division(name="closed"),),
    ),
)

_BY_NAME: Final = {name: ruleset for ruleset in RULESETS for name in (ruleset.name, *ruleset.aliases)}


def find_ruleset(name: str) -> Ruleset | None:
    """Return the ruleset of a name or an alias, None where none has it."""
    return _BY_NAME.get(name)


def known_rulesets() -> list[str]:
    """Return the names and aliases of all rulesets."""
    return list(_BY_NAME)


def allowed_caches(ruleset: str, division: str | None = None) -> frozenset[str] | None:
    """Return the kinds of cache that a ruleset's division allows, None for all; without a ruleset none is allowed.

    Runs of before rulesets were known by name may say `mlperf-endpoints` and anything behind it.
    """
    known = find_ruleset(ruleset)
    if known is None:
        return _PREFIX if ruleset.startswith("mlperf-endpoints") else frozenset()
    found = known.division(division)
    return found.allowed if found else frozenset()


def salt_seed(name: str) -> int | None:
    """Return the seed of the salt that a ruleset asks for, of its seed set; None where it asks for none."""
    ruleset = find_ruleset(name)
    return ruleset.seeds.sample_index if ruleset and ruleset.salted else None


def required_audits(ruleset: Ruleset, benchmark: str, division: str | None = None) -> tuple[str, ...]:
    """Return the ids of the tests that a benchmark must pass, as `test04`, in order; none where the division has none.

    `benchmark` is one of the submission checker's names, or such a name less `-99` or `-99.9`.
    """
    found = ruleset.division(division)
    if found is None or not found.audited:
        return ()
    names = _names_of(benchmark)
    return tuple(sorted(test for test, benchmarks in ruleset.audits.items() if names & benchmarks))


def knows_benchmark(ruleset: Ruleset, benchmark: str) -> bool:
    """Whether a ruleset asks for an audit or a number of samples of a benchmark, named as for `required_audits`."""
    return not _names_of(benchmark).isdisjoint({*ruleset.offline_samples, *frozenset().union(*ruleset.audits.values())})


def least_offline_samples(ruleset: Ruleset, benchmark: str, division: str | None = None) -> int:
    """Return the fewest samples of an Offline run of a benchmark, named as for `required_audits`; 0 for no bound."""
    found = ruleset.division(division)
    if found is None or not found.audited:
        return 0
    return max((ruleset.offline_samples.get(name, 0) for name in _names_of(benchmark)), default=0)


#: The checker's `model_mapping`, less what a change of `_` to `.` does, and names in the endpoints tool's YAMLs.
_MAPPED: Final = {"resnet50": "resnet", "mobilenet": "resnet", "ssd-resnet34": "retinanet", "llama-2-70b": "llama2-70b"}


def _names_of(benchmark: str) -> set[str]:
    name = benchmark.strip().lower().replace("_", ".")
    name = _MAPPED.get(name, name)
    return {name, f"{name}-99", f"{name}-99.9"}
