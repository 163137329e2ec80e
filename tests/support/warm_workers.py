"""For pytest sessions in tests: xdist's workers are forked from a Python that has imported all; see warm_python.py."""

import shlex
import sys
from pathlib import Path
from typing import Any


def pytest_xdist_setupnodes(specs: list[Any]) -> None:
    for spec in specs:
        spec.python = shlex.join([sys.executable, "-IS", str(Path(__file__).with_name("warm_start.py"))])
