"""The keys of test04's block in the YAML."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from ...config.block import AuditBlock
from ..probe.settings import ProbeSettings
from ..published.score import TOLERANCE
from .figures import AUDIT


class Test04Block(AuditBlock):
    """Keys of the endpoints tool's output_caching_test, with several indices and an own completion guard."""

    __test__ = False

    test: Literal["test04", "output_caching_test"] = Field(description="TEST04, by either name")
    samples: int = Field(ge=1, description="Queries of the reference phase, each a distinct row, or a twin of its own")
    audit_samples: int | None = Field(
        default=None, ge=1, description="Queries of each output_caching phase, all the same row (default: `samples`)"
    )
    sample_index: int | tuple[Annotated[int, Field(ge=0)], ...] = Field(
        default=0, description="Row to repeat; a list gives one output_caching phase each (MLPerf: 3)"
    )
    reference: Literal["rows", "twins"] | None = Field(
        default=None,
        description="What the repeats are compared with: other rows, as MLPerf does, or fresh twins of the row, which "
        "cost the same (default: twins where replies are texts and the row has six words or more, else rows)",
    )
    threshold: float = Field(
        default=TOLERANCE, gt=0, lt=1, description="Tolerated speed-up: 0.10 is MLPerf's, 0.20 for SingleStream"
    )
    probe: ProbeSettings | Literal[False] = Field(
        default=ProbeSettings(),
        description="The cache probe, sent after the phases: a verdict that a warm cache and noise cannot fool; "
        "false: without it",
    )
    confirmation_budget: int | None = Field(
        default=None,
        ge=1,
        description="Most further queries, in times of `samples`, that confirm a ratio which the phases do not settle "
        "(default: 8, and 16 where a query takes 1 to 30 s); the first 8 pairs of blocks are always sent, and where "
        "repeats are faster as many again with fresh inputs",
    )
    min_completion: float | None = Field(
        default=None, gt=0, le=1, description="Share of queries that must complete (default: 1 - `threshold`)"
    )

    @field_validator("sample_index")
    @classmethod
    def _indices_are_usable(cls, value: int | tuple[int, ...]) -> int | tuple[int, ...]:
        indices = (value,) if isinstance(value, int) else value
        if not indices:
            raise ValueError("give at least one index")
        if min(indices) < 0:
            raise ValueError(f"rows are counted from 0; got {min(indices)}")
        if len(set(indices)) < len(indices):
            raise ValueError("the same index is given twice")
        return value

    @field_validator("probe", mode="before")
    @classmethod
    def _is_a_switch_as_well(cls, value: Any) -> Any:
        """Take true for the defaults, and the words for both, which is what comes from the environment."""
        if value is True or value == "true":
            return ProbeSettings()
        return False if value == "false" else value

    @property
    def audit_phases(self) -> dict[str, int]:
        """Label of each output_caching phase, and the row it repeats."""
        if isinstance(self.sample_index, int):
            return {AUDIT: self.sample_index}
        return {f"{AUDIT}_{index}": index for index in self.sample_index}

    @property
    def completion_floor(self) -> float:
        """Share of queries that must complete, 0 to 1."""
        return 1 - self.threshold if self.min_completion is None else self.min_completion

    @property
    def n_repeats(self) -> int:
        """Queries of each output_caching phase."""
        return self.samples if self.audit_samples is None else self.audit_samples
