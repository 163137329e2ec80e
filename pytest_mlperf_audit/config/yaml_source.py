"""YAML bytes to plain data in which every key and item remembers its line. Hostile input is refused, not survived.

PyYAML composes the node graph; the walk below builds the data, so that duplicate keys, tags and alias bombs are seen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from ..errors import ConfigError
from .interpolate import InterpolationError
from .yaml_nodes import MAX_BYTES, MAX_DEPTH, compose, decode

KeyPath = tuple[str | int, ...]

_MAX_NODES = 100_000
#: So many faults of a file are told; it may have a hundred thousand.
MAX_FAULTS = 20
#: A number is below this: of a seed, an unsigned one of 64 bits (LoadGen's).
_MAX_NUMBER = 2**64

_PREFIX = "tag:yaml.org,2002:"
_SCALARS = frozenset(_PREFIX + name for name in ("str", "int", "float", "bool", "null"))
#: No key holds a date, so what YAML takes for one stays text.
_DATE = _PREFIX + "timestamp"
_CONVERTED = _SCALARS - {_PREFIX + "str"}
_READ = _SCALARS | {_DATE}
_MERGE = _PREFIX + "merge"
#: A value that begins with an exclamation mark is read as a tag, and may be a password.
_PLAIN_TAG = re.compile(r"!![a-z:/._]+")


@dataclass(frozen=True)
class YamlSource:
    """A YAML file as data. `lines` has the line of every key path.

    `from_env` has the text, as it was written, of the paths that held a variable.
    """

    name: str
    data: dict[str, Any] = field(repr=False)
    lines: dict[KeyPath, int] = field(repr=False)
    from_env: Mapping[KeyPath, str] = field(repr=False)

    def known(self, path: KeyPath) -> KeyPath:
        """Return the part of `path` that the file has, less the index of a block that stands alone."""
        found: KeyPath = ()
        for part in path:
            if (*found, part) in self.lines:
                found = (*found, part)
            elif isinstance(part, str):
                break
        return found

    def line(self, path: KeyPath) -> int:
        """Return the line of `path`, or of the nearest block around it that the file has."""
        return self.lines[self.known(path)]

    def where(self, *path: str | int) -> str:
        """Return file, line and key path, as every message begins: 'wan22.yaml:14: audit.sample_index'."""
        at = f"{self.name}:{self.line(path)}"
        shown = dotted(self.without_tags(path))
        return f"{at}: {shown}" if shown else at

    def without_tags(self, path: KeyPath) -> KeyPath:
        """Return `path` as the user would write it: without the index of a block that stands alone."""
        shown: KeyPath = ()
        for at, part in enumerate(path):
            nested = isinstance(part, int) and at + 1 < len(path)
            if not (nested and shown in self.lines and (*shown, part) not in self.lines):
                shown = (*shown, part)
        return shown


#: What is shown of a key below endpoint_config: where a blank or a colon is missing, a credential is part of the key.
_PLAIN_KEY = re.compile(r"[A-Za-z]+(?:[-_][A-Za-z]+){0,7}")


#: Of a longer key the beginning is shown.
_MAX_KEY = 60


def dotted(path: KeyPath) -> str:
    """Return a key path as text: datasets[0].samples."""
    below = len(path) > 1 and path[0] == "endpoint_config"
    parts = (
        "(a key that is not shown)" if below and isinstance(part, str) and not _PLAIN_KEY.fullmatch(part) else part
        for part in path
    )
    return "".join(f"[{part}]" if isinstance(part, int) else f".{_cut(part)}" for part in parts).removeprefix(".")


def _cut(key: str) -> str:
    return key if len(key) <= _MAX_KEY else f"{key[: _MAX_KEY - 3]}..."


def _never(_path: KeyPath) -> bool:
    return False


def fault_list(lines: Sequence[str], n_faults: int, name: str) -> str:
    """Return the message of a file's faults: the first lines of `lines`, and how many faults are not told."""
    shown = list(lines[:MAX_FAULTS])
    if more := n_faults - len(shown):
        shown.append(f"{name}: {more:,} more {'fault' if more == 1 else 'faults'}, shown once these are mended")
    return "\n".join(shown)


def read_yaml(
    raw: bytes,
    name: str,
    substitute: Callable[[str], str] = str,
    stays_text: Callable[[KeyPath], bool] = _never,
    stays_written: Callable[[KeyPath], bool] = _never,
) -> YamlSource:
    """Parse one YAML document whose top level is a mapping.

    `substitute` replaces variables in the text of a scalar; where that changes an unquoted scalar it is typed anew,
    unless `stays_text` says that the key holds text, or `stays_written` that its variables are replaced later.
    Raises ConfigError, one line for each fault found.
    """
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"{name}: larger than {MAX_BYTES // 2**20} MiB; is this the configuration file?")
    node, loader = compose(decode(raw, name), name)
    if node is None:
        raise ConfigError(f"{name}: is empty; it needs at least 'type:' and 'model_params:'")
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{name}:{_line(node)}: the top level must be a mapping of keys, as in 'type: offline'")
    walk = _Walk(name, loader, substitute, stays_text, stays_written)
    try:
        data = walk.mapping(node, ())
    except RecursionError:
        raise ConfigError(f"{name}: '<<' merges a mapping into itself") from None
    if walk.problems:
        raise ConfigError(fault_list(walk.problems, len(walk.problems), name))
    return YamlSource(name=name, data=data, lines=walk.lines, from_env=walk.from_env)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


