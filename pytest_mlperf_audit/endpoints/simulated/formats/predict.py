"""An API of its own, JSON in and JSON out, such as people write around a model. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from ....config.endpoint import SimulatedConfig
from ..exchange import Answer, Ask
from ..model import output
from .contract import Body, Format, Request, json_body

_REQUEST = msgspec.json.Decoder(dict[str, Any])


def _read(request: Request) -> Ask:
    """Read any object; what the model reads are its values, in their order."""
    return request.ask(" ".join(_words(_REQUEST.decode(request.body))))


def _words(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [word for one in value.values() for word in _words(one)]
    if isinstance(value, list):
        return [word for one in value for word in _words(one)]
    return str(value).split()


def _reply(config: SimulatedConfig, _ask: Ask, answer: Answer) -> Body:
    words = output(config, answer)
    return json_body({"id": answer.id, "output": {"text": words.text, "n_words": words.n_reported}})


FORMAT = Format(name="predict", paths=("/predict",), read=_read, reply=_reply)
