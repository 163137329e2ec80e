"""The audit contract: plan, then run (by others), then verify.

An audit is one class in one file. It says which phases it needs, which checks it will make of them, and, as a pure
function of the phase records, what they show. Everything else (marker, test ids, locks, report, verdict file) it gets
for nothing. A third party offers one from a conftest.py or a plugin:

    def pytest_mlperf_audits():
        return [MyAudit()]
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final, Generic, Protocol

import msgspec
from typing_extensions import TypeVar

from ..config.block import AuditBlock
from ..errors import PlanError
from ..runs.phase import MeasuredPhase
from ..runs.script import NO_EDIT, Edit, Script
from ..runs.spec import Load, RunSpec, Scoring
from ..runs.tokens import Limits
from ..runs.trajectories import Trajectories
from .verdict import Verdict

#: What an audit's `mlperf_name` may be, since files are called by it.
MLPERF_NAME: Final = re.compile(r"[a-z0-9_]+")

ConfigT = TypeVar("ConfigT", bound=AuditBlock, default=AuditBlock)


class Samples(Protocol):
    """The data set as an audit sees it: how many rows were loaded, and which of them are the same request."""

    def __len__(self) -> int: ...

    @property
    def twins(self) -> str:
        """What a twin of a row has that the row has not, in words that follow "with"; "" where rows are texts."""

    def fingerprint(self, index: int, edit: Edit = NO_EDIT) -> str:
        """Return a digest of the request that a row, changed by `edit`, is sent as: equal ones, equal requests."""

    def n_words(self, index: int) -> int:
        """Return how many words, or token ids, the prompt of row `index` has."""

    def image_row(self) -> int | None:
        """Return the first row that has images which an edit can change, None without one.

        Raises PlanError where they cannot be changed for want of a library.
        """

    def where(self, index: int) -> str:
        """Return where row `index` stands, for a message: 'prompts.jsonl line 17'."""


class AuditContext(msgspec.Struct, frozen=True, kw_only=True):
    """What the YAML asks of every phase: the load, the seeds, the duration floor and ceiling in ms; and for whom.

    `ruleset` and `division` are those of `submission_ref`, "" and None without one; `salt_seed` is that of the salt
    that the ruleset asks for in the performance run, None where it asks for none; `api_type` is the wire format,
    `text_output` whether its replies are texts, `own_costs` whether rows cost unlike where they are none, `streaming`
    whether they are streamed, `model` the benchmark's name of the model, `tokenizer` the directory by which output
    tokens are counted. `conversations` says that the rows are turns of recorded conversations, of which audits send
    single ones, `trajectories` how the main run plays them, None for all else. `scorings` say of each accuracy data
    set, by name, how its outputs are scored, or why they cannot be. `limits` are
    those of goodput.
    """

    load: Load
    sample_order_seed: int = 42
    min_duration_ms: int = 0
    max_duration_ms: int = 0
    drain_timeout_s: float | None = None
    accuracy_drain_timeout_s: float | None = None
    query_timeout_s: float | None = None
    n_samples_to_issue: int | None = None
    ruleset: str = ""
    division: str | None = None
    salt_seed: int | None = None
    api_type: str = ""
    text_output: bool = False
    own_costs: bool = False
    streaming: bool = False
    model: str = ""
    tokenizer: str | None = None
    conversations: bool = False
    trajectories: Trajectories | None = None
    scorings: Mapping[str, Scoring | str] = {}
    limits: Limits | None = None

    def phase(self, label: str, n_samples: int, **changes: object) -> RunSpec:
        """Return a RunSpec with these settings; `changes` override any field."""
        fields: dict[str, object] = {
            "load": self.load,
            "min_duration_ms": self.min_duration_ms,
            "max_duration_ms": self.max_duration_ms,
            "drain_timeout_s": self.drain_timeout_s,
            "query_timeout_s": self.query_timeout_s,
            "limits": self.limits,
        }
        return RunSpec(label=label, n_samples=n_samples, **{**fields, **changes})  # type: ignore[arg-type]


class Audit(ABC, Generic[ConfigT]):
    """Subclass in one file per audit.

    `id` is the marker and the class in test ids; `aliases` are other values the YAML's `test:` may have;
    `mlperf_name` is the name in the files MLPerf's checker reads (None: no such file). `first_time` are the checks,
    less what stands in brackets, that say nothing where a phase was sent before: a cache may know its queries.
    `ratio_key` is the key of its block by how much a ratio may exceed 1, for the head of a session ("": no such key).
    `beside` are labels of the main run's phases that `verify` gets as well, where they were sent before its own.
    """

    id: ClassVar[str]
    title: ClassVar[str]
    aliases: ClassVar[tuple[str, ...]] = ()
    mlperf_name: ClassVar[str | None] = None
    config: ClassVar[type[AuditBlock]] = AuditBlock
    first_time: ClassVar[frozenset[str]] = frozenset()
    ratio_key: ClassVar[str] = ""
    beside: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def plan(self, cfg: ConfigT, samples: Samples, context: AuditContext) -> list[RunSpec]:
        """Return the phases in the order they must run, back to back.

        Every process of a session plans for itself, so equal arguments must give equal phases, nonce seeds apart.
        Raises PlanError, naming the cure, when this audit cannot be run on these samples or under this load.
        """

    @abstractmethod
    def checks(self, cfg: ConfigT, phases: Sequence[RunSpec]) -> list[str]:
        """Return the names of all checks, each of which becomes one test: `ratio`, `completion[reference]`."""

    def warnings(self, cfg: ConfigT, phases: Sequence[RunSpec], samples: Samples) -> list[str]:  # noqa: ARG002
        """Return what the user should know of these phases before they are sent, a sentence each."""
        return []

    def script(self, cfg: ConfigT, phase: RunSpec, samples: Samples) -> Script:  # noqa: ARG002
        """Return the script of a phase planned with the order `Scripted`. Pure; `phase.nonce_seed` is its seed.

        The plan's own seed plays no part: each time that a phase is sent, it is given one that was never used.
        """
        raise PlanError(f"audit {self.id}: phase {phase.label} is scripted, but the audit has no script for it")

    def wanted(self, cfg: ConfigT, phase: RunSpec, runs: Mapping[str, MeasuredPhase]) -> bool:  # noqa: ARG002
        """Return whether a phase that was planned as `conditional` is to be sent, after `runs`, the ones before it.

        Pure. Where it says no, `verify` gets the runs without that phase.
        """
        return True

    @abstractmethod
    def verify(self, cfg: ConfigT, runs: Mapping[str, MeasuredPhase]) -> Verdict:
        """Judge complete phases, keyed by label. Pure: the same records always give the same verdict.

        A check that the records leave in doubt is undecided (`passed=None`): its audit then has no verdict, unless
        another check failed.
        """
