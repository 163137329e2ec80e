"""Conversations of the YAML as the trajectories of the main run, and what is not done with them."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ..audits.contract import AuditContext
from ..config.benchmark import Benchmark
from ..config.load import LoadedConfig
from ..datasets import Conversations
from ..endpoints.source import RequestSource
from ..errors import DatasetError
from ..runs.trajectories import Trajectories, has_system_prompt


def played(loaded: LoadedConfig, source: RequestSource, context: AuditContext) -> AuditContext:
    """Return the context of a main run that plays conversations, or `context` where it sends rows.

    Raises DatasetError where a salt is asked for and a conversation has no system prompt to carry it.
    """
    dataset, config = source.dataset, loaded.benchmark.performance_dataset
    block = config.agentic_inference
    if block is None or not isinstance(dataset, Conversations):
        return context
    asked_by = f"enable_salt ({loaded.where('datasets')})" if block.enable_salt else ""
    if context.salt_seed is not None:
        asked_by = f"the ruleset {context.ruleset}"
    if asked_by:
        _require_system_prompts(dataset, asked_by)
    seed = context.sample_order_seed if context.salt_seed is None else context.salt_seed
    order = Trajectories(
        turns=tuple(dataset.turns),
        count=block.num_trajectories_to_issue or len(dataset.turns),
        headers=block.routing_headers,
        tool_delays=block.inject_tool_delay,
        salt_seed=seed if asked_by else None,
        stop_at_end=block.stop_issuing_on_first_user_complete,
    )
    return msgspec.structs.replace(context, trajectories=order, query_timeout_s=block.turn_timeout_s)


def _require_system_prompts(dataset: Conversations, asked_by: str) -> None:
    row = 0
    for n_turns in dataset.turns:
        if not has_system_prompt(dataset.to_check(row)["messages"]):
            raise DatasetError(
                f"{dataset.where(row)} (conversation {dataset.column(row, 'conversation_id')!r:.80}): has no system "
                f"prompt, where {asked_by} puts a salt; give it one in 'system', or ask for no salt"
            )
        row += n_turns


def unscored_turns(benchmark: Benchmark) -> Iterator[str]:
    """Yield a sentence for each performance data set whose replies the YAML asks to score, as is not done here."""
    for dataset in benchmark.datasets:
        method = dataset.accuracy_config.eval_method if dataset.accuracy_config else dataset.eval_method
        if dataset.agentic_inference and method:
            yield (
                f"the performance data set {dataset.name!r} is not scored (eval_method {method}): outputs are scored "
                "in the accuracy run alone"
            )
