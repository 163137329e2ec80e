"""The `agentic_inference:` block of a data set: how its conversations are played.

Source: mlcommons/endpoints `config/datasets.py` (AgenticInferenceConfig), `examples/10_Agentic_Inference/README.md`.
"""

from __future__ import annotations

import re

from pydantic import Field, model_validator
from typing_extensions import Self

from .block import Block, Seconds, reject

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
#: Headers that the client sends by itself.
_OWN = frozenset(
    {
        *("accept", "accept-encoding", "authorization", "connection"),
        *("content-length", "content-type", "host", "transfer-encoding"),
    }
)


class AgenticInference(Block):
    """How conversations are played, under load_pattern agentic_inference (docs/multi-turn.md)."""

    turn_timeout_s: Seconds = Field(
        default=86_400.0,
        gt=0,
        description="Seconds after which a turn without its whole reply has failed, which ends its trajectory",
    )
    enable_salt: bool = Field(
        default=False,
        description="Put 64 bits before the system prompt, new for each pass over the data set, and 64 bits behind "
        "it, of the conversation's own; every conversation needs a system prompt then",
    )
    inject_tool_delay: bool = Field(
        default=False, description="Wait before each turn for as long as its delay_seconds says"
    )
    routing_headers: tuple[str, ...] = Field(
        default=("X-Session-ID",), description="HTTP headers that carry the trajectory's id; []: none"
    )
    num_trajectories_to_issue: int | None = Field(
        default=None,
        gt=0,
        description="Trajectories to play; more than there are conversations plays these again under ids of their own. "
        "null: each conversation once",
    )
    stop_issuing_on_first_user_complete: bool = Field(
        default=False,
        description="Send nothing more when the first slot has no next trajectory, which is when the measured time "
        "ends; no official submission may",
    )

    @model_validator(mode="after")
    def _headers_may_be_sent(self) -> Self:
        seen = set[str]()
        for at, name in enumerate(self.routing_headers):
            if not _TOKEN.fullmatch(name):
                reject("is not a header name; use letters, digits and '-'", at=["routing_headers", at])
            if name.lower() in _OWN:
                reject("belongs to the HTTP client and cannot be set; take it out", at=["routing_headers", at])
            if name.lower() in seen:
                reject("is there twice; take one out", at=["routing_headers", at])
            seen.add(name.lower())
        return self
