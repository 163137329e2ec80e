"""How the replies of a run end. Pure but for one memory: whether any of them said why it ended."""

from __future__ import annotations

from .replies import bad


class Endings:
    """Knows whether the endpoint gives finish reasons; then a reply without one was broken off.

    One for each adapter, which all phases of a run share. A count of the tokens behind the output is an ending, too:
    a server that broke a reply off does not count it.
    """

    def __init__(self) -> None:
        self._gives_reasons = False

    def check(self, *, finish_reason: str | None, counted: bool) -> None:
        """Note how a reply with output ended. Raises BadReplyError("truncated")."""
        if finish_reason:
            self._gives_reasons = True
        elif self._gives_reasons and not counted:
            raise bad("truncated", "the reply ended without the finish reason that the run's other replies have")
