"""How one of upstream's scripts ends."""

from __future__ import annotations

from .case import Defect
from .outcome import UpstreamVerdict


class End(Exception):  # noqa: N818  it is how the script ends, which may be no error
    """The script ends before its comparison: with a verdict, or with a traceback by a defect."""

    def __init__(self, verdict: UpstreamVerdict, reason: str, defect: Defect | None = None) -> None:
        super().__init__(reason)
        self.verdict, self.reason, self.defect = verdict, reason, defect
