"""What a reader of a round's report does next."""

from __future__ import annotations

from collections.abc import Iterator

from ...verdicts.round import RoundDocument
from ..advice import Step
from . import words


def steps(document: RoundDocument) -> list[Step]:
    """Return the steps, the most urgent first."""
    return list(_steps(document))


def _steps(document: RoundDocument) -> Iterator[Step]:
    found = {status: [one for one in document.findings if one.status == status] for status in ("FAIL", "NO_VERDICT")}
    if failed := found["FAIL"]:
        yield Step(f"Ask submitters about {_causes(len(failed))} of failures.", "act", "What failed and why")
    if doubted := found["NO_VERDICT"]:
        first = f"act-{len(failed) + 1}" if len(failed) < 100 else "act"
        yield Step(f"Have files of {_causes(len(doubted))} of doubt published whole.", first, "What has no verdict")
    if skipped := document.counts.get("SKIPPED"):
        yield Step(f"Have published what {words.cases(skipped)} need to be judged.", "skipped", "What was skipped")
    if unselected := document.found - len(document.cases):
        yield Step(f"Review {words.cases(unselected)} more, which were not selected.", "check-it", "The command")
    if document.differences:
        yield Step("Read where MLCommons' scripts say otherwise.", "upstream", words.cases(document.differences))
    yield Step("Repeat this review on your own copy.", "check-it", "How to check this report")


def _causes(count: int) -> str:
    return f"{count:,} cause{'' if count == 1 else 's'}"
