"""External scorers as real processes: those that work, and all the ways in which they do not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from pytest_mlperf_audit.errors import RecordError
from pytest_mlperf_audit.records.store import QUERIES_FILE, read_score
from pytest_mlperf_audit.runs.query import QueryRecord
from pytest_mlperf_audit.runs.spec import Score, Scoring
from pytest_mlperf_audit.session.scorer import command_problem, run_command

SECRET = "sk-very-secret-key"


def query(row: int, output: str | None, expected: str | None = "é") -> QueryRecord:
    return QueryRecord(
        query=row,
        sample=row,
        issued_ns=0,
        completed_ns=1,
        request="0" * 32,
        outcome="completed" if output is not None else "timeout",
        output=output,
        expected=expected,
    )


@pytest.fixture
def phase(tmp_path: Path) -> Path:
    """A phase's directory, in which blanks and quotes are allowed."""
    directory = tmp_path / "a phase's $HOME; {outputs}"
    directory.mkdir()
    records = [query(0, "Answer: A"), query(1, None), query(2, "line\nbreak")]
    (directory / QUERIES_FILE).write_bytes(b"".join(msgspec.json.encode(record) + b"\n" for record in records))
    (directory / "log.json").write_text("[]")
    return directory


@pytest.fixture
def run(phase: Path) -> Callable[..., Score]:
    """Run a scorer given as Python code; what it gets as arguments, and keys of the scoring, may be named."""

    def run(code: str, *arguments: str, cwd: Path | None = None, **keys: Any) -> Score:
        command = (sys.executable, "-c", textwrap.dedent(code), *arguments)
        scoring = Scoring(method="command", **{"command": command, "timeout_s": 60.0, **keys})
        return run_command(
            scoring,
            phase,
            phase / "log.json",
            cwd=cwd or phase,
            redact=lambda text: text.replace(SECRET, "**********"),
        )

    return run


@pytest.mark.parametrize(
    ("printed", "value"),
    [
        ("{'exact_match': 60.698, 'tokens_per_sample': 12}", 60.698),
        ('{"vbench_score": 70.48}', 70.48),
        ("accuracy = 61.2%", 61.2),
        ("Score: 1", 1.0),
        ("score=-1e-3", -0.001),
        ("score: .5 and again score: 0.50", 0.5),
        ("warming up 12%\nAccuracy: 7", 7.0),
    ],
)
def test_scores_as_they_are_printed(run, phase, printed, value) -> None:
    found = run(f"print({printed!r})")
    assert (found.value, found.error, found.exit_status) == (value, None, 0)
    assert (found.n, found.n_unanswered) == (3, 1)
    assert found.output_tail == f"{printed}\n"
    assert read_score(phase) == found


def test_a_pattern_of_ones_own(run) -> None:
    found = run("print('map 0.5 f1 0.25 n x')", pattern=r"map (\S+) f1 (?P<f1>\S+) n (?P<n>\S+)")
    assert (found.value, found.metrics) == (0.5, {"f1": 0.25})
    found = run("print('a 1 b 2')", pattern=r"a (?P<a>\d) b (?P<score>\d)")
    assert (found.value, found.metrics) == (2.0, {"a": 1.0})


def test_placeholders_are_paths_and_nothing_is_a_shells(run, phase) -> None:
    code = """
        import json, sys
        log, queries, outputs, rest = sys.argv[1:]
        assert log.startswith("--log=")
        paths = [log.removeprefix("--log="), queries]
        rows = [json.loads(line) for line in open(outputs, encoding="utf-8")]
        print(json.dumps({"paths": paths, "rows": rows, "rest": rest, "outputs": outputs}))
        print("score: 1")
    """
    odd = "$(touch x); `id` {other} && {outputs"
    found = run(code, "--log={accuracy_log}", "{queries}", "{outputs}", odd)
    assert found.error is None
    told = json.loads(found.output_tail.splitlines()[0])
    assert told["paths"] == [str(phase / "log.json"), str(phase / QUERIES_FILE)]
    assert told["rows"] == [
        {"index": 0, "output": "Answer: A", "expected": "é"},
        {"index": 1, "output": None, "expected": "é"},
        {"index": 2, "output": "line\nbreak", "expected": "é"},
    ]
    assert told["rest"] == odd
    assert not Path(told["outputs"]).exists()
    assert sorted(path.name for path in phase.iterdir()) == ["log.json", QUERIES_FILE, "score.json"]


