"""Raw replies, heads above all, through the client itself: its parser and connections, in memory, no socket.

Oracle: nothing is a defect; the outcome is one that is known, its detail short and printable; a reply that was cut
is no completion; no query is given another one's reply unless the client says of itself that replies came unasked.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

from pytest_mlperf_audit.config.model_params import ModelParams
from pytest_mlperf_audit.endpoints.base import digest
from pytest_mlperf_audit.endpoints.source import ReplyIds
from pytest_mlperf_audit.endpoints.text.openai import OpenAIChatAdapter
from pytest_mlperf_audit.load.exchange import Exchange, Recorder
from pytest_mlperf_audit.load.http import HttpTransport
from pytest_mlperf_audit.load.target import Address, Target
from pytest_mlperf_audit.load.transport import Message
from pytest_mlperf_audit.load.wire import Connection
from pytest_mlperf_audit.runs.query import COMPLETED, REASONS, QueryRecord

from .kind import require
from .raw_replies import SECOND, Answer, answer, with_length

_REQUEST = digest(b"")
#: Turns of the loop that a server which keeps its connection open waits for the client before it closes all the same.
_PATIENCE = 12
_DETAIL_CHARACTERS = 200


class _Wire(asyncio.Transport):
    """A connection in memory, whose server has an answer for each request that is written to it."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        answers: list[Answer],
        busy: Callable[[], bool],
        connection: Connection,
    ) -> None:
        super().__init__()
        self._loop, self._answers, self._busy = loop, answers, busy
        self.protocol = connection
        self.pending = 0
        self._closed = False
        self.protocol.connection_made(self)

    def write(self, data: Any) -> None:  # noqa: ARG002 - the server does not look at what it is asked
        answer = self._answers.pop(0) if self._answers else Answer((with_length(SECOND),), keeps=True)
        self.pending += 1
        self._loop.call_soon(self._send, list(answer.parts), answer.keeps)

    def _send(self, parts: list[bytes], keeps: bool) -> None:
        if parts and not self._closed:
            if data := parts.pop(0):
                self.protocol.data_received(data)
            self._loop.call_soon(self._send, parts, keeps)
        elif keeps:
            self._wait(_PATIENCE)
        else:
            self._end()

    def _wait(self, turns: int) -> None:
        """Close only a connection on which the client waits for more than there is."""
        if turns and not self._closed:
            self._loop.call_soon(self._wait, turns - 1)
        elif self._busy():
            self._end()
        else:
            self.pending -= 1

    def _end(self) -> None:
        self.pending -= 1
        if not self._closed:
            self._closed = True
            self.protocol.eof_received()
            self.protocol.connection_lost(None)

    def is_closing(self) -> bool:
        return self._closed

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._loop.call_soon(self.protocol.connection_lost, None)

    def abort(self) -> None:
        self.close()

    def get_write_buffer_size(self) -> int:
        return 0


class Heads:
    """Two queries to a server whose first reply is not as it should be."""

    name = "heads"

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(self._note)
        self._noted: list[str] = []
        self._adapter = OpenAIChatAdapter(ModelParams(name="m"))
        self._target = Target(urls=("http://127.0.0.1:9",))

    def try_one(self, drawn: random.Random) -> None:
        """Send two queries; the second one's own reply is a good one."""
        self._noted.clear()
        first, cut = answer(drawn)
        self._loop.run_until_complete(self._exchanges(first, cut=cut))
        require(not self._noted, f"{first!r}: the loop was told of {self._noted}")

    def close(self) -> None:
        """Close the loop."""
        self._loop.close()

    def _note(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._noted.append(f"{context.get('message')}: {context.get('exception')!r}")

    async def _exchanges(self, answer: Answer, *, cut: bool) -> None:
        transport = HttpTransport(self._target, self._adapter.path, {}, self._adapter.max_reply_bytes)
        answers, wires, busy = [answer], list[_Wire](), [True]

        async def opened(address: Address) -> Connection:
            pool = transport._pool
            made = Connection(self._loop, address, pool._note_unasked, pool._all.discard)
            wires.append(_Wire(self._loop, answers, lambda: busy[0], made))
            return made

        transport._pool._connect = opened  # type: ignore[method-assign]
        try:
            first = await self._query(transport, busy)
            await _quiet(wires)
            second = await self._query(transport, busy)
            unasked = transport.unasked()
        finally:
            busy[0] = False
            await transport.close()
            await _quiet(wires)
        require(not (cut and first.ok), f"{answer!r}: a part is taken for a whole reply")
        good = second.reply == digest(b"second") or not second.ok or unasked
        require(good, f"{answer!r}: the second query was given {second!r}")

    async def _query(self, transport: HttpTransport, busy: list[bool]) -> QueryRecord:
        record = QueryRecord(query=0, sample=0, issued_ns=0, completed_ns=0, request=_REQUEST)
        busy[0] = True
        ended = self._loop.create_future()
        recorder = Recorder(self._adapter, self._target, lambda reply: ReplyIds(reply.output_ids, reply.first_ids))
        exchange = Exchange(recorder, record, None, lambda _, defect: ended.set_result(defect))
        transport.post(Message(b"{}"), exchange, None)
        require(await ended is None, f"a defect: {ended.result()!r}")
        busy[0] = False
        _require_known(record)
        return record


async def _quiet(wires: list[_Wire]) -> None:
    """Let the loop turn until no server has anything more to send."""
    while any(wire.pending for wire in wires):  # noqa: ASYNC110 - wires have no event, and nothing takes any time
        await asyncio.sleep(0)


def _require_known(record: QueryRecord) -> None:
    known = record.outcome in REASONS or record.outcome in (COMPLETED, f"http_{record.status}")
    require(known, f"an outcome that nobody knows: {record!r}")
    require(record.outcome != "crashed", f"crashed: {record!r}")
    require(record.outcome != COMPLETED or record.status == 200, f"no reply with status 200: {record!r}")
    detail = record.detail or "-"
    require(len(detail) <= _DETAIL_CHARACTERS and detail.isprintable(), f"a detail that cannot be shown: {detail!r}")


MAKE: Callable[[], Heads] = Heads
