"""Rows that come back faster than their twins the first time that the probe sends them: known from before."""

from __future__ import annotations

import random

import pytest

from pytest_mlperf_audit.audits.probe.identity.known import known_rows
from pytest_mlperf_audit.audits.probe.judges.judgement import Judgement
from pytest_mlperf_audit.audits.probe.seen.evidence import Evidence
from pytest_mlperf_audit.audits.probe.sent.design import DATASET
from pytest_mlperf_audit.runs.query import QueryRecord

CLEAN = Judgement("CLEAN")


def groups(row_s: float, n: int = 6, seed: int = 1, cv: float = 0.1, **fields: object) -> Evidence:
    """Return evidence of blocks of the data set in which all takes 20 ms, but for the row's first sending."""
    rng, records, now_ns = random.Random(seed), list[QueryRecord](), 0
    for block in range(n):
        for arm in ("prime", "R", "Y", "Y", "Y", "P"):
            took_ns = int((row_s if arm == "prime" else 0.02) * rng.lognormvariate(0, cv) * 1e9)
            request = f"{block if arm in ('prime', 'R') else 1000 + len(records):032x}"
            records.append(
                QueryRecord(
                    query=len(records),
                    sample=block,
                    issued_ns=now_ns,
                    completed_ns=now_ns + took_ns,
                    request=request,
                    tag=f"d{block}/{arm}",
                    reply_bytes=100,
                    **fields,  # type: ignore[arg-type]
                )
            )
            now_ns += took_ns
    return Evidence.of(records)


def test_rows_that_are_no_text_are_compared_with_the_twins_they_have():
    evidence = groups(0.001)
    evidence.twins = "one element changed by the least step"
    for block in evidence.groups[DATASET]:
        del block["P"]
    assert known_rows(evidence, CLEAN).startswith("rows of the data set came back ")


def test_rows_that_are_known_are_told():
    found = known_rows(groups(0.001), CLEAN)
    assert found.startswith("rows of the data set came back ")
    assert "(p 0.0011)" in found


@pytest.mark.parametrize(
    ("evidence", "judgement"),
    [
        (groups(0.02), CLEAN),
        (groups(0.012), CLEAN),
        (groups(0.001, n=5), CLEAN),
        (groups(0.001, cached_tokens=9), CLEAN),
        (groups(0.001), Judgement("CACHE", kinds=("prefix",))),
        (Evidence(), CLEAN),
    ],
    ids=["alike", "somewhat faster", "too few", "a prefix cache says so", "a prefix cache was found", "none sent"],
)
def test_what_has_another_reason_is_not(evidence, judgement):
    assert known_rows(evidence, judgement) == ""


def test_honest_rows_are_seldom_taken_for_known():
    assert sum(bool(known_rows(groups(0.02, seed=seed, cv=0.6), CLEAN)) for seed in range(1000)) <= 2
