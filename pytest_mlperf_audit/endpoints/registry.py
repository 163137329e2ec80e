"""The shipped endpoint adapters; more come through the pytest_mlperf_endpoint_adapters hook."""

from __future__ import annotations

from .anthropic import AnthropicAdapter
from .base import EndpointAdapter
from .http_json import HttpJsonAdapter
from .kserve import KServeAdapter
from .openai import OpenAIChatAdapter, OpenAICompletionsAdapter
from .openai_embeddings import OpenAIEmbeddingsAdapter
from .openai_images import OpenAIImagesAdapter
from .openai_rerank import OpenAIRerankAdapter
from .openai_responses import OpenAIResponsesAdapter
from .sglang import SGLangAdapter
from .videogen import VideoGenAdapter


def shipped() -> tuple[type[EndpointAdapter], ...]:
    """Return the adapter of every api_type that needs no plugin."""
    return (
        OpenAIChatAdapter,
        OpenAICompletionsAdapter,
        SGLangAdapter,
        VideoGenAdapter,
        KServeAdapter,
        HttpJsonAdapter,
        OpenAIResponsesAdapter,
        AnthropicAdapter,
        OpenAIImagesAdapter,
        OpenAIEmbeddingsAdapter,
        OpenAIRerankAdapter,
    )
