"""The shipped endpoint adapters; more come through the pytest_mlperf_endpoint_adapters hook."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from .base import EndpointAdapter

#: Modules and their adapters. They are imported when they are asked for: some need numpy.
_ADAPTERS: Final = (
    ("openai", "OpenAIChatAdapter"),
    ("openai", "OpenAICompletionsAdapter"),
    ("openai_responses", "OpenAIResponsesAdapter"),
    ("anthropic", "AnthropicAdapter"),
    ("sglang", "SGLangAdapter"),
    ("openai_embeddings", "OpenAIEmbeddingsAdapter"),
    ("openai_rerank", "OpenAIRerankAdapter"),
    ("videogen", "VideoGenAdapter"),
    ("openai_images", "OpenAIImagesAdapter"),
    ("audio", "OpenAIAudioAdapter"),
    ("kserve", "KServeAdapter"),
    ("http_json", "HttpJsonAdapter"),
)


def shipped() -> tuple[type[EndpointAdapter], ...]:
    """Return the adapter of every api_type that needs no plugin."""
    return tuple(getattr(import_module(f".{module}", __package__), name) for module, name in _ADAPTERS)
