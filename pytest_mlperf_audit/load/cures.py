"""Why the first query has no answer, in one line: the URL asked, the server's own words, and the cure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from ..endpoints.base import EndpointAdapter
from ..endpoints.failures import model_ids, request_fields
from ..endpoints.registry import shipped
from ..runs.body import Body
from ..runs.query import PROXY
from ..text import printable
from .pages import page_behind
from .target import Target, joined, plain_url
from .tls import CLIENT_CURE

_OK = 200
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: With the others a client goes on by GET (RFC 9110, 15.4).
_KEEPS_POST = frozenset({301, 307, 308})
_NO_SUCH_PATH = frozenset({404, 405, 410, 501})
_PATH_IS_THERE = frozenset({400, 405, 415, 422})
#: nginx takes the handshake of a client without a certificate, and refuses its query.
_CERTIFICATE = frozenset({400, 401, 403, 495, 496})
_SAYS_CERTIFICATE = re.compile(r"(?:ssl|tls|client) certificate", re.IGNORECASE)
_NOWHERE = "/no/such/path"
_MOST_NAMED = 8
_ECHO = re.compile(r"""["']model["']\s*:\s*["'][^"']*["']""")
#: What every request has, and what words may speak of in other ways.
_NO_FIELDS = frozenset(
    {"model", "messages", "prompt", "text", "input", "system", "instructions", "sampling_params", "query", "documents"}
)
#: A field's name as servers give it: in quotes, behind a dot, or alone.
_NAMED = r"""(?:['"`.]|^|(?<=\s)){}(?:['"`:.,]|$|(?=\s))"""
#: The keys that leave out what is sent unasked.
_KEYS = {
    "stream_options": "set model_params.stream_usage: false",
    "stream": "set model_params.streaming: off",
    "max_tokens": "set model_params.length_field: max_completion_tokens, or max_new_tokens: null",
    "max_output_tokens": "set model_params.max_new_tokens: null",
    "max_completion_tokens": "set model_params.length_field: max_tokens, or max_new_tokens: null",
}


@dataclass(frozen=True)
class Refusal:
    """What came in place of an answer; `detail` is fit to show, header names are in lower case."""

    reason: str
    detail: str
    status: int
    headers: Mapping[str, str]
    request: Body
    took_s: float


async def explain_refusal(refusal: Refusal, adapter: EndpointAdapter, target: Target, address: int) -> str:
    """Return the line; a refusal that may be a wrong model or API is looked into by GET."""
    url = joined(target.urls[address], adapter.path if target.path is None else target.path)
    page = _Page(target, target.urls[address])
    if refusal.status in _REDIRECTS:
        words = ""  # a redirect's body is for browsers
        what, cure = _redirected(refusal, url, page)
    else:
        words = f" ({refusal.detail})" if refusal.detail else ""
        what, cure = await _cause(refusal, adapter, page, url)
    return target.redact(f"endpoint {plain_url(url)}: {what}{words}; {cure}")


async def _cause(refusal: Refusal, adapter: EndpointAdapter, page: _Page, url: str) -> tuple[str, str]:
    status = refusal.status
    what = f"answers {status} to the first query"
    if status in _CERTIFICATE and _SAYS_CERTIFICATE.search(refusal.detail):
        return what, CLIENT_CURE
    if status in {401, 403}:
        return credentials_refused(status, page.target)
    if cure := adapter.refusal_cure(status, refusal.detail):
        return what, cure
    if status in {400, 404, 422} and (cure := await _model(refusal, page, url)):
        return what, cure
    if status in _NO_SUCH_PATH:
        return what, await _path(adapter, page, url)
    if status in {400, 422}:
        return what, _field(refusal)
    if status in {429, 503}:
        return what, "wait until it is ready, or raise settings.timeouts.service_ready_timeout_s"
    if status not in {0, 200}:
        return what, "see the server's log"
    return _not_an_answer(refusal, adapter)


def credentials_refused(status: int, target: Target) -> tuple[str, str]:
    """Return what a 401 or 403 says, and where the key is to be put: into the variable that the YAML has for it."""
    has_any = bool(target.secrets or target.headers)
    what = f"answers {status} to {'our credentials' if has_any else 'a query without a key'}"
    if target.key_from:
        empty = "" if "Authorization" in target.headers else " (now empty)"
        return what, f"put a key it accepts into {target.key_from}{empty}, where endpoint_config.api_key has it from"
    example = "" if has_any else ", for example api_key: ${API_KEY}"
    return what, f"set endpoint_config.api_key to a key it accepts{example}"


def _redirected(refusal: Refusal, url: str, page: _Page) -> tuple[str, str]:
    """Return where a redirect leads, and the keys that name it; a slash at the end may be all that differs."""
    location = refusal.headers.get("location", "")
    what = f"answers {refusal.status} to the first query and names {{}} instead"
    try:
        to = urljoin(url, location)
        was, parts = urlsplit(url), urlsplit(to)
        origin = plain_url(parts._replace(path="", query="").geturl())
        shown = plain_url(to) + "/" * (parts.path.endswith("/") and parts.path != "/")
    except ValueError:
        shown = printable(location.partition("?")[0])
        return what.format(shown), "correct endpoint_config.endpoints; no redirect is followed"
    what = what.format(printable(shown))
    if refusal.status not in _KEEPS_POST and parts.path != was.path:
        return what, "see what is there, such as a login, or correct endpoint_config.endpoints; no redirect is followed"
    keys = []
    if (parts.scheme, parts.netloc) != (was.scheme, was.netloc) or page.has_path:
        keys.append(f"endpoint_config.endpoints: [{origin}]")
    if parts.path != was.path or page.has_path:
        keys.append(f"endpoint_config.path: {parts.path}")
    return what, f"set {printable(' and '.join(keys))}; no redirect is followed"


def _field(refusal: Refusal) -> str:
    """Return the cure for a refused field, by the key that leaves it out where the server names one of ours."""
    for name, value in request_fields(refusal.request).items():
        if name not in _NO_FIELDS and re.search(_NAMED.format(re.escape(name)), refusal.detail):
            if name == "response_format" and isinstance(value, str):  # of images; that of a chat is an object
                return "set model_params.image.response_format: null"
            return _KEYS.get(name, f"take {name} out of model_params or the data set's columns, or correct it there")
    return (
        "take what it does not know out of model_params or the data set's columns; an endpoint that takes the data "
        "set's own rows alone, with no word before them, cannot be audited"
    )


def _not_an_answer(refusal: Refusal, adapter: EndpointAdapter) -> tuple[str, str]:
    if (coding := refusal.headers.get("content-encoding", "identity").lower()) not in {"", "identity"}:
        coded = printable(coding, 40)
        return (
            f"answers the first query in a coding that was not asked for, {coded}",
            "switch compression off in the server, or in the proxy before it",
        )
    if refusal.reason == PROXY:
        return (
            "has no reply to the first query through the proxy",
            "see the proxy's log, or correct settings.client.proxy",
        )
    if refusal.reason == "timeout":
        limit = f"{refusal.took_s:.3g} s"
        return f"has no whole reply to the first query within {limit}", "raise settings.client.query_timeout_s"
    if refusal.reason in {"malformed", "truncated", "empty"}:
        return (
            f"answers the first query with what is no reply of api_type {adapter.api_type}: {refusal.reason}",
            "correct endpoint_config.api_type or endpoints, or see the server's log",
        )
    return f"has no answer to the first query: {refusal.reason}", "see the server's log"


async def _model(refusal: Refusal, page: _Page, url: str) -> str | None:
    """Return the cure where the server does not have the model, by its list or by its own words."""
    model = request_fields(refusal.request).get("model")
    if not isinstance(model, str):
        return None
    served = await page.models(url)
    if served and model not in served:
        more = ", ..." if len(served) > _MOST_NAMED else ""
        names = ", ".join(printable(name, 80) for name in served[:_MOST_NAMED])
        return f"it serves: {names}{more}; correct model_params.name"
    return "correct model_params.name" if not served and _names(refusal.detail, model) else None


def _names(words: str, model: str) -> bool:
    """Whether words are about a model: it is in quotes, or they say model; an echo of the query is neither."""
    own = _ECHO.sub("", words)
    if re.search(rf"""['"`]{re.escape(model)}['"`]""", own):
        return True
    return "model" in own.lower() and re.search(rf"(?<!\w){re.escape(model)}(?!\w)", own) is not None


async def _path(adapter: EndpointAdapter, page: _Page, url: str) -> str:
    """Return the cure for a path where nothing is, naming the API that is at another."""
    anywhere = await page.status(_NOWHERE)  # some servers answer every GET alike
    for other in shipped():
        if other.api_type == adapter.api_type:
            continue
        found = anywhere if other.path == adapter.path else await page.status(other.path)
        if found != anywhere and found in _PATH_IS_THERE:
            return f"{other.path} is there: set endpoint_config.api_type: {other.api_type}, or correct the URL"
    if not adapter.api_type.startswith("openai") and await page.models(url):
        return "/v1/models is there: set endpoint_config.api_type: openai, or correct the URL"
    return (
        f"correct endpoint_config.endpoints or api_type (now {adapter.api_type}), or set endpoint_config.path to the "
        "path behind them"
    )


class _Page:
    """What GET says of other paths of an address; nothing where it says nothing."""

    def __init__(self, target: Target, base: str) -> None:
        self.target = target
        self._base = base
        self.has_path = bool(urlsplit(base).path.strip("/"))

    async def status(self, path: str) -> int:
        """Return the status of GET of a path behind the base URL, 0 without one."""
        return (await self._get(self._base, path))[0]

    async def models(self, url: str) -> list[str]:
        """Return the ids of the models served, by the page beside the path that was asked."""
        beside = url.partition("?")[0]
        for ending in ("/chat/completions", "/completions", "/generate"):
            beside = beside.removesuffix(ending)
        for base, path in dict.fromkeys([(beside, "/models"), (self._base, "/v1/models")]):
            status, body = await self._get(base, path)
            if status == _OK and (found := model_ids(body)):
                return [self.target.redact(one) for one in found]
        return []

    async def _get(self, base: str, path: str) -> tuple[int, bytes]:
        return await page_behind(self.target, base, path)
