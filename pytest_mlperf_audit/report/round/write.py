"""Writing what people and programs read of a round: verdict.json first, report.html after it."""

from __future__ import annotations

from pathlib import Path

from ...records.files import write_atomic
from ...verdicts.files import REPORT_FILE, VERDICT_FILE
from ...verdicts.round import RoundDocument, write_round


def write_report(document: RoundDocument, report_dir: Path) -> Path:
    """Write verdict.json and then report.html, each atomically; return the report's path. Raises OSError."""
    from .html import render  # noqa: PLC0415 - the charts and Jinja2 take 0.1 s, and the verdict needs neither

    write_round(document, report_dir / VERDICT_FILE)
    path = report_dir / REPORT_FILE
    write_atomic(path, render(document).encode())
    return path