def test_it_runs_where_it_is_told_with_nothing_to_read(run, tmp_path) -> None:
    found = run("import os, sys; print(os.getcwd(), repr(sys.stdin.read())); print('score: 1')", cwd=tmp_path)
    assert found.output_tail.splitlines()[0] == f"{tmp_path} ''"


@pytest.mark.parametrize(
    ("code", "status", "why"),
    [
        ("print('score: 99'); raise SystemExit(3)", 3, "failed with exit status 3 (last line: score: 99)"),
        ("raise ValueError('no such metric')", 1, "(last line: ValueError: no such metric)"),
        ("import os; os.kill(os.getpid(), 9)", -9, "failed with exit status -9 (it printed nothing)"),
        (
            "pass",
            0,
            "printed no score that the default pattern finds; give accuracy_config.pattern (it printed nothing)",
        ),
        ("print('done')", 0, "printed no score that the default pattern finds"),
        ("print('score: nan')", 0, "printed the score 'nan', which is no finite number"),
        ("print('score: -inf')", 0, "printed the score '-inf', which is no finite number"),
        ("print('score: 1e999')", 0, "printed the score '1e999', which is no finite number"),
        ("print('score: 1\\naccuracy: 2')", 0, "printed several scores (1.0, 2.0); give an accuracy_config.pattern"),
    ],
)
def test_no_score(run, phase, code, status, why) -> None:
    found = run(code)
    assert found.value is None
    assert found.exit_status == status
    assert why in (found.error or "")
    assert read_score(phase) == found


def test_a_pattern_that_finds_no_number(run) -> None:
    found = run("print('score: high')", pattern=r"score: (\w+)")
    assert "printed the score 'high', which is no finite number" in (found.error or "")
    found = run("print('nothing')", pattern=r"score: (\w+)")
    assert r"no score that the pattern 'score: (\\w+)' finds" in (found.error or "")
    found = run("print('score: ')", pattern=r"score: (\d)?")
    assert found.value is None
    assert "no finite number" in (found.error or "")


def test_a_program_that_is_not_there(run, phase) -> None:
    found = run("", command=("no-such-scorer-anywhere",))
    assert "the scorer 'no-such-scorer-anywhere' could not be started" in (found.error or "")
    assert (found.value, found.exit_status) == (None, None)
    assert read_score(phase) == found


def test_what_can_be_known_before_anything_is_sent(tmp_path: Path) -> None:
    script = tmp_path / "score.sh"
    script.write_text("#!/bin/sh\n")

    def problem(*command: str) -> str | None:
        return command_problem(Scoring(method="command", command=command), tmp_path)

    assert problem(sys.executable, "-c", "pass") is None
    assert "is no program that can be run (looked on PATH)" in (problem("no-such-scorer-anywhere") or "")
    assert f"(looked in {tmp_path})" in (problem("./score.sh") or "")
    script.chmod(0o755)
    assert problem("./score.sh") is None
    assert command_problem(Scoring(method="exact_match"), tmp_path) is None


def test_a_scorer_that_hangs_is_stopped(run, phase) -> None:
    found = run("import time; print('score: 1', flush=True); time.sleep(3600)", timeout_s=0.5)
    assert found.value is None
    assert found.exit_status is None
    assert "had not ended after 0.5 s and was stopped (last line: score: 1); raise timeout_ms" in (found.error or "")
    assert read_score(phase) == found


FAMILY = """
    import os, signal, subprocess, sys, time
    {deaf}
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
    open("pids", "w").write(f"{{os.getpid()}} {{child.pid}}")
    print("score: 1", flush=True)
    {then}
"""


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def family_is_gone(directory: Path, until: Callable[..., None]) -> bool:
    for pid in map(int, (directory / "pids").read_text().split()):
        until(lambda pid=pid: gone(pid), f"the end of process {pid}")
    return True


