"""The `audit:` block: what every audit's configuration has. Each audit adds its own keys in its own file."""

from __future__ import annotations

from pydantic import Field

from .block import Block


class AuditBlock(Block):
    """Base of every audit's configuration; a subclass narrows `test` to a Literal of its id and aliases."""

    test: str = Field(description="Which audit to run")
    only: bool = Field(default=False, description="Run the audit alone, without the main performance run")
    dataset: str | None = Field(
        default=None, description="Name of the data set whose rows are sent (default: the performance data set)"
    )
