"""One phase: what to send next, when to stop, and how it ended."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from time import perf_counter_ns

from ..endpoints.source import RequestSource
from ..errors import RefusedError
from ..records.log import QueryLog
from ..runs.order import Scripted
from ..runs.phase import Status, StoppedBy
from ..runs.query import QueryRecord
from ..runs.script import NO_EDIT, Edit, Step
from ..runs.spec import Keep, RunSpec
from ..text import printable
from .exchange import send
from .hope import Hope, HopelessError
from .pattern import NoFilesError, senders
from .progress import Progress
from .target import Target
from .transport import Message, Transport

#: The endpoint is taken for gone after this many failures to connect in a row (a refused connection takes a fraction of
#: a millisecond), or after this time of nothing else (one that is dropped takes the whole connect timeout).
_REFUSALS_TO_ABORT = 100
_PATIENCE_NS = 60 * 10**9

#: A phase at its duration floor goes on until a query completes; after this many failures in a row none is hoped for.
_FAILURES_TO_END = 10

#: How often it is looked whether the time to wait for replies has begun.
_DRAIN_CHECK_S = 0.05

#: Failures after which the endpoint is asked whether it is still there.
_BROKEN_CONNECTION = frozenset({"connect", "reset", "truncated"})


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
        self.stopped_by: StoppedBy = "count"
        self.unmatched = False
        self.log = log
        self._source = source.keeping(spec.keep)
        self._chosen = spec.keep.chosen(spec.n_samples) if spec.keep else frozenset()
        self._target = target
        self._transport = transport
        self._rows: Iterator[int] = iter(())
        self._edits = _edits(spec)
        self._hope = Hope(spec)
        self._n_issued = 0
        self._n_completed = 0
        self._n_failed = 0
        self._zero_ns = 0
        self._latest_ns = 0
        self._latest_completed_ns = 0
        self._failures_in_a_row = 0
        self._refusals_in_a_row = 0
        self._refused_since_ns = 0
        self._connections_broke = False
        self._issuing_over = False
        self._gave_ids = False

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
        self.reason = (
            f"the endpoint answers what was not asked: {why}; no reply can be matched to its query, so mend the server "
            "or the proxy before it"
        )

    def progress(self) -> Progress:
        """Return how far the phase is."""
        now_ns = perf_counter_ns()
        return Progress(
            phase=self.spec.label,
            title=self.spec.label,
            requested=self._n_requested(),
            issued=self._n_issued,
            completed=self._n_completed,
            failed=self._n_failed,
            elapsed_s=(now_ns - self._zero_ns) / 1e9 if self._zero_ns else 0.0,
            target_s=self.spec.min_duration_ms / 1000,
            idle_s=(now_ns - self._zero_ns - self._latest_ns) / 1e9 if self._zero_ns else 0.0,
        )

    def _n_requested(self) -> int:
        return self.spec.n_samples

    async def _drive(self) -> None:
        if not isinstance(self.spec.order, Scripted):
            self._rows = self.spec.order.indices(len(self._source))
        tasks: list[asyncio.Task[None]] = []
        deadline = asyncio.ensure_future(self._stop_undrained(tasks)) if self.spec.drain_timeout_s else None
        try:
            for sender in senders(self.spec, self._send_next):
                tasks.append(asyncio.ensure_future(sender))
                # uvloop writes at the end of a turn: without a turn of its own, the first query would wait until the
                # last one is built, with the clock running.
                await asyncio.sleep(0)
            await asyncio.gather(*tasks)
        except asyncio.CancelledError:
            if self.status != "undrained":
                raise
        finally:
            leftovers = [*tasks, deadline] if deadline else tasks
            for task in leftovers:
                task.cancel()
            await asyncio.gather(*leftovers, return_exceptions=True)

    async def _stop_undrained(self, tasks: list[asyncio.Task[None]]) -> None:
        # Not left to the senders to say, since with every query in flight hanging none of them asks for another.
        while not (self._issuing_over or self._may_issue_no_more()):  # noqa: ASYNC110 - time alone may end it
            await asyncio.sleep(_DRAIN_CHECK_S)
        await asyncio.sleep(self.spec.drain_timeout_s or 0.0)
        if all(task.done() for task in tasks):
            return
        self.status = "undrained"
        for task in tasks:
            task.cancel()

    async def _judge_ending(self) -> tuple[Status, str | None]:
        if self.status == "undrained":
            cancelled = self.log.columns.failures().get("cancelled", 0)
            return "undrained", f"{cancelled} queries were still in flight when the drain time limit was over"
        if unasked := self._transport.unasked():
            self.distrust(unasked)
            return self.status, self.reason
        return await self._lost() or ("complete", None)

    async def _lost(self) -> tuple[Status, str] | None:
        if self._connections_broke and (refusal := await self._transport.refusal()):
            what = printable(self._target.redact(refusal.detail))
            return "endpoint_lost", (
                f"the endpoint was lost: it takes no connection any more ({what}); "
                f"{self._n_completed} of {self.spec.n_samples} queries had completed"
            )
        return None

    async def _send_next(self, due_ns: int | None) -> bool:
        """Send the next query and log it; return False when the phase has nothing more to send."""
        row = self._next_row()
        if row is None:
            return False
        await self._send(Step(tag="", row=row, edit=next(self._edits)), due_ns)
        return True

    async def _send(self, step: Step, due_ns: int | None = None) -> QueryRecord:
        """Send one query and return its record, which is in the log by then."""
        number, self._n_issued = self._n_issued, self._n_issued + 1
        body = self._source.body(step.row, step.edit)
        request = self._source.digest(body, step.query)
        now_ns = perf_counter_ns()
        if not self._zero_ns:
            self._zero_ns = now_ns
        record = QueryRecord(
            query=number, sample=step.row, issued_ns=now_ns - self._zero_ns, completed_ns=0, request=request
        )
        record.tag = step.tag or None
        if due_ns is not None:
            record.due_ns = due_ns - self._zero_ns
        keep = self._keep_of(number)
        if keep is not None and keep.expected:
            record.expected = self._source.value(step.row, keep.expected)
        try:
            await send(
                self._transport,
                self._source.adapter,
                self._target,
                record,
                Message(body, step.query, step.route),
                zero_ns=self._zero_ns,
                timeout_s=self.spec.query_timeout_s,
                keep=keep,
                ids_of=self._source.ids,
            )
        finally:
            self._note(record)
        if keep is not None and keep.token_ids:
            self._require_ids(record)
        self._hope.require(record, self._n_issued - self._n_completed - self._n_failed)
        return record

    def _require_ids(self, record: QueryRecord) -> None:
        """Raise RefusedError when the endpoint has no token ids: by its first reply, or by what it says to our asking.

        Later replies without are for the audit to judge.
        """
        if self._gave_ids or not (record.ok or _refuses_to_give_ids(record)):
            return
        self._gave_ids = record.output_ids is not None
        if not self._gave_ids:
            raise RefusedError(
                f"endpoint {self._target.label}: gives no token ids to api_type {self._source.adapter.api_type}, which "
                "this audit needs; serve with vLLM 0.10.2 or later (return_token_ids) or with SGLang (api_type "
                "sglang), or name the model's tokenizer.json as the audit's `tokenizer`"
            )

    def _keep_of(self, number: int) -> Keep | None:
        """Return what is kept of a query's reply."""
        return self.spec.keep if self._chosen is None or number in self._chosen else None

    def _note(self, record: QueryRecord) -> None:
        try:
            self.log.append(record)
        except OSError as error:
            raise _LogError(error.strerror or str(error)) from error
        self._latest_ns = record.completed_ns
        if record.ok:
            self._n_completed += 1
            self._latest_completed_ns = record.completed_ns
            self._failures_in_a_row = self._refusals_in_a_row = 0
        else:
            self._note_failure(record)

    def _note_failure(self, record: QueryRecord) -> None:
        self._n_failed += 1
        self._failures_in_a_row += 1
        self._connections_broke = self._connections_broke or record.outcome in _BROKEN_CONNECTION
        if record.outcome != "connect":
            self._refusals_in_a_row = 0
        elif self._refusals_in_a_row:
            self._refusals_in_a_row += 1
        else:
            self._refusals_in_a_row, self._refused_since_ns = 1, record.issued_ns

    def _next_row(self) -> int | None:
        """Return the row to send now, or None, noting once what ended the issuing."""
        spec = self.spec
        row = None
        if self._n_issued >= spec.n_samples and self._floor_reached():
            stopped_by: StoppedBy = "count"
        elif self._seems_gone():
            stopped_by = "abort"
        elif self._ceiling_reached():
            stopped_by = "ceiling"
        else:
            row, stopped_by = next(self._rows, None), "samples_exhausted"
        if row is None and not self._issuing_over:
            self.stopped_by = stopped_by
            self._issuing_over = True
        return row

    def _may_issue_no_more(self) -> bool:
        elapsed_ns = perf_counter_ns() - self._zero_ns
        enough = self._n_issued >= self.spec.n_samples and elapsed_ns >= self.spec.min_duration_ms * 1_000_000
        return enough or self._ceiling_reached()

    def _ceiling_reached(self) -> bool:
        ceiling_ns = self.spec.max_duration_ms * 1_000_000
        return self._zero_ns > 0 and 0 < ceiling_ns <= perf_counter_ns() - self._zero_ns

    def _floor_reached(self) -> bool:
        floor_ns = self.spec.min_duration_ms * 1_000_000
        if self._failures_in_a_row >= _FAILURES_TO_END:
            return self._latest_ns >= floor_ns
        return self._latest_completed_ns >= floor_ns

    def _seems_gone(self) -> bool:
        refused = self._refusals_in_a_row
        return refused >= _REFUSALS_TO_ABORT or (
            refused > 1 and self._latest_ns - self._refused_since_ns >= _PATIENCE_NS
        )


def _refuses_to_give_ids(record: QueryRecord) -> bool:
    """Whether the server calls the request for token ids a mistake, as some do with any field they do not know."""
    return record.outcome in {"http_400", "http_422"} and "token_ids" in (record.detail or "")


def _edits(spec: RunSpec) -> Iterator[Edit]:
    """Yield what makes each query new, 64 bits a time, or nothing for ever."""
    rng = random.Random(spec.nonce_seed)  # noqa: S311 - recorded, so that a run can be reproduced
    while True:
        if spec.nonce == "none":
            yield NO_EDIT
        else:
            text = f"{rng.getrandbits(64):016x}"
            yield Edit(lead=text) if spec.nonce == "prefix" else Edit(tail=text)
