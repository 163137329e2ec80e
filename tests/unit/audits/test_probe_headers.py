"""What headers that tell of a cache prove, leave in doubt or do not tell: on records of servers made up here."""

from __future__ import annotations

import pytest

from pytest_mlperf_audit.audits.probe.identity.identity import Identity, identity
from pytest_mlperf_audit.runs.query import QueryRecord
from tests.support.identities import (
    HIT_S,
    Reply,
    Server,
    audited,
    by_request,
    digest,
    few,
    litellm,
    nginx,
    one_entry,
    sent,
    without_ids,
)

CONSTANT = "x-cache: HIT"


def keyed_on_url(_: Server, request: str) -> str:
    return request if request.startswith("?") else "/"


def no_key(*_: object) -> None:
    return None


def yes(_: str) -> str:
    return "yes"


def log(*records: tuple[str, str, str]) -> list[QueryRecord]:
    """Return records of a log that has no tags: of each its request, its output, and its headers."""
    return [
        QueryRecord(
            query=query,
            sample=0,
            issued_ns=query * 1000,
            completed_ns=query * 1000 + 500,
            request=digest(request),
            reply=digest(output),
            cache_header=header or None,
        )
        for query, (request, output, header) in enumerate(records)
    ]


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("outputs", [yes, str], ids=["one output", "own outputs"])
def test_one_key_of_litellm_for_all_is_proof(warm, outputs):
    """It looked at the file's name: all are hits of one entry, and what the model would say is not known."""
    server = Server(kept_by=one_entry, ids=without_ids, outputs=outputs, says=litellm)
    if warm:
        server.entries["audio.wav"] = (0.0, Reply("", "kept"))
    found = audited(server, n_urls=8)
    assert list(found.proofs) == ["url_keyed"]
    assert "(x-litellm-cache-key: " in found.proofs["url_keyed"]
    assert "one entry for " in found.proofs["url_keyed"]
    assert "that header is sent with hits alone" in found.proofs["url_keyed"]


def test_a_key_without_the_body_is_proof_by_the_changed_urls():
    """As nginx's is where the body does not fit its buffer; the same for a model that has but one output."""
    found = audited(Server(kept_by=keyed_on_url, ids=without_ids, says=nginx), n_urls=8)
    assert list(found.proofs) == ["url_keyed"]
    assert "do not say so have outputs of their own" in found.proofs["url_keyed"]
    found = audited(Server(kept_by=keyed_on_url, ids=without_ids, outputs=yes, says=nginx), n_urls=8)
    assert list(found.proofs) == ["url_keyed"]
    assert "sent to a changed URL, and no hit was" in found.proofs["url_keyed"]


def test_an_age_that_grows_over_different_requests_is_proof():
    def says(server: Server, _: str, reply: Reply) -> str:
        return f"age: {int(server.now_s * 200)}" if reply.kept else "age: 0"

    server = Server(kept_by=one_entry, ids=without_ids, outputs=yes, says=says)
    server.entries["audio.wav"] = (0.0, Reply("", "yes"))
    found = audited(server)
    assert "the age of what was kept grew" in "".join(found.proofs.values())
    constant = Server(kept_by=no_key, ids=without_ids, outputs=yes, says=lambda *_: "age: 7")
    assert not audited(constant).proofs


def test_the_transaction_that_fetched_an_object_is_its_entry():
    def says(server: Server, _: str, reply: Reply) -> str:
        return f"x-varnish: {server.at} 3" if reply.kept else f"x-varnish: {server.at}"

    found = audited(Server(kept_by=one_entry, ids=without_ids, outputs=yes, says=says))
    assert "one entry for " in "".join(found.proofs.values())


def test_a_cache_that_knows_a_meaning_is_named_so():
    def meaning(_: Server, request: str) -> int:
        return few(request, 60)

    found = audited(Server(kept_by=meaning, ids=without_ids, says=nginx), n_blocks=12)
    assert list(found.proofs) == ["semantic"]


@pytest.mark.parametrize(
    "header",
    [CONSTANT, f"x-litellm-cache-key: {digest()}", "x-cache: Hit from cloudfront; age: 7", "x-varnish: 7 3"],
)
def test_a_constant_header_decides_nothing_where_outputs_are_replies_own(header):
    found = audited(Server(ids=without_ids, says=lambda *_: header))
    assert not found.proofs
    assert not found.doubt
    assert "that header is constant" in found.note
    assert found.sentences == (found.note,)


@pytest.mark.parametrize(
    "header", ["x-cache: MISS", "x-cache-key: /v1", "cf-cache-status: DYNAMIC", "age: 0; x-varnish: 7"]
)
def test_headers_that_say_no_hit_are_no_news(header):
    assert audited(Server(ids=without_ids, says=lambda *_: header)) == Identity()


