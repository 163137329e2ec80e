"""What an endpoint serves, found out by GET alone: its API and its model. No query is sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import urljoin, urlsplit, urlunsplit

from yarl import URL

from ..endpoints.failures import error_sentence
from ..endpoints.registry import shipped
from ..errors import EndpointError
from ..text import printable
from .first_query import cannot_use
from .loop import run_until_done
from .pages import Page, Pages
from .target import Target, joined, plain_url
from .transport import TransportError

OPTION: Final = "--mlperf-endpoint"
KEY_VARIABLE: Final = "MLPERF_API_KEY"
_OK = 200
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_NOT_READY = frozenset({429, 503})
_PATH_IS_THERE = frozenset({400, 405, 415, 422})
_MODELS, _SCHEMA, _KSERVE, _NOWHERE = "/v1/models", "/openapi.json", "/v2", "/no/such/path"
_MOST_BYTES = 2**23
_PATIENCE_S = 5.0
_MOST_NAMED = 8
#: A longer name is no model's.
_LONGEST_NAME = 300

#: In the order of preference, where a server has several.
_APIS: Final = (
    "openai", "openai_completions", "videogen", "openai_images", "openai_audio", "openai_embeddings", "openai_rerank",
    "openai_responses", "anthropic", "sglang",
)  # fmt: skip
#: What lists of models say of a model: `task` (faster-whisper-server), `type` (LM Studio), `capabilities` (llama.cpp).
_TASKS: Final[Mapping[str, str]] = {
    "automatic-speech-recognition": "openai_audio",
    "transcription": "openai_audio",
    "embedding": "openai_embeddings",
    "embeddings": "openai_embeddings",
    "feature-extraction": "openai_embeddings",
    "rerank": "openai_rerank",
    "reranker": "openai_rerank",
    "text-to-image": "openai_images",
    "text-to-video": "videogen",
}


class Asked(NamedTuple):
    """What the user says of the endpoint; "" where that is to be found out."""

    url: str
    api_type: str = ""
    model: str = ""


class Served(NamedTuple):
    """What an endpoint serves: the API, and the model to ask, of `models`. `base` is its URL without the API's path.

    `path` takes the place of the API's own, where the URL given ends in another, as /api/v3/chat/completions does.
    `known_by` says how the API is known.
    """

    base: str
    path: str | None
    api_type: str
    model: str
    models: Sequence[str]
    known_by: str


def paths() -> dict[str, str]:
    """Return the path of each API that has a path of its own, by api_type, in the order of preference."""
    found = {adapter.api_type: adapter.path for adapter in shipped()}
    return {api_type: found[api_type] for api_type in _APIS}


def discover(asked: Asked, target: Target) -> Served:
    """Ask an endpoint by GET what it serves. Raises EndpointError: what was asked, what it answered, and the cure."""
    base, path, api_type = split(asked.url)
    return run_until_done(lambda: _Discovery(asked, target, base, path, asked.api_type or api_type).run())


def split(url: str) -> tuple[str, str | None, str]:
    """Return the base of a URL, the path to set where it ends in an unusual one, and the API that it names, or ""."""
    parts = urlsplit(url)
    whole = parts.path.rstrip("/")
    for api_type, path in paths().items():
        if whole.endswith(path):
            return _with_path(url, whole.removesuffix(path)), None, api_type
    for api_type, path in paths().items():
        if (short := path.removeprefix("/v1")) != path and whole.endswith(short):
            return _with_path(url, whole.removesuffix(short)), short, api_type
    for page in (_MODELS, _SCHEMA, "/docs", "/health"):
        whole = whole.removesuffix(page)
    return _with_path(url, whole), None, ""


def _with_path(url: str, path: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=path, fragment=""))


class _Discovery:
    def __init__(self, asked: Asked, target: Target, base: str, path: str | None, api_type: str) -> None:
        self._asked = asked
        self._target = target
        self._base = base
        self._path = path
        self._api_type = api_type
        self._pages: Pages | None = None
        self._statuses: dict[str, str] = {}

    async def run(self) -> Served:
        self._pages = Pages(self._target)
        try:
            return await self._found()
        except TransportError as error:
            raise EndpointError(cannot_use(self._target, error, OPTION)) from error
        finally:
            await self._pages.close()

    async def _found(self) -> Served:
        page = await self._get("/models" if self._path else _MODELS)
        self._require_open(page)
        listed = [*_listed(page)] if page.status == _OK else []
        model, task = self._model(listed)
        api_type, known_by = self._api_type, "named"
        if not api_type and task:
            api_type, known_by = task, "by the list of models"
        if not api_type:
            api_type, known_by = await self._by_paths(known=bool(listed))
        if not model and api_type != "videogen":
            raise EndpointError(
                f"endpoint {self._target.label}: has no list of models ({self._answers()}); name the model by "
                "--mlperf-model=NAME"
            )
        names = [name for name, _ in listed]
        return Served(self._base, self._path, api_type, model or "video", names, known_by)

    def _model(self, listed: Sequence[tuple[str, str]]) -> tuple[str, str]:
        """Return the model to ask, and its API where the list says it. Raises EndpointError for an unknown one."""
        wanted = self._asked.model
        if not listed:
            return wanted, ""
        if not wanted:
            apis = {self._api_type} if self._api_type else {"", *_APIS[:2]}
            return next(((name, api) for name, api in listed if api in apis), listed[0])
        if wanted in (tasks := dict(listed)):
            return wanted, tasks[wanted]
        more = ", ..." if len(listed) > _MOST_NAMED else ""
        names = ", ".join(printable(name, 80) for name, _ in listed[:_MOST_NAMED])
        raise EndpointError(
            self._target.redact(
                f"endpoint {self._target.label}: has no model {printable(wanted, 80)}; it serves: {names}{more}; "
                "correct --mlperf-model"
            )
        )

    async def _by_paths(self, *, known: bool) -> tuple[str, str]:
        """Return the API by the server's own list of paths, or by what GET says of each. Raises EndpointError."""
        schema = await self._get(_SCHEMA)
        declared = _declared(schema) if schema.status == _OK else set()
        there = [api for api, path in paths().items() if any(one.endswith(path) for one in declared)]
        if there:
            return there[0], f"by {_SCHEMA}"
        nowhere = (await self._get(_NOWHERE)).status  # some servers answer every GET alike
        for api_type, path in paths().items():
            status = (await self._get(path)).status
            if status != nowhere and status in _PATH_IS_THERE:
                return api_type, f"by GET {path}"
        if known:
            return "openai", "by its list of models"
        kserve = await self._get(_KSERVE)
        raise EndpointError(self._unknown(kserve))

    def _unknown(self, kserve: Page) -> str:
        where = f"endpoint {self._target.label}:"
        if kserve.status == _OK and _is_kserve(kserve.body):
            return (
                f"{where} serves tensors (GET {_KSERVE}), and what its model takes is yours to say; write a YAML with "
                "api_type: kserve_v2 (docs/formats.md), and give it by --mlperf-config"
            )
        return (
            f"{where} is none of the servers that are known here: {self._answers()}; correct {OPTION}, give the API's "
            "whole path in it (http://host:8000/v1/embeddings), or write a YAML: pytest --mlperf-init"
        )

    def _answers(self) -> str:
        shown = [f"GET {path} answers {said}" for path, said in self._statuses.items() if path in _SHOWN]
        return ", ".join(shown)

    def _require_open(self, page: Page) -> None:
        """Raise EndpointError where the first answer says that nothing else need be asked."""
        where, asked = f"endpoint {self._target.label}:", f"answers {page.status} to GET {_MODELS}"
        if page.status in {401, 403}:
            raise EndpointError(self._target.redact(f"{where} {asked}{self._key_cure(page)}"))
        if page.status in _REDIRECTS:
            raise EndpointError(self._target.redact(f"{where} {asked}{_redirected(page, self._base)}"))
        if page.status in _NOT_READY:
            words = error_sentence(page.body)
            raise EndpointError(self._target.redact(f"{where} {asked} ({words}); start again when it is ready"))

    def _key_cure(self, page: Page) -> str:
        has_key = "Authorization" in self._target.headers
        words = error_sentence(page.body)
        said = f"{'with our key' if has_key else 'without a key'}{f' ({words})' if words else ''}"
        return f" {said}; put a key it accepts into the environment variable {KEY_VARIABLE}"

    async def _get(self, path: str) -> Page:
        """Return a page. Raises TransportError where the first is not to be had; others then have the status 0."""
        assert self._pages is not None
        first = not self._statuses
        try:
            url = URL(joined(self._base, path), encoded=True)
            page = await asyncio.wait_for(self._pages.fetch(url, self._target.headers, _MOST_BYTES), _PATIENCE_S)
        except asyncio.TimeoutError:
            if first:
                raise TransportError("timeout", f"no answer to GET {path} within {_PATIENCE_S:g} s") from None
            page = Page()
        except OSError as error:
            raise EndpointError(f"endpoint {self._target.label}: {error.strerror or error}") from error
        except TransportError:
            if first:
                raise
            page = Page()
        self._statuses[path] = _said(page)
        return page


