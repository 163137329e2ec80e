"""The table of models in docs/audits.md says what the rulesets require, and names folders that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_mlperf_audit.audits.models import find_model
from pytest_mlperf_audit.config.rulesets import find_ruleset, required_audits
from pytest_mlperf_audit.endpoints.registry import shipped

_ROOT = Path(__file__).parents[3]
_ROUNDS = ("v5.0", "v5.1", "v6.0", "v6.1")


def _rows() -> dict[str, list[str]]:
    """Every model of the tables: the cells of four rounds, the format and the examples."""
    text = (_ROOT / "docs" / "audits.md").read_text()
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| `")]
    return {cells[0].split("`")[1]: cells[1:] for cells in lines if len(cells) == len(_ROUNDS) + 3}


ROWS = _rows()


def _benchmarks_with_audits() -> set[str]:
    rulesets = [find_ruleset(f"mlperf-inference-{name}") for name in _ROUNDS]
    named = {name for ruleset in rulesets if ruleset for audited in ruleset.audits.values() for name in audited}
    return {re.sub(r"(-interactive)?(-99\.9|-99|-95)?$", "", name) for name in named}


def test_every_model_with_an_audit_has_its_row():
    assert _benchmarks_with_audits() <= set(ROWS)


@pytest.mark.parametrize("model", ROWS)
def test_a_row_has_the_audits_of_each_round(model):
    for name, cell in zip(_ROUNDS, ROWS[model], strict=False):
        ruleset = find_ruleset(f"mlperf-inference-{name}")
        assert ruleset is not None
        told = () if cell == "none" else tuple(test.lower() for test in cell.split(", "))
        if cell != "-":  # a list of the checker may name a model that the round has no more
            assert told == required_audits(ruleset, model), name


@pytest.mark.parametrize("model", ROWS)
def test_a_row_is_of_a_known_model_and_names_formats_and_examples_that_exist(model):
    known = find_model(model)
    assert known is not None
    assert known.accuracy_types
    assert set(re.findall(r"`([^`]+)`", ROWS[model][-2])) <= {adapter.api_type for adapter in shipped()}
    for example in re.findall(r"`([^`]+)`", ROWS[model][-1]):
        assert (_ROOT / "conftest_examples" / example).exists(), example
