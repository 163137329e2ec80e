"""accuracy.txt of the classic layout: the scores of an accuracy run in the words that MLPerf's checker looks for.

Source: mlcommons/inference `tools/submission/submission_checker/constants.py` (ACC_PATTERN, accuracy-target), which
finds a model's scores in what its accuracy script printed, each by a pattern of its own; and
`tools/submission/truncate_accuracy_log.py`, which adds the line `hash=` with the digest of the whole accuracy log.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple


class _Form(NamedTuple):
    """How a score is written, {1} being what it lacks of 100.

    `metric` names it among a scorer's figures, "" where it is the score itself.
    """

    line: str
    metric: str = ""


#: By the checker's names of scores, see `audits.models`.
_FORMS: Final[Mapping[str, _Form]] = {
    "acc": _Form("accuracy={}%"),
    "AUC": _Form("AUC={}"),
    "mAP": _Form("mAP={}"),
    "ACCURACY": _Form("Word Error Rate: {1}%, accuracy={0}%"),
    "DICE": _Form("Accuracy: mean = {}"),
    "ROUGE1": _Form("{{'rouge1': {}}}", "rouge1"),
    "ROUGE2": _Form("{{'rouge2': {}}}", "rouge2"),
    "ROUGEL": _Form("{{'rougeL': {}}}", "rougeL"),
    "ROUGELSUM": _Form("{{'rougeLsum': {}}}", "rougeLsum"),
    "GEN_LEN": _Form("{{'gen_len': {}}}", "gen_len"),
    "TOKENS_PER_SAMPLE": _Form("{{'tokens_per_sample': {}}}", "tokens_per_sample"),
    "CLIP_SCORE": _Form("{{'CLIP_SCORE': {}}}", "CLIP_SCORE"),
    "FID_SCORE": _Form("{{'FID_SCORE': {}}}", "FID_SCORE"),
    "gsm8k_accuracy": _Form("{{'gsm8k': {}}}", "gsm8k"),
    "mbxp_accuracy": _Form("{{'mbxp': {}}}", "mbxp"),
    "exact_match": _Form("{{'exact_match': {}}}", "exact_match"),
    "vbench_score": _Form("{{'vbench_score': {}}}", "vbench_score"),
    "F1_HIERARCHICAL": _Form('{{"f1": {}}}', "f1"),
    "E2E_ACCURACY": _Form("Accuracy: {}"),
}
_HASH = re.compile(r"\s*hash=")


def accuracy_text(
    types: Sequence[str], score: float, metrics: Mapping[str, float], *, printed: str = "", sha256: str
) -> str:
    """Return the file's text: a line for each score of `types`, the checker's names, then the digest.

    The first of `types` that no metric is named after is `score`. What an external scorer printed comes before, where a
    score of the model is in no metric; MLPerf's own accuracy scripts print the checker's words.
    """
    found = dict(_scores(types, score, metrics))
    lines: list[str] = []
    if set(types) - set(found):
        lines = [line.rstrip() for line in printed.splitlines() if not _HASH.match(line)]
    lines += [_FORMS[kind].line.format(_digits(value), _digits(100 - value)) for kind, value in found.items()]
    if not found:
        lines.append(f"score = {_digits(score)}")
    return "\n".join([*lines, "", f"hash={sha256}"]) + "\n"


def _scores(types: Sequence[str], score: float, metrics: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    unnamed = [kind for kind in types if kind in _FORMS and _FORMS[kind].metric not in metrics]
    for kind in types:
        if kind in unnamed:
            if kind == types[0]:
                yield kind, score
        elif kind in _FORMS:
            yield kind, metrics[_FORMS[kind].metric]


def _digits(value: float) -> str:
    """Return a number without sign or exponent, which the patterns do not know."""
    return f"{abs(value):.10f}".rstrip("0").rstrip(".") or "0"
