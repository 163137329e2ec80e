"""One phase: what is sent and recorded, and how it ended.

No query has a coroutine: a reply's last byte completes the record, and the record's end sends the next query. What
comes of a turn of the event loop is written at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from time import perf_counter_ns

from ..endpoints.source import RequestSource
from ..errors import RefusedError
from ..records.log import QueryLog, extend_each
from ..runs.phase import Status, StoppedBy
from ..runs.query import QueryRecord
from ..runs.script import Step
from ..runs.spec import Keep, Poisson, RunSpec
from ..text import printable
from .dealer import Dealer, LocalDealer
from .exchange import Exchange, Recorder
from .hope import Hope, HopelessError
from .pattern import NoFilesError, arrivals, in_flight, until
from .progress import Progress
from .requests import Request, Requests
from .tally import Tally
from .target import Target
from .transport import Message, Posted, Transport

#: How often it is looked whether the time to wait for replies has begun.
_DRAIN_CHECK_S = 0.05


class _LogError(Exception):
    """The record of a query could not be written."""


class Phase:
    """Drives one RunSpec over an open transport and logs every query. `run` is called once.

    Times are counted from the first query's issue, so client start-up is never part of a measurement.
    """

    def __init__(
        self, spec: RunSpec, source: RequestSource, target: Target, transport: Transport, log: QueryLog
    ) -> None:
        self.spec = spec
        self.status: Status = "crashed"
        self.reason: str | None = None
        self.unmatched = False
        self.log = log
        self._source = source.keeping(spec.keep)
        self._chosen = spec.keep.chosen(spec.n_samples) if spec.keep else frozenset()
        self._target = target
        self._transport = transport
        self._tally = Tally()
        self._hope = Hope(spec, target.label, source.adapter.api_type)
        self._dealer: Dealer = LocalDealer(spec, len(source), self._tally)
        self._recorder = Recorder(self._source.adapter, target, self._source.ids)
        self._in_flight: dict[Exchange, Posted] = {}
        self._closed_loop = not isinstance(spec.load, Poisson)
        self._ended: list[QueryRecord] = []
        self._all_issued = False
        self._failure: BaseException | None = None
        self._unwritten: Exception | None = None

    @property
    def stopped_by(self) -> StoppedBy:
        """What ended the issuing of queries."""
        return self._dealer.stopped_by

    async def run(self) -> None:
        """Send, wait for every reply, and set `status`; whatever happens, every query that was issued is in the log."""
        try:
            await self._drive()
            if self.status != "refused":
                self.status, self.reason = await self._judge_ending()
        except asyncio.CancelledError:
            self.status, self.reason = "interrupted", f"interrupted after {len(self.log.columns)} queries"
            raise
        except RefusedError as error:
            self.status, self.reason = "refused", str(error)
        except NoFilesError as error:
            self.status, self.reason = "crashed", str(error)
        except HopelessError as error:
            self.status, self.reason = await self._lost() or ("refused", str(error))
        except _LogError as error:
            self.status, self.reason = "crashed", f"the records could not be written: {error}"
        except Exception as error:  # noqa: BLE001 - an adapter's or our own defect: recorded, and never a verdict
            what = printable(self._target.redact(f"{type(error).__name__}: {error}"))
            self.status, self.reason = "crashed", f"the load generator failed: {what}"

    def distrust(self, why: str) -> None:
        """End the phase as one whose replies cannot be matched to its queries, so that none of these completed."""
        self.status, self.unmatched = "refused", True
        self.reason = unmatched(why)

    def progress(self) -> Progress:
        """Return how far the phase is."""
        tally = self._tally
        elapsed_ns = perf_counter_ns() - tally.zero_ns if tally.zero_ns else 0
        return Progress(
            phase=self.spec.label,
            title=self.spec.label,
            requested=self._n_requested(),
            issued=tally.n_issued,
            completed=tally.n_completed,
            failed=tally.n_failed,
            elapsed_s=elapsed_ns / 1e9,
            target_s=self.spec.min_duration_ms / 1000,
            idle_s=(elapsed_ns - tally.latest_ns) / 1e9 if tally.zero_ns else 0.0,
            latest_s=tally.latest_latency_ns / 1e9,
        )

    def _n_requested(self) -> int:
        return self.spec.n_samples

    async def _drive(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._requests = Requests(self.spec, self._source)
        tasks = [asyncio.ensure_future(self._issue_all())]
        tasks[0].add_done_callback(self._note_all_issued)
        if self.spec.drain_timeout_s:
            tasks.append(asyncio.ensure_future(self._stop_undrained(self.spec.drain_timeout_s)))
        try:
            await self._over
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._give_up()
            self._write()
        if (failure := self._failure or self._unwritten) is not None:
            raise failure

    async def _issue_all(self) -> None:
        """Issue what begins a phase: a query for each that may be in flight, or all when they are due."""
        if isinstance(self.spec.load, Poisson):
            for due_ns in arrivals(self.spec.load, perf_counter_ns()):
                await until(due_ns)
                if not self._issue_next(due_ns):
                    break
        else:
            for _ in range(in_flight(self.spec)):
                if not self._issue_next():
                    break
                # uvloop writes at the end of a turn: without a turn of its own, the first query would wait until the
                # last one is built, with the clock running.
                await asyncio.sleep(0)

    def _note_all_issued(self, task: asyncio.Task[None]) -> None:
        self._all_issued = True
        if not task.cancelled() and (error := task.exception()) is not None:
            self._stop(error)
        elif not task.cancelled():
            self._end_if_over()

    def _issue_next(self, due_ns: int | None = None) -> bool:
        """Issue the next query; return False where there is none."""
        position = self._dealer.take()
        if position is None:
            return False
        self._issue(position, self._requests.step(position), self._note_sent, due_ns)
        return True

    def _issue(
        self,
        number: int,
        step: Step,
        over: Callable[[Exchange, BaseException | None], None],
        due_ns: int | None = None,
        request: Request | None = None,
    ) -> QueryRecord:
        """Issue one query, as `request` where that is at hand, and return its record, to which more may be added now.

        `over` is called when it has ended.
        """
        tally, request = self._tally, request or self._requests.request(step)
        now_ns = perf_counter_ns()
        if not tally.zero_ns:
            tally.zero_ns = self._recorder.zero_ns = now_ns
        record = QueryRecord(
            query=number, sample=step.row, issued_ns=now_ns - tally.zero_ns, completed_ns=0, request=request.digest
        )
        record.tag = step.tag or None
        if due_ns is not None:
            record.due_ns = due_ns - tally.zero_ns
        keep = self._keep_of(number)
        if keep is not None and keep.expected:
            record.expected = self._source.value(step.row, keep.expected)
        exchange = Exchange(self._recorder, record, keep, over)
        exchange.on_request(request.body)
        tally.n_issued += 1
        self._in_flight[exchange] = self._transport.post(
            Message(request.body, step.query, step.route, request.headers), exchange, self.spec.query_timeout_s
        )
        return record

    def _note_sent(self, exchange: Exchange, defect: BaseException | None) -> None:
        """Take in a query that has ended, and issue the next one in its place."""
        try:
            self._note(exchange, defect)
            if self._closed_loop and not self._over.done():
                self._issue_next()
            self._end_if_over()
        except BaseException as error:  # noqa: BLE001 - it ends the phase, which says so
            self._stop(error)

    def _note(self, exchange: Exchange, defect: BaseException | None) -> None:
        """Have a query's record written. Raises what the record tells against going on, or the defect."""
        record = exchange.record
        del self._in_flight[exchange]
        self._tally.note(record)
        if not self._ended:
            self._loop.call_soon(self._write)
        self._ended.append(record)
        if defect is not None:
            raise defect
        if (keep := self._keep_of(record.query)) is not None and keep.token_ids:
            self._hope.require_ids(record)
        self._hope.require(record, self._tally.n_in_flight)

    def _write(self) -> None:
        """Write the records of queries that have ended; note why some could not be, which ends the phase."""
        ended, self._ended = self._ended, []
        try:
            if ended:
                self.log.extend(ended)
        except OSError as error:
            self._unwritten = _LogError(error.strerror or str(error))
        except Exception as error:  # noqa: BLE001 - an adapter's reply has what no record can hold
            self._unwritten = error
            with suppress(OSError):
                extend_each(self.log, ended)
        if self._unwritten is not None:  # the last queries may have ended the phase already
            self._stop(self._unwritten)

    def _stop(self, error: BaseException | None) -> None:
        """End the phase now; an error becomes its reason."""
        if not self._over.done():
            self._failure = error
            self._over.set_result(None)

    def _end_if_over(self) -> None:
        if self._all_issued and not self._in_flight and self._nothing_left():
            self._stop(None)

    def _nothing_left(self) -> bool:
        return self._dealer.over

    def _give_up(self) -> None:
        """Record what is still in flight as cancelled."""
        for exchange, posted in self._in_flight.items():
            posted.cancel()
            exchange.cancel()
            self._tally.note(exchange.record)
            self._ended.append(exchange.record)
        self._in_flight.clear()

    async def _stop_undrained(self, limit_s: float) -> None:
        # Not left to the queries' ends to say, since with every query in flight hanging none of them comes.
        while not self._dealer.is_due_to_end():  # noqa: ASYNC110 - time alone may end it
            await asyncio.sleep(_DRAIN_CHECK_S)
        await asyncio.sleep(limit_s)
        if not self._over.done():
            self.status = "undrained"
            self._stop(None)

    async def _judge_ending(self) -> tuple[Status, str | None]:
        if self.status == "undrained":
            cancelled = self.log.columns.failures().get("cancelled", 0)
            return "undrained", f"{cancelled} queries were still in flight when the drain time limit was over"
        if unasked := self._transport.unasked():
            self.distrust(unasked)
            return self.status, self.reason
        return await self._lost() or ("complete", None)

    async def _lost(self) -> tuple[Status, str] | None:
        if self._tally.connections_broke and (refusal := await self._transport.refusal()):
            what = printable(self._target.redact(refusal.detail))
            return "endpoint_lost", (
                f"the endpoint was lost: it takes no connection any more ({what}); {self._how_far()} had completed"
            )
        return None

    def _how_far(self) -> str:
        return f"{self._tally.n_completed} of {self.spec.n_samples} queries"

    def _keep_of(self, number: int) -> Keep | None:
        """Return what is kept of a query's reply."""
        return self.spec.keep if self._chosen is None or number in self._chosen else None


def unmatched(why: str) -> str:
    """Return the reason of a phase whose replies cannot be matched to its queries."""
    return (
        f"the endpoint answers what was not asked: {why}; no reply can be matched to its query, so mend the server "
        "or the proxy before it"
    )
