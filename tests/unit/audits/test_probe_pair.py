"""Two identical queries at once tell ids that are made from the request from those of replies that were kept."""

from __future__ import annotations

import hashlib
import random

import msgspec
import pytest

from pytest_mlperf_audit.audits.contract import AuditContext
from pytest_mlperf_audit.audits.probe.conclusion import Conclusion
from pytest_mlperf_audit.audits.probe.plan import planned
from pytest_mlperf_audit.audits.probe.planned import Probe
from pytest_mlperf_audit.audits.probe.script import script
from pytest_mlperf_audit.audits.probe.settings import ProbeSettings
from pytest_mlperf_audit.runs.query import QueryRecord
from pytest_mlperf_audit.runs.spec import Concurrency


def concluded(probe: Probe, ids: str) -> tuple[Conclusion, list[str]]:
    """Return what a server comes to that takes as long for all, and the tags of what it was asked.

    Its ids are random, made from the request, or kept: of the first reply to it, but where two come at once.
    """
    rng, records = random.Random(1), list[QueryRecord]()
    session, replies = script(probe, 1), list[QueryRecord]()
    try:
        upcoming = next(session)
        while True:
            replies = []
            for step in upcoming.steps:
                request = hashlib.sha256(msgspec.json.encode((step.row, step.edit))).hexdigest()[:32]
                own = ids == "random" or (ids == "kept" and upcoming.at_once)
                issued_ns = len(records) * 10**9
                replies.append(
                    QueryRecord(
                        query=len(records),
                        sample=step.row,
                        issued_ns=issued_ns,
                        completed_ns=issued_ns + int(2e7 * rng.lognormvariate(0, 0.03)),
                        request=request,
                        reply=request,
                        reply_id=f"{len(records)}" if own else request,
                        tag=step.tag,
                    )
                )
                records.append(replies[-1])
            upcoming = session.send(replies)
    except StopIteration:
        return Conclusion(probe, records), [record.tag or "" for record in records]


@pytest.fixture
def single(rows):
    """Plan the probe of a benchmark that has so many queries in flight."""
    return lambda in_flight=8, **settings: planned(
        ProbeSettings(**settings), rows(), AuditContext(load=Concurrency(target=in_flight), api_type="videogen")
    )


@pytest.mark.parametrize(
    ("ids", "n_pairs", "word"), [("random", 0, "CLEAN"), ("made", 2, "CLEAN"), ("kept", 2, "INCONCLUSIVE")]
)
def test_a_pair_tells_kept_replies_from_made_ids(single, ids, n_pairs, word):
    found, tags = concluded(single(), ids)
    assert tags.count("p0/pair") == n_pairs
    assert found.word == word
    assert (found.passed, bool(found.identity.doubt)) == ((True, False) if word == "CLEAN" else (None, True))


@pytest.mark.parametrize("settings", [{"in_flight": 1}, {"max_queries": 40}], ids=["one in flight", "a budget"])
def test_no_pair_is_sent_where_there_is_no_room_for_it(single, settings):
    found, tags = concluded(single(**settings), "kept")
    assert "p0/pair" not in tags
    assert found.word == "CLEAN"
