"""A finished run with one file that was changed, rechecked without pytest.

Oracle: each test of the recheck comes to a state that is known, with an account of it where it is not confirmed; a run
with a changed byte is never confirmed. Where whoever changed it computed all digests anew (`resealed`), the run is not
confirmed if a check, a phase or a figure of its queries is another one than before.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import msgspec

from pytest_mlperf_audit.audits.registry import shipped
from pytest_mlperf_audit.errors import ConfigError, RecordError
from pytest_mlperf_audit.records.artifacts import artifacts
from pytest_mlperf_audit.records.log import read_columns
from pytest_mlperf_audit.records.store import QUERIES_FILE, read_phase
from pytest_mlperf_audit.runs.phase import figures
from pytest_mlperf_audit.runs.spec import MaxThroughput
from pytest_mlperf_audit.session.finished import find
from pytest_mlperf_audit.session.recheck import Recheck
from pytest_mlperf_audit.session.recheck_results import State, names_of_records, result
from pytest_mlperf_audit.verdicts.files import NO_ARTIFACTS, UNSEALED, VERDICT_FILE, sealed
from tests.benchmarks.bench_recheck import write_run

from .kind import require, scratch
from .mutate import mutated, mutated_json

_QUERIES = 32
_LABELS = ("reference", "output_caching")
_STATES = frozenset(get_args(State))


class Rechecks:
    """Finished runs of test04, one that passed."""

    name = "recheck"

    def __init__(self) -> None:
        self._scratch = scratch()
        self._run = Path(self._scratch.name, "run")
        self._run.mkdir()
        write_run(self._run, _QUERIES)
        paths = sorted(path for path in self._run.rglob("*") if path.is_file() and path.name != "report.html")
        self._files = {path: path.read_bytes() for path in paths}
        self._audits = shipped()
        self._before = self._judged()
        found = self._results()
        require(set(found.values()) == {"confirmed"}, f"the run is not confirmed as it is: {found}")

    def try_one(self, drawn: random.Random) -> None:
        """Change one file, and recheck the run."""
        path, whole = drawn.choice(tuple(self._files.items()))
        raw = _changed(whole, drawn)
        path.write_bytes(raw)
        resealed = drawn.random() < 0.4 and self._reseal()
        try:
            found = self._results()
            differs = self._judged() != self._before if resealed else raw != whole
        finally:
            path.write_bytes(whole)
            if resealed:
                verdict = self._run / VERDICT_FILE
                verdict.write_bytes(self._files[verdict])
        if differs:
            shown = f"{path.relative_to(self._run)}: {whole!r:.100} is now {raw!r:.2000}"
            require(set(found.values()) != {"confirmed"}, f"confirmed, though it was changed: {shown}")

    def close(self) -> None:
        """Remove the run."""
        self._scratch.cleanup()

    def _results(self) -> dict[str, State]:
        """Return what each test comes to; a run that is refused as a whole has none that is confirmed."""
        try:
            recheck = Recheck(find(self._run), self._audits)
        except ConfigError as error:
            require(str(error), "an error without a message")
            return {"": "damaged"}
        stored = recheck.run.stored
        names = [("records", name) for name in names_of_records(recheck)]
        names += [(entry.id, check.name) for entry in (stored.audits if stored else ()) for check in entry.checks]
        states: dict[str, State] = {}
        for group, name in names:
            found = result(recheck, group, name)
            require(found.state in _STATES, f"a state that nobody knows: {found}")
            require(found.text or found.state == "confirmed", f"no account of {group} {name}, which is {found.state}")
            require(len(found.text) < 20_000, f"an account of {len(found.text)} characters")
            states[f"{group}::{name}"] = found.state
        return states

    def _judged(self) -> object:
        """Return what was judged and what came of it, None where it cannot be read."""
        try:
            stored = find(self._run).stored
            folders = [self._run / "audit" / label for label in _LABELS]
            phases = [read_phase(folder) for folder in folders]
            queries = [
                _rounded(msgspec.to_builtins(figures(read_columns(folder / QUERIES_FILE), MaxThroughput())))
                for folder in folders
            ]
        except (RecordError, ConfigError):
            return None
        known = [
            phase and (phase.label, phase.spec, phase.status, _rounded(msgspec.to_builtins(phase.figures)))
            for phase in phases
        ]
        audits = stored.audits if stored else ()
        return (
            known,
            queries,
            [(one.id, one.status, [(c.name, c.status, c.passed) for c in one.checks]) for one in audits],
        )

    def _reseal(self) -> bool:
        """Compute the verdict's digests anew, as somebody does who wants to be believed; False where it is no JSON."""
        path = self._run / VERDICT_FILE
        try:
            content = json.loads(path.read_bytes())
            content["artifacts"] = msgspec.to_builtins(dict(artifacts(self._run, NO_ARTIFACTS)))
            content.pop("digest", None)
            text = json.dumps({**content, "digest": UNSEALED}, indent=2)
            path.write_bytes(sealed(text.encode() + b"\n"))
        except (ValueError, TypeError, AttributeError):
            return False
        return True


def _rounded(value: Any) -> Any:
    """Return figures as a recheck compares them: the order in which floats are summed does not matter."""
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return f"{value:.9g}" if isinstance(value, float) else value


def _changed(whole: bytes, drawn: random.Random) -> bytes:
    kind = drawn.random()
    if kind < 0.35:
        raw = bytearray(whole)
        raw[drawn.randrange(len(raw))] ^= drawn.randrange(1, 256)
        return bytes(raw)
    if kind < 0.6:
        return mutated(whole, drawn)
    return mutated_json(whole, drawn, _dumped)


def _dumped(document: Any, line: bool) -> bytes:
    if line:
        return json.dumps(document, separators=(",", ":")).encode()
    return json.dumps(document, indent=2).encode() + b"\n"


MAKE: Callable[[], Rechecks] = Rechecks
