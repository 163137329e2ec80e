"""Bytes to PyYAML's nodes; a file that is not YAML is refused with the line, and without what stands there."""

from __future__ import annotations

import re
from typing import Any, NoReturn

import yaml
from yaml.composer import Composer

from ..errors import ConfigError

MAX_BYTES = 2**20
MAX_DEPTH = 40

#: So many characters PyYAML's own parser reads at once; it is slow, and says best what is wrong.
_SMALL = 2**16
_TOO_DEEP = f"{{name}}: is nested too deeply (more than {MAX_DEPTH} levels)"


def _quick_loader() -> Any:
    """Return a loader that reads by libyaml, where PyYAML has it, and composes in Python: C has no bound of depth."""
    if not yaml.__with_libyaml__:
        return None

    class Quick(Composer, yaml.CSafeLoader):
        def __init__(self, text: str) -> None:
            yaml.CSafeLoader.__init__(self, text)
            Composer.__init__(self)

    return Quick


_Quick = _quick_loader()


def decode(raw: bytes, name: str) -> str:
    """Return a file's text, less the mark that it is UTF-8. Raises ConfigError."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{name}:{line}: is not UTF-8 text; save the file as UTF-8") from None


def compose(text: str, name: str) -> tuple[yaml.Node | None, yaml.SafeLoader]:
    """Return the node of the one document in `text`, and the loader that made it. Raises ConfigError."""
    quick = _Quick is not None and len(text) > _SMALL
    try:
        loader = _Quick(text) if _Quick is not None and quick else yaml.SafeLoader(text)
        return loader.get_single_node(), loader
    except yaml.MarkedYAMLError as error:
        if "nesting depth" in str(error.problem):  # libyaml's own bound
            raise ConfigError(_TOO_DEEP.format(name=name)) from None
        _refuse(error, text, name)
    except yaml.reader.ReaderError as error:
        before = text.encode()[: error.position].decode(errors="ignore") if quick else text[: error.position]
        line = before.count("\n") + 1
        raise ConfigError(f"{name}:{line}: has a character that YAML does not allow; take it out") from None
    except RecursionError:
        raise ConfigError(_TOO_DEEP.format(name=name)) from None


def _refuse(error: yaml.MarkedYAMLError, text: str, name: str) -> NoReturn:
    # Never the error's own snippet of the file, which may hold a key.
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 1
    if "single document" in str(error.context):
        raise ConfigError(f"{name}:{line}: holds a second YAML document; keep one to a file") from None
    source = text.splitlines()
    near = source[line - 1] if line <= len(source) else ""
    cure = "put ${...} in quotes inside [ ] or { }" if "${" in near else "check indentation, quotes and colons here"
    problem = re.sub(r"\b(alias|anchor|handle) '[^']*'", r"\1", str(error.problem))
    raise ConfigError(f"{name}:{line}: is not valid YAML ({problem}); {cure}") from None
