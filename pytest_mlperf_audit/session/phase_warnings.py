"""What of an audit's phases is odd, though it decides nothing: another model, too long replies, too few connections."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from ..endpoints.failures import other_model
from ..endpoints.source import RequestSource
from ..load.pattern import in_flight
from ..runs.columns import QueryColumns
from ..runs.phase import PhaseRecord
from ..text import printable


class PhaseWarnings:
    """Look at each phase, then ask for `warnings`. `source` has the rows of phases that do not bring their own."""

    def __init__(self, source: RequestSource) -> None:
        self._source = source
        self._warnings: list[str] = []
        self._model = source.adapter.params.name
        self._taken: dict[tuple[int, int], list[str]] = {}
        self._models: dict[str, Mapping[str, int]] = {}

    @property
    def warnings(self) -> tuple[str, ...]:
        """One sentence for each oddity."""
        return (*self._warnings, *self._few_connections(), *filter(None, [self._other_models()]))

    def look(self, record: PhaseRecord, queries: QueryColumns, source: RequestSource | None) -> None:
        """Take in a phase."""
        source = source or self._source
        label = record.spec.label
        if record.figures.models:
            self._models[label] = record.figures.models
        if longer := long_replies(label, queries, source):
            self._warnings.append(longer)
        if (taken := record.connections_taken) is not None and taken < (offered := in_flight(record.spec)):
            self._taken.setdefault((taken, offered), []).append(label)

    def _few_connections(self) -> Iterator[str]:
        for (taken, offered), labels in self._taken.items():
            yield (
                f"{', '.join(labels)}: the endpoint took {taken} of {offered} connections, so that no more queries "
                "than that were in flight; give it more threads, or set settings.load_pattern.target_concurrency: "
                f"{taken}"
            )

    def _other_models(self) -> str:
        """Return what to say of the models that answered, "" where it was the one asked for in all phases."""
        found = {frozenset(models) for models in self._models.values()}
        names = frozenset[str]().union(*found)
        if names <= {self._model}:
            return ""
        if len(names) == 1:
            return other_model("".join(names), self._model)
        counts = "; ".join(f"{label}: {_counts(models)}" for label, models in self._models.items())
        changes = len(found) > 1 and all(len(models) == 1 for models in found)
        what = "the model that answers changes between phases" if changes else "several models answer"
        return (
            f"{what} ({counts}), though {printable(self._model)!r} of model_params.name was asked for; have one "
            "model answer all queries of an audit"
        )


def _counts(models: Mapping[str, int]) -> str:
    return ", ".join(f"{n_replies} from {printable(model)!r}" for model, n_replies in models.items())


def long_replies(label: str, queries: QueryColumns, source: RequestSource) -> str:
    """Return what to say of a phase with replies longer than the limit sent with them, "" of any other.

    Such an endpoint was measured on other work than was asked for. A count of tokens is the server's own.
    """
    tokens = queries.tokens
    longer = _longer(source, tokens.tolist(), queries.samples.tolist())
    if not longer:
        return ""
    sample, most, limit = longer[0]
    return (
        f"{label}: {len(longer)} of {int(np.count_nonzero(tokens >= 0))} replies report more tokens than "
        f"max_new_tokens allows (row {sample}: {most} for {limit}), so that longer outputs were measured than were "
        f"asked for; {source.adapter.limit_cure}"
    )


def _longer(source: RequestSource, tokens: Iterable[int], samples: Iterable[int]) -> list[tuple[int, int, int]]:
    """Return row, tokens and limit of each reply above its limit; each row's limit is worked out once."""
    limits: dict[int, int | None] = {}
    found = []
    for sample, n_tokens in zip(samples, tokens, strict=True):
        if n_tokens <= 0 or not 0 <= sample < len(source):
            continue
        if sample not in limits:
            limits[sample] = source.adapter.token_limit(source.dataset[sample])
        if (limit := limits[sample]) is not None and n_tokens > limit:
            found.append((sample, n_tokens, limit))
    return found
