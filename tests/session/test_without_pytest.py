"""`run_audits` and `recheck`: a run without pytest, in a program, in a thread, and beside a running event loop."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

import pytest_mlperf_audit
from pytest_mlperf_audit import (
    Audit,
    AuditBlock,
    AuditContext,
    Check,
    MlperfAuditError,
    RunSpec,
    UserError,
    Verdict,
    read_verdict,
    recheck,
    run_audits,
    sequential,
)
from pytest_mlperf_audit.session.places import shown

PATIENCE_S = 60.0


class OwnBlock(AuditBlock):
    test: str = "own"


class Own(Audit[OwnBlock]):
    id = "own"
    title = "All is answered"
    config = OwnBlock

    def plan(self, cfg: OwnBlock, samples: Any, context: AuditContext) -> list[RunSpec]:  # noqa: ARG002
        return [context.phase("all", 4, order=sequential())]

    def checks(self, cfg: OwnBlock, phases: Any) -> list[str]:  # noqa: ARG002
        return ["answered"]

    def verify(self, cfg: OwnBlock, runs: Any) -> Verdict:  # noqa: ARG002
        n = runs["all"].figures.n_completed
        return Verdict(audit=self.id, checks=(Check(name="answered", passed=n == 4, observed=n, limit=4, reason=""),))


class Broken(Own):
    def verify(self, cfg: OwnBlock, runs: Any) -> Verdict:  # noqa: ARG002
        raise ZeroDivisionError("by zero")


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prompts.jsonl").write_text("".join(json.dumps({"prompt": f"scene {n}"}) + "\n" for n in range(8)))
    return write(tmp_path / "wan22.yaml")


def write(path: Path, audit: Any = None, *, service_ms: float = 40) -> Path:
    # Slow enough that a busy machine does not make one phase twice as fast as the other.
    test04 = {"test": "test04", "samples": 8, "sample_index": 3, "threshold": 0.9, "probe": False}
    text = {
        "type": "offline",
        "model_params": {"name": "wan22", "streaming": "off"},
        "datasets": [{"path": "prompts.jsonl"}],
        "audit": {**(audit or test04), "only": True},
        "endpoint_config": {"api_type": "videogen", "simulated": {"service_time_ms": service_ms, "lanes": 1}},
    }
    path.write_text(yaml.safe_dump(text))
    return path


def test_a_run_is_what_its_verdict_json_holds(config: Path) -> None:
    lines: list[str] = []
    verdict = run_audits("wan22.yaml", tell=lines.append)
    report_dir = config.parent / "mlperf-reports" / "wan22"
    assert verdict == read_verdict(report_dir / "verdict.json")
    assert (verdict.status, verdict.simulated, [audit.id for audit in verdict.audits]) == ("PASS", True, ["test04"])
    assert all(check.status == "passed" and check.passed for check in verdict.audits[0].checks)
    assert not {"pytest", "xdist_workers"} & set(verdict.environment)
    assert (report_dir / "report.html").stat().st_size
    assert lines[0].startswith("wan22.yaml: test04 (8 + 8 queries")
    assert [line for line in lines if line.startswith("report ")] == [f"report {shown(report_dir)}"]


def test_an_earlier_run_is_kept(config: Path) -> None:
    lines: list[str] = []
    write(config, {"test": "own"})
    first = run_audits(config, report_dir="reports", audits=[Own()])
    run_audits(config, report_dir=Path("reports"), audits=[Own()], tell=lines.append)
    assert read_verdict("reports.1/verdict.json") == first
    assert lines[-2:] == [
        f"report {shown(config.parent / 'reports')}",
        "wan22.yaml: the earlier run is kept as reports.1",
    ]


def test_it_runs_beside_a_running_event_loop(config: Path) -> None:
    write(config, {"test": "own"})

    async def cell() -> str:
        return run_audits(config, audits=[Own()]).status

    assert asyncio.run(cell()) == "PASS"


def test_it_runs_in_a_thread(config: Path) -> None:
    write(config, {"test": "own"})

    async def program() -> str:
        verdict = await asyncio.to_thread(run_audits, config, audits=[Own()])
        return verdict.status

    assert asyncio.run(program()) == "PASS"


def test_a_real_endpoint_gets_its_files(config: Path, start_sut: Any) -> None:
    sut = start_sut(service_ms=1, lanes=1, repeat_ms=20)
    verdict = run_audits(config, endpoint=sut.url, report_dir="reports", layout="both")
    assert (verdict.status, verdict.simulated, verdict.endpoint) == ("PASS", False, sut.url)
    (verified,) = Path("reports/audit").glob("verify_*.txt")
    assert verified.read_text().strip().endswith("True")
    assert Path("reports/TEST04/verify_performance.txt").is_file()


def test_audits_of_ones_own_are_offered_beside_the_shipped(config: Path) -> None:
    write(config, {"test": "own"})
    with pytest.raises(UserError, match="own"):
        run_audits(config)
    verdict = run_audits(config, audits=[Own()])
    assert [(audit.id, audit.status) for audit in verdict.audits] == [("own", "PASS")]
    assert recheck("mlperf-reports/wan22", audits=[Own()]).verdict == "CONFIRMED"


def test_what_allows_no_verdict_is_one_without(config: Path) -> None:
    write(config, {"test": "own"})
    verdict = run_audits(config, audits=[Broken()])
    assert (verdict.status, verdict.audits[0].status) == ("NO_VERDICT", "NO_VERDICT")
    assert "ZeroDivisionError: by zero" in verdict.audits[0].reason
    assert [(check.status, check.passed) for check in verdict.audits[0].checks] == [("error", None)]


def test_a_hook_between_phases_is_called(config: Path) -> None:
    called: list[tuple[str, str]] = []
    run_audits(config, between_phases=lambda before, after, urls: called.append((before, after)))  # noqa: ARG005
    assert called == [("reference", "output_caching")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"config": "none.yaml"}, "none.yaml"),
        ({"layout": "neither"}, "layout 'neither': give one of endpoints, classic, both"),
        ({"endpoint": "http://127.0.0.1:9"}, "127.0.0.1:9"),
        ({"report_dir": "."}, "cannot be moved aside"),
    ],
    ids=["no_file", "layout", "nobody_there", "report_dir"],
)
def test_a_mistake_is_an_error_of_the_package(config: Path, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        run_audits(**{"config": config, **arguments})
    assert not Path("mlperf-reports").exists()


def test_a_finished_run_is_rechecked(config: Path) -> None:
    run_audits(config, report_dir="reports")
    again = recheck("reports")
    assert again.verdict == "CONFIRMED"
    assert {test.state for test in again.tests.values()} == {"confirmed"}
    assert {"records::verdict", "records::audit[test04]", "test04::throughput_ratio"} <= set(again.tests)
    verdict = Path("reports/verdict.json")
    verdict.write_text(verdict.read_text().replace('"passed": true', '"passed": false', 1))
    changed = recheck("reports")
    assert changed.verdict == "DIFFERS"
    assert changed.tests["test04::completion[reference]"].state == "differs"
    with pytest.raises(MlperfAuditError, match="no such directory"):
        recheck("nowhere")


INTERRUPTED = """
import asyncio, sys
from pytest_mlperf_audit import run_audits
{call}
"""
CALLS = {
    "program": "run_audits('wan22.yaml')",
    "notebook": "async def cell():\n    run_audits('wan22.yaml')\nasyncio.run(cell())",
}


@pytest.mark.parametrize("call", CALLS)
def test_an_interrupt_ends_a_phase_in_good_order(config: Path, call: str) -> None:
    write(config, service_ms=1000)
    code = INTERRUPTED.format(call=CALLS[call])
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    log = Path("mlperf-reports/wan22/audit/reference/queries.jsonl")
    deadline_s = time.monotonic() + PATIENCE_S
    while not (log.exists() and log.stat().st_size) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert errors.rstrip().endswith("KeyboardInterrupt")
    verdict = read_verdict("mlperf-reports/wan22/verdict.json")
    assert verdict.status == "NO_VERDICT"
    assert "reference" in verdict.audits[0].reason
    assert not Path("mlperf-reports/wan22/audit/output_caching").exists()


def test_no_pytest_is_imported(config: Path) -> None:
    code = f"import sys; from pytest_mlperf_audit import run_audits; run_audits({str(config)!r}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"pytest", "_pytest", "pluggy"} & set(done.stdout.split())


def test_every_public_name_can_be_had() -> None:
    assert {*pytest_mlperf_audit._HOMES, "__version__"} == set(pytest_mlperf_audit.__all__)
    for name in pytest_mlperf_audit.__all__:
        assert getattr(pytest_mlperf_audit, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = pytest_mlperf_audit.nothing
