"""Scores that the benchmarks' accuracy scripts print into accuracy.txt, baseline_accuracy.txt, compliance_accuracy.txt.

The names are those of the submission checker, mlcommons/inference `tools/submission/submission_checker/constants.py`
(ACC_PATTERN); the forms are those of the scripts of each benchmark.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from .text import read, text_of

_LIMIT_BYTES: Final = 64 << 20
_VALUE = r"(?P<value>[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"


def _quoted(name: str) -> str:
    """The scores of one print of a Python dict: {'rouge1': 44.43, 'rouge2': '22.03'}."""
    return rf".*'{name}':\s+'?{_VALUE}"


_FORMS: Final = {
    name: re.compile(form)
    for name, form in {
        "acc": rf"""(?:\{{"accuracy|accuracy)[":\s]*(?:=\s*)?{_VALUE}""",
        "AUC": rf"AUC={_VALUE}",
        "mAP": rf".*(?:mAP=|'Total':)\s*{_VALUE}",
        "F1": rf"""\{{["']exact_match["']:\s*[0-9.]+,\s*["']f1["']:\s*{_VALUE}\}}""",
        "ACCURACY": rf"Word Error Rate:.*, accuracy={_VALUE}%",
        "DICE": rf"Accuracy:\s*mean\s*=\s*{_VALUE}",
        "E2E_ACCURACY": rf"Accuracy:\s*{_VALUE}",
        "ROUGE1": _quoted("rouge1"),
        "ROUGE2": _quoted("rouge2"),
        "ROUGEL": _quoted("rougeL"),
        "ROUGELSUM": _quoted("rougeLsum"),
        "GEN_LEN": _quoted("gen_len"),
        "TOKENS_PER_SAMPLE": _quoted("tokens_per_sample"),
        "CLIP_SCORE": _quoted("CLIP_SCORE"),
        "FID_SCORE": _quoted("FID_SCORE"),
        "gsm8k_accuracy": _quoted("gsm8k"),
        "mbxp_accuracy": _quoted("mbxp"),
        "exact_match": _quoted("exact_match"),
        "vbench_score": _quoted("vbench_score"),
    }.items()
}


def read_scores(path: Path, names: Iterable[str]) -> dict[str, float]:
    """Return those of the named scores that a file has; the last counts where one is printed again.

    A file that is not there has none. Raises RecordError when it cannot be read.
    """
    data = read(path, _LIMIT_BYTES)
    if data is None:
        return {}
    text = text_of(data)
    lines = [*text.lines, text.cut]
    found = {}
    for name in names:
        matches = [match for line in lines if (match := _FORMS[name].match(line))]
        if matches:
            found[name] = float(matches[-1]["value"])
    return found
