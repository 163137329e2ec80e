"""Audits without pytest, for a notebook or a program: run those of a YAML, and recheck a finished run.

Both work in a thread, and where an event loop is running, as in a notebook: phases then run on a loop in a thread of
their own. The interrupt (a notebook's stop button, Ctrl-C) ends them in good order in either case.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ..audits import registry
from ..audits.contract import Audit
from ..endpoints import registry as adapter_registry
from ..endpoints.base import EndpointAdapter
from ..errors import ConfigError, NoVerdictError, RecordError, ReportDirError
from ..layouts import LAYOUTS, Layout
from ..load.loop import stop_thread
from ..verdicts.document import CheckStatus, VerdictDocument
from ..verdicts.files import VERDICT_FILE, read_verdict
from .account import environment, unwritten
from .commands import Hook
from .finished import RECORDS, find
from .inputs import gather_adapters
from .judge import PlannedAudit
from .locks import deferred
from .outcome import run_document, write_files
from .plan import Request, plan_runs
from .plan_view import run_lines
from .prepare import AuditSession
from .recheck import Recheck
from .recheck_results import Result, names_of_records, result, verdict_word
from .run import AuditRun

_T = TypeVar("_T")

_POLL_S = 0.2


class Rechecked(msgspec.Struct, frozen=True):
    """What a finished run came to when it was recomputed: `verdict` is CONFIRMED, DIFFERS or NOT RECHECKED.

    `tests` has each comparison by the name that its test has under --mlperf-recheck: 'test04::throughput_ratio'. Of a
    check that failed then and fails now the `state` is "failed", and the verdict stands.
    """

    verdict: str
    tests: dict[str, Result]


def run_audits(
    config: str | os.PathLike[str],
    *,
    endpoint: str | None = None,
    report_dir: str | os.PathLike[str] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    layout: Layout = "endpoints",
    audits: Iterable[Audit[Any]] = (),
    adapters: Iterable[type[EndpointAdapter]] = (),
    between_phases: Hook | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> VerdictDocument:
    """Run every audit of a YAML, as `pytest --mlperf-config` does, and return what verdict.json then holds.

    `endpoint`, `report_dir`, `data_dir` and `layout` are the options of these names. `audits` and `adapters` are
    offered beside the shipped ones; `between_phases(before, after, urls)` is called between two phases. `tell` gets
    lines on what will run, and on the first query.

    A phase that crashes is no error but a verdict: `status` is then NO_VERDICT, and the audit's `reason` says why.
    Raises UserError where the run cannot start, ReportDirError also where the report cannot be written, RecordError
    where records cannot be read again, and KeyboardInterrupt after an interrupt, when all that was measured is written.
    """
    if layout not in LAYOUTS:
        raise ConfigError(f"layout {layout!r}: give one of {', '.join(LAYOUTS)}")
    cwd = Path.cwd()
    request = Request(
        configs=(Path(os.path.abspath(config)),),  # noqa: PTH100 - a symbolic link keeps its own name
        endpoint=endpoint,
        report_dir=Path(report_dir).resolve() if report_dir is not None else None,
        data_dir=Path(data_dir).resolve() if data_dir is not None else None,
        cwd=cwd,
        rootpath=cwd,
        environ=os.environ,
        between=between_phases,
    )
    known = registry.gather([*registry.shipped().values(), *audits])
    (run,) = plan_runs(request, known, gather_adapters([*adapter_registry.shipped(), *adapters]))
    stopped = threading.Event()
    return _beside_a_running_loop(lambda: _carry_out(run, layout, tell, stopped), stopped)


def _carry_out(run: AuditRun, layout: Layout, tell: Callable[[str], None], stopped: threading.Event) -> VerdictDocument:
    session = AuditSession([run], tell)

    def raise_if_stopped() -> None:
        if stopped.is_set():
            raise KeyboardInterrupt

    run.raise_if_stopped = raise_if_stopped
    try:
        for line in run_lines(run, writes=True):
            tell(line)
        session.prepare([run.node_id])
        statuses: dict[str, CheckStatus] = {}
        try:
            for planned in run.plans:
                statuses.update(_statuses(run, planned))
        finally:
            _write(session, run, layout, statuses)
        return read_verdict(run.report_dir / VERDICT_FILE)
    finally:
        session.close()


def _statuses(run: AuditRun, planned: PlannedAudit) -> dict[str, CheckStatus]:
    """Return what the tests of an audit's checks would come to, by node id; runs its phases."""
    words: dict[bool | None, CheckStatus] = {True: "passed", False: "failed", None: "error"}
    prefix = f"{run.node_id}::{planned.id}"
    try:
        verdict = run.verdict(planned.id)
    except (NoVerdictError, RecordError):
        return {f"{prefix}::{name}": "error" for name in planned.checks}
    return {f"{prefix}::{check.name}": words[check.passed] for check in verdict.checks if check.tested}


def _write(session: AuditSession, run: AuditRun, layout: Layout, statuses: dict[str, CheckStatus]) -> None:
    with deferred(signal.SIGINT, signal.SIGTERM) as came:
        verdict = run_document(
            run,
            session.clock,
            session.started_at,
            environment(),
            status=lambda node_id: statuses.get(node_id, "not_run"),
        )
        try:
            write_files(run, verdict, layout)
        except OSError as error:
            raise ReportDirError(unwritten(run.report_dir, error)) from error
    if came:
        raise KeyboardInterrupt


def recheck(directory: str | os.PathLike[str], *, audits: Iterable[Audit[Any]] = ()) -> Rechecked:
    """Recompute a finished run from its records, as `pytest --mlperf-recheck` does; nothing is sent or written.

    `audits` are offered beside the shipped ones. Raises ConfigError where there is no finished run.
    """
    known = registry.gather([*registry.shipped().values(), *audits])
    finished = Recheck(find(Path(os.path.abspath(directory))), known)  # noqa: PTH100 - as above
    entries = finished.run.stored.audits if finished.run.stored else ()
    names = [(RECORDS, name) for name in names_of_records(finished)]
    names += [(entry.id, check.name) for entry in entries for check in entry.checks]
    tests = {f"{group}::{name}": result(finished, group, name) for group, name in names}
    return Rechecked(verdict_word(test.state for test in tests.values()), tests)


def _beside_a_running_loop(work: Callable[[], _T], stopped: threading.Event) -> _T:
    """Return what `work` returns; where this thread's event loop is running, do it in another thread, and wait.

    An interrupt sets `stopped`, and ends the event loop of that thread; when that has cleaned up, it is raised here.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return work()
    future: Future[_T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised where the result is waited for
            future.set_exception(error)

    thread = threading.Thread(target=run, name="mlperf-audit", daemon=True)
    thread.start()
    with deferred(signal.SIGINT, signal.SIGTERM) as came:
        while not wait([future], timeout=_POLL_S).done:
            if came:
                stopped.set()
                stop_thread(thread)
    if came:
        raise KeyboardInterrupt
    return future.result()
