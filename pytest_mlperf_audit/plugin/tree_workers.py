"""A submission tree under pytest-xdist: what the controller found goes to workers, and each report back in one piece.

execnet takes a report apart and writes every key and value of it in Python. For thousands of tests that takes longer
than judging them, so the parts whose types are known travel as bytes.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from ..audits.published.tree import Survey
from ..session.round import Round
from ..session.surveys import packed_surveys, unpacked_surveys

#: The key of the packed part among a report's data, and of the surveys among a worker's input.
_PACKED: Final = "$mlperf_packed"
_SURVEYS: Final = "mlperf_surveys"


class _Part(msgspec.Struct, omit_defaults=True):
    """What nearly every report has, with the types of pytest's own reports; UNSET is what one lacks."""

    nodeid: str | msgspec.UnsetType = msgspec.UNSET
    location: tuple[str, int | None, str] | msgspec.UnsetType = msgspec.UNSET
    keywords: dict[str, int] | msgspec.UnsetType = msgspec.UNSET
    outcome: str | msgspec.UnsetType = msgspec.UNSET
    when: str | msgspec.UnsetType = msgspec.UNSET
    user_properties: list[tuple[str, str | int | float | bool | None]] | msgspec.UnsetType = msgspec.UNSET
    sections: list[tuple[str, str]] | msgspec.UnsetType = msgspec.UNSET
    duration: float | msgspec.UnsetType = msgspec.UNSET
    start: float | msgspec.UnsetType = msgspec.UNSET
    stop: float | msgspec.UnsetType = msgspec.UNSET
    mlperf_case: str | msgspec.UnsetType = msgspec.UNSET


_NAMES: Final = _Part.__struct_fields__
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Part)


def pack(data: dict[str, Any]) -> dict[str, Any]:
    """Return a report's data with its known part as bytes; as it is, where a value has not the type that it should."""
    part = _Part(**{name: data[name] for name in _NAMES if name in data})
    try:
        piece = _encoder.encode(part)
        if _decoder.decode(piece) != part:
            return data
    except (ValueError, TypeError, OverflowError):  # msgspec's errors are ValueErrors
        return data
    return {_PACKED: piece} | {name: value for name, value in data.items() if name not in _NAMES}


def unpack(data: dict[str, Any]) -> None:
    """Put back, in place, what `pack` took out."""
    if _PACKED in data:
        part = _decoder.decode(data.pop(_PACKED))
        data.update((name, value) for name in _NAMES if (value := getattr(part, name)) is not msgspec.UNSET)


def surveyed(config: pytest.Config) -> Mapping[Path, Survey]:
    """Return what the controller has told this worker of the trees; nothing in any other process."""
    told = getattr(config, "workerinput", {}).get(_SURVEYS)
    return unpacked_surveys(told) if told else {}


class TreeWorkers:
    """Registered on the controller and on its workers, where there are trees."""

    def __init__(self, rounds: Sequence[Round], *, is_worker: bool) -> None:
        self._rounds = rounds
        self._is_worker = is_worker

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker what is in the trees."""
        node.workerinput[_SURVEYS] = packed_surveys([(found.tree, found.found) for found in self._rounds])

    @pytest.hookimpl(wrapper=True)
    def pytest_report_to_serializable(self) -> Generator[None, dict[str, Any] | None, dict[str, Any] | None]:
        """Pack a report that goes to the controller."""
        data = yield
        return pack(data) if data and self._is_worker and data.get("$report_type") == "TestReport" else data

    @pytest.hookimpl(wrapper=True)
    def pytest_report_from_serializable(self, data: dict[str, Any]) -> Generator[None, Any, Any]:
        """Unpack a report that came from a worker."""
        unpack(data)
        return (yield)
