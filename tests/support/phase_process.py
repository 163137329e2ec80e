"""One phase in a process of its own, to be signalled or measured.

    python phase_process.py '{"url": "...", "directory": "...", "n": 100, "target": 8, "loop": "uvloop", ...}'

Says "running" when the first queries are on their way, and at the end how it ended, as JSON.
"""

from __future__ import annotations

import json
import resource
import sys
import threading
from pathlib import Path
from typing import Any


def main(o: dict[str, Any]) -> None:
    if o.get("loop") == "asyncio":
        sys.modules["uvloop"] = None  # type: ignore[assignment]  # as if it were not installed
    from pytest_mlperf_audit.config.dataset import DatasetConfig
    from pytest_mlperf_audit.config.model_params import ModelParams
    from pytest_mlperf_audit.datasets import load_dataset
    from pytest_mlperf_audit.endpoints.media.videogen import VideoGenAdapter
    from pytest_mlperf_audit.endpoints.source import RequestSource
    from pytest_mlperf_audit.load.group import PlannedPhase, run_group
    from pytest_mlperf_audit.load.loop import loop_name
    from pytest_mlperf_audit.load.target import Target
    from pytest_mlperf_audit.runs.order import Scripted, without_replacement
    from pytest_mlperf_audit.runs.script import Round, Script, Step
    from pytest_mlperf_audit.runs.spec import Concurrency, RunSpec

    directory = Path(o["directory"])
    prompts = directory / "prompts.jsonl"
    prompts.write_text("".join(json.dumps({"prompt": f"scene {row}"}) + "\n" for row in range(16)))
    source = RequestSource(
        load_dataset(DatasetConfig(name="prompts", path=prompts), [directory]), VideoGenAdapter(ModelParams(name="x"))
    )
    scripted = o.get("script", {})

    def rounds() -> Script:
        while True:
            steps = tuple(Step(f"step{at}", at) for at in range(scripted["size"]))
            yield Round(steps, at_once=scripted["at_once"])

    phases = [
        PlannedPhase(
            RunSpec(
                label=label,
                n_samples=o["n"],
                order=Scripted() if scripted else without_replacement(1, wrap=True),
                load=Concurrency(target=o["target"]),
                query_timeout_s=o.get("query_timeout_s"),
            ),
            directory / label,
            rounds if scripted else None,
        )
        for label in o.get("labels", ["phase"])
    ]
    said = False

    def report(progress) -> None:
        nonlocal said
        if progress.issued and not said:
            said = True
            print("running", flush=True)

    ended: dict[str, object] = {"loop": loop_name()}
    before_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    crew = None
    if o.get("workers"):
        from pytest_mlperf_audit.load.workers.crew import Crew

        crew = Crew(["popen"] * o["workers"])
        crew.equip([(source, phase.spec) for phase in phases], None)

    def drive() -> None:
        try:
            records = run_group(phases, source, Target(urls=(o["url"],)), report=report, crew=crew)
            ended["status"] = [record.status for record in records]
        except KeyboardInterrupt:
            ended["raised"] = "KeyboardInterrupt"

    if o.get("thread"):
        thread = threading.Thread(target=drive)
        thread.start()
        thread.join()
    else:
        drive()
    ended["grown_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before_mib
    print(json.dumps(ended), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
