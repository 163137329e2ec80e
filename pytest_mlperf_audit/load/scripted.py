"""A scripted phase: sends the rounds that a script yields, and hands it the records of each."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable

from typing_extensions import override

from ..endpoints.source import RequestSource
from ..errors import RefusedError
from ..records.log import QueryLog
from ..runs.query import QueryRecord
from ..runs.script import Round, Script, Step
from ..runs.spec import Concurrency, RunSpec
from .dealer import ended_early
from .exchange import Exchange
from .phase import Phase
from .requests import Request
from .target import Target
from .transport import Transport


class ScriptedPhase(Phase):
    """Drives a script to its end; `run` is called once."""

    def __init__(
        self,
        spec: RunSpec,
        script: Callable[[], Script],
        source: RequestSource,
        target: Target,
        transport: Transport,
        log: QueryLog,
    ) -> None:
        super().__init__(spec, source, target, transport, log)
        self._begin = script
        self._expected = 0

    @override
    async def _issue_all(self) -> None:
        script = self._begin()
        self._dealer.stopped_by = "script"
        try:
            upcoming = next(script)
            while not ended_early(self._dealer, self._tally):
                self._expected = upcoming.expected
                upcoming = script.send(await self._send_round(upcoming))
        except StopIteration:
            pass
        except RefusedError as error:
            self.status, self.reason = "refused", str(error)
        finally:
            script.close()

    @override
    def _n_requested(self) -> int:
        return self._expected or self.spec.n_samples

    @override
    def _nothing_left(self) -> bool:
        return True

    async def _send_round(self, upcoming: Round) -> list[QueryRecord]:
        """Send a round; return its records in the order of its steps.

        All bytes are there before the first query is issued, so that building them takes nobody's time.
        """
        self._require_within_bounds(upcoming)
        requests = [(step, self._requests.request(step)) for step in upcoming.steps]
        width = upcoming.most_in_flight
        if width == 1:
            return [await self._send(step, request) for step, request in requests]
        records: list[asyncio.Future[QueryRecord]] = [self._loop.create_future() for _ in requests]
        waiting = iter(zip(requests, records, strict=True))

        def send_next(_: object = None) -> None:
            for (step, request), record in itertools.islice(waiting, 1):
                record.add_done_callback(send_next)
                self._send(step, request, record)

        for _ in range(width):
            send_next()
        return await asyncio.gather(*records)

    def _send(
        self, step: Step, request: Request, record: asyncio.Future[QueryRecord] | None = None
    ) -> asyncio.Future[QueryRecord]:
        """Send one query; its record is written when the future is done."""
        record = record or self._loop.create_future()

        def ended(exchange: Exchange, defect: BaseException | None) -> None:
            try:
                self._note(exchange, defect)
            except BaseException as error:  # noqa: BLE001 - it ends the phase, which says so
                self._stop(error)
            else:
                if not record.done():
                    record.set_result(exchange.record)

        self._issue(self._tally.n_issued, step, ended, request=request)
        return record

    def _require_within_bounds(self, upcoming: Round) -> None:
        if not upcoming.steps:  # nothing to wait for: a script that goes on so would hold up the event loop for ever
            raise ValueError("the script asks for a round without a query")
        at_once = upcoming.most_in_flight
        allowed = self.spec.load.target if isinstance(self.spec.load, Concurrency) else self.spec.n_samples
        if at_once > allowed or self._tally.n_issued + len(upcoming.steps) > self.spec.n_samples:
            raise ValueError(
                f"the script asks for {len(upcoming.steps)} more queries, {at_once} at once; its phase allows "
                f"{self.spec.n_samples} in all, {allowed} at once"
            )
