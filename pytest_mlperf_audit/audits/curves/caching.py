"""What a submission shows of caching: the salt of its prompts, and its request logs, where it holds any.

A curve of summaries cannot show a cache, so without logs nothing is judged, and the verdict says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from ...errors import RecordError
from ...loadgen.detail import finite
from ...records.log import read_queries
from ...runs.query import QueryRecord
from ..probe.identity.identity import identity
from ..verdict import Check
from .findings import judged
from .point import Curve, Point, value

#: This tool's own log of queries.
_LOG: Final = "queries.jsonl"
#: Of fewer different requests ids and outputs tell nothing; as in probe/identity.
_FEWEST_TOLD: Final = 4
_NO_LOGS: Final = (
    "the submission holds no request logs, so it cannot show whether replies were cached; audit the endpoint itself "
    "with cache_probe, or ask for a run with logs"
)
_NO_SALT: Final = (
    "no point.yaml or config.yaml says whether its prompts were salted, so that they share no prefix but the system "
    "prompt; ask the submitter"
)


def caching(curve: Curve) -> Check | str:
    """Judge the ids and outputs of all logged queries; without any log, return what to say instead.

    Nothing is decided by logs of some points alone, of some of the queries, or without ids and outputs.
    """
    held = [point for point in curve.points if (point.directory / _LOG).is_file()]
    if not held:
        return _NO_LOGS
    try:
        logs = [list(read_queries(point.directory / _LOG)) for point in held]
    except RecordError as error:
        return judged("caching", "2.2.1", "", unknown=[str(error)])
    found = identity(logs)
    unknown = [found.doubt] if found.doubt else []
    if lacking := [point.name for point in curve.points if point not in held]:
        unknown.append(f"{len(lacking)} of {len(curve.points)} points hold no request log ({lacking[0]})")
    for point, log in zip(held, logs, strict=True):
        unknown += [f"{point.name}: {gap}" for gap in _gaps(point, log)]
    fine = f"no reply of {len(logs)} logs bears the id and output of another request's"
    return judged("caching", "2.2.1", fine, list(found.proofs.values()), unknown)


def _gaps(point: Point, log: list[QueryRecord]) -> Iterator[str]:
    """Yield what a log lacks, without which it does not show that no reply was cached."""
    issued, n_logged = finite(value(point.summary, "n_samples_issued")), sum(not one.late for one in log)
    if issued != n_logged:
        said = "nothing" if issued is None else f"{issued:g}"
        yield f"its log has {n_logged} queries, result_summary.json says {said}"
    told = {one.request for one in log if one.ok and one.reply_id and one.reply}
    if len(told) < _FEWEST_TOLD:
        yield f"its log has ids and outputs of {len(told)} different requests, which tell nothing"


def salt(curve: Curve) -> Check | str:
    """Every performance run salted its prompts, as far as its configuration says."""
    said = {point.name: [*_salts(point.config), *_salts(point.disclosure)] for point in curve.points}
    if not any(said.values()):
        return _NO_SALT
    wrong = [f"{name}: its files say that prompts were not salted" for name, found in said.items() if False in found]
    unknown = [f"{name}: its files do not say whether they were" for name, found in said.items() if not found]
    return judged("salt", "2.9.5.1", "prompts were salted at all points", wrong, unknown)


def _salts(data: Any, *, of_warm_up: bool = False) -> Iterator[bool]:
    """Yield what a configuration says of the salt of its performance run; that of the warm-up is another one."""
    if isinstance(data, Mapping):
        for key, one in data.items():
            if key in ("salt", "enable_salt") and isinstance(one, bool) and not of_warm_up:
                yield one
            else:
                yield from _salts(one, of_warm_up=of_warm_up or key == "warmup")
    elif isinstance(data, list):
        for one in data:
            yield from _salts(one, of_warm_up=of_warm_up)
