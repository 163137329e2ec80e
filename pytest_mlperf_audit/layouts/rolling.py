"""Files of MLPerf Endpoints' rolling submissions: the report directory as a run folder, and the point in it.

    point.yaml, system_desc.json     with config.yaml and performance/ what `endpoints-submission-cli runs create` takes
    r<N>/                            the point as it lies in results/<system>/<model>/, N its concurrency

Sources: mlcommons/endpoints_policies `endpoints_rules.md`, § 8.1 to 8.3; endpoints-submission-cli 1.5.3
(`runs/parser.py`, `submission_checker/models/file/point_config.py`). Its model names have `_` in place of `.`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from ..config.benchmark import Benchmark
from ..config.rolling import DIVISIONS
from ..config.rulesets import find_ruleset
from ..records.files import read_limited, write_atomic
from ..runs.spec import Concurrency, Load, MaxThroughput, RunSpec
from ..runs.trajectories import Trajectories
from ..verdicts.document import PhaseEntry, VerdictDocument

#: The cohort and the set in a ruleset's name: mlperf-endpoints-v1.0-2026-10-C1-A.
_SEED_SET = re.compile(r".*-(?P<cohort>\d{4}-\d{2}-C[01])-(?P<set>\w+)")
_COPIED: Final = (
    ("config.yaml", "config.yaml"),
    ("performance/result_summary.json", "result_summary.json"),
    ("accuracy/accuracy_results.json", "accuracy_results.json"),
)


def write_point(run: VerdictDocument, benchmark: Benchmark, dataset: str, report_dir: Path) -> list[Path]:
    """Write a point's files, once those of the endpoints layout are there; nothing unless the YAML asks for them.

    Raises OSError, and RecordError for a file that is too large to be one of ours.
    """
    main = next((audit for audit in run.audits if audit.kind == "performance"), None)
    phase = main.phases[-1] if main and main.status in ("PASS", "FAIL") and main.phases else None
    if benchmark.rolling_submission is None or phase is None or not phase.complete:
        return []
    scored = (report_dir / "accuracy/accuracy_results.json").is_file()
    told = point_of(run, phase, benchmark, dataset, scored=scored)
    point = yaml.safe_dump(told, sort_keys=False, allow_unicode=True, width=120)
    system = msgspec.json.format(msgspec.json.encode(system_of(benchmark)), indent=2) + b"\n"
    place = report_dir / f"r{concurrency_of(phase.spec.load, phase.spec.n_samples)}"
    contents = {"point.yaml": point.encode(), "system_desc.json": system}
    files = {folder / name: data for folder in (report_dir, place) for name, data in contents.items()}
    for source, name in _COPIED:
        if (report_dir / source).is_file():
            files[place / name] = read_limited(report_dir / source)
    for path, data in files.items():
        write_atomic(path, data)
    return list(files)


def concurrency_of(load: Load, n_samples: int) -> int:
    """Return the queries in flight at a time, after which the rules name a point; of an Offline run, all of them."""
    if isinstance(load, Concurrency):
        return load.target
    return load.max_in_flight if isinstance(load, MaxThroughput) and load.max_in_flight > 0 else n_samples


def system_of(benchmark: Benchmark) -> dict[str, Any]:
    """Return system_desc.json: the YAML's word, with the division of submission_ref."""
    asked = benchmark.rolling_submission
    return {**_division(benchmark), **(asked.system if asked else {})}


def _division(benchmark: Benchmark) -> dict[str, Any]:
    reference = benchmark.submission_ref
    name = DIVISIONS.get(reference.division or "standardized-cop", reference.division) if reference else None
    return {"division": name} if name else {}


def point_of(
    run: VerdictDocument, phase: PhaseEntry, benchmark: Benchmark, dataset: str, *, scored: bool
) -> dict[str, Any]:
    """Return point.yaml: what the run tells, and of the rest what the YAML says. `scored`: accuracy results are there.

    Every chunk of a stream has a time of its own here; without streams there is none to have one.
    """
    asked, reference = benchmark.rolling_submission, benchmark.submission_ref
    spec, runtime = phase.spec, benchmark.settings.runtime
    offline = isinstance(spec.load, MaxThroughput)
    ruleset = find_ruleset(reference.ruleset) if reference else None
    seeds = {
        "scheduler_rng_seed": runtime.scheduler_random_seed,
        "sample_index_rng_seed": runtime.dataloader_random_seed,
    }
    if ruleset and ruleset.seeds.model is not None:
        seeds["model_seed"] = ruleset.seeds.model
    known = {
        "concurrency": concurrency_of(spec.load, spec.n_samples),
        **({"offline": "dedicated"} if offline else {}),
        "dataset": dataset,
        **_division(benchmark),
        "max_supported_concurrency": asked.system.get("max_supported_concurrency") if asked else None,
        "model_name": re.sub(r"[^\w-]+", "_", reference.model) if reference else benchmark.model_params.name,
        "dataset_name": dataset,
        "dataset_type": "Accuracy + Performance" if scored else "Performance",
        **_seed_set(ruleset.name if ruleset else ""),
        "runtime_settings": {
            "load_pattern": benchmark.settings.load_pattern.type,
            "min_duration_ms": spec.min_duration_ms,
            "min_sample_count": spec.n_samples,
            "stream_all_chunks": benchmark.streaming,
            "runtime": seeds,
            "salt": _is_salted(spec),
            "warmup": {"salt": benchmark.settings.warmup.salt},
        },
        "warmup": _warmup(run, dataset),
    }
    return known | (asked.point if asked else {})


def _is_salted(spec: RunSpec) -> bool:
    """Whether each prompt of a phase carried a salt, be it that of its conversation."""
    if isinstance(spec.order, Trajectories):
        return spec.order.salt_seed is not None
    return spec.nonce == "salt"


def _seed_set(ruleset: str) -> dict[str, str]:
    found = _SEED_SET.fullmatch(ruleset)
    return {"seed_set": found["set"], "target_cohort": found["cohort"]} if found else {}


def _warmup(run: VerdictDocument, dataset: str) -> dict[str, Any]:
    """Return what the warm-up before the first phase was, nothing sent where there was none."""
    sent = next((phase for audit in run.audits for phase in audit.phases if not phase.judged), None)
    return {
        "duration_s": round(sent.duration_s, 3) if sent else 0,
        "requests_issued": sent.figures.n_issued if sent else 0,
        "requests_completed": sent.figures.n_completed if sent else 0,
        "data_source": f"rows of the data set {dataset}" if sent else "none",
        "concurrency": concurrency_of(sent.spec.load, sent.spec.n_samples) if sent else 0,
        "initialization_steps": [],
        "logs_retained": sent is not None,
    }
