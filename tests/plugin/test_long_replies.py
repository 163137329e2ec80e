"""A server that does not keep the limit on output tokens is warned of, phase by phase."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_mlperf_audit.config.model_params import ModelParams
from pytest_mlperf_audit.datasets import Dataset
from pytest_mlperf_audit.endpoints.source import RequestSource
from pytest_mlperf_audit.endpoints.text.openai import OpenAIChatAdapter
from pytest_mlperf_audit.runs.columns import QueryColumns
from pytest_mlperf_audit.runs.query import QueryRecord
from pytest_mlperf_audit.session.phase_warnings import long_replies


class Rows(list[dict[str, Any]]):
    """A data set in memory."""


def warning(*tokens: int | None, rows: list[dict[str, Any]], **params: Any) -> str:
    made = [
        QueryRecord(query=at, sample=at % len(rows), issued_ns=at, completed_ns=at + 1, request="0" * 32, tokens=n)
        for at, n in enumerate(tokens)
    ]
    data: Dataset = Rows(rows)  # type: ignore[assignment]
    source = RequestSource(data, OpenAIChatAdapter(ModelParams(name="m", **params)))
    return long_replies("reference", QueryColumns(made), source)


def test_a_limit_that_is_kept():
    assert warning(16, 3, None, rows=[{"prompt": "p"}], max_new_tokens=16) == ""
    assert warning(5000, rows=[{"prompt": "p"}], max_new_tokens=None) == ""
    assert warning(40, rows=[{"prompt": "p", "max_tokens": "40"}], max_new_tokens=16) == ""
    assert warning(32, rows=[{"prompt": "p", "n": 2}], max_new_tokens=16) == "", "usage counts all choices"


@pytest.mark.parametrize(("field", "other"), [(None, "max_tokens"), ("max_tokens", "max_completion_tokens")])
def test_a_limit_that_is_not(field, other):
    told = warning(16, 500, None, rows=[{"prompt": "p"}], max_new_tokens=16, length_field=field)
    assert told.startswith(
        "reference: 1 of 2 replies report more tokens than max_new_tokens allows (row 0: 500 for 16)"
    )
    assert told.endswith(f"set model_params.length_field: {other}")
