"""The CPU time of a command is that of all its processes, whoever waits for them."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("process_tree.py")
BURN = """
import sys, time
while time.process_time() < 0.05:
    pass
open(sys.argv[1], "w").write(str(time.process_time()))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="adopting orphans is Linux's own")
@pytest.mark.parametrize("shell", ['"$@"; true', '"$@" & wait', '"$@" &', '("$@" &) &'])
def test_counts_children_and_orphans(shell: str, tmp_path: Path) -> None:
    spent = tmp_path / "spent"
    command = ["sh", "-c", shell, "sh", sys.executable, "-I", "-S", "-c", BURN, str(spent)]
    run = subprocess.run([sys.executable, PROGRAM, *command], check=True, capture_output=True, text=True)
    assert float(run.stdout) >= float(spent.read_text()) > 0


@pytest.mark.skipif(sys.platform != "linux", reason="adopting orphans is Linux's own")
def test_a_failed_command_has_no_figure() -> None:
    run = subprocess.run([sys.executable, PROGRAM, "false"], check=False, capture_output=True, text=True)
    assert run.returncode
    assert not run.stdout
