"""Which audits a round requires of a result, and which round a tree is of.

Rules: mlcommons/inference `tools/submission/submission_checker` at commit b66003e1: `checks/compliance_check.py`
(get_test_list, dir_exists_check, compliance_endpoints_check), `configuration/configuration.py` (get_mlperf_model),
`constants.py` (model_mapping, ENDPOINTS_ALLOWED_MODELS, seeds, and models_TEST01 and on, which are in
config/rulesets.py). The checker knows the rounds from v5.0 on.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from ...config.rulesets import RULESETS, Ruleset, find_ruleset, knows_benchmark
from ...errors import RecordError
from ...loadgen.summary import read_summary
from .place import folded

#: The checker asks these for audits, and leaves the open division alone.
AUDITED_DIVISIONS: Final = frozenset({"closed", "network"})
DIVISIONS: Final = AUDITED_DIVISIONS | {"open"}
_PREFIX: Final = "mlperf-inference-"
_NAME = re.compile(r"(?:.*[^a-z0-9.])?(v[0-9]+\.[0-9]+)", re.IGNORECASE)
_MAPPED: Final = {
    "ssd-resnet34": "retinanet",
    "mobilenet": "resnet",
    "resnet50": "resnet",
    "llama3_1-405b": "llama3.1-405b",
    "llama3_1-8b": "llama3.1-8b",
    "llama3_1-8b-edge": "llama3.1-8b-edge",
}
#: What the checker takes a name for that contains one of these, in this order.
_GUESSED: Final = {
    "mobilenet": "resnet",
    "efficientnet": "resnet",
    "resnet50": "resnet",
    "bert-99.9": "bert-99.9",
    "bert-99": "bert-99",
    "llama3_1-405b": "llama3.1-405b",
}
#: The one audit file that the checker requires of an endpoints submission, and of which model.
_ENDPOINTS_TEST, _ENDPOINTS_MODEL = "test04", "wan-2.2-t2v-a14b"
#: ENDPOINTS_ALLOWED_MODELS.
ENDPOINTS_MODELS: Final = frozenset(
    {
        *("wan-2.2-t2v-a14b", "qwen3-vl-235b-a22b", "qwen3.6-27b", "llama3.1-8b", "llama3.1-8b-edge"),
        *("gpt-oss-120b", "deepseek-r1"),
    }
)
#: Runs that are asked for their seeds where no name tells the round.
_MOST_ASKED: Final = 50


def round_named(path: Path) -> str:
    """Return the round that a path names, as `v6.0`: the last part above the division that ends in a version, or ""."""
    named = [match[1].lower() for part in (above_division(path) or path).parts if (match := _NAME.fullmatch(part))]
    return named[-1] if named else ""


def above_division(path: Path) -> Path | None:
    """Return the part of a path that stands above its division, None where it names none."""
    divisions = [at for at, part in enumerate(path.parts) if folded(part) in DIVISIONS]
    return Path(*path.parts[: divisions[-1]]) if divisions else None


def round_by_seeds(runs: Iterable[Path]) -> str:
    """Return the round that most of these runs have the seeds of, by their summaries; "" where none has any round's."""
    found: Counter[str] = Counter()
    for path in list(runs)[:_MOST_ASKED]:
        try:
            summary = read_summary(path)
        except RecordError:
            continue
        seeds = summary.qsl_rng_seed, summary.sample_index_rng_seed, summary.schedule_rng_seed
        found.update(name for name, fixed in _SEEDS.items() if fixed == seeds)
    return found.most_common(1)[0][0] if found else ""


_SEEDS: Final = {
    ruleset.name.removeprefix(_PREFIX): (ruleset.seeds.qsl, ruleset.seeds.sample_index, ruleset.seeds.schedule)
    for ruleset in RULESETS
    if ruleset.name.startswith(_PREFIX)
}


_KNOWN_ROUNDS: Final = sorted(_SEEDS)


def known_rounds() -> list[str]:
    """Return the rounds whose required audits are known: v5.0 and on."""
    return _KNOWN_ROUNDS


def required_tests(round_name: str, benchmark: str, *, is_endpoints: bool) -> tuple[str, ...]:
    """Return the ids of the tests that a benchmark of an audited division must have, none of a round not known here.

    Of an endpoints submission the checker requires TEST04's file of WAN2.2, and reads others where they are.
    """
    ruleset = find_ruleset(f"{_PREFIX}{round_name}")
    if ruleset is None:
        return ()
    model = _checker_model(benchmark, ruleset)
    tests = tuple(sorted(test for test, models in ruleset.audits.items() if model in models))
    if not is_endpoints:
        return tests
    return tuple(test for test in tests if (test, model) == (_ENDPOINTS_TEST, _ENDPOINTS_MODEL))


def may_be_endpoints(round_name: str, benchmark: str) -> bool:
    """Whether a benchmark may be an endpoints submission; any other is LoadGen's, whatever files it has."""
    ruleset = find_ruleset(f"{_PREFIX}{round_name}")
    return ruleset is not None and _checker_model(benchmark, ruleset) in ENDPOINTS_MODELS


def knows_model(round_name: str, benchmark: str) -> bool:
    """Whether a round knows a benchmark, whatever it asks of it."""
    ruleset = find_ruleset(f"{_PREFIX}{round_name}")
    model = _checker_model(benchmark, ruleset) if ruleset else ""
    return ruleset is not None and (model in ENDPOINTS_MODELS or knows_benchmark(ruleset, model))


def _checker_model(benchmark: str, ruleset: Ruleset) -> str:
    """Return what the checker takes a benchmark's directory for, in any spelling."""
    benchmark = folded(benchmark)
    if any(benchmark in models for models in ruleset.audits.values()):
        return benchmark
    if benchmark in _MAPPED:
        return _MAPPED[benchmark]
    return next((model for part, model in _GUESSED.items() if part in benchmark), benchmark)
