"""What ids, outputs and headers prove, leave in doubt, or do not tell: on records of servers made up here."""

from __future__ import annotations

import pytest

from pytest_mlperf_audit.audits.probe.identity.identity import Identity, identity
from pytest_mlperf_audit.audits.probe.seen.evidence import decode_s
from pytest_mlperf_audit.runs.query import QueryRecord
from tests.support.identities import (
    CACHES,
    HONEST,
    MISS_S,
    Reply,
    Server,
    audited,
    beginning,
    by_request,
    canned,
    digest,
    semantic,
)

#: Honest servers whose ids or headers may leave a doubt: what they show is what a cache shows as well.
DOUBTFUL = {
    "ids of the request and the second",
    "one reply, no ids",
    *(name for name in HONEST if "reply, a constant" in name or "replies, a constant" in name),
    *(name for name in HONEST if "the same" in name or "a part of" in name),
}


@pytest.mark.parametrize("name", HONEST)
def test_honest_servers_are_not_accused(name):
    for seed in range(20):
        found = audited(HONEST[name](seed))
        assert not found.proofs
        assert not found.doubt or name in DOUBTFUL


def test_replies_made_of_a_part_of_the_request_are_no_proof():
    """As far as can be seen they may be kept, and they are no faster."""
    for seed in range(100):
        found = audited(canned(seed, slow_first=40 * (seed % 2)))
        assert not found.proofs
        assert "bear the id and the output of an earlier reply to another request" in found.doubt


def test_one_reply_under_one_id_is_in_doubt():
    found = audited(Server(ids=lambda *_: "id", outputs=lambda _: "yes"))
    assert not found.proofs
    assert found.doubt.startswith("replies to 90 different requests are one and the same, id and output")


@pytest.mark.parametrize(
    ("kind", "kept_by"), [("semantic", semantic), ("near_duplicate", beginning)], ids=["semantic", "near_duplicate"]
)
def test_replies_to_other_requests_that_come_faster_are_proof(kind, kept_by):
    found = audited(Server(kept_by=kept_by), n_blocks=12)
    assert list(found.proofs) == [kind]
    assert "bear the id and the output of an earlier reply to another request" in found.proofs[kind]
    assert " took 0.5" in found.proofs[kind]
    assert found.doubt == ""


def test_replies_that_a_cache_knew_before_are_in_doubt():
    """All that is sent was answered before, so that nothing is slower than what is borrowed."""
    server = Server(kept_by=semantic)
    server.entries = {key: (0.0, Reply(f"id {key}", f"to {key}")) for key in range(40)}
    found = audited(server)
    assert not found.proofs
    assert "a cache that knew these requests before" in found.doubt


def test_a_header_proves_what_times_do_not():
    server = Server(kept_by=semantic)
    server.entries = {key: (0.0, Reply(f"id {key}", f"to {key}")) for key in range(39)}
    assert audited(server, "x-cache: HIT").doubt, "the first of each kind says so, too"
    assert list(audited(Server(kept_by=semantic), "x-cache: HIT").proofs) == ["semantic"]


@pytest.mark.parametrize("name", ["serves under load", "serves what is not recent"])
def test_replays_beside_requests_that_are_computed_again_are_proof(name):
    found = audited(CACHES[name](1))
    assert list(found.proofs) == ["response"]
    assert "while others no less identical have ids of their own" in found.proofs["response"]


def test_what_a_tick_of_a_clock_explains_is_a_doubt():
    """Ids were the same until some moment, and others from then on."""
    found = audited(CACHES["serves the first 96 requests"](1))
    assert not found.proofs
    assert "or ids made from the request and a server or the time" in found.doubt


def test_a_single_replay_is_a_doubt():
    server = Server(kept_by=by_request, serves=lambda server, request: server.at == 48 + 48 + 8 and request == "row 0")
    found = audited(server)
    assert not found.proofs
    assert found.doubt.startswith("1 of 66 requests that had been answered before got the same id and output once more")


def test_requests_answered_together_are_a_doubt():
    """What comes while an identical request is under way gets its reply; all else is computed."""
    under_way: dict[str, tuple[float, str]] = {}

    def ids(server: Server, request: str) -> str:
        until_s, own = under_way.get(request, (0.0, ""))
        if until_s <= server.now_s:
            own = f"{server.rng.getrandbits(64):x}"
            under_way[request] = (server.now_s + MISS_S / 2, own)
        return own

    found = audited(Server(ids=ids))
    assert not found.proofs
    assert "requests were coalesced" in found.doubt


def test_headers_that_tell_repeats_from_fresh_requests_are_proof():
    def of_request(_: Server, request: str) -> str:
        return digest(request)

    found = audited(Server(kept_by=by_request, ids=of_request), "x-cache: HIT")
    assert found.proofs["response"].startswith(
        "12 of 12 exact repeats say in their headers that they come from a cache"
    )
    assert audited(Server(kept_by=by_request, ids=of_request), "x-cache: MISS") == Identity()


def test_replies_without_ids_tell_nothing():
    record = QueryRecord(query=0, sample=0, issued_ns=0, completed_ns=1, request="0" * 32)
    assert identity([[record]] * 40) == Identity()
    assert identity([]) == Identity()


def test_replies_that_come_in_one_piece_have_a_time_after_the_first_token():
    """Of a semantic cache most twins are hits, too: the median of what they take after the first token is none."""
    record = QueryRecord(query=0, sample=0, issued_ns=0, completed_ns=10**6, request="r", outcome="completed")
    record.first_token_ns = record.completed_ns
    assert decode_s(record, 0.0) > 0
