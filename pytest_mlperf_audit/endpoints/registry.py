"""The shipped endpoint adapters; more come through the pytest_mlperf_endpoint_adapters hook."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from .base import EndpointAdapter

#: Modules and their adapters. They are imported when they are asked for: some need numpy.
_ADAPTERS: Final = (
    ("text.openai", "OpenAIChatAdapter"),
    ("text.openai", "OpenAICompletionsAdapter"),
    ("text.openai_responses", "OpenAIResponsesAdapter"),
    ("text.anthropic", "AnthropicAdapter"),
    ("text.sglang", "SGLangAdapter"),
    ("numbers.openai_embeddings", "OpenAIEmbeddingsAdapter"),
    ("numbers.openai_rerank", "OpenAIRerankAdapter"),
    ("media.videogen", "VideoGenAdapter"),
    ("media.openai_images", "OpenAIImagesAdapter"),
    ("media.audio", "OpenAIAudioAdapter"),
    ("numbers.kserve", "KServeAdapter"),
    ("http_json", "HttpJsonAdapter"),
)


def shipped() -> tuple[type[EndpointAdapter], ...]:
    """Return the adapter of every api_type that needs no plugin."""
    return tuple(getattr(import_module(f".{module}", __package__), name) for module, name in _ADAPTERS)
