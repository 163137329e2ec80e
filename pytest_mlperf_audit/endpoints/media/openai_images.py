"""`openai_images`: POST /v1/images/generations, as OpenAI, vLLM-Omni, SGLang, muse and others have it. Pure.

Servers call the settings by different names and ignore, with status 200, those that they do not know. So each setting
has one name here and another on the wire (`config/image_params.py`), and whether it takes effect is tried before the
first phase.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final

import msgspec

from ...config.image_params import SERVERS, ImageParams
from ...config.model_params import ModelParams
from ...runs.script import NO_EDIT, Edit
from ..base import EndpointAdapter, Row, Trial
from ..rows import misspelt_column, unsendable
from .openai_images_reply import ImagesDecoder


class _Settings(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The settings of a row, by their names here."""

    negative_prompt: str | None = None
    size: str | None = None
    steps: int | None = None
    guidance: float | None = None
    seed: int | None = None


_SETTINGS: Final = _Settings.__struct_fields__
#: Columns that have a server's own name for a setting.
_OTHER_NAMES: Final[Mapping[str, str]] = {
    name: setting for names in SERVERS.values() for setting, name in names.items() if name not in _SETTINGS
}
_COLUMNS: Final = {"prompt", *_SETTINGS, *_OTHER_NAMES}
#: Set for all rows, since a query of more images costs more.
_OF_ALL_ROWS: Final = ("n", "response_format")
_ENCODER: Final = msgspec.json.Encoder()
#: Few, so that trying them costs little where they take effect.
_FEW_STEPS, _OTHER_STEPS = 2, 3
#: With it diffusers leaves guidance out, and half of the work.
_NO_GUIDANCE, _OTHER_GUIDANCE = 1.0, 3.0
_OTHER_NEGATIVE: Final = "a chessboard, black and white squares, straight lines"
_ANY_SEED: Final = 42


class OpenAIImagesAdapter(EndpointAdapter):
    """Text to images.

    A row has `prompt`, and perhaps columns named as settings, which stand in place of model_params.image and its seed;
    an absent value, None, does not. Other columns are not sent. An edit changes the prompt's text and nothing else, so
    that all requests have the same seed.
    """

    api_type: ClassVar[str] = "openai_images"
    path = "/v1/images/generations"
    max_reply_bytes: ClassVar[int] = 256 * 2**20
    text_output: ClassVar[bool] = False

    def __init__(self, params: ModelParams, *, streaming: bool = False) -> None:
        super().__init__(params, streaming=streaming)
        self._image = params.image or ImageParams()
        self._sent_as = self._image.sent_as
        self._columns = {*_COLUMNS, *self._sent_as.values()}
        self._of_column = {**_OTHER_NAMES, **{name: setting for setting, name in self._sent_as.items()}}

    def problem(self, row: Row) -> str | None:
        """Return what keeps a row from being sent, or None."""
        prompt = row.get("prompt")
        if not isinstance(prompt, str) or not prompt.strip():
            return "no text in column 'prompt'"
        problem = misspelt_column(row, self._columns) or next(self._setting_problems(row), None)
        return problem or unsendable(lambda: _Request(self._fields(row, NO_EDIT)))

    def encode(self, row: Row, edit: Edit = NO_EDIT) -> bytes:
        """Return the request body of a row."""
        return _ENCODER.encode(self._fields(row, edit))

    def decoder(self, *, keep_output: bool = False) -> ImagesDecoder:
        """Return a decoder for one reply."""
        takes_urls = self._image.response_format in {"url", None}
        return ImagesDecoder(self._image.n, takes_urls=takes_urls, keep_output=keep_output)

    def trials(self, row: Row) -> Sequence[Trial]:
        """Return what is tried: whether the steps take effect, which matters most, the guidance and the negative
        prompt. All have one seed and few steps.
        """
        settings = self._settings(row)
        plain: dict[str, Any] = {"prompt": row["prompt"], **_given(settings)}
        if "seed" in self._sent_as:
            plain["seed"] = _ANY_SEED if settings.seed is None else settings.seed
        if settings.steps is not None:
            plain["steps"] = _FEW_STEPS
        return [
            Trial(setting, plain, {**plain, setting: other}, self._ignored(setting), setting == "steps")
            for setting, other in _others(settings)
        ]

    def _ignored(self, setting: str) -> str:
        """Return what to say where a setting has no effect."""
        name, key = self._sent_as[setting], f"model_params.image.{setting}"
        others = sorted({names[setting] for names in SERVERS.values() if setting in names} - {name})
        known = f" (others call it {', '.join(others)})" if others else ""
        return (
            f"{key}, sent as {name!r}, has no effect: the image is the same with another value, so the server does not "
            f"know the name, or has a value of its own; set model_params.image.names to what it calls it{known}, or "
            f"take {setting} out of the YAML and the data set"
        )

    def _settings(self, row: Row) -> _Settings:
        """Return the settings of a row. Raises msgspec.ValidationError."""
        given: dict[str, Any] = {name: getattr(self._image, name, None) for name in _SETTINGS}
        given["seed"] = self.params.seed
        for column, value in row.items():
            if value is not None and (setting := self._setting_of(column)):
                given[setting] = value
        return msgspec.convert(given, _Settings, strict=False)  # CSV has every number as text

    def _setting_of(self, column: str) -> str | None:
        return column if column in _SETTINGS else self._of_column.get(column)

    def _setting_problems(self, row: Row) -> Iterator[str]:
        """Yield what is wrong with the columns of a row that are settings."""
        seen: dict[str, str] = {}
        for column in (column for column, value in row.items() if value is not None):
            if column in _OF_ALL_ROWS:
                yield f"column {column!r} cannot be set by a row; set model_params.image.{column} in the YAML"
            elif setting := self._setting_of(column):
                if setting not in self._sent_as:
                    yield f"column {column!r}: model_params.image.{self._image.nameless(setting)}"
                if other := seen.get(setting):
                    yield f"columns {other!r} and {column!r} are one setting; drop one"
                seen[setting] = column

    def _fields(self, row: Row, edit: Edit) -> dict[str, Any]:
        """Return the request of a row. Raises msgspec.ValidationError."""
        image, prompt = self._image, row["prompt"]
        fields = {"model": self.params.name or None, "prompt": prompt if edit is NO_EDIT else edit.apply(prompt)}
        fields |= {self._sent_as[name]: value for name, value in _given(self._settings(row)).items()}
        fields |= {"n": image.n, "response_format": image.response_format, **(image.extra or {})}
        return {name: value for name, value in fields.items() if value is not None}


class _Request(msgspec.Struct):
    """A request as `unsendable` takes it."""

    fields: dict[str, Any]


def _given(settings: _Settings) -> dict[str, Any]:
    """Return the settings that are not null."""
    return {name: value for name in _SETTINGS if (value := getattr(settings, name)) is not None}


def _others(settings: _Settings) -> Iterator[tuple[str, Any]]:
    """Yield each setting whose effect can be told, with another value."""
    if settings.steps is not None:
        yield "steps", _OTHER_STEPS
    if settings.guidance is not None:
        yield "guidance", _OTHER_GUIDANCE if settings.guidance <= _NO_GUIDANCE else _NO_GUIDANCE
    if settings.negative_prompt is not None and (settings.guidance is None or settings.guidance > _NO_GUIDANCE):
        yield "negative_prompt", _OTHER_NEGATIVE
