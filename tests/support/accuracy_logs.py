"""Accuracy logs as LoadGen writes them, made for tests, and upstream's scripts run on them."""

from __future__ import annotations

import hashlib
import json
import struct
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pytest_mlperf_audit.audits.published.case import AuditDirectory

Sample = dict[str, Any]

_MARK = b"\n\n...\n\n"


def tokens(*ids: int, width: int = 4) -> str:
    return struct.pack(f"<{len(ids)}{'i' if width == 4 else 'q'}", *ids).hex().upper()


def sample(index: int, ids: Sequence[int], *, width: int = 4, first: bool = True) -> Sample:
    entry: Sample = {"seq_id": index, "qsl_idx": index, "data": tokens(*ids, width=width)}
    if first:
        entry["token_data"] = tokens(*ids[:1], width=width)
    return {**entry, "token_count": len(ids)}


def log_bytes(samples: Iterable[Sample]) -> bytes:
    """An entry a line, with LoadGen's white space."""
    lines = [json.dumps(entry, separators=(", ", " : ")).replace("{", "{ ").replace("}", " }") for entry in samples]
    return ("[\n" + ",\n".join(lines) + ("\n]\n" if lines else "]\n")).encode()


def truncated(log: bytes) -> bytes:
    """What truncate_accuracy_log.py leaves of a log of 4096 bytes or more."""
    return log[:4096] + _MARK + log[-4096:]


def noted(log: bytes) -> str:
    return f"hash={hashlib.sha256(log).hexdigest()}\n"


def audit_directory(
    tree: Path, test: str, files: dict[str, bytes], *, benchmark: str = "llama2-70b-99", scenario: str = "Server"
) -> AuditDirectory:
    """A submission of one audit. Files are named below the audit's directory, or "results/..." below the scenario's."""
    where = ("closed", "ACME", "compliance", "system", benchmark, scenario, test)
    path, results = tree.joinpath(*where), tree / "closed/ACME/results/system" / benchmark / scenario
    path.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        file = results / name.removeprefix("results/") if name.startswith("results/") else path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return AuditDirectory(
        case=f"closed/ACME/system/{benchmark}/{scenario}",
        test=test.lower(),
        division="closed",
        submitter="ACME",
        system="system",
        benchmark=benchmark,
        scenario=scenario,
        path=path,
        results=results,
        tree=tree,
    )


def upstream_test06(upstream: Path, log: Path, work: Path, scenario: str) -> str:
    """Run compliance/TEST06/run_verification.py; PASS, FAIL or CRASH."""
    work.mkdir(parents=True, exist_ok=True)
    script = upstream / "compliance/TEST06/run_verification.py"
    command = [sys.executable, str(script), "-c", str(log.parent), "-o", str(work), "-s", scenario]
    done = _run(command, work)
    if done.returncode:
        return "CRASH"
    return "PASS" if "TEST06 verification complete" in done.stdout else "FAIL"


def upstream_test09(upstream: Path, log: Path, work: Path, low: float, high: float) -> str:
    """Run compliance/TEST09/run_verification.py; PASS, FAIL or CRASH."""
    script = upstream / "compliance/TEST09/run_verification.py"
    bounds = ["--min-output-tokens", str(low), "--max-output-tokens", str(high)]
    done = _run([sys.executable, str(script), "-c", str(log.parent), "-o", str(work), *bounds], work)
    if "Traceback" in done.stderr:
        return "CRASH"
    return "FAIL" if done.returncode else "PASS"


def upstream_test07(upstream: Path, log: Path, work: Path, printed: str, threshold: float) -> str:
    """Run compliance/TEST07/run_verification.py on an accuracy script that prints `printed`; its verify file's text."""
    (work / "printed.txt").write_text(printed)
    script = upstream / "compliance/TEST07/run_verification.py"
    command = [sys.executable, str(script), "-c", str(log.parent), "-o", str(work)]
    _run([*command, "--accuracy-script", "cat printed.txt", "--accuracy-threshold", str(threshold)], work)
    return (work / "verify_accuracy.txt").read_text()


def upstream_test01(upstream: Path, reference: Path, audit: Path) -> str:
    """Run compliance/TEST01/verify_accuracy.py; PASS, FAIL or CRASH."""
    script = upstream / "compliance/TEST01/verify_accuracy.py"
    done = _run([sys.executable, str(script), "-r", str(reference), "-t", str(audit)], audit.parent)
    if done.returncode:
        return "CRASH"
    return "PASS" if "TEST PASS" in done.stdout else "FAIL"


def _run(command: list[str], work: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
