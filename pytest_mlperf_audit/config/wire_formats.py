"""Which blocks and keys have a meaning in which wire format, so that one without any is no surprise later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

#: `lengths`: a field for a least output length, and one for special tokens; `conversations`: their turns can be sent as
#: they are, with calls of tools and their results; `image`: images are asked for; `audio`: sounds are sent.
Part = Literal["lengths", "conversations", "image", "audio"]

_PARTS: Final[Mapping[str, frozenset[str]]] = {
    "openai": frozenset({"conversations"}),
    "openai_completions": frozenset({"lengths"}),
    "openai_responses": frozenset(),
    "anthropic": frozenset(),
    "sglang": frozenset(),
    "videogen": frozenset(),
    "openai_images": frozenset({"image"}),
    "openai_audio": frozenset({"audio"}),
    "openai_embeddings": frozenset(),
    "openai_rerank": frozenset(),
    "kserve_v2": frozenset(),
    "http_json": frozenset({"lengths"}),
}


def lacks(api_type: str, part: Part) -> bool:
    """Whether a wire format has no meaning for a part of the YAML; one that a plugin brings may have any."""
    return part not in _PARTS.get(api_type, {part})
