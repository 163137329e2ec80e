"""Every fault x every phase x every API: no wrong verdict, no hang, no traceback, no reply counted that was not given.

    pytest -m nightly tests/nightly/test_fault_matrix.py -n 2

A cell is a server process that goes wrong at the last query before one phase, or at its first, and a pytest process
that audits it. An exact cache stands behind each second fault, so that a PASS there is a wrong verdict for sure.
"""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support.faulty_sut import FAULTS, GOOD

pytestmark = pytest.mark.nightly

SUT = Path(__file__).parent.parent / "support" / "faulty_sut.py"
APIS = ("videogen", "openai", "openai_stream")
PHASES = ("performance", "reference", "output_caching", "cache_probe")
N = 8


@contextmanager
def served(**options) -> Iterator[int]:
    command = [sys.executable, str(SUT), json.dumps({"after": 0, "cache": False, "fault": "none", **options})]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


def audit(api: str, port: int, where: Path) -> SimpleNamespace:
    """Run the main run and test04 with its probe against a port; return the exit status, what was said and recorded."""
    rows = [
        {"prompt": f"Question {i}: what is {word} {i * 7} made of?"} for i, word in enumerate(["glass", "iron"] * N)
    ]
    (where / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    yaml = {
        "type": "online",
        "model_params": {"name": "m", "streaming": "on" if api == "openai_stream" else "off"},
        "datasets": [{"name": "rows", "path": "rows.jsonl", "samples": N}],
        "audit": {"test": "test04", "samples": N, "sample_index": 3, "threshold": 0.9, "min_completion": 0.9},
        "settings": {
            "load_pattern": {"type": "concurrency", "target_concurrency": 4},
            "client": {"query_timeout_s": 1},
            "runtime": {"n_samples_to_issue": N},
        },
        "audit_order": "after",
        "endpoint_config": {"endpoints": [f"http://127.0.0.1:{port}"], "api_type": api.removesuffix("_stream")},
    }
    (where / "cell.yaml").write_text(json.dumps(yaml))
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n", "0", "-q"]
    command += ["-p", "no:asyncio", "--mlperf-config=cell.yaml", "--mlperf-report-dir=out"]
    done = subprocess.run(command, cwd=where, capture_output=True, text=True, timeout=300, check=False)
    logs = {log.parent.name: log.read_text().splitlines() for log in sorted((where / "out").rglob("queries.jsonl"))}
    counts = {"posts": None, "good": None}
    with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/counts", timeout=5) as reply:
        counts = json.load(reply)
    completed = sum('"outcome"' not in line for lines in logs.values() for line in lines)
    return SimpleNamespace(rc=done.returncode, out=done.stdout + done.stderr, logs=logs, completed=completed, **counts)


@pytest.fixture(scope="module")
def begins(tmp_path_factory) -> dict[tuple[str, str], int]:
    """How many POSTs an honest run has sent before each phase of each API."""
    found = {}
    for api in APIS:
        with served(api=api) as port:
            run = audit(api, port, tmp_path_factory.mktemp(api))
        assert run.rc in (0, 1), run.out  # a busy machine may fail the ratio; all phases were sent
        assert run.completed <= run.good
        sent = {phase: len(lines) for phase, lines in run.logs.items()}
        assert set(PHASES) <= set(sent), sent
        before = run.posts - sum(sent[phase] for phase in PHASES)
        for phase in PHASES:
            found[api, phase] = before
            before += sent[phase]
    return found


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_buys_no_verdict(fault, api, phase, begins, tmp_path):
    cached = (list(FAULTS).index(fault) + APIS.index(api) + PHASES.index(phase)) % 2 == 0
    after = max(0, begins[api, phase] - (fault not in GOOD))
    with served(fault=fault, api=api, after=after, cache=cached) as port:
        run = audit(api, port, tmp_path)
    assert run.rc in (1, 4, 6), (run.rc, run.out[-2000:])
    if not cached and run.rc == 1:
        assert "CACHE:" not in run.out, run.out[-2000:]
    assert "Traceback" not in run.out
    assert "INTERNALERROR" not in run.out
    assert "KeyError" not in run.out
    if run.good is not None:
        assert run.completed <= run.good, (run.completed, run.good)
