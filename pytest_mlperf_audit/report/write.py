"""Writing what people and programs read of a run or a round: verdict.json first, report.html after it."""

from __future__ import annotations

from pathlib import Path

from ..records.files import write_atomic
from ..verdicts.document import VerdictDocument
from ..verdicts.files import REPORT_FILE, VERDICT_FILE, with_artifacts, write_verdict
from ..verdicts.round import RoundDocument, write_round


def write_report(document: VerdictDocument, report_dir: Path) -> Path:
    """Write verdict.json and then report.html, each atomically; return the report's path. Raises OSError.

    Call it last: the verdict carries a digest of every other file in `report_dir`.
    """
    from .html import render  # noqa: PLC0415 - Jinja2 and the charts take time to import, and the verdict needs neither

    verdict = with_artifacts(document, report_dir)
    write_verdict(verdict, report_dir)
    return _write_page(report_dir, render(verdict, report_dir))


def write_round_report(document: RoundDocument, report_dir: Path) -> Path:
    """Write a round's verdict.json, its sheets and then report.html, each atomically; return the report's path.

    Raises OSError.
    """
    from .round.html import render  # noqa: PLC0415 - as above
    from .round.sheets import sheets  # noqa: PLC0415

    write_round(document, report_dir / VERDICT_FILE)
    for name, content in sheets(document):
        write_atomic(report_dir / name, content.encode())
    return _write_page(report_dir, render(document))


def _write_page(report_dir: Path, page: str) -> Path:
    path = report_dir / REPORT_FILE
    write_atomic(path, page.encode())
    return path
