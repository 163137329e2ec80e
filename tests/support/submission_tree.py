"""Report directories as a submission, with all that a submitter adds by hand; what MLCommons' checker says of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: The seeds of v6.1, which naming the ruleset fixes. A YAML has those of one version; v6.0 is told to expect them.
SEEDS = {
    "qsl_rng_seed": 2085463073848966840,
    "sample_index_rng_seed": 2747215439041700203,
    "schedule_rng_seed": 16159082839903944936,
}
#: What only LoadGen's layout has, and only that of the endpoints tool.
_CLASSIC = (
    *("performance/run_1", "user.conf", "TEST01", "TEST04", "TEST06", "TEST07", "TEST09"),
    *("accuracy/accuracy.txt", "accuracy/mlperf_log_accuracy.json"),
    *("accuracy/mlperf_log_detail.txt", "accuracy/mlperf_log_summary.txt"),
)
_ENDPOINTS = ("performance/result_summary.json", "accuracy/accuracy_results.json", "audit")
_ASK = Path(__file__).with_name("ask_checker.py")
#: What a system's and a scenario's description must have: mlcommons/inference `submission_checker/constants.py`.
_SYSTEM = """
    host_processor_model_name host_memory_capacity host_storage_capacity host_storage_type accelerator_model_name
    accelerator_memory_capacity framework operating_system other_software_stack host_processor_frequency
    host_processor_caches host_memory_configuration host_processor_interconnect host_networking
    host_networking_topology accelerator_frequency accelerator_host_interconnect accelerator_interconnect
    accelerator_interconnect_topology accelerator_memory_configuration accelerator_on-chip_memories cooling
    hw_notes sw_notes system_type_detail
"""
_COUNTS = """
    number_of_nodes host_processors_per_node host_processor_core_count accelerators_per_node host_network_card_count
"""
_MEASUREMENTS = "input_data_types retraining starting_weights_filename weight_data_types weight_transformations"
#: The videos that the checker of v6.0 or v6.1 wants of WAN2.2's accuracy run.
VIDEOS = (130, 106, 84, 59, 12, 31, 86, 122, 233, 96, 123, 43, 22, 238, 32)


def tree_of(root: Path, model: str, reports: Mapping[str, Path], *, system_type: str = "datacenter") -> Path:
    """Return a closed submission of one system and model: `reports` are copied as scenario directories."""
    submitter = root / "closed/Us"
    for scenario, report in reports.items():
        place = submitter / "results/our_system" / model / scenario
        shutil.copytree(report, place)
        (place / "README.md").write_text("how it was run\n")
        (place / "measurements.json").write_text(json.dumps(dict.fromkeys(_MEASUREMENTS.split(), "fp16")))
    system: dict[str, Any] = {**dict.fromkeys(_SYSTEM.split(), "x"), **dict.fromkeys(_COUNTS.split(), 1)}
    system |= {"division": "closed", "submitter": "Us", "status": "available", "system_name": "our_system"}
    system["system_type"] = system_type
    (submitter / "systems").mkdir()
    (submitter / "systems/our_system.json").write_text(json.dumps(system))
    (submitter / "src").mkdir()
    return root


def layout_of(report: Path, layout: str, root: Path) -> Path:
    """Return a copy of a report directory that was written in both layouts, without the other one's files."""
    copy = root / layout / report.name
    shutil.copytree(report, copy)
    for name in {"classic": _ENDPOINTS, "endpoints": _CLASSIC, "both": ()}[layout]:
        path = copy / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return copy


def add_videos(report: Path) -> None:
    """Put the sample videos where MLPerf wants them."""
    (report / "accuracy/videos").mkdir(parents=True, exist_ok=True)
    for row in VIDEOS:
        (report / f"accuracy/videos/{row}.mp4").write_bytes(b"\0\0\0\x08ftyp")


def checker_says(
    upstream: Path,
    tree: Path,
    version: str,
    seeds: Mapping[str, int] | None = None,
    sizes: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Return the answer of the whole checker, see ask_checker. `seeds` are expected, by default the version's own."""
    given = json.dumps({"seeds": seeds, "sizes": sizes or {}})
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", str(_ASK), str(tree), version, given],
        cwd=upstream / "tools/submission", env={"PYTHONPATH": ".", "PATH": ""},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]
    answer: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return answer
