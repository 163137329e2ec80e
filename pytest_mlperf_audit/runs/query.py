"""QueryRecord: one query as it went over the wire; one line of queries.jsonl."""

from __future__ import annotations

from typing import Annotated

import msgspec

COMPLETED = "completed"

#: Why a query did not complete. `http_<status>` joins these for every status other than 200.
REASONS = {
    "timeout": "no whole reply within the per-query time limit",
    "connect": "no connection could be made",
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


Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
#: Token ids as MLPerf's accuracy logs have them: little-endian int32 in hex, here in lower case.
HexIds = Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{8})*$")]


class QueryRecord(msgspec.Struct, omit_defaults=True, gc=False):
    """One query. Times are nanoseconds on the phase's own clock, whose zero is the first issue.

    `request` is a digest of the request as sent (method, path, headers without credentials, body);
    `reply` one of the output in the reply. Both are the first 128 bits of a SHA-256, in hex. `tag` is a scripted
    query's; `cache_header` quotes the reply headers by which a cache says that it answered; `resent` says that the
    query went out twice, since a kept connection was closed before any byte of the reply. `model` is the one that the
    reply says it comes from.

    Only where the phase keeps them: `output`, the text; `output_ids`, its tokens, and `first_ids`, those of the first
    piece of a streamed reply; `ids_from`, the local tokenizer that made them of the text, where one did; `expected`,
    what the data set says of the row in the column that the phase names.
    """

    query: int
    sample: int
    issued_ns: int
    completed_ns: int
    request: Digest
    outcome: str = COMPLETED
    first_token_ns: int | None = None
    due_ns: int | None = None
    status: int = 200
    reply: str | None = None
    reply_bytes: int = 0
    reply_id: str | None = None
    model: str | None = None
    tokens: int | None = None
    cached_tokens: int | None = None
    finish_reason: str | None = None
    detail: str | None = None
    output: str | None = None
    output_ids: HexIds | None = None
    first_ids: HexIds | None = None
    ids_from: str | None = None
    expected: str | None = None
    tag: str | None = None
    cache_header: str | None = None
    resent: bool = False

    @property
    def ok(self) -> bool:
        """Whether the query completed, which is the only thing a throughput may count."""
        return self.outcome == COMPLETED
