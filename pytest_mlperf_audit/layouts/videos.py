"""accuracy/videos: sample videos of an accuracy run, which MLPerf wants to see, kept from where the endpoint put them.

Source: mlcommons/inference `tools/submission/submission_checker/constants.py` (REQUIRED_ACC_BENCHMARK), which names
the rows by version; a video is called by its row. A reply names a path, and a path is the endpoint's word: nothing is
copied that does not lie in the directory that the YAML names and begin as a video.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ..records.files import write_pieces
from ..records.log import read_queries
from ..records.store import QUERIES_FILE
from ..verdicts.document import AuditEntry

_V6_0 = (130, 106, 84, 59, 12, 31, 86, 122, 233, 96)
_V6_1 = (130, 106, 84, 59, 12, 123, 43, 22, 238, 32)
_ROWS: Final = {
    "wan-2.2-t2v-a14b": {"mlperf-inference-v6.0": _V6_0, "mlperf-inference-v6.1": _V6_1},
}
_PLACE: Final = Path("accuracy") / "videos"
_PIECE: Final = 1 << 20


def sample_rows(benchmark: str, ruleset: str) -> tuple[int, ...]:
    """Return the rows whose videos a ruleset wants; those of all its versions where it is none of them."""
    versions = _ROWS.get(benchmark, {})
    if ruleset in versions:
        return versions[ruleset]
    return tuple(sorted({row for rows in versions.values() for row in rows}))


def keep_videos(accuracy: AuditEntry, rows: tuple[int, ...], directory: Path, report_dir: Path) -> list[int]:
    """Copy the videos of these rows from `directory`; return the rows whose video could not be had.

    Raises RecordError when the records cannot be read, and OSError for a full disk.
    """
    lacking = set(rows)
    for phase in accuracy.phases if rows else ():
        for query in read_queries(report_dir / phase.directory / QUERIES_FILE):
            if query.sample in lacking and query.ok and query.output:
                video = _found(query.output, directory)
                if video is not None and _copied(video, report_dir / _PLACE / str(query.sample)):
                    lacking.discard(query.sample)
    return sorted(lacking)


def without_videos(rows: list[int]) -> str:
    """Return what to do about videos that are not there."""
    named = ", ".join(map(str, rows[:10]))
    return (
        f"accuracy/videos lacks the videos of {len(rows)} rows that MLPerf's checker looks for ({named}); put them "
        "there as <row>.mp4, or name the directory that the endpoint writes into as accuracy_config.videos"
    )


def _found(named: str, directory: Path) -> Path | None:
    """Return the file that a reply names, below `directory`, where the endpoint may have mounted it elsewhere."""
    root = directory.resolve()
    candidates = (_resolved(Path(named)), _resolved(directory / Path(named).name))
    return next((path for path in candidates if path and path.is_relative_to(root) and path.is_file()), None)


def _resolved(path: Path) -> Path | None:
    try:
        return path.resolve() if path.exists() else None
    except (OSError, ValueError, RuntimeError):  # a name too long, a NUL, a link to itself
        return None


def _copied(video: Path, target: Path) -> bool:
    try:
        with video.open("rb") as file:
            head = file.read(12)
            kind = "mp4" if head[4:8] == b"ftyp" else "avi" if head[:4] == b"RIFF" and head[8:12] == b"AVI " else ""
    except OSError:
        return False
    if kind:
        write_pieces(target.with_name(f"{target.name}.{kind}"), _pieces(video))
    return bool(kind)


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece
