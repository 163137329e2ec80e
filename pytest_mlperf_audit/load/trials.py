"""Before any phase: do the settings take effect that the YAML asks for? Servers ignore names that they do not know.

Two queries that differ in one setting have different outputs where it does. That says something only where equal
queries have equal outputs, so one is asked twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ..endpoints.base import BadReplyError, EndpointAdapter, Reply, Row
from ..errors import EndpointError
from ..runs.script import Edit
from ..text import printable
from .transport import TransportError

#: Asks one query. Raises TransportError or BadReplyError.
Ask = Callable[[bytes], Awaitable[Reply]]


async def try_settings(adapter: EndpointAdapter, row: Row, edit: Edit, ask: Ask) -> list[str]:
    """Ask what the adapter tries of a row's settings; return what could not be told, or has no effect, in sentences.

    Raises EndpointError where a setting has no effect that matters.
    """
    warnings: list[str] = []
    outputs: dict[bytes, str] = {}
    for trial in adapter.trials(row):
        plain, changed = (bytes(adapter.encode(one, edit)) for one in (trial.plain, trial.changed))
        try:
            if plain not in outputs:
                first, again = (await ask(plain)).digest, (await ask(plain)).digest
                if not first or first != again:
                    return [*warnings, *_cannot_be_told(adapter, row, first)]
                outputs[plain] = first
            same = (await ask(changed)).digest == outputs[plain]
        except (TransportError, BadReplyError) as error:
            warnings.append(
                f"whether {trial.setting} takes effect is not known: {printable(error.detail) or error.reason}"
            )
            continue
        if same and trial.matters:
            raise EndpointError(trial.ignored)
        if same:
            warnings.append(trial.ignored)
    return warnings


def _cannot_be_told(adapter: EndpointAdapter, row: Row, output: str) -> list[str]:
    """Return what to say where equal queries have different outputs; a reply without any has said so itself."""
    if not output:
        return []
    settings = ", ".join(trial.setting for trial in adapter.trials(row))
    said = "two equal queries have different outputs, so the seed is not kept or the server is not deterministic, and"
    return [f"{said} whether these take effect cannot be told: {settings}"]
