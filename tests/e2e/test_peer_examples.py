"""The endpoints tool's own example YAMLs, unchanged, against the simulated endpoint.

They are read from a checkout named by $MLPERF_ENDPOINTS, or from the mirror's objects; skipped without.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pytest_mlperf_audit.audits import registry
from pytest_mlperf_audit.config.endpoint import SimulatedConfig
from pytest_mlperf_audit.endpoints import registry as adapters
from pytest_mlperf_audit.endpoints.simulated.process import start
from pytest_mlperf_audit.errors import UserError
from pytest_mlperf_audit.session.inputs import gather_adapters
from pytest_mlperf_audit.session.plan import Request, plan_runs

_MIRROR = Path(__file__).parents[3] / ".mirror/mlcommons+endpoints/repo"
_WAN = "examples/09_Wan22_VideoGen_Example"
_GPTOSS = "examples/04_GPTOSS120B_Example"


def example(path: str) -> str:
    """Return the text of a file of the endpoints tool."""
    if checkout := os.environ.get("MLPERF_ENDPOINTS"):
        return Path(checkout, path).read_text()
    if not _MIRROR.is_dir():
        pytest.skip("set MLPERF_ENDPOINTS to a checkout of mlcommons/endpoints to run its examples")
    shown = subprocess.run(
        ["git", "--git-dir", str(_MIRROR), "show", f"HEAD:{path}"], capture_output=True, text=True, check=True
    )
    return shown.stdout


@pytest.fixture
def simulated(tmp_path: Path) -> Iterator[str]:
    """A simulated endpoint that these YAMLs' own addresses are replaced by on the command line."""
    process = start(
        SimulatedConfig(service_time_ms=3, lanes=64), watch_pid=os.getpid(), log_file=tmp_path / "simulated.log"
    )
    yield process.url
    process.stop()


@pytest.fixture
def data(audit) -> None:
    """Stand-ins for the data sets that the examples name, with their columns."""
    for directory in (_WAN, f"{_GPTOSS}/data"):
        (audit.path / directory).mkdir(parents=True)
    rows = (json.dumps({"prompt": f"scene {row}"}) for row in range(248))
    (audit.path / _WAN / "wan22_prompts.jsonl").write_text("\n".join(rows))
    tokens = pa.table({"input_tokens": [[1000 + row, 1001, 1002] for row in range(64)]})
    pq.write_table(tokens, audit.path / _GPTOSS / "data/perf_eval_ref.parquet")
    (audit.path / "cnn_dailymail_train.json").write_text(
        json.dumps([{"article": f"news {row}"} for row in range(1000)])
    )


@pytest.mark.usefixtures("data")
@pytest.mark.parametrize(
    ("path", "audits"),
    [
        (f"{_WAN}/offline_wan22_submission.yaml", ["test04", "performance", "accuracy"]),
        (f"{_WAN}/single_stream_wan22_submission.yaml", ["test04", "performance", "accuracy"]),
        (f"{_GPTOSS}/vllm_gptoss_120b_example.yaml", ["performance"]),
        (f"{_GPTOSS}/sglang_gptoss_120b_example.yaml", ["performance"]),
        ("examples/02_ServerBenchmarking/offline_llama3_8b_cnn.yaml", ["performance"]),
    ],
    ids=["wan22 offline", "wan22 single stream", "vllm", "sglang", "llama3 offline"],
)
def test_it_runs_unchanged(audit, simulated, path, audits):
    (audit.path / Path(path).name).write_text(example(path))
    report = f"--mlperf-report-dir={audit.path / 'report'}"
    result = audit.run(f"--mlperf-endpoint={simulated}", report, config=Path(path).name)
    verdict = json.loads((audit.path / "report/verdict.json").read_text())
    assert [entry["id"] for entry in verdict["audits"]] == audits
    statuses = {entry["id"]: entry["status"] for entry in verdict["audits"]}
    # VBench is no scorer of ours, and a submission without its accuracy is not green.
    expected = {name: "NO_VERDICT" if name == "accuracy" else "PASS" for name in audits}
    assert statuses == expected, "\n".join(result.outlines[-30:])
    assert result.ret == (6 if "accuracy" in audits else 0)


#: What keeps an example or a template of the endpoints tool from being planned: a line each.
_NOT_HERE = (
    "has no path, and nothing is downloaded",  # data sets known by name, without --mlperf-data-dir
    "no such file; looked for",  # a template's placeholder, or data that the tool's repository does not hold
)


@pytest.mark.usefixtures("data")
def test_every_example_and_template_is_planned_or_one_line_says_why_not(audit, tmp_path):
    planned, refused = [], {}
    for path in every_yaml():
        (audit.path / Path(path).name).write_text(example(path))
        request = Request(
            configs=(audit.path / Path(path).name,),
            endpoint="http://127.0.0.1:9",
            report_dir=tmp_path / "report",
            cwd=audit.path,
            rootpath=audit.path,
            environ={},
        )
        try:
            plan_runs(request, registry.shipped(), gather_adapters(adapters.shipped()))
        except UserError as error:
            refused[path] = str(error)
        else:
            planned.append(path)
    assert len(planned) + len(refused) >= 27
    assert len(planned) >= 10, refused
    for path, why in refused.items():
        assert "\n" not in why, path
        assert any(part in why for part in _NOT_HERE), (path, why)


def every_yaml() -> list[str]:
    """Return the paths of the endpoints tool's example and template YAMLs."""
    if checkout := os.environ.get("MLPERF_ENDPOINTS"):
        root = Path(checkout)
        found = [*root.glob("examples/**/*.yaml"), *root.glob("src/inference_endpoint/config/templates/*.yaml")]
        return sorted(path.relative_to(root).as_posix() for path in found)
    if not _MIRROR.is_dir():
        pytest.skip("set MLPERF_ENDPOINTS to a checkout of mlcommons/endpoints to load its examples")
    listed = subprocess.run(
        ["git", "--git-dir", str(_MIRROR), "ls-tree", "-r", "--name-only", "HEAD"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    places = ("examples/", "src/inference_endpoint/config/templates/")
    return sorted(path for path in listed if path.startswith(places) and path.endswith(".yaml"))
