"""Conversations of the YAML as the trajectories of the main run."""

from __future__ import annotations

import msgspec

from ..audits.contract import AuditContext
from ..config.load import LoadedConfig
from ..datasets import Conversations
from ..endpoints.source import RequestSource
from ..errors import DatasetError
from ..runs.trajectories import Trajectories, has_system_prompt, is_repeat


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
    count = block.num_trajectories_to_issue or len(dataset.turns)
    if count > len(dataset.turns):
        _require_plain_names(dataset)
    order = Trajectories(
        turns=tuple(dataset.turns),
        count=count,
        headers=block.routing_headers,
        tool_delays=block.inject_tool_delay,
        salt_seed=seed if asked_by else None,
        stop_at_end=block.stop_issuing_on_first_user_complete,
    )
    return msgspec.structs.replace(context, trajectories=order, query_timeout_s=block.turn_timeout_s)


def _require_plain_names(dataset: Conversations) -> None:
    """Raise DatasetError for a conversation that is called as the repeat of another might be."""
    row = 0
    for n_turns in dataset.turns:
        name = str(dataset.column(row, "conversation_id"))
        if is_repeat(name):
            raise DatasetError(
                f"{dataset.where(row)}: a conversation is called {name!r:.80}, as a repeat would be, and these are "
                "played again; rename it, or set num_trajectories_to_issue to no more than there are"
            )
        row += n_turns


def _require_system_prompts(dataset: Conversations, asked_by: str) -> None:
    row = 0
    for n_turns in dataset.turns:
        if not has_system_prompt(dataset.to_check(row)["messages"]):
            raise DatasetError(
                f"{dataset.where(row)} (conversation {dataset.column(row, 'conversation_id')!r:.80}): has no system "
                f"prompt, where {asked_by} puts a salt; give it one in 'system', or ask for no salt"
            )
        row += n_turns
