"""An endpoint that no YAML describes: ask it what it serves, then write a YAML with built-in inputs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from pydantic import ValidationError

from ..config.endpoint import EndpointConfig
from ..config.starter.rows import built_in
from ..config.starter.written import KINDS, Starter, yaml_text
from ..errors import ConfigError, EndpointError
from ..load.discover import KEY_VARIABLE, OPTION, Asked, Served, discover
from ..load.target import Target
from ..records.files import write_atomic
from ..text import nearest, printable

_CONNECT_TIMEOUT_S: Final = 5.0
#: Of these a reply may take minutes.
_SLOW: Final[Mapping[str, str]] = {"videogen": "video", "openai_images": "image"}


@dataclass(frozen=True)
class Started:
    """The YAML to run, and what to say of it: before the run, and behind it how to keep it."""

    yaml: Path
    lines: tuple[str, ...]
    keep: str


def start(asked: Asked, report_dir: Path, environ: Mapping[str, str], *, into: Path | None = None) -> Started:
    """Ask the endpoint, and write a YAML with its data set beside `report_dir`, or in `into`, under the same name.

    Raises UserError: nothing is written then.
    """
    served = ask(asked, environ)
    name = report_dir.name
    folder = into or report_dir.parent
    starter = Starter(
        name=name,
        api_type=served.api_type,
        model=served.model,
        data=f"{name}.jsonl",
        endpoint=without_query(served.base),
        path=served.path,
    )
    yaml = folder / f"{name}.yaml"
    text = yaml_text(starter).replace("THIS_FILE", yaml.name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        kept = [_written(folder / starter.data, built_in(served.api_type)), _written(yaml, text)]
    except OSError as error:
        raise ConfigError(
            f"{folder}: the YAML of {OPTION} cannot be written ({error.strerror or error}); name another place by "
            "--mlperf-report-dir"
        ) from error
    lines = [*_lines(served), *(f"an earlier {path.name} differed, and is kept beside it" for path in kept if path)]
    return Started(yaml, tuple(lines), "" if into else str(folder / name))


def ask(asked: Asked, environ: Mapping[str, str]) -> Served:
    """Return what an endpoint serves. Raises UserError, also where its inputs are not built in."""
    if asked.api_type:
        require_kind(asked.api_type)
    try:
        EndpointConfig(endpoints=(asked.url,))
    except ValidationError as error:
        message = error.errors()[0]["msg"]
    else:
        return _ask(asked, environ)
    raise ConfigError(f"{OPTION}: {message}")


def require_kind(api_type: str) -> str:
    """Return a wire format whose inputs are built in. Raises ConfigError."""
    if api_type in KINDS:
        return api_type
    near = nearest(api_type, KINDS)
    meant = f"did you mean {near}?" if near else f"it is one of {', '.join(KINDS)}."
    raise ConfigError(
        f"--mlperf-api: there are no built-in inputs for {printable(api_type, 40)!r}; {meant} For another, write a "
        "YAML (docs/formats.md), and give it by --mlperf-config"
    )


def _ask(asked: Asked, environ: Mapping[str, str]) -> Served:
    key = environ.get(KEY_VARIABLE, "")
    if not (key.isascii() and key.isprintable()):
        raise ConfigError(f"{KEY_VARIABLE}: has a line break or a character that no key has; set it anew")
    target = Target(
        urls=(asked.url,),
        headers={"Authorization": f"Bearer {key}"} if key else {},
        secrets=(key,) if key else (),
        connect_timeout_s=_CONNECT_TIMEOUT_S,
    )
    served = discover(asked, target)
    if served.api_type not in KINDS:
        raise EndpointError(
            f"endpoint {target.label}: {served.api_type} needs inputs of your own (docs/formats.md); write a YAML with "
            "them and give it by --mlperf-config"
        )
    return served


def stem(url: str) -> str:
    """Return a file's name for an endpoint: 127.0.0.1-8000."""
    host = urlsplit(url).netloc.rpartition("@")[2]
    return re.sub(r"[^A-Za-z0-9.]+", "-", host).strip("-.")[:100] or "endpoint"


def without_query(url: str) -> str:
    """Return a URL without its query string, which may hold a key; the option has the whole of it."""
    return urlunsplit(urlsplit(url)._replace(query=""))


def _written(path: Path, text: str) -> Path | None:
    """Write a file unless it says this already; return where an earlier one that differs is kept."""
    earlier = path.read_bytes() if path.exists() else None
    if earlier == text.encode():
        return None
    kept = None if earlier is None else _free(path)
    if kept:
        path.rename(kept)
    write_atomic(path, text.encode())
    return kept


def _free(path: Path) -> Path:
    number = 1
    while (kept := path.with_name(f"{path.stem}.{number}{path.suffix}")).exists():
        number += 1
    return kept


def _lines(served: Served) -> list[str]:
    model = printable(served.model, 80)
    lines = [f"no YAML: {model} by {served.api_type} ({served.known_by}), the cache probe, built-in prompts"]
    if len(served.models) > 1:
        lines.append(f"it serves {len(served.models)} models; --mlperf-model=NAME names another")
    if what := _SLOW.get(served.api_type):
        lines.append(f"each {what} may take minutes; --mlperf-plan says how many are asked for, and asks for none")
    return lines
