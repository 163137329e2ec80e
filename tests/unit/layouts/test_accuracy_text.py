"""accuracy.txt in the checker's words: its patterns, copied as facts, find each score."""

from __future__ import annotations

import re

import pytest

from pytest_mlperf_audit.layouts.accuracy_text import accuracy_text

SHA = "ab" * 32
#: mlcommons/inference `submission_checker/constants.py`, ACC_PATTERN.
PATTERNS = {
    "acc": r"^(?:\{\"accuracy|accuracy)[\": ]*=?\s*([\d\.]+).*",
    "mAP": r".*(?:mAP=|'Total':)\s*([\d.]+)",
    "ACCURACY": r"Word Error Rate\:.*, accuracy=([0-9\.]+)%",
    "DICE": r"Accuracy\:\s*mean\s*=\s*([\d\.]+).*",
    "ROUGE1": r".*'rouge1':\s+'?([\d.]+)'?.*",
    "GEN_LEN": r".*'gen_len':\s([\d.]+).*",
    "TOKENS_PER_SAMPLE": r".*'tokens_per_sample':\s([\d.]+).*",
    "exact_match": r".*'exact_match':\s([\d.]+).*",
    "vbench_score": r".*'vbench_score':\s([\d.]+).*",
    "F1_HIERARCHICAL": r'\{.*"f1":\s*([\d\.]+).*\}',
    "E2E_ACCURACY": r"Accuracy:\s*([\d\.]+)",
}


def found(text, kind):
    """What the checker finds: it matches every line from its start."""
    return [float(match[1]) for line in text.splitlines() if (match := re.match(PATTERNS[kind], line))]


@pytest.mark.parametrize("kind", PATTERNS)
@pytest.mark.parametrize("value", [70.48, 8167644.0, 0.00001234, 0.0])
def test_a_models_one_score_is_found(kind, value):
    text = accuracy_text((kind,), value, {}, sha256=SHA)
    assert found(text, kind) == [pytest.approx(value)]
    assert re.findall(r"^hash=([\w\d]+)$", text, re.MULTILINE) == [SHA]


def test_named_metrics_stand_for_themselves():
    text = accuracy_text(("exact_match", "TOKENS_PER_SAMPLE"), 81.5, {"tokens_per_sample": 3886.2}, sha256=SHA)
    assert found(text, "exact_match") == [81.5]
    assert found(text, "TOKENS_PER_SAMPLE") == [3886.2]


def test_what_a_scorer_printed_stands_in_for_scores_that_have_no_figure():
    printed = "hash=forged\n{'rouge1': 38.7, 'gen_len': 8167644}\n"
    text = accuracy_text(("ROUGE1", "GEN_LEN"), 38.7, {"rouge1": 38.7}, printed=printed, sha256=SHA)
    assert found(text, "GEN_LEN") == [8167644.0]
    assert set(found(text, "ROUGE1")) == {38.7}
    assert re.findall(r"^hash=([\w\d]+)$", text, re.MULTILINE) == [SHA]
    assert "rouge1" not in accuracy_text(("vbench_score",), 70.0, {}, printed=printed, sha256=SHA)


def test_a_model_that_mlperf_does_not_know_has_its_score():
    assert accuracy_text((), 12.5, {}, sha256=SHA) == f"score = 12.5\n\nhash={SHA}\n"
