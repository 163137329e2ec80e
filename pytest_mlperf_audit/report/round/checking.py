"""How to check a round's report: the command that repeats the review, digests, what is proved and what is not."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator

import msgspec

from ...text import plain
from ...verdicts.round import RoundDocument
from ..clean import number
from . import words
from .sheets import sheets


class Checking(msgspec.Struct, frozen=True):
    """All that the end of the page says of how to check it; `files` are those that a repeated review gives again."""

    install: str
    command: str
    files: list[tuple[str, str, str]]
    proved: list[str]
    not_proved: list[str]


def checking_of(document: RoundDocument) -> Checking:
    """Return how to check a round."""
    written = [(name, content.encode()) for name, content in sheets(document)]
    return Checking(
        install=plain(f"pip install {document.tool.name}=={document.tool.version}", 120),
        command=f"pytest --mlperf-results={shlex.quote(plain(words.name(document), 200))}",
        files=[(name, number(len(raw)), hashlib.sha256(raw).hexdigest()) for name, raw in written],
        proved=[
            "Every verdict follows from the files of the tree alone. The review reads them, and sends nothing.",
            "A PASS means that each check of that audit passed on whole and readable files.",
            "What MLCommons' scripts say was worked out by their rules from these files.",
        ],
        not_proved=list(_not_proved(document)),
    )


def _not_proved(document: RoundDocument) -> Iterator[str]:
    yield "That a log is of the system that it names: who publishes a log can write it."
    if skipped := document.counts.get("SKIPPED"):
        yield f"Anything about {words.cases(skipped)} skipped: what the judgement needs was not published."
    if unselected := document.found - len(document.cases):
        yield f"Anything about {words.cases(unselected)} not selected in this review."
    if told := words.not_judged(document):
        yield told
    if document.remark:
        yield f"That no audit is missing. {words.as_sentence(document.remark)}"