def test_a_deaf_scorer_is_killed_with_all_it_started(run, phase, until) -> None:
    code = FAMILY.format(deaf="signal.signal(signal.SIGTERM, signal.SIG_IGN)", then="time.sleep(3600)")
    found = run(code, timeout_s=2.0)
    assert "was stopped" in (found.error or "")
    assert family_is_gone(phase, until)


def test_what_a_scorer_leaves_running_does_not_hold_us(run, phase, until) -> None:
    found = run(FAMILY.format(deaf="", then=""))
    assert (found.value, found.error) == (1.0, None)
    assert family_is_gone(phase, until)


def test_a_scorer_that_closes_its_output_and_goes_on(run) -> None:
    found = run("import os, time; print('score: 1', flush=True); os.close(1); os.close(2); time.sleep(0.5)")
    assert (found.value, found.exit_status) == (1.0, 0)


def test_output_is_bounded_and_its_end_counts(run) -> None:
    found = run("print('x' * 80, 'y\\n' * 3_000_000, 'score: 5')")
    assert found.value == 5.0
    assert len(found.output_tail) == 65_536
    assert found.output_tail.endswith("score: 5\n")


def test_a_flood_without_end_is_stopped(run) -> None:
    found = run("while True: print('score: 1' * 1000)", timeout_s=1.0)
    assert "was stopped" in (found.error or "")
    assert len(found.output_tail) <= 65_536


def test_output_that_is_no_text(run) -> None:
    found = run("import sys; sys.stdout.buffer.write(b'\\xff\\xfe\\0 score: 5\\n')")
    assert found.value == 5.0
    assert "\ufffd" in found.output_tail


def test_no_secret_is_kept(run, phase) -> None:
    found = run(f"print('key {SECRET}'); raise SystemExit('failed with {SECRET}')")
    assert "**********" in (found.error or "")
    assert "**********" in found.output_tail
    assert SECRET not in (phase / "score.json").read_text()
    # Also where the limit would cut it in two.
    found = run(f"print('{SECRET}' + 'x' * (65_536 - 10) + '\\nscore: 1')")
    assert SECRET[-8:] not in found.output_tail


def test_a_tick_can_end_it(phase, until) -> None:
    class StopError(Exception):
        pass

    def tick() -> None:
        if (phase / "pids").exists():
            raise StopError

    code = textwrap.dedent(FAMILY.format(deaf="", then="time.sleep(3600)"))
    scoring = Scoring(method="command", command=(sys.executable, "-c", code))
    with pytest.raises(StopError):
        run_command(scoring, phase, phase / "log.json", cwd=phase, redact=str, tick=tick)
    assert family_is_gone(phase, until)
    assert read_score(phase) is None


DRIVER = """
    import sys
    from pathlib import Path
    from pytest_mlperf_audit.session.scorer import run_command
    from pytest_mlperf_audit.runs.spec import Scoring
    phase = Path(sys.argv[1])
    try:
        run_command(
            Scoring(method="command", command=(sys.executable, "-c", sys.argv[2])),
            phase, phase / "log.json", cwd=phase, redact=str,
        )
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


def test_ctrl_c_ends_the_scorer_and_leaves_no_score(phase, until) -> None:
    code = textwrap.dedent(FAMILY.format(deaf="", then="time.sleep(3600)"))
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(DRIVER), str(phase), code], stdout=subprocess.PIPE, text=True
    )
    with process:
        until(lambda: (phase / "pids").exists() and (phase / "pids").read_text().count(" ") == 1, "the scorer")
        os.kill(process.pid, signal.SIGINT)
        assert process.communicate()[0] == "interrupted\n"
    assert family_is_gone(phase, until)
    assert read_score(phase) is None


def test_records_that_cannot_be_read(run, phase) -> None:
    (phase / QUERIES_FILE).write_bytes(b"{}\n")
    with pytest.raises(RecordError):
        run("print('score: 1')")
    assert not (phase / "score.json").exists()
