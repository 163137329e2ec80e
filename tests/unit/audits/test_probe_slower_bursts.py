"""What identical queries at once show beside different ones: faster, or slower, under one id or under their own."""

from __future__ import annotations

import pytest

from pytest_mlperf_audit.audits.probe.conclusion import Conclusion
from pytest_mlperf_audit.audits.probe.script import script
from pytest_mlperf_audit.audits.probe.seen.contrasts import coalescing
from pytest_mlperf_audit.audits.probe.seen.evidence import Evidence
from pytest_mlperf_audit.runs.query import QueryRecord
from pytest_mlperf_audit.runs.spec import Concurrency


def bursts(same_s: float, ids: str) -> Evidence:
    """Return evidence of seven bursts of each kind; twins take 20 ms, `ids` are own, one a burst, or none."""
    records: list[QueryRecord] = []
    for number in range(14):
        kind = ("same", "twins")[number % 2]
        took_s = (same_s if kind == "same" else 0.02) * (1 + number / 100)
        for query in range(4):
            own = f"{number}.{query}" if ids == "own" or kind == "twins" else f"{number}"
            request = f"{number * 4 + (0 if kind == 'same' else query):032x}"
            records.append(
                QueryRecord(
                    query=len(records),
                    sample=0,
                    issued_ns=number * 10**9,
                    completed_ns=number * 10**9 + round(took_s * 1e9),
                    request=request,
                    reply_id=None if ids == "none" else own,
                    reply_bytes=100,
                    tag=f"b{number}/{kind}",
                )
            )
    return Evidence.of(records)


@pytest.mark.parametrize(
    ("same_s", "ids", "sure"),
    [
        (0.01, "own", True),
        (0.01, "one", True),
        (0.04, "own", False),
        (0.04, "one", True),
        (0.01, "none", True),
        (0.04, "none", False),
    ],
)
def test_slower_together_says_something_only_where_ids_are_shared(same_s, ids, sure):
    """Behind a balancer that goes by the prompt one server has all identical queries, and computes them."""
    contrast = coalescing(bursts(same_s, ids))
    assert contrast is not None
    assert (contrast.p < 0.001) is sure


def served_by_hash(records: list[QueryRecord]) -> None:
    """Have one of two servers, which the request picks, answer each of these queries at once, one after another."""
    free_ns = [records[0].issued_ns] * 2
    for record in records:
        server = int(record.request[:8], 16) % 2
        free_ns[server] += round(1e8 * (1 + record.query % 7 / 100))
        record.completed_ns = free_ns[server]


def test_a_balancer_that_goes_by_the_prompt_coalesces_nothing(plan_probe, fake_sut, monkeypatch):
    """All identical queries wait for one server, different ones for either; replies have no ids."""

    def answer(self, upcoming, plain=fake_sut._answer):
        records = plain(self, upcoming)
        if upcoming.most_in_flight > 1:
            served_by_hash(records)
            self.now_s = max(record.completed_ns for record in records) / 1e9
        return records

    monkeypatch.setattr(fake_sut, "_answer", answer)
    probe = plan_probe(load=Concurrency(target=8))
    for seed in range(3):
        found = Conclusion(probe, fake_sut(seed=seed).run(script(probe, seed)).records)
        assert (found.word, found.proved) == ("CLEAN", ())
