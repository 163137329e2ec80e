"""Caches of whole replies. A hit costs no computation."""

from __future__ import annotations

from collections.abc import Collection, Hashable

import msgspec
from typing_extensions import override

from .base import NoCache, Recent
from .exchange import Answer, Ask, answer_to, fresh

#: Jaccard similarity of two prompts' word sets from which a semantic cache takes them for the same.
SIMILARITY = 0.8

_MAX_ANSWERS = 100_000
_MAX_PROMPTS = 1_024


class ExactCache(NoCache):
    """Replays the stored reply to the same bytes sent to the same URL, id included: a proxy such as nginx.

    A reply is stored when its request was computed `admit_after` times (nginx: proxy_cache_min_uses).
    """

    def __init__(self, admit_after: int = 1) -> None:
        self._admit_after = admit_after
        self._answers: Recent[Hashable, Answer] = Recent(_MAX_ANSWERS)
        self._times_computed: Recent[Hashable, int] = Recent(_MAX_ANSWERS)

    def key(self, ask: Ask) -> Hashable:
        """Return what two requests must share for one to get the other's reply."""
        return ask.key

    def look_up(self, ask: Ask) -> Answer | None:
        """Return the stored reply."""
        return self._answers.get(self.key(ask))

    def left(self, ask: Ask, answer: Answer | None) -> None:
        """Count a computation, and store its reply once it is admitted."""
        if answer is None:
            return
        key = self.key(ask)
        times = (self._times_computed.get(key) or 0) + 1
        if times < self._admit_after:
            self._times_computed.put(key, times)
        else:
            self._answers.put(key, answer)


class UrlCache(ExactCache):
    """Its key is the URL with its query string, and no byte of the body: nginx with its default proxy_cache_key.

    Whatever is sent to a URL gets the bytes of the first reply that came from there.
    """

    @override
    def key(self, ask: Ask) -> Hashable:
        return ask.url

    @override
    def left(self, ask: Ask, answer: Answer | None) -> None:
        super().left(ask, None if answer is None else msgspec.structs.replace(answer, form=ask))


class AllowListCache(ExactCache):
    """An exact cache that stores and answers known prompts alone, and is honest to every other."""

    def __init__(self, known: Collection[str], admit_after: int = 1) -> None:
        super().__init__(admit_after)
        self._known = known

    @override
    def look_up(self, ask: Ask) -> Answer | None:
        return super().look_up(ask) if ask.question in self._known else None

    @override
    def left(self, ask: Ask, answer: Answer | None) -> None:
        if ask.question in self._known:
            super().left(ask, answer)


class NearDuplicateCache(ExactCache):
    """Answers a prompt from one that is equal but for its last word, whatever else the requests say.

    To build its key it reads the prompt, so it stands inside the service and not in a proxy: it writes each reply anew,
    under an id of its own.
    """

    @override
    def key(self, ask: Ask) -> Hashable:
        all_but_last, *last = ask.prompt.rsplit(maxsplit=1)
        # Without the count, "red kite" and "red" would be the same.
        return ask.kind, ask.model, all_but_last, len(last)

    @override
    def look_up(self, ask: Ask) -> Answer | None:
        found = super().look_up(ask)
        return None if found is None else fresh(found)


class SemanticCache(NoCache):
    """Answers a prompt from one whose words are nearly the same."""

    def __init__(self) -> None:
        self._prompts: Recent[frozenset[str], Answer] = Recent(_MAX_PROMPTS)

    def look_up(self, ask: Ask) -> Answer | None:
        """Return the answer to the nearest stored prompt, under an id of its own."""
        words = _words(ask)
        nearest = max(self._prompts, key=lambda stored: _jaccard(words, stored), default=None)
        if nearest is None or _jaccard(words, nearest) < SIMILARITY:
            return None
        found = self._prompts.get(nearest)
        return None if found is None else fresh(found)

    def left(self, ask: Ask, answer: Answer | None) -> None:
        """Store an answer."""
        if answer is not None:
            self._prompts.put(_words(ask), answer)


class PrecomputedTable(NoCache):
    """Holds the answers to known prompts before anyone asks; stores nothing."""

    def __init__(self, known: Collection[str]) -> None:
        self._known = known

    def look_up(self, ask: Ask) -> Answer | None:
        """Return what the model would have said, in a reply of its own."""
        return answer_to(ask) if ask.question in self._known else None


def _words(ask: Ask) -> frozenset[str]:
    return frozenset(ask.prompt.lower().split())


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    both = len(one & other)
    return both / (len(one) + len(other) - both) if one or other else 1.0
