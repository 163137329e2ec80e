"""A phase's token ids, given to MLPerf's rules, and what ids that a local tokenizer made cannot show."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path

import msgspec

from ..runs.phase import MeasuredPhase
from ..runs.query import QueryRecord
from ..runs.spec import Keep
from .tokens import TokenRules
from .verdict import Check

_WIDTH = 4
#: By how much a reported count may differ from that of a text's tokens: an EOS token that does not show, and texts
#: that the model generated in other tokens than those that its tokenizer makes of them.
_BY_TEXT_SHARE = 0.02
_BY_TEXT_TOKENS = 1

#: What servers put in the place of bytes that are no UTF-8: tokens that no tokenizer finds again.
_REPLACEMENT = "\ufffd"

_TOKENIZER_NOTE = (
    "the token ids were made of the output's text by a local tokenizer ({}), not given by the endpoint: EOS and other "
    "special tokens do not show in a text, and the same text may have been generated in other tokens"
)
_UNKNOWN_NOTE = (
    "{} of {} outputs have U+FFFD in place of bytes that are no UTF-8, which no tokenizer turns back into the model's "
    "tokens: they are left out of the counts"
)


class _CountTally(msgspec.Struct):
    """Reported numbers of output tokens against token ids, where a reply has both.

    Ids that a local tokenizer made of the text cannot convict a server that differs in most replies: the tokenizer may
    be another model's. Where most agree, it is the model's, and the others are wrong.
    """

    by_text: bool = False
    n_compared: int = 0
    n_wrong: int = 0
    n_without: int = 0
    first_wrong: str = ""
    first_without: str = ""

    def add(self, sample: str, n_tokens: int, reported: int | None) -> None:
        """Take in one reply that has token ids."""
        if reported is None:
            self.n_without += 1
            self.first_without = self.first_without or sample
            return
        self.n_compared += 1
        allowed = int(n_tokens * _BY_TEXT_SHARE) + _BY_TEXT_TOKENS if self.by_text else 0
        if abs(reported - n_tokens) > allowed:
            self.n_wrong += 1
            self.first_wrong = self.first_wrong or f"{sample}: {reported} reported, its output has {n_tokens}"

    @property
    def doubt(self) -> str:
        """Why the local tokenizer may not be the model's, "" where nothing says so."""
        if not self.by_text or 2 * self.n_wrong <= self.n_compared:
            return ""
        return (
            f"by the local tokenizer {self.n_wrong} of {self.n_compared} replies report another number of tokens "
            f"({self.first_wrong}): either that is wrong, or `tokenizer` is not that of the model which is served"
        )

    def check(self, *, needed: bool) -> Check:
        """Return `token_count`; without any reported count it is undecided where one is `needed`, else passed."""
        of = f"{self.n_compared} of {self.n_compared + self.n_without} replies"
        within = (
            f", within {_BY_TEXT_SHARE:.0%} and {_BY_TEXT_TOKENS} token for ids made of text" if self.by_text else ""
        )
        passed: bool | None = True
        if self.doubt:
            passed, reason = None, self.doubt
        elif self.n_wrong:
            passed = False
            reason = f"{self.n_wrong} of {self.n_compared} replies report another number of tokens; {self.first_wrong}"
        elif needed and (self.n_without or not self.n_compared):
            passed, reason = None, f"{self.n_without} replies report no number of tokens; {self.first_without}"
        elif self.n_compared:
            reason = f"{of} report a number of tokens, and it is that of their output{within}"
        else:
            reason = "no reply reports a number of tokens, so that nothing contradicts their token ids"
        return Check(name="token_count", passed=passed, observed=self.n_wrong, limit=0, reason=reason)


class TokenEvidence:
    """Reads a phase's records once, one at a time. `ids_from` is the local tokenizer, None for the endpoint's ids.

    `n_unknown` replies have a text with U+FFFD, of which a local tokenizer makes other tokens than the model did: they
    are left out of every count.
    """

    def __init__(self, run: MeasuredPhase, eos_ids: AbstractSet[int] | None, *, first_token_needed: bool) -> None:
        self.rules = TokenRules(eos_ids, first_token_needed=first_token_needed, width=_WIDTH)
        by_text = run.spec.keep is not None and run.spec.keep.tokenizer is not None
        self.counts = _CountTally(by_text=by_text)
        self.ids_from: str | None = None
        self.n_unknown = 0
        self._unknown_tokens = 0
        for record in completed(run):
            self._take(record)

    def _take(self, record: QueryRecord) -> None:
        sample, data = sample_name(record), _bytes(record.output_ids)
        self.ids_from = self.ids_from or record.ids_from
        self.rules.add(sample, data, _bytes(record.first_ids), record.tokens)
        if data is not None and self.counts.by_text and _REPLACEMENT in (record.output or ""):
            self.n_unknown += 1
            self._unknown_tokens += len(data) // _WIDTH
        elif data is not None:
            self.counts.add(sample, len(data) // _WIDTH, record.tokens)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the verdict should know of the ids."""
        if not self.counts.by_text:
            return ()
        unknown = (_UNKNOWN_NOTE.format(self.n_unknown, self.rules.n_samples),) if self.n_unknown else ()
        return (_TOKENIZER_NOTE.format(self.ids_from), *unknown)

    @property
    def counted(self) -> tuple[int, int]:
        """How many tokens the outputs have, and how many outputs those are, without the unknown ones."""
        return self.rules.n_tokens - self._unknown_tokens, self.rules.n_samples - self.n_unknown


def completed(run: MeasuredPhase) -> Iterator[QueryRecord]:
    """Yield the records of a phase's completed queries."""
    return (record for record in run.read() if record.ok)


def sample_name(record: QueryRecord) -> str:
    """Return a query's name for a message."""
    return f"row {record.sample} (query {record.query})"


def _bytes(ids: str | None) -> bytes | None:
    return None if ids is None else bytes.fromhex(ids)


def keep_ids(tokenizer: Path | None) -> Keep:
    """Return what a phase keeps whose token ids are judged."""
    return Keep(outputs=tokenizer is not None, token_ids=True, tokenizer=None if tokenizer is None else str(tokenizer))
