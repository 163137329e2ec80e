"""`openai_audio`: POST /v1/audio/transcriptions, a form with a sound in it (Whisper). It reads the files of rows."""

from __future__ import annotations

import hashlib
from typing import ClassVar

import msgspec

from ...config.audio import Audio, ResponseFormat
from ...config.model_params import ModelParams
from ...runs.body import Pieces
from ...runs.script import NO_EDIT, Edit
from ...text import printable
from ..base import EndpointAdapter, Row
from ..form import CONTENT_TYPE, form
from ..rows import misspelt_column, unsendable
from .audio_reply import TranscriptDecoder
from .sounds import SoundError, problem, sound

_SOUND = "audio"


class _Fields(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Fields of the form that a row's columns of these names may set."""

    model: str | None = None
    language: str | None = None
    prompt: str | None = None
    response_format: ResponseFormat | None = None
    temperature: float | None = None


_COLUMNS = {_SOUND, *_Fields.__struct_fields__}


class OpenAIAudioAdapter(EndpointAdapter):
    """Transcriptions. A row has the path of a WAV or FLAC file in `audio`; columns named as fields come first.

    A twin has noise of one step in some samples. A sound's name in the form is made from its bytes, so that a cache
    which is keyed on names takes twins for what they are, and repeats as well.
    """

    api_type: ClassVar[str] = "openai_audio"
    path = "/v1/audio/transcriptions"
    headers = {"Content-Type": CONTENT_TYPE, "Accept": "*/*"}  # noqa: RUF012 - read by name, as in the base class
    twins = "some samples changed by one step of 16 bits"

    def __init__(self, params: ModelParams, *, streaming: bool = False) -> None:
        super().__init__(params, streaming=streaming)
        audio = params.audio or Audio()
        self._from_params = {
            "model": params.name or None,
            "language": audio.language,
            "prompt": audio.prompt,
            "response_format": audio.response_format,
            "temperature": params.temperature,
        }
        self._others = {name: _as_text(value) for name, value in audio.fields.items()}
        if streaming:
            self._others["stream"] = "true"

    def problem(self, row: Row) -> str | None:
        """Return what keeps a row from being sent, or None."""
        if wrong := misspelt_column(row, _COLUMNS):
            return wrong
        named = row.get(_SOUND)
        if not isinstance(named, str) or not named.strip():
            known = ", ".join(map(repr, row)) or "none"
            return f"no path in column {_SOUND!r}; its columns are {known}: name one by parser: {{{_SOUND}: ...}}"
        try:
            wrong = problem(self.find(named))
        except (OSError, ValueError) as error:
            return f"column {_SOUND!r}: {printable(str(error))}"
        return f"{printable(named)} {wrong}" if wrong else unsendable(lambda: self._fields(row))

    def n_words(self, row: Row) -> int:  # noqa: ARG002 - a sound has no words to change
        """Return 0: what is changed is no text."""
        return 0

    def encode(self, row: Row, edit: Edit = NO_EDIT) -> Pieces:
        """Return the form of a row."""
        path = self.find(row[_SOUND])
        try:
            file = sound(path, edit)
        except SoundError as error:
            raise ValueError(f"{path} {error}") from None
        fields = {name: _as_text(value) for name, value in msgspec.to_builtins(self._fields(row)).items()}
        name = f"{hashlib.sha256(file.data).hexdigest()[:16]}.{file.suffix}"
        return form({**fields, **self._others}, "file", name, file.media_type, file.data)

    def _fields(self, row: Row) -> _Fields:
        given = {name: row[name] for name in _Fields.__struct_fields__ if row.get(name) is not None}
        return msgspec.convert({**self._from_params, **given}, _Fields, strict=False)

    def decoder(self, *, keep_output: bool = False) -> TranscriptDecoder:
        """Return a decoder for one reply."""
        return TranscriptDecoder(streaming=self.streaming, keep_output=keep_output)


def _as_text(value: str | float) -> str:
    """Return a field as forms have it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
