"""Proxies that the environment names. None is used, since it would be measured along with the endpoint."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_address
from urllib import request
from urllib.parse import urlsplit

_bypassed: Callable[[str, Mapping[str, str]], bool] = request.proxy_bypass_environment  # type: ignore[attr-defined]


def unused_proxy(urls: Iterable[str], environ: Mapping[str, str] = os.environ) -> str:
    """Return a sentence where others would send queries for one of these URLs through a proxy, "" where not.

    As curl has it: HTTP_PROXY, HTTPS_PROXY or ALL_PROXY by the URL's scheme, in any case, but for hosts in NO_PROXY.
    What the variable holds may have a password, and is not shown. Nobody asks a proxy for this machine.
    """
    set_by = {name.lower(): name for name, value in sorted(environ.items()) if value}
    bypassed = {"no": environ.get(set_by.get("no_proxy", ""), "")}
    for parts in map(urlsplit, urls):
        name = set_by.get(f"{parts.scheme}_proxy") or set_by.get("all_proxy")
        host = parts.netloc.rpartition("@")[2]
        if name and not (_is_this_machine(parts.hostname or "") or _bypassed(host, bypassed)):
            return (
                f"{name} is set and not used, since a proxy would be measured, too: audit from where the endpoint can "
                f"be reached directly, or through a tunnel (ssh -L); NO_PROXY={parts.hostname} says that none is needed"
            )
    return ""


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
