"""Data sets that a YAML knows by name alone, as files in a directory that the user names. Nothing is ever downloaded.

The names are those of mlcommons/endpoints (`dataset_manager/predefined`), `cnn_dailymail::llama3_8b` being the preset
`llama3_8b` of `cnn_dailymail`; the files are MLPerf Inference's own, as it distributes them, and those that the
endpoints tool leaves in its `dataset_cache`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ..errors import DatasetError
from .formats import READERS


@dataclass(frozen=True)
class KnownFile:
    """A file below the directory, with `*` for a part that varies; `columns` as in a data set's `parser`."""

    path: str
    columns: Mapping[str, str] = field(default_factory=dict)


_SHOP = "shopify_product_catalogue"
_ORCA = "open_orca_gpt4_tokenized_llama.sampled_24576.jsonl"

#: Where else than under its own name a data set lies.
_FILES: Final[Mapping[str, tuple[KnownFile, ...]]] = {
    "cnn_dailymail": (KnownFile("cnn_eval.json", {"highlights": "output"}),),
    "gpqa": (KnownFile("gpqa/diamond/gpqa_diamond.parquet"),),
    "livecodebench": (KnownFile("livecodebench/*/livecodebench_*.parquet"),),
    "open_orca": (KnownFile(_ORCA), KnownFile(f"open_orca/mlperf-inference/{_ORCA}")),
    "bfcl_v4": (KnownFile("bfcl_v4/bfcl_v4_single_turn.parquet"),),
    _SHOP: (KnownFile(f"{_SHOP}/*/{_SHOP}_*.parquet"),),
    f"{_SHOP}_8k": (KnownFile(f"{_SHOP}_8k/*/{_SHOP}_8k_*.parquet"),),
}


def find_named(name: str, directory: Path) -> tuple[Path, Mapping[str, str]]:
    """Return the file of a data set below `directory`, and which of its columns have other names there.

    Raises DatasetError, naming where it was looked for, where there is none, or where there are several.
    """
    looked = []
    for known in _candidates(name):
        looked.append(known.path)
        if found := sorted(path for path in directory.glob(known.path) if path.is_file()):
            if len(found) > 1:
                listed = ", ".join(str(path) for path in found)
                raise DatasetError(f"data set {name!r}: several files may be it: {listed}; give one as its path")
            return found[0].resolve(), known.columns
    raise DatasetError(
        f"data set {name!r}: no file of it in {directory}; looked for {', '.join(looked)}; put it there, or give its "
        "path"
    )


def _candidates(name: str) -> Iterator[KnownFile]:
    """Yield where a data set may lie, what is most surely it first."""
    base = name.partition("::")[0]
    plain = name.replace("::", "-")
    if not all(part.replace("_", "").replace("-", "").replace(".", "").isalnum() for part in (base, plain)):
        return  # no name of a file, but perhaps a way out of the directory
    for stem in dict.fromkeys((plain, base)):
        yield from (KnownFile(f"{stem}.{suffix}") for suffix in READERS)
    yield from _FILES.get(base, ())
    yield from (KnownFile(f"{base}/{base}.{suffix}") for suffix in READERS)
