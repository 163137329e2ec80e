"""QueryRecord: one query as it went over the wire; one line of queries.jsonl. What its outcome tells.

A refusal by what guards an endpoint, or by a proxy before it, is not one by the system under test: such a failed query
says nothing of it.
Sources: RFC 9110, 15.5 (401, 402, 403, 407) and RFC 6585, 4 (429).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec

from .message import AssistantMessage

COMPLETED = "completed"

#: Why a query did not complete. `http_<status>` joins these for every status other than 200.
REASONS = {
    "timeout": "no whole reply within the per-query time limit",
    "connect": "no connection could be made",
    "proxy": "the proxy gave no connection",
    "tls": "the TLS handshake or the certificate failed",
    "reset": "the connection was closed before a reply began",
    "truncated": "the reply ended early",
    "protocol": "the reply is not valid HTTP",
    "malformed": "the reply cannot be read as this API's",
    "too_large": "the reply exceeds the size limit",
    "server_error": "the reply carries an error object",
    "empty": "the reply carries no output",
    "cancelled": "the run was stopped while the query was in flight",
    "crashed": "the endpoint adapter or the load generator failed on the reply",
}


_Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
#: Token ids as MLPerf's accuracy logs have them: little-endian int32 in hex, here in lower case.
_HexIds = Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{8})*$")]


class QueryRecord(msgspec.Struct, omit_defaults=True, gc=False):
    """One query. Times are nanoseconds on the phase's own clock, whose zero is the first issue.

    `request` is a digest of the request as sent (method, path, headers without credentials, body);
    `reply` one of the output in the reply. Both are the first 128 bits of a SHA-256, in hex. `tag` is a scripted
    query's; `cache_header` quotes the reply headers by which a cache says that it answered; `resent` says that the
    query went out twice, since a kept connection was closed before any byte of the reply. `model` is the one that the
    reply says it comes from, `prompt_tokens` what it says the prompt has. `worker` is the number of the process that
    sent it, where several did.

    Of a turn of a conversation, `conversation` is its trajectory's id and `turn` its number in the file; `late` says
    that it was issued when the measured time was over.

    Only where the phase keeps them: `output`, the text; `output_ids`, its tokens, and `first_ids`, those of the first
    piece of a streamed reply; `ids_from`, the local tokenizer that made them of the text, where one did; `expected`,
    what the data set says of the row in the column that the phase names; `message`, the reply as one message.
    """

    query: int
    sample: int
    issued_ns: int
    completed_ns: int
    request: _Digest
    outcome: str = COMPLETED
    first_token_ns: int | None = None
    due_ns: int | None = None
    status: int = 200
    reply: str | None = None
    reply_bytes: int = 0
    reply_id: str | None = None
    model: str | None = None
    tokens: int | None = None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    finish_reason: str | None = None
    detail: str | None = None
    output: str | None = None
    output_ids: _HexIds | None = None
    first_ids: _HexIds | None = None
    ids_from: str | None = None
    expected: str | None = None
    message: AssistantMessage | None = None
    tag: str | None = None
    cache_header: str | None = None
    resent: bool = False
    worker: int = 0
    conversation: str | None = None
    turn: int | None = None
    late: bool = False

    @property
    def ok(self) -> bool:
        """Whether the query completed, which is the only thing a throughput may count."""
        return self.outcome == COMPLETED


def without_reply(record: QueryRecord, outcome: str, detail: str) -> QueryRecord:
    """Return a record of the same query, failed, with nothing of what its reply said."""
    return QueryRecord(
        query=record.query,
        sample=record.sample,
        issued_ns=record.issued_ns,
        completed_ns=record.completed_ns,
        request=record.request,
        outcome=outcome,
        detail=detail,
        due_ns=record.due_ns,
        status=record.status,
        reply_bytes=record.reply_bytes,
        tag=record.tag,
        resent=record.resent,
        worker=record.worker,
        conversation=record.conversation,
        turn=record.turn,
        late=record.late,
    )


#: A proxy that the YAML names did not lead to the endpoint.
PROXY = "proxy"

#: A key that expired, was withdrawn or has no money left; asking again is in vain.
NO_ACCESS = frozenset({"http_401", "http_402", "http_403", "http_407"})

#: A rate limit or a quota, which may be over in a moment.
RATE_LIMITED = frozenset({"http_429"})


def is_turned_away(outcome: str) -> bool:
    """Whether a query's outcome is a refusal by what guards the endpoint, or stands before it."""
    return outcome in NO_ACCESS or outcome in RATE_LIMITED or outcome == PROXY


def n_turned_away(failures: Mapping[str, int]) -> int:
    """Return how many queries were refused so, of failures counted by outcome."""
    return sum(count for outcome, count in failures.items() if is_turned_away(outcome))


def _cure(outcome: str) -> str:
    """Return what is to be done about a refusal, as a clause."""
    if outcome in NO_ACCESS:
        return "use credentials that are valid, and paid for, until the run is over"
    if outcome in RATE_LIMITED:
        return "audit the server behind the rate limit, or with a quota that the whole run fits in, or lower the load"
    if outcome == PROXY:
        return "see the proxy's log, or audit from where the endpoint can be reached directly"
    return "see the server's log"


def refusal(outcome: str, detail: str | None) -> str:
    """Return a refusal with the server's words, and the cure."""
    words = f" ({detail})" if detail else ""
    return f"{outcome}{words}; {_cure(outcome)}"
