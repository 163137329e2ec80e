"""Writing what people and programs read of a run: verdict.json first, report.html after it."""

from __future__ import annotations

from pathlib import Path

from ..records.files import write_atomic
from ..verdicts.document import VerdictDocument
from ..verdicts.files import REPORT_FILE, with_artifacts, write_verdict


def write_report(document: VerdictDocument, report_dir: Path) -> Path:
    """Write verdict.json and then report.html, each atomically; return the report's path. Raises OSError.

    Call it last: the verdict carries a digest of every other file in `report_dir`.
    """
    from .html import render  # noqa: PLC0415 - the charts and Jinja2 take 0.1 s, and the verdict needs neither

    verdict = with_artifacts(document, report_dir)
    write_verdict(verdict, report_dir)
    path = report_dir / REPORT_FILE
    write_atomic(path, render(verdict, report_dir).encode())
    return path