class _Walk:
    """Builds plain data from nodes, in `problems` what was wrong with them."""

    def __init__(
        self,
        name: str,
        loader: yaml.SafeLoader,
        substitute: Callable[[str], str],
        stays_text: Callable[[KeyPath], bool],
        stays_written: Callable[[KeyPath], bool],
    ) -> None:
        self.name = name
        self.loader = loader
        self.substitute = substitute
        self.stays_text = stays_text
        self.stays_written = stays_written
        self.lines: dict[KeyPath, int] = {(): 1}
        self.from_env: dict[KeyPath, str] = {}
        self.problems: list[str] = []
        self._nodes = 0

    def _problem(self, node: yaml.Node, path: KeyPath, text: str) -> None:
        self.problems.append(f"{self.name}:{_line(node)}: {dotted(path)}: {text}")

    def _value(self, node: yaml.Node, path: KeyPath) -> Any:
        self._nodes += 1
        # Aliases are walked once for each use, so both bounds hold after expansion; a cycle ends at the depth bound.
        if self._nodes > _MAX_NODES:
            raise ConfigError(f"{self.name}:{_line(node)}: more than {_MAX_NODES} values once aliases are expanded")
        if len(path) > MAX_DEPTH:
            raise ConfigError(f"{self.name}:{_line(node)}: is nested too deeply (more than {MAX_DEPTH} levels)")
        if isinstance(node, yaml.MappingNode) and node.tag == _PREFIX + "map":
            return self.mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == _PREFIX + "seq":
            return [self._item(child, (*path, at)) for at, child in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode) and node.tag in _READ:
            return self._scalar(node, path)
        tag = node.tag.replace(_PREFIX, "!!")
        named = f"the tag {tag}" if _PLAIN_TAG.fullmatch(tag) else "a tag ('!' before a value)"
        self._problem(node, path, f"{named} is not allowed; take it out")
        return None

    def _item(self, node: yaml.Node, path: KeyPath) -> Any:
        self.lines[path] = _line(node)
        return self._value(node, path)

    def mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        """Return the data of a mapping; a key of its own wins over a merged one."""
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        for key, child in node.value:
            if key.tag == _MERGE:
                # The first of several merged mappings wins.
                for source in self._merge_sources(child, path):
                    merged = {**self.mapping(source, path), **merged}
        for key, child in node.value:
            if key.tag == _MERGE:
                continue
            if not isinstance(key, yaml.ScalarNode):
                self._problem(key, path, "a key must be plain text")
                continue
            here = (*path, key.value)
            if key.value in own:
                self._problem(key, here, f"is given twice, first on line {self.lines[here]}; keep one")
            else:
                self.lines[here] = _line(key)
                own[key.value] = self._value(child, here)
        return {**merged, **own}

    def _merge_sources(self, node: yaml.Node, path: KeyPath) -> Iterator[yaml.MappingNode]:
        self._nodes += 1
        if self._nodes > _MAX_NODES or len(path) > MAX_DEPTH:
            raise ConfigError(f"{self.name}:{_line(node)}: too many merged mappings ('<<')")
        for source in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            if isinstance(source, yaml.MappingNode):
                yield source
            else:
                self._problem(node, path, "'<<' takes a mapping or a list of mappings")

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        try:
            text = self.substitute(node.value) if "$" in node.value else node.value
        except InterpolationError as error:
            self._problem(node, path, str(error))
            return None
        tag = node.tag
        if "$" in node.value:
            self.from_env[path] = node.value
            if self.stays_written(path):
                return node.value
            if node.style is not None or self.stays_text(path):
                return text
            tag = self.loader.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]  # stub lacks it
        if tag not in _CONVERTED:
            return text
        try:
            value = self.loader.construct_object(yaml.ScalarNode(tag, text, node.start_mark, node.end_mark))
        except (yaml.YAMLError, ValueError, OverflowError):
            self._problem(node, path, f"cannot be read as {tag.removeprefix(_PREFIX)}; put it in quotes")
            return None
        if isinstance(value, int) and abs(value) >= _MAX_NUMBER:
            self._problem(node, path, "is too large for a number (2^64 or more); if it is text, put it in quotes")
            return None
        return value
