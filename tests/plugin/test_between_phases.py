"""What is done between two phases: a command of the YAML, a hook, nothing by default."""

from __future__ import annotations

import signal

import pytest


def between(*command: str, **settings: object) -> dict[str, object]:
    return {"between_phases": {"command": list(command), **settings}}


def test_a_command_is_run_between_every_two_phases(audit, sut, lone_or_spread):
    audit.config(
        sut,
        audit={"only": False},
        settings=between("sh", "-c", "echo $0 $1 $2 >> between.txt", "{before}", "{after}", "{url}"),
    )
    audit.run(*lone_or_spread).assert_outcomes(passed=7)
    assert (audit.path / "between.txt").read_text().splitlines() == [
        f"reference output_caching {sut.url}",
        f"output_caching performance {sut.url}",
    ]
    assert audit.verdict()["status"] == "PASS"


def test_placeholders_are_no_shell(audit, sut):
    """A label or URL takes the place of a placeholder within one argument, and no shell sees it."""
    audit.config(sut, settings=between("touch", "x-{before};{after}"))
    audit.run().assert_outcomes(passed=5)
    assert (audit.path / "x-reference;output_caching").exists()


@pytest.mark.parametrize(
    ("command", "settings", "message"),
    [
        (["sh", "-c", "echo no restart; exit 3"], {}, "*sh ended with status 3; it said: no restart*"),
        (["no-such-program-xyz"], {}, "*no-such-program-xyz could not be started*"),
        (["sleep", "60"], {"timeout_ms": 300}, "*sleep ran longer than its time limit of 0.3 s*"),
    ],
    ids=["fails", "missing", "hangs"],
)
def test_a_command_that_fails_leaves_no_verdict(audit, sut, lone_or_spread, command, settings, message):
    audit.config(sut, settings=between(*command, **settings))
    result = audit.run(*lone_or_spread)
    assert result.ret == 6
    result.stdout.fnmatch_lines([message])
    assert sut.received == 8  # the reference alone, once
    assert audit.verdict()["status"] == "NO_VERDICT"
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_hook_is_called_with_labels_and_endpoint(audit, sut):
    (audit.path / "conftest.py").write_text(
        "from pathlib import Path\n"
        "def pytest_mlperf_between_phases(before, after, urls):\n"
        "    with open('between.txt', 'a') as file:\n"
        "        file.write(f'{before} {after} {urls[0]}\\n')\n"
    )
    audit.config(sut)
    audit.run().assert_outcomes(passed=5)
    assert (audit.path / "between.txt").read_text() == f"reference output_caching {sut.url}\n"


def test_a_hook_that_fails_leaves_no_verdict(audit, sut):
    (audit.path / "conftest.py").write_text(
        "def pytest_mlperf_between_phases(before, after):\n    raise RuntimeError('no restart')\n"
    )
    audit.config(sut)
    result = audit.run()
    assert result.ret == 6
    result.stdout.fnmatch_lines(["*pytest_mlperf_between_phases*RuntimeError: no restart*"])


def test_a_hook_that_nobody_awaits_leaves_no_verdict(audit, sut):
    (audit.path / "conftest.py").write_text("async def pytest_mlperf_between_phases(before, after):\n    pass\n")
    audit.config(sut)
    result = audit.run()
    assert result.ret == 6
    result.stdout.fnmatch_lines(["*pytest_mlperf_between_phases*make it a plain function*"])


def test_the_command_may_restart_the_server(audit, start_sut):
    """Connections of the phase before are not used again."""
    sut = start_sut()
    audit.config(sut, settings=between("true"))
    audit.run().assert_outcomes(passed=5)
    assert sut.received == 16


def test_ctrl_c_while_it_runs(audit, sut, until):
    audit.config(sut, settings=between("sh", "-c", "touch begun; sleep 60"))
    process = audit.start()
    until((audit.path / "begun").exists, "the command")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2, output
    assert sut.received == 8


@pytest.mark.parametrize("command", [[], "restart"])
def test_a_command_that_is_none_is_an_error_before_anything_is_sent(audit, sut, command):
    audit.config(sut, settings={"between_phases": {"command": command}})
    result = audit.run()
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*settings.between_phases.command*"])
    assert sut.received == 0
