"""Before any phase: is the endpoint there, does it take our key, and does it answer one real query?

The whole answer is judged, so that no wrong address becomes a guilty system.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter, perf_counter_ns
from typing import NamedTuple

from ..endpoints.base import BadReplyError, EndpointAdapter, Reply, lacking_in, tell_head, tell_request
from ..endpoints.failures import error_sentence, oddities
from ..endpoints.source import RequestSource
from ..errors import EndpointError
from ..runs.body import Body
from ..runs.query import PROXY
from ..runs.script import Edit
from ..text import printable
from .cures import Refusal, credentials_refused, explain_refusal
from .http import HttpTransport
from .loop import run_until_done
from .metrics import check_metrics
from .proxy import ProxyError
from .target import Target, plain_url, unused_proxy
from .tls import CLIENT_CURE, tls_cure
from .transport import Message, TransportError
from .trials import try_settings

_REFUSED = frozenset({401, 403})
_OK = 200
#: By these a server says that it is not there yet, or not for us now; asked again until the time limit is over.
_NOT_READY = frozenset({429, 503})
_AGAIN_S = 1.0
#: A user who sees nothing for longer wonders what is going on.
_QUIET_S = 3.0
#: By these it speaks of more than one row, so that another need not be tried.
_FINAL = frozenset({301, 302, 303, 307, 308, 401, 402, 403, 404, 405, 410, 422, *_NOT_READY})
_ROWS_TRIED = 3
_MOST_BYTES = 2**16


def check_endpoint(adapter: EndpointAdapter, target: Target) -> None:
    """GET the query's path on every address; any answer but 401 and 403 will do. Then read the metrics pages.

    Raises EndpointError naming the address and the cure.
    """

    async def ask() -> list[int]:
        transport = HttpTransport(target, adapter.path, adapter.headers, adapter.max_reply_bytes)
        try:
            return await transport.status()
        finally:
            await transport.close()

    try:
        statuses = run_until_done(ask)
    except TransportError as error:
        raise EndpointError(cannot_use(target, error)) from error
    for status in statuses:
        if status in _REFUSED:
            raise EndpointError(f"endpoint {target.label}: {'; '.join(credentials_refused(status, target))}")
    check_metrics(target)


def cannot_use(target: Target, error: TransportError, key: str = "endpoint_config.endpoints") -> str:
    """Return why an endpoint has no answer at all, and the cure; `key` is where its address stands."""
    detail = printable(target.redact(error.detail))
    if error.reason == "tls" and "WRONG_VERSION_NUMBER" in detail:
        return f"endpoint {target.label}: does not speak TLS; write http:// in {key}"
    if error.reason == "tls":
        return f"endpoint {target.label}: TLS failed ({detail}); {tls_cure(detail)}"
    if error.reason == PROXY:
        cure = error.cure if isinstance(error, ProxyError) else "see the proxy's log, or the server's"
        return f"endpoint {target.label}: cannot be reached ({detail}); {cure}"
    if error.reason in {"connect", "timeout", "reset"}:
        proxy = unused_proxy(target.urls)
        cure = f"start it, or correct {key}"
        if "reset" in detail.lower() and any(url.startswith("https:") for url in target.urls):
            cure += f"; {CLIENT_CURE}"  # some servers end a handshake so, without an alert
        return f"endpoint {target.label}: cannot be reached ({detail}); {cure}{proxy and '. '}{proxy}"
    return f"endpoint {target.label}: does not answer in HTTP ({detail}); correct {key}"


class _FirstAnswer(NamedTuple):
    """How long the first query took, None where its row got no answer, and what is odd about it."""

    latency_s: float | None
    warnings: tuple[str, ...]


class _Heard:
    """Takes a reply: its head, the start of its body, and what the decoder makes of it."""

    def __init__(self, source: RequestSource, body: Body) -> None:
        self._decoder = source.adapter.decoder()
        tell_request(self._decoder, body)
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self.body = b""

    def on_head(self, status: int, headers: Mapping[str, str]) -> None:
        """Note the head."""
        self.status = status
        self.headers = {name.lower(): value for name, value in headers.items()}
        if status == _OK:
            tell_head(self._decoder, headers)

    def on_data(self, data: bytes, at_ns: int) -> None:
        """Note the start of the body, and have an answer decoded."""
        self.body += data[: _MOST_BYTES - len(self.body)]
        if self.status == _OK:
            self._decoder.feed(data, at_ns)

    def on_resent(self) -> None:
        """Nothing of the reply had come, so there is nothing to forget."""

    def on_end(self, error: BaseException | None) -> None:
        """The waiter is told."""

    def lacking(self) -> Sequence[str]:
        """Return what the decoder misses in the answer, of what the YAML says of replies."""
        return lacking_in(self._decoder)

    def reply(self) -> Reply:
        """Return the answer. Raises BadReplyError."""
        if self.status != _OK:
            raise BadReplyError(f"http_{self.status}", error_sentence(self.body))
        return self._decoder.finish()


class _Asker:
    """Asks one endpoint; to be used on one loop."""

    def __init__(self, source: RequestSource, target: Target, transport: HttpTransport) -> None:
        self._source = source
        self._target = target
        self._transport = transport

    async def ask(self, address: int, timeout_s: float | None, patience: _Patience) -> _FirstAnswer:
        """Send a row to an address, up to three where one is refused. Raises EndpointError when all are, in one way."""
        refusals: list[Refusal] = []
        for row in _rows(len(self._source)):
            body = self._source.body(row, Edit(lead=secrets.token_hex(16)))
            answer = await self._ask_row(address, body, timeout_s, patience)
            if isinstance(answer, _FirstAnswer):
                return await self._tried(answer, row, address, timeout_s)
            refusals.append(answer)
            if answer.reason == "timeout" or answer.status in _FINAL:
                break
        if len({one.reason for one in refusals}) == 1:  # in their words are ids, and what was asked
            raise EndpointError(await explain_refusal(refusals[0], self._source.adapter, self._target, address))
        reasons = "; ".join(f"{one.reason} ({one.detail})" for one in refusals)
        return _FirstAnswer(None, (f"{len(refusals)} queries of other rows failed before the first phase: {reasons}",))

    async def _tried(self, answer: _FirstAnswer, row: int, address: int, timeout_s: float | None) -> _FirstAnswer:
        """Return the answer with what came of trying the row's settings. Raises EndpointError."""

        async def ask(body: bytes) -> Reply:
            heard = _Heard(self._source, body)
            await self._transport.query(Message(body, route=address), heard, timeout_s)
            return heard.reply()

        if answer.latency_s is None:
            return answer
        edit, url = Edit(lead=secrets.token_hex(16)), plain_url(self._target.urls[address])
        try:
            found = await try_settings(self._source.adapter, self._source.dataset[row], edit, ask)
        except EndpointError as error:
            raise EndpointError(self._target.redact(f"endpoint {url}: {error}")) from None
        return answer._replace(warnings=(*answer.warnings, *map(self._target.redact, found)))

    async def _ask_row(
        self, address: int, body: Body, timeout_s: float | None, patience: _Patience
    ) -> _FirstAnswer | Refusal:
        while True:
            heard, began_s, began_ns = _Heard(self._source, body), perf_counter(), perf_counter_ns()
            try:
                await self._transport.query(Message(body, route=address), heard, timeout_s)
                took_s = perf_counter() - began_s
                reply = heard.reply()
            except (TransportError, BadReplyError) as error:
                detail = printable(self._target.redact(error.detail))
                if heard.status in _NOT_READY and await patience.goes_on(error.reason, detail):
                    continue
                took_s = (perf_counter_ns() - began_ns) / 1e9
                return Refusal(error.reason, detail, heard.status, heard.headers, body, took_s)
            except Exception as error:  # noqa: BLE001 - an adapter's defect: the first phase says so, with its records
                return _FirstAnswer(None, (f"the first query could not be read ({type(error).__name__})",))
            odd = (self._target.redact(one) for one in (*oddities(body, heard.headers, reply), *heard.lacking()))
            return _FirstAnswer(took_s, tuple(odd))


