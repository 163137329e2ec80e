"""The files of one point of a curve, read: what is missing or cannot be read is kept as a problem, and never raised."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from ...config.yaml_reader import read_yaml
from ...errors import ConfigError, RecordError
from ...loadgen.detail import finite
from ...loadgen.text import read
from ...text import readable
from ..published.endpoints_audit import read_object
from .place import POINT

DISCLOSURE: Final = "point.yaml"
CONFIG: Final = "config.yaml"
SUMMARY: Final = "result_summary.json"
SYSTEM: Final = "system_desc.json"
ACCURACY: Final = "accuracy_results.json"
#: What has to be there at every point; accuracy only at some.
REQUIRED: Final = (DISCLOSURE, CONFIG, SUMMARY, SYSTEM)
_MOST_BYTES: Final = 2**20


@dataclass(frozen=True)
class Point:
    """One point, `number` as in r64. Its files as plain data, None where missing or unreadable, as `problems` say."""

    directory: Path
    number: int
    disclosure: Mapping[str, Any] | None
    config: Mapping[str, Any] | None
    summary: Mapping[str, Any] | None
    system: Mapping[str, Any] | None
    accuracy: Mapping[str, Any] | None
    problems: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name of its directory."""
        return self.directory.name

    @property
    def offline(self) -> str:
        """ "dedicated" for a run of its own, "elected" for a point that stands for it, "" for any other."""
        declared = value(self.disclosure, "offline")
        return declared if declared in ("dedicated", "elected") else ""

    @property
    def is_agentic(self) -> bool:
        """Whether it plays trajectories of several turns."""
        return bool(value(self.disclosure, "runtime_settings.load_pattern") == "agentic_inference")

    @property
    def concurrency(self) -> int:
        """The concurrency that it declares; where none can be read, that of its directory's name."""
        declared = value(self.disclosure, "concurrency")
        return declared if type(declared) is int and declared > 0 else self.number


@dataclass(frozen=True)
class Curve:
    """The points of one model on one system, from the lowest on; `root` is the submission's own directory."""

    directory: Path
    root: Path
    points: tuple[Point, ...]

    @property
    def concurrencies(self) -> list[int]:
        """The concurrency of each point."""
        return [point.concurrency for point in self.points]

    @property
    def is_agentic(self) -> bool:
        """Whether every point plays trajectories of several turns."""
        return bool(self.points) and all(point.is_agentic for point in self.points)


def value(data: Mapping[str, Any] | None, path: str) -> Any:
    """Return what stands at a path of keys like `runtime_settings.load_pattern`, None where nothing does."""
    found: Any = data
    for key in path.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def number(text: Any) -> float | None:
    """Return a finite number, which the tool may have written as text, None for anything else."""
    try:
        return None if isinstance(text, bool) else finite(float(text))
    except (TypeError, ValueError, OverflowError):
        return None


@lru_cache(maxsize=8)  # each rule is a test of its own, and asks for the whole curve
def curve_of(directory: Path) -> Curve:
    """Return the curve of a directory. Raises OSError."""
    numbered = [(int(found[1]), path) for path in directory.iterdir() if (found := POINT.fullmatch(path.name))]
    points = tuple(_point(path, number) for number, path in sorted(numbered))
    above = directory.parent.parent  # <submission>/results/<system>/<model>
    return Curve(directory, above.parent if above.name == "results" else above, points)


def _point(directory: Path, number: int) -> Point:
    files: dict[str, Mapping[str, Any] | None] = {}
    problems: list[str] = []
    for name in (*REQUIRED, ACCURACY):
        files[name], problem = _read(directory / name)
        if problem or (files[name] is None and name in REQUIRED):
            problems.append(problem or f"{name} is not there")
    return Point(
        directory=directory,
        number=number,
        disclosure=files[DISCLOSURE],
        config=files[CONFIG],
        summary=files[SUMMARY],
        system=files[SYSTEM],
        accuracy=files[ACCURACY],
        problems=tuple(problems),
    )


def _read(path: Path) -> tuple[Mapping[str, Any] | None, str]:
    """Return a file's mapping, None where there is none, and what is wrong with it, "" for nothing."""
    if not path.is_file():
        return None, ""
    try:
        if path.suffix == ".json":
            return read_object(path), ""
        return read_yaml(read(path, _MOST_BYTES) or b"", readable(path.name)).data, ""
    except (RecordError, ConfigError) as error:
        return None, str(error)


def each(curve: Curve, path: str) -> Iterator[tuple[Point, Any]]:
    """Yield each point with what its disclosure has at a path."""
    for point in curve.points:
        yield point, value(point.disclosure, path)