_SHOWN = frozenset({_MODELS, "/models", _SCHEMA, _KSERVE})


def _said(page: Page) -> str:
    """Return a page's status, and that it is a page for people."""
    if not page.status:
        return "nothing"
    kind = page.headers.get("content-type", "")
    if page.status == _OK and len(page.body) >= _MOST_BYTES:
        return f"200 and more than {_MOST_BYTES // 2**20} MiB"
    return f"{page.status} and an HTML page" if "html" in kind.lower() else str(page.status)


def _redirected(page: Page, base: str) -> str:
    try:
        to = urljoin(f"{base}/", page.headers.get("location", ""))
        shown = printable(plain_url(to))
    except ValueError:
        shown = "another address"
    return f" and names {shown} instead; correct {OPTION}, since no redirect is followed"


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _listed(page: Page) -> Iterator[tuple[str, str]]:
    """Yield each model of a list that can be asked for, and the API that the list names, or ""."""
    document = _json(page.body)
    entries = document.get("data") if isinstance(document, dict) else None
    for entry in entries if isinstance(entries, list) else []:
        name = entry.get("id") if isinstance(entry, dict) else None
        if isinstance(name, str) and name.strip() and _may_be_sent(name):
            yield name, _task(entry)


def _may_be_sent(name: str) -> bool:
    """Whether a model's name is one: a pattern of a gateway's, or what cannot be shown, is none."""
    return name.isprintable() and name == name.strip() and len(name) <= _LONGEST_NAME and "*" not in name


def _task(entry: Mapping[str, Any]) -> str:
    said: list[Any] = [entry.get("task"), entry.get("type")]
    capabilities = entry.get("capabilities")
    said += capabilities if isinstance(capabilities, list) else []
    found = [_TASKS[word] for word in said if isinstance(word, str) and word in _TASKS]
    texts = isinstance(capabilities, list) and "completion" in capabilities
    return found[0] if found and not texts else ""


def _declared(page: Page) -> Collection[str]:
    """Return the paths that an OpenAPI document has POST for."""
    document = _json(page.body)
    declared = document.get("paths") if isinstance(document, dict) else None
    if not isinstance(declared, dict):
        return ()
    return {path.rstrip("/") for path, methods in declared.items() if isinstance(methods, dict) and "post" in methods}


def _is_kserve(body: bytes) -> bool:
    document = _json(body)
    return isinstance(document, dict) and isinstance(document.get("extensions"), list)
