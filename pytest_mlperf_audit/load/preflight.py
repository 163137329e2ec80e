"""Is the endpoint there, and does it take our key? Asked before the first query, without sending one."""

from __future__ import annotations

from ..endpoints.base import EndpointAdapter
from ..errors import EndpointError
from ..text import printable
from .http import AiohttpTransport
from .loop import run_until_done
from .metrics import check_metrics
from .proxies import unused_proxy
from .target import Target
from .transport import TransportError

_REFUSED = frozenset({401, 403})


def check_endpoint(adapter: EndpointAdapter, target: Target) -> None:
    """GET the query's path on every address; any answer but 401 and 403 will do. Then read the metrics pages.

    Raises EndpointError naming the address and the cure.
    """

    async def ask() -> list[int]:
        transport = AiohttpTransport(target, adapter.path, adapter.headers, adapter.max_reply_bytes)
        try:
            return await transport.status()
        finally:
            await transport.close()

    try:
        statuses = run_until_done(ask)
    except TransportError as error:
        raise EndpointError(_cannot_use(target, error)) from error
    for status in statuses:
        if status in _REFUSED:
            raise EndpointError(
                f"endpoint {target.label}: answers {status} to our credentials; set endpoint_config.api_key "
                "to a key it accepts, for example api_key: ${API_KEY}"
            )
    check_metrics(target)


def _cannot_use(target: Target, error: TransportError) -> str:
    detail = printable(target.redact(error.detail))
    if error.reason == "tls" and "WRONG_VERSION_NUMBER" in detail:
        return f"endpoint {target.label}: does not speak TLS; write http:// in endpoint_config.endpoints"
    if error.reason == "tls":
        return (
            f"endpoint {target.label}: TLS failed ({detail}); set settings.client.ca_file to the certificate "
            "authority's file, or settings.client.insecure: true to skip the check"
        )
    if error.reason in {"connect", "timeout", "reset"}:
        proxy = unused_proxy(target.urls)
        return (
            f"endpoint {target.label}: cannot be reached ({detail}); start it, or correct endpoint_config.endpoints"
            f"{proxy and '. '}{proxy}"
        )
    return f"endpoint {target.label}: does not answer in HTTP ({detail}); correct endpoint_config.endpoints"