class _Patience:
    """Waits for an endpoint that says it is not ready, up to a time limit for all."""

    def __init__(self, limit_s: float, tell: Callable[[str], None]) -> None:
        self._limit_s = limit_s
        self._tell = tell
        self._since_s: float | None = None

    async def goes_on(self, reason: str, detail: str) -> bool:
        """Wait a while; return False when the time is over."""
        if self._since_s is None:
            self._since_s = perf_counter()
            self._tell(f"the endpoint is not ready ({reason}: {detail}); waiting for up to {self._limit_s:g} s")
        left_s = self._since_s + self._limit_s - perf_counter()
        if left_s <= 0:
            return False
        await asyncio.sleep(min(_AGAIN_S, left_s))
        return True


def ask_first(
    source: RequestSource,
    target: Target,
    *,
    timeout_s: float | None,
    ready_timeout_s: float,
    tell: Callable[[str], None] = lambda _: None,
) -> _FirstAnswer:
    """Send one row to each address, other words before it so that no cache learns the data set, and judge the answers.

    An endpoint that is loading (503) is waited for, `ready_timeout_s` in all; `tell` gets a sentence then. Raises
    EndpointError, naming the URL, the server's words and the cure, for what cannot be an answer.
    """

    async def ask() -> Sequence[_FirstAnswer]:
        adapter, patience = source.adapter, _Patience(ready_timeout_s, tell)
        transport = HttpTransport(target, adapter.path, adapter.headers, adapter.max_reply_bytes)
        quiet = asyncio.get_running_loop().call_later(
            _QUIET_S, tell, "one query is out before the first phase, and its answer is waited for"
        )
        try:
            asker = _Asker(source, target, transport)
            return [await asker.ask(address, timeout_s, patience) for address in range(len(target.urls))]
        finally:
            quiet.cancel()
            await transport.close()

    answers = run_until_done(ask)
    times = [answer.latency_s for answer in answers if answer.latency_s is not None]
    warnings = dict.fromkeys(warning for answer in answers for warning in answer.warnings)
    return _FirstAnswer(max(times, default=None), tuple(warnings))


def _rows(n_rows: int) -> list[int]:
    """Return the first row, and two far from it in case it is an odd one."""
    return list(dict.fromkeys([0, n_rows // 2, n_rows - 1]))[:_ROWS_TRIED]
