"""Official output tokens of a phase, counted from its records once it is over, and counted again in a recheck."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ..config.load import LoadedConfig
from ..endpoints.reference import ReferenceTokenizer, RenderError, load_reference
from ..endpoints.source import RequestSource
from ..errors import ConfigError, NoVerdictError, PlanError
from ..load.group import PlannedPhase
from ..records.log import read_queries
from ..records.store import QUERIES_FILE, TOKENS_FILE, read_tokens, write_tokens
from ..runs.message import AssistantMessage
from ..runs.official import OfficialTokens
from ..runs.query import QueryRecord

_BETWEEN_TICKS = 256


def require_countable(loaded: LoadedConfig, source: RequestSource) -> None:
    """Raise ConfigError for a tokenizer by which the tokens of these rows' replies cannot be counted."""
    if (path := loaded.benchmark.model_params.tokenizer) is None:
        return
    where = loaded.where("model_params", "tokenizer")
    if not source.adapter.text_output:
        api_type = source.adapter.api_type
        raise ConfigError(f"{where}: the output of api_type {api_type} is no text and has no tokens; drop this key")
    try:
        load_reference(path, source.search)
    except PlanError as error:
        raise ConfigError(f"{where}: {error}") from error


def count_phase(phase: PlannedPhase, search: tuple[Path, ...], tick: Callable[[], None] = lambda: None) -> None:
    """Count the tokens of a phase's replies and write tokens.json; `tick` is called now and then, and may raise.

    Raises OSError, RecordError for records that cannot be read, and NoVerdictError for a tokenizer that is gone by now.
    """
    try:
        reference = load_reference(_directory(phase), search)
    except PlanError as error:
        raise NoVerdictError(f"the tokens of {phase.spec.label} cannot be counted: tokenizer {error}") from error
    write_tokens(phase.directory, counted(read_queries(phase.directory / QUERIES_FILE), reference, tick))


def counted(
    queries: Iterable[QueryRecord], reference: ReferenceTokenizer, tick: Callable[[], None] = lambda: None
) -> OfficialTokens:
    """Return the official tokens of queries, read one at a time; eight bytes a query are kept."""
    counts, tails = array("i"), array("i")
    n_unrendered, refusal = 0, ""
    for at, query in enumerate(queries):
        if at % _BETWEEN_TICKS == 0:
            tick()
        count = tail = -1
        if query.ok and not query.late:
            try:
                count, tail = _counts(query.message, reference)
            except RenderError as error:
                n_unrendered, refusal = n_unrendered + 1, refusal or str(error)
        counts.append(count)
        tails.append(tail)
    return OfficialTokens(
        tokenizer=reference.tokenizer,
        template=reference.template,
        reasoning_field=reference.reasoning_field,
        counts=OfficialTokens.packed(counts),
        after_first=OfficialTokens.packed(tails),
        n_unrendered=n_unrendered,
        refusal=refusal,
    )


def _counts(message: AssistantMessage | None, reference: ReferenceTokenizer) -> tuple[int, int]:
    """Return the tokens of a reply, and of what came behind the first piece of its stream. Raises RenderError."""
    if message is None:
        raise RenderError("the endpoint adapter keeps no output")
    return reference.count(message), reference.count_text(message.after_first)


def recounted(phases: Iterable[PlannedPhase], cwd: Path, judged: Path) -> Iterator[str]:
    """Yield a sentence for each phase whose tokens.json is not what the tokenizer says now, where it is at hand.

    A relative directory is that in `cwd`. One that lies in `judged`, beside the run, came with it, and nothing that is
    judged is rendered. Raises RecordError.
    """
    for phase in phases:
        if phase.spec.keep is None or not phase.spec.keep.message:
            continue
        stored = read_tokens(phase.directory)
        if stored is None:  # a run that was ended before; where it was taken away, verdict.json names it
            continue
        try:
            place = (cwd / _directory(phase)).resolve()
            if place.is_relative_to(judged.resolve()):
                continue
            reference = load_reference(place, ())
        except PlanError:
            continue  # not here; the file's digest stands in verdict.json
        if (reference.tokenizer, reference.template) != (stored.tokenizer, stored.template):
            continue
        if counted(read_queries(phase.directory / QUERIES_FILE), reference) != stored:
            yield (
                f"{phase.directory.name}/{TOKENS_FILE}: its counts are not those that {stored.tokenizer} gives of the "
                f"replies in {QUERIES_FILE}; one of them was edited"
            )


def _directory(phase: PlannedPhase) -> Path:
    keep = phase.spec.keep
    return Path("" if keep is None or keep.tokenizer is None else keep.tokenizer)