@pytest.mark.parametrize("ids", [None, without_ids], ids=["own ids", "no ids"])
def test_one_output_behind_a_constant_header_is_a_doubt(ids):
    found = audited(Server(ids=ids, outputs=yes, says=lambda *_: CONSTANT), n_urls=8)
    assert not found.proofs
    assert found.doubt.startswith("58 of 58 requests that nobody had sent before")
    assert "take the header off" in found.doubt


def test_one_output_without_ids_is_a_doubt_whatever_the_headers():
    """A cache that tells of nothing gives the same to all; so does a model that says one thing."""
    for server in (Server(ids=without_ids, outputs=yes), Server(kept_by=one_entry, ids=without_ids)):
        found = audited(server)
        assert not found.proofs
        assert found.doubt.startswith("replies to 42 different requests have one and the same output, and no id")


def test_a_key_that_stands_on_outputs_in_turn_names_no_entry():
    """A gateway sets it, before a model that has a few outputs."""
    server = Server(
        ids=without_ids,
        outputs=lambda request: str(few(request, 3)),
        says=lambda *_: f"x-litellm-cache-key: {digest()}",
    )
    found = audited(server)
    assert not found.proofs
    assert found.doubt


def test_ids_of_their_own_leave_one_output_in_doubt():
    server = Server(outputs=yes, says=lambda *_: f"x-litellm-cache-key: {digest()}")
    assert not audited(server).proofs
    assert audited(server).doubt


def test_queries_at_once_that_are_answered_together_do_not_hide_a_cache():
    """Of four identical ones at once three are hits, though the request is fresh."""
    server = Server(kept_by=by_request, says=nginx)
    requests = [request for at in range(6) for request in (f"new {at}",) * 4 + (f"other {at}",)]
    tags = [tag for at in range(6) for tag in (f"b{at}/same",) * 4 + (f"m{at}/S",)]
    requests += [f"other {at}" for at in range(6)]
    tags += [f"m{at}/R" for at in range(6)]
    found = identity([sent(server, requests, 1, tags)])
    assert found.proofs["response"].startswith("6 of 6 exact repeats say in their headers")
    assert found.proofs["response"].endswith("none of 12 fresh requests does")


def test_rows_kept_from_before_are_a_doubt():
    """They are called hits, and repeats are not: it serves what is not recent."""
    server = Server(
        ids=without_ids, says=lambda _, request, __: CONSTANT if request.startswith("row") else "x-cache: MISS"
    )
    server.says = lambda one, request, _: CONSTANT if request.startswith("row") and one.at <= 48 else "x-cache: MISS"
    found = audited(server)
    assert not found.proofs
    assert found.doubt.startswith("48 of 102 replies to rows of the data set say in their headers")


def test_logs_without_tags_are_judged_by_what_comes_again():
    rows = [(f"row {row}", f"to {row}", "x-cache: MISS") for row in range(8)]
    again = [(f"row {row}", f"to {row}", "x-cache: HIT") for row in range(8)]
    found = identity([log(*rows, *again)])
    assert found.proofs["response"].startswith("8 of 8 repeated requests say in their headers")
    assert identity([log(*rows, *rows)]) == Identity()


def test_logs_of_which_everything_is_a_hit_are_in_doubt():
    rows = [(f"row {row}", f"to {row}", CONSTANT) for row in range(8)]
    found = identity([log(*rows)])
    assert not found.proofs
    assert "kept from before, or the header says it of every reply" in found.doubt
    key = f"x-litellm-cache-key: {digest()}"
    found = identity([log(*((f"row {row}", "yes", key) for row in range(8)))])
    assert "the log holds for the first time" in "".join(found.proofs.values())


def named(server: Server, kept: float | None = HIT_S, least: int = 0) -> Identity:
    """Audit a server of model m2; rows from number `least` on were kept when m1 was asked, and take `kept` seconds."""
    compute = server.answer

    def answer(request: str, now_s: float) -> tuple[Reply, float]:
        reply, took_s = compute(request, now_s)
        theirs = request.startswith("row ") and int(request[4:]) >= least
        return reply._replace(model="m1" if theirs else "m2"), kept if theirs and kept is not None else took_s

    server.answer = answer  # type: ignore[method-assign]
    return audited(server, n_blocks=12)


def test_rows_that_another_model_had_answered_are_proof_where_they_are_faster():
    """As in MLServer, whose cache looks at the input and not at the model."""
    found = named(Server())
    assert list(found.proofs) == ["response"]
    assert "name model 'm1', and none of " in found.proofs["response"]


def test_they_are_a_doubt_where_they_are_not():
    found = named(Server(), kept=None)
    assert not found.proofs
    assert "or a router that sends these rows elsewhere" in found.doubt


def test_few_of_them_are_no_news():
    assert named(Server(), least=46) == Identity()


def test_a_router_that_names_several_models_is_no_cache():
    server = Server()
    compute = server.answer

    def answer(request: str, now_s: float) -> tuple[Reply, float]:
        reply, took_s = compute(request, now_s)
        return reply._replace(model=f"m{few(request, 2)}"), took_s

    server.answer = answer  # type: ignore[method-assign]
    assert audited(server) == Identity()
