"""The `image:` block of `model_params`: what images are asked for, and what each server calls the settings.

Sources of the names: muse 0.60.2 (its /v1/images/generations takes and silently drops what it does not know),
vLLM-Omni 0.30 `entrypoints/openai/protocol/images.py`, SGLang `multimodal_gen/.../openai/protocol.py`, and OpenAI's
own API, which has a size and a number of images alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from .block import Block, Problem, reject_all

ImageSetting = Literal["size", "steps", "guidance", "negative_prompt", "seed"]
ServerName = Literal["vllm-omni", "sglang", "muse", "openai"]

_DIFFUSERS: Final = {
    "size": "size",
    "steps": "num_inference_steps",
    "guidance": "guidance_scale",
    "negative_prompt": "negative_prompt",
    "seed": "seed",
}
#: What each server calls a setting; one that it does not have is left out.
SERVERS: Final[Mapping[str, Mapping[str, str]]] = {
    "vllm-omni": _DIFFUSERS,
    "sglang": _DIFFUSERS,
    "muse": {**_DIFFUSERS, "steps": "steps", "guidance": "guidance"},
    "openai": {"size": "size"},
}
#: Fields that are set elsewhere, or would make replies something else than whole images.
_TAKEN: Final = frozenset({"model", "prompt", "n", "response_format", "stream", "partial_images"})
_SIZE: Final = re.compile(r"[1-9][0-9]{0,4}x[1-9][0-9]{0,4}|auto", re.ASCII)


class ImageParams(Block):
    """What images api_type openai_images asks for. A row's columns size, steps, guidance, negative_prompt and seed
    stand in place of these; a setting that is null is not sent.
    """

    size: str | None = Field(default=None, description="Width and height in pixels, as 1024x1024; MLPerf's for SDXL")
    steps: int | None = Field(
        default=None,
        ge=1,
        description="Denoising steps (MLPerf's SDXL: 20). Before the first phase it is tried whether they take effect: "
        "a server that ignores them is an error",
    )
    guidance: float | None = Field(default=None, ge=0, description="Guidance scale (MLPerf's SDXL: 8)")
    negative_prompt: str | None = Field(default=None, description="What the images should not look like")
    n: int = Field(default=1, ge=1, le=64, description="Images a query; a reply with fewer is a failed query")
    response_format: str | None = Field(
        default="b64_json",
        description="How images are asked for: b64_json; file (vLLM-Omni: the image itself); url, whose images are "
        "not fetched, so that outputs cannot be compared, unless it is a data: URL; null: not sent, for OpenAI's "
        "gpt-image",
    )
    names: ServerName | dict[ImageSetting, str] = Field(
        default="vllm-omni",
        description="What the server calls the settings, since servers ignore names that they do not know: "
        "vllm-omni and sglang (num_inference_steps, guidance_scale), muse (steps, guidance), openai (size alone), or "
        "names of your own, as {steps: num_steps, guidance: true_cfg_scale}; the others are then as for vllm-omni, and "
        "one that the server does not have is ''",
    )
    extra: dict[str, Any] | None = Field(
        default=None, repr=False, description="Further fields of the request, sent as they are: {output_format: png}"
    )

    @property
    def sent_as(self) -> dict[str, str]:
        """The name that the server has for each setting; a setting without one cannot be sent."""
        if isinstance(self.names, str):
            return dict(SERVERS[self.names])
        own: dict[str, str] = {**_DIFFUSERS, **dict(self.names.items())}
        return {setting: name for setting, name in own.items() if name}

    def nameless(self, setting: str) -> str:
        """Return what to say of a setting that the server has no name for."""
        of = f"names: {self.names} has" if isinstance(self.names, str) else "names has"
        return f"{of} no name for {setting}; take it out, or say what the server calls it in names"

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if problems := list(self._problems()):
            reject_all(problems)
        return self

    def _problems(self) -> Iterator[Problem]:
        if self.size is not None and not _SIZE.fullmatch(self.size):
            yield ("size",), "is no width and height; write it as 1024x1024"
        if self.n > 1 and self.response_format == "file":
            yield ("response_format",), f"of {self.n} images the reply is an archive, which is not read; use b64_json"
        sent_as = self.sent_as
        for setting in _DIFFUSERS:
            if getattr(self, setting, None) is not None and setting not in sent_as:
                yield (setting,), self.nameless(setting)
        names = list(sent_as.values())
        for name in sorted({name for name in names if names.count(name) > 1 or name in _TAKEN}):
            yield ("names",), f"{name} is the name of something else in the request; correct it"
        for name in self.extra or ():
            if name in _TAKEN:
                yield ("extra", name), "is not for extra: it has a key of its own, or would change what a reply is"
            elif name in names:
                yield ("extra", name), "is what a setting is sent as; set that in its place"
