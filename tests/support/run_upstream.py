"""Run one of upstream's verify_performance.py on many pairs of logs, in this process alone.

    python run_upstream.py SCRIPT --option-of-reference --option-of-audit < pairs.json > words.json

Each word is PASS, FAIL or CRASH with the scores that were printed, as the script would end in a process of its own.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import runpy
import sys
from collections.abc import Callable
from typing import Any


def word(main: Callable[[], object]) -> dict[str, Any]:
    printed = io.StringIO()
    crashed = False
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            main()
        except SystemExit as end:
            printed.write(str(end.code or ""))
        except Exception:  # noqa: BLE001  whatever ends the script is its traceback
            crashed = True
    text = printed.getvalue()
    scores = {name.lower(): score for name, score in re.findall(r"(reference|test) score = (.*)", text, re.IGNORECASE)}
    verdict = "CRASH" if crashed else "PASS" if "TEST PASS" in text else "FAIL"
    return {"verdict": verdict, "reference": scores.get("reference"), "audit": scores.get("test")}


if __name__ == "__main__":
    script, *options = sys.argv[1:]
    main = runpy.run_path(script)["main"]
    words = []
    for pair in json.load(sys.stdin):
        sys.argv = [script, options[0], pair[0], options[1], pair[1]]
        words.append(word(main))
    json.dump(words, sys.stdout)
