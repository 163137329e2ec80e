"""Benchmark: the whole YAML as one frozen value, and the checks that need more than one block."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping
from functools import reduce
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, ValidationError, create_model, model_validator
from typing_extensions import Self

from ..errors import ConfigError
from .agentic import AgenticInference
from .block import AuditBlock, Block, Problem, reject_all
from .dataset import DatasetConfig
from .endpoint import EndpointConfig
from .model_params import Generation, ModelParams
from .rolling import RollingSubmission
from .scenario import Scenario, mlperf_scenario
from .settings import Settings
from .wire_formats import lacks
from .yaml_source import KeyPath

_Mode = Literal["offline", "online"]

_OVERRIDE_CURE = "does not go together with model_params: min_new_tokens exceeds max_new_tokens"


def _completion_controls(given: Generation | None) -> list[str]:
    if given is None:
        return []
    return [
        key
        for key, harmless in (("min_new_tokens", 1), ("skip_special_tokens", True))
        if getattr(given, key) not in {None, harmless}
    ]


def _as_list(value: Any) -> Any:
    """`audit:` may be null, one block or a list of blocks."""
    if value is None:
        return ()
    return (value,) if isinstance(value, (Mapping, AuditBlock)) else value


class SubmissionRef(Block):
    """Which MLPerf benchmark and ruleset a submission is for. The ruleset fixes the seeds (docs/rulesets.md)."""

    model: str = Field(description="MLPerf's name of the model")
    ruleset: str = Field(
        description="Ruleset by name, such as mlperf-inference-v6.1 or mlperf-endpoints-v1.0-2026-10-C1-A"
    )
    division: str | None = Field(
        default=None,
        description="Division, which says what may be cached and whether audits are required: closed, network, open; "
        "of Endpoints standardized-cop, standardized-con, serviced, rdi. null: the first",
    )
    submitter: str | None = Field(default=None, description="Who submits, as reports show it")
    system: str | None = Field(
        default=None,
        description="The system under test, as reports show it (default: system_name of rolling_submission)",
    )


class Benchmark(Block):
    """The configuration file."""

    name: str = Field(default="", description="Name in reports; default: the type")
    version: str = Field(default="1.0", description="Version of the configuration, for the reader")
    type: Literal["offline", "online", "eval", "submission"] = Field(description="Kind of benchmark")
    benchmark_mode: _Mode | None = Field(
        default=None, description="How a submission is driven; required when type is submission"
    )
    submission_ref: SubmissionRef | None = Field(default=None, description="Benchmark and ruleset submitted to")
    rolling_submission: RollingSubmission | None = Field(
        default=None, description="Files of a rolling submission to MLPerf Endpoints: what no run knows of them"
    )
    model_params: ModelParams = Field(default_factory=ModelParams, description="The model and its settings")
    datasets: tuple[DatasetConfig, ...] = Field(
        default=(), description="Data sets. The main run, and audits that name none, use the first of type performance"
    )
    audit: Annotated[tuple[AuditBlock, ...], BeforeValidator(_as_list)] = Field(
        default=(), description="One audit, or a list of them"
    )
    accuracy: bool | None = Field(
        default=None,
        description="Whether the accuracy run belongs to this run. true: a data set that cannot be scored, or none at "
        "all, leaves its test without a verdict; false: there is none. null: true for a submission, else data sets "
        "that cannot be scored are left out",
    )
    audit_order: Literal["before", "after"] = Field(
        default="before",
        description="Whether audits are sent before or after the main run; before it, their reference phase finds a "
        "cache cold that the main run would have filled",
    )
    settings: Settings = Field(default_factory=Settings, description="How the endpoint is driven")
    endpoint_config: EndpointConfig = Field(default_factory=EndpointConfig, description="The endpoint under test")
    report_dir: Path | None = Field(default=None, description="Directory for verdict, report and records")

    @model_validator(mode="after")
    def _names_filled(self) -> Self:
        # Frozen for everyone else; the names are part of what the file says.
        if not self.name:
            object.__setattr__(self, "name", f"{self.type}_benchmark")
        if not self.model_params.name and self.submission_ref is not None:
            named = self.model_params.model_copy(update={"name": self.submission_ref.model})
            object.__setattr__(self, "model_params", named)
        return self

    @model_validator(mode="after")
    def _conversations_played(self) -> Self:
        """Have the data set that the main run plays say how, by the defaults if by nothing else."""
        performance = next((at for at, dataset in enumerate(self.datasets) if dataset.type == "performance"), None)
        if performance is not None and self.settings.load_pattern.type == "agentic_inference":
            played = self.datasets[performance]
            block = played.agentic_inference or AgenticInference()
            changed = played.model_copy(update={"agentic_inference": block})
            datasets = (*self.datasets[:performance], changed, *self.datasets[performance + 1 :])
            object.__setattr__(self, "datasets", datasets)  # frozen for everyone else
        return self

    @model_validator(mode="after")
    def _blocks_agree(self) -> Self:
        problems = [
            *self._model_problems(),
            *self._load_problems(),
            *self._conversation_problems(),
            *self._dataset_problems(),
            *self._audit_problems(),
        ]
        if problems:
            reject_all(problems)
        return self

    def _model_problems(self) -> Iterator[Problem]:
        if not self.model_params.name:
            yield ("model_params", "name"), "is required; add the model's name"
        blocks: tuple[Literal["image", "audio"], ...] = ("image", "audio")
        for block in blocks:
            if getattr(self.model_params, block) is not None and lacks(self.endpoint_config.api_type, block):
                yield ("model_params", block), f"is not part of api_type {self.endpoint_config.api_type}; take it out"
        surfaces: list[tuple[KeyPath, Generation | None]] = [(("model_params",), self.model_params)]
        surfaces += [
            (("datasets", at, "generation_config_override"), dataset.generation_config_override)
            for at, dataset in enumerate(self.datasets)
        ]
        if lacks(self.endpoint_config.api_type, "lengths"):
            for path, given in surfaces:
                for key in _completion_controls(given):
                    yield (*path, key), f"is not part of api_type {self.endpoint_config.api_type}; take it out"

    def _load_problems(self) -> Iterator[Problem]:
        load = self.settings.load_pattern.type
        at = ("settings", "load_pattern", "type")
        if self.type == "submission" and self.benchmark_mode is None:
            yield ("benchmark_mode",), "is required when type is submission; add 'benchmark_mode: offline' or 'online'"
        if self.effective_mode == "offline" and load != "max_throughput":
            yield at, f"an offline benchmark needs max_throughput, not {load}; change it, or the type to online"
        if self.effective_mode == "online" and load == "max_throughput":
            yield at, "an online benchmark needs concurrency or poisson; change it, or the type to offline"
        if self.rolling_submission is not None:
            yield from self.rolling_submission.problems(load, getattr(self.submission_ref, "division", None))

    def _conversation_problems(self) -> Iterator[Problem]:
        settings, plays = self.settings, self.settings.load_pattern.type == "agentic_inference"
        for at, dataset in enumerate(self.datasets):
            where = ("datasets", at, "agentic_inference")
            if (block := dataset.agentic_inference) is None:
                continue
            if dataset.type == "accuracy":
                yield where, "conversations are played in the performance run alone; take it out here"
            elif self.type == "submission" and block.stop_issuing_on_first_user_complete:
                yield (*where, "stop_issuing_on_first_user_complete"), "no submission may leave turns out; take it out"
            elif not plays:
                load = f"load_pattern {settings.load_pattern.type}"
                yield where, f"is for the load_pattern agentic_inference, and this is {load}; change one of them"
            given = {name.lower() for name in self.endpoint_config.headers}
            for number, name in enumerate(block.routing_headers):
                if name.lower() in given:
                    yield (*where, "routing_headers", number), "is among endpoint_config.headers, too; take one out"
        if plays:
            yield from self._playing_problems()

    def _playing_problems(self) -> Iterator[Problem]:
        settings = self.settings
        if lacks(self.endpoint_config.api_type, "conversations"):
            yield ("endpoint_config", "api_type"), "conversations are sent as chat messages; use api_type openai"
        if settings.client.num_workers > 1 or settings.client.hosts:
            key = "hosts" if settings.client.hosts else "num_workers"
            yield ("settings", "client", key), "conversations are played by one process; take it out"
        if settings.runtime.n_samples_to_issue is not None:
            cure = "use num_trajectories_to_issue of the data set's agentic_inference"
            yield ("settings", "runtime", "n_samples_to_issue"), f"has no meaning for conversations; {cure}"

    def _dataset_problems(self) -> Iterator[Problem]:
        seen: dict[tuple[str, str], int] = {}
        for at, dataset in enumerate(self.datasets):
            first = seen.setdefault((dataset.name, dataset.type), at)
            if first != at:
                what = f"{dataset.type} data set {dataset.name!r:.80}"
                yield ("datasets", at), f"a second {what}, as datasets[{first}]; rename or remove one"
            try:
                dataset.params(self.model_params)
            except ValidationError:
                yield ("datasets", at, "generation_config_override"), _OVERRIDE_CURE
        performance = [at for at, dataset in enumerate(self.datasets) if dataset.type == "performance"]
        if not performance and self.type != "eval":
            yield ("datasets",), "one data set of type performance is needed; add it with its path"
        asked_for = {block.dataset for block in self.audit}
        for at in performance[1:]:
            if self.datasets[at].name not in asked_for:
                what = f"a second performance data set, beside datasets[{performance[0]}], which the main run uses"
                yield ("datasets", at, "type"), f"{what}; name it in an audit's dataset, or keep one"

    def _audit_problems(self) -> Iterator[Problem]:
        seen: set[object] = set()
        names: set[str] = set()
        for at, block in enumerate(self.audit):
            audit = block.test if type(block) is AuditBlock else type(block)
            if block.dataset and block.dataset not in {dataset.name for dataset in self.datasets}:
                known = ", ".join(f"{dataset.name:.80}" for dataset in self.datasets)
                yield ("audit", at, "dataset"), f"no data set is called {block.dataset!r:.80}; there are {known}"
            if (audit, block.name) in seen and block.name is None:
                cure = "; give each a name, or cover several indices by one block with sample_index: [..]"
                yield ("audit", at, "test"), f"{block.test} is asked for twice{cure}"
            seen.add((audit, block.name))
            if (name := (block.name or "").casefold()) in names:  # names are directories, some without case
                yield ("audit", at, "name"), f"a second audit called {block.name!r}; rename one"
            names |= {name} if name else set()

    @property
    def effective_mode(self) -> _Mode | None:
        """How the endpoint is driven; None for `eval`, which has no performance run."""
        if self.type == "submission":
            return self.benchmark_mode
        return None if self.type == "eval" else self.type

    @property
    def accuracy_datasets(self) -> tuple[DatasetConfig, ...]:
        """The data sets of type accuracy."""
        return tuple(dataset for dataset in self.datasets if dataset.type == "accuracy")

    @property
    def scored_datasets(self) -> tuple[DatasetConfig, ...]:
        """Those of the accuracy run: all of type accuracy but for those of audits alone."""
        return tuple(dataset for dataset in self.accuracy_datasets if dataset.accuracy_run)

    @property
    def performance_dataset(self) -> DatasetConfig:
        """The data set that audits and the main run use; ConfigError when there is none (`eval`)."""
        for dataset in self.datasets:
            if dataset.type == "performance":
                return dataset
        raise ConfigError("datasets: none has type performance, which audits need; add one")

    @property
    def streaming(self) -> bool:
        """Whether replies are streamed: as `model_params.streaming` says, auto being on when online."""
        if self.model_params.streaming == "auto":
            return self.effective_mode == "online"
        return self.model_params.streaming == "on"

    @property
    def scenario(self) -> Scenario:
        """MLPerf's name for the load; `config.scenario` gives the rule."""
        pattern = self.settings.load_pattern
        return mlperf_scenario(pattern.type, pattern.target_concurrency)


def benchmark_model(audit_models: Mapping[str, type[AuditBlock]]) -> type[Benchmark]:
    """Return Benchmark with `audit` narrowed to these models, by audit id, told apart by `test`.

    A model whose `test` is not a Literal of the audit's names gets one of its id.
    """
    if not audit_models:
        return Benchmark
    narrowed = [_with_literal_test(name, model) for name, model in audit_models.items()]
    block: Any = reduce(operator.or_, narrowed)
    if len(narrowed) > 1:
        block = Annotated[block, Field(discriminator="test")]
    audit = Benchmark.model_fields["audit"]
    return create_model(
        "Benchmark",
        __base__=Benchmark,
        __doc__=Benchmark.__doc__,
        audit=(
            Annotated[tuple[block, ...], BeforeValidator(_as_list)],
            Field(default=(), description=audit.description),
        ),
    )


def _with_literal_test(name: str, model: type[AuditBlock]) -> type[AuditBlock]:
    field = model.model_fields["test"]
    if get_args(field.annotation):
        return model
    literal: Any = (Literal[name], Field(description=field.description))
    return create_model(model.__name__, __base__=model, __doc__=model.__doc__, test=literal)
