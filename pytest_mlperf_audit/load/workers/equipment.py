"""What a worker needs beside positions: the rows, the adapter that makes requests of them, and the target."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec

from ...config.model_params import ModelParams
from ...datasets import Dataset
from ...endpoints.base import EndpointAdapter
from ...endpoints.source import RequestSource
from ...errors import HostError, MlperfAuditError
from ...runs.spec import RunSpec
from ..target import Target
from .messages import Equip, Piece

#: Rows are sent in pieces of this size, each answered for, so that little is under way at a time.
_PIECE_BYTES = 2**20


def pieces(source: RequestSource) -> Iterator[Piece]:
    """Yield the rows of a source."""
    for rows, lengths in source.dataset.pieces(_PIECE_BYTES):
        yield Piece(rows, lengths)


def equipment(number: int, source: RequestSource, specs: Iterable[RunSpec]) -> Equip:
    """Return what makes requests of those rows, for phases of these specs."""
    adapter, last = source.adapter, len(source) - 1
    kind = type(adapter)
    file = getattr(sys.modules.get(kind.__module__), "__file__", None) or ""
    keeps = [spec.keep for spec in specs if spec.keep]
    return Equip(
        source=number,
        name=source.dataset.name,
        adapter=(kind.__module__, kind.__qualname__, file),
        params=adapter.params.model_dump(mode="json", exclude_unset=True),
        streaming=adapter.streaming,
        search=tuple(str(place.resolve()) for place in source.search),
        fingerprints={row: source.fingerprint(row) for row in {0, last // 2, last}},
        keeps=tuple(keep for at, keep in enumerate(keeps) if keep not in keeps[:at]),
    )


def equipped(message: Equip, rows: list[Piece]) -> RequestSource:
    """Return the source that a worker was sent; `rows` is empty then. Raises HostError, and PlanError for `keeps`."""
    dataset = Dataset.of_pieces(message.name, _taken(rows))
    try:
        adapter = _adapter(*message.adapter)(ModelParams(**message.params), streaming=message.streaming)
        adapter.directories = [Path(place) for place in message.search]
        source = RequestSource(dataset, adapter, search=[Path(place) for place in message.search])
        off = [row for row, digest in message.fingerprints.items() if source.fingerprint(row) != digest]
    except HostError:
        raise
    except Exception as error:  # the adapter is anybody's code
        raise HostError(f"adapter {message.adapter[1]} fails there with {type(error).__name__}: {error}") from error
    if off:
        raise HostError(
            f"adapter {message.adapter[1]} makes another request of row {off[0]} there than here; install the same "
            "version of its package"
        )
    for keep in message.keeps:
        source.keeping(keep)
    return source


def _taken(rows: list[Piece]) -> Iterator[tuple[bytes, tuple[int, ...]]]:
    """Yield pieces, each of which is then held no more."""
    rows.reverse()
    while rows:
        piece = rows.pop()
        yield piece.rows, piece.lengths


def _adapter(module: str, name: str, file: str) -> type[EndpointAdapter]:
    """Return an adapter by its name; where the module of that name is another, as of a conftest.py, by its file."""
    try:
        found: Any = _module(module, file)
        for part in name.split("."):
            found = getattr(found, part)
    except Exception as error:  # the module is anybody's code
        raise HostError(
            f"adapter {name} of {module} cannot be imported there ({type(error).__name__}: {error}); install its "
            f"package there, or put its file at the same path ({file})"
        ) from error
    if not (isinstance(found, type) and issubclass(found, EndpointAdapter)):
        raise HostError(f"{name} of {module} is no EndpointAdapter there; install the same version of its package")
    return found


def _module(name: str, file: str) -> Any:
    try:
        spec = importlib.util.find_spec(name)
    except ImportError:
        spec = None
    if not Path(file).is_file() or (spec and spec.origin and Path(spec.origin).resolve() == Path(file).resolve()):
        return importlib.import_module(name)
    made = importlib.util.spec_from_file_location(name, file)
    if made is None or made.loader is None:
        raise ImportError(f"{file} is no Python module")
    module = importlib.util.module_from_spec(made)
    sys.modules[name] = module
    sys.path.insert(0, str(Path(file).parent))  # where pytest finds what stands beside a conftest.py
    made.loader.exec_module(module)
    return module


def target_fields(target: Target) -> dict[str, Any]:
    """Return a target's fields, without what is made of them."""
    return asdict(target)


def target_of(values: dict[str, Any]) -> Target:
    """Return the target of such fields, as they come over the channel."""
    return msgspec.convert(values, Target, dec_hook=lambda kind, value: kind(value))


def reason(error: BaseException) -> str:
    """Return what a worker says of an error that keeps it from doing what it was told."""
    return str(error) if isinstance(error, MlperfAuditError) else f"{type(error).__name__}: {error}"
