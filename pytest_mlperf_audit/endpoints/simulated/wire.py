"""Requests to an Ask, an Answer to reply bytes, whatever the format. Pure."""

from __future__ import annotations

from ...config.endpoint import SimulatedConfig
from .exchange import Answer, Ask
from .formats import load_formats, sse
from .formats.contract import BadRequestError, Body, Format, Request

#: Formats by name, as Ask.kind has it.
FORMATS: dict[str, Format] = {one.name: one for one in load_formats()}


def read(request: Request) -> Ask:
    """Read a request sent to a path of its format. Raises BadRequestError."""
    try:
        return FORMATS[request.format_name].read(request)
    except BadRequestError:
        raise
    except (ValueError, RecursionError) as error:
        raise BadRequestError(str(error)) from None


def streams(ask: Ask) -> bool:
    """Return whether the reply is a stream: it is asked for, and the format has one."""
    return ask.stream and FORMATS[ask.kind].events is not None


def events(config: SimulatedConfig, ask: Ask, answer: Answer) -> list[bytes]:
    """Return the events of a streamed reply, as Format.events has them; none of a format that does not stream."""
    of_format = FORMATS[ask.kind].events
    return of_format(config, ask, answer) if of_format else []


def reply(config: SimulatedConfig, ask: Ask, answer: Answer) -> Body:
    """Return the whole reply; a streamed one as all its events in one piece, as caches replay them."""
    ask = answer.form or ask
    if streams(ask):
        return Body(b"".join(events(config, ask, answer)), sse.MEDIA_TYPE)
    return FORMATS[ask.kind].reply(config, ask, answer)
