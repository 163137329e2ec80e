"""The example of docs/notebook.md runs as it stands there, in a notebook's cell and in a program."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "notebook.md").read_text(), re.DOTALL)

#: A cell is run while the event loop of its kernel is running.
CELL = """
import asyncio
async def cell():
    exec({code!r}, {{}})
asyncio.run(cell())
"""


@pytest.mark.parametrize("where", ["program", "cell"])
def test_the_notebook_example_runs(where: str, tmp_path: Path) -> None:
    assert len(BLOCKS) == 2
    folder = shutil.copytree(ROOT / "conftest_examples" / "wan22_offline", tmp_path / "wan22_offline")
    code = "\n".join(BLOCKS)
    done = subprocess.run(
        [sys.executable, "-c", code if where == "program" else CELL.format(code=code)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("wan22.yaml: test04 (64 + 64 queries")
    assert "PASS (simulated)" in lines
    assert "test04 PASS " in lines
    assert re.fullmatch(r"PASS \S+Z? CONFIRMED", lines[-1]), lines[-1]
    assert (folder / "mlperf-reports" / "notebook" / "report.html").is_file()
