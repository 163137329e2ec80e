"""--mlperf-init: a YAML, a data set that runs as it is, and a CI workflow, where there are none yet."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from ..config.starter.rows import built_in, text_of
from ..config.starter.written import Starter, quoted, yaml_text
from ..errors import ConfigError
from ..load.discover import Asked
from .start import ask, require_kind, without_query

#: The first workload, and what it is called.
_VIDEO: Final = "videogen"
_ROWS: Final = "prompts.jsonl"
_WORKFLOW: Final = Path(".github", "workflows", "mlperf-audit.yml")


def init(folder: Path, asked: Asked, environ: Mapping[str, str], cwd: Path) -> list[str]:
    """Write the files, for an endpoint where one is named, and return what to say of them. Nothing is overwritten.

    Raises UserError, and has written nothing then.
    """
    starter = _starter(asked, environ)
    yaml = folder / ("wan22.yaml" if starter.api_type == _VIDEO else "audit.yaml")
    path = os.path.relpath(yaml, cwd)
    command = f"pytest --mlperf-config={shlex.quote(path)}"
    run = quoted(f"{command} --junitxml=junit.xml").replace("$$", "$")
    files = {
        yaml: yaml_text(starter).replace("THIS_FILE", yaml.name),
        folder / _ROWS: built_in(starter.api_type),
        folder / _WORKFLOW: text_of("workflow.yml").replace("COMMAND", run),
    }
    _write(files)
    return list(_next(files, command, starter, elsewhere=folder != cwd))


def _starter(asked: Asked, environ: Mapping[str, str]) -> Starter:
    if asked.url:
        served = ask(asked, environ)
        base, api_type, model, path = without_query(served.base), served.api_type, served.model, served.path
    else:
        base, api_type, path = "", require_kind(asked.api_type or _VIDEO), None
        model = asked.model or ("wan22" if api_type == _VIDEO else "my-model")
    is_video = api_type == _VIDEO
    name = "wan22-offline" if is_video else "endpoint-audit"
    return Starter(name, api_type, model, _ROWS, endpoint=base, path=path, test04=is_video)


def _write(files: Mapping[Path, str]) -> None:
    if there := [path for path in files if os.path.lexists(path)]:
        raise ConfigError(
            f"--mlperf-init: {os.path.relpath(there[0])} exists and is not overwritten; name another directory, "
            "or move it"
        )
    try:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise ConfigError(
            f"--mlperf-init: {error.filename or path} cannot be written ({error.strerror or error}); name another "
            "directory"
        ) from error


def _next(files: Mapping[Path, str], command: str, of: Starter, *, elsewhere: bool) -> Iterator[str]:
    yield from (f"wrote {os.path.relpath(path)}" for path in files)
    yield f"next: {command} --mlperf-plan   says what will be sent, and sends nothing"
    where = f"audits {of.endpoint}" if of.endpoint else "runs it against a simulated endpoint"
    yield f"then: {command}   {where}"
    if not of.endpoint:
        yield f"      {command} --mlperf-endpoint=http://host:8000   audits yours"
    if elsewhere:
        yield f"move {_WORKFLOW.parts[0]} to the top of your repository, where CI looks for it"
