"""The `rolling_submission:` block: what MLPerf Endpoints' rolling submissions ask for and no run knows.

Source: mlcommons/endpoints_policies `endpoints_rules.md`, version 1.0, § 8.2 (the system) and § 8.3 (a measurement
point), and endpoints-submission-cli 1.5.3, which refuses a point that lacks any of these.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import Field, model_validator
from typing_extensions import Self

from .block import Block, Problem, reject

#: What point.yaml has of the run itself. A word of the submitter's could only contradict it.
MEASURED: Final = (
    *("concurrency", "dataset", "dataset_type", "runtime_settings", "warmup", "seed_set", "target_cohort"),
)
#: What it must have besides; the first three are known of the run where the YAML names them.
_POINT: Final = ("model_precision", "link_to_model", "dataset_link", "shared_src", "shared_docs")
_SYSTEM: Final = (
    "system_name",
    "system_availability_status",
    "max_supported_concurrency",
    "system_size",
    "system_node_ensemble_count",
    "system_node_ensemble_total",
    "shortened_system_name",
    "node_types",
)


#: Divisions as these files call them, by the names of submission_ref.
DIVISIONS: Final[Mapping[str, str]] = {
    "standardized-cop": "Standardized",
    "standardized-con": "Standardized",
    "serviced": "Serviced",
    "rdi": "RDI",
}


class RollingSubmission(Block):
    """One measurement point of a rolling submission; the files are written beside the verdict."""

    system: dict[str, Any] = Field(
        description="system_desc.json as it is, by the rules' section 8.2; `division` comes from submission_ref"
    )
    point: dict[str, Any] = Field(
        description="What point.yaml has beside what the run itself tells, by section 8.3: model_precision, "
        "link_to_model, dataset_link, shared_src, shared_docs and, where they apply, region, offline, nodes_used …"
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for key in MEASURED:
            if key in self.point:
                reject("is told by the run itself; take it out", at=["point", key])
        for block, keys in (("system", _SYSTEM), ("point", _POINT)):
            given = getattr(self, block)
            lacking = [key for key in keys if given.get(key) in (None, "")]
            if lacking:
                reject(f"lacks {', '.join(lacking)}, without which check-submission refuses the point", at=[block])
        return self

    def problems(self, pattern: str, division: str | None) -> Iterator[Problem]:
        """Yield where the block contradicts the run's load pattern, the division that it is for, or itself."""
        at = ("rolling_submission",)
        if pattern == "poisson":
            yield at, "is for a point, which keeps a fixed number of queries in flight; use load_pattern concurrency"
        offline = self.point.get("offline")
        if offline is not None and (offline == "dedicated") != (pattern == "max_throughput"):
            yield (*at, "point", "offline"), f"says {offline!r:.20}, and this is load_pattern {pattern}; change one"
        due = DIVISIONS.get(division or "")
        for block in ("system", "point"):
            said = getattr(self, block).get("division")
            if said is not None and due is not None and str(said).lower() != due.lower():
                yield (*at, block, "division"), f"says {said!r:.40}, and submission_ref {division}; change one of them"
        declared, own = (getattr(self, block).get("max_supported_concurrency") for block in ("point", "system"))
        if declared is not None and declared != own:
            yield (*at, "point", "max_supported_concurrency"), "is another than that of system; take it out"
