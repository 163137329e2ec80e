"""How to check a report: the command, the digests, what they prove and what they do not."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from ..text import plain
from ..verdicts.document import VerdictDocument
from ..verdicts.files import VERDICT_FILE
from .clean import number
from .opening import MOST_AUDITS
from .words import title


class FileRow(msgspec.Struct, frozen=True):
    """A file that the verdict rests on: its path in the report directory, its size, its SHA-256."""

    path: str
    size: str
    sha256: str


class Checking(msgspec.Struct, frozen=True):
    """All that the end of a report says of how to check it; `verdict_sha256` is "" where verdict.json is not there.

    `left_out` counts the files that verdict.json lists and the page does not.
    """

    install: str
    command: str
    verdict_sha256: str
    files: list[FileRow]
    left_out: int
    proved: list[str]
    not_proved: list[str]


#: Files on the page: a run with a file for each output would fill it.
_MOST_FILES = 120


def checking_of(document: VerdictDocument, report_dir: Path) -> Checking:
    """Return how to check a run whose files lie in `report_dir`."""
    rows = [
        FileRow(plain(path, 300), number(artifact.bytes), artifact.sha256)
        for path, artifact in list(document.artifacts.items())[:_MOST_FILES]
    ]
    return Checking(
        install=plain(f"pip install {document.tool.name}=={document.tool.version}", 120),
        command="pytest --mlperf-recheck=DIR",
        verdict_sha256=_sha256(report_dir / VERDICT_FILE),
        files=rows,
        left_out=len(document.artifacts) - len(rows),
        proved=list(_proved()),
        not_proved=list(_not_proved(document)),
    )


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def _proved() -> Iterator[str]:
    yield "Each figure, check and verdict follows from the query records."
    yield "No listed file was changed, lost or cut short since verdict.json was written."
    yield "The phases are those of the configuration, in its order, each with its own records."


def _not_proved(document: VerdictDocument) -> Iterator[str]:
    if document.simulated:
        yield "Anything about a real system: the simulated endpoint answered."
    yield "Who made the run: digests are no signature, and whoever rewrites all files can make them anew."
    yield "That the endpoint is the system that it is said to be."
    for audit in document.audits[:MOST_AUDITS]:
        lacking = [kind.title for kind in audit.kinds if kind.state in ("not looked for", "undecided")]
        if lacking:
            yield f"{title(audit)}: that there is no {plain(_either(lacking), 300)}."


def _either(names: list[str]) -> str:
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))
