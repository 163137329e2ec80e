"""YAML bytes to plain data in which every key and item remembers its line. Hostile input is refused, not survived.

PyYAML composes the node graph; the walk below builds the data, so that duplicate keys, tags and alias bombs are seen. A
file that is not YAML is refused with the line, and without what stands there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import yaml
from yaml.composer import Composer

from ..errors import ConfigError
from .yaml_source import InterpolationError, KeyPath, YamlSource, dotted, fault_list

MAX_BYTES = 2**20
_MAX_DEPTH = 40

_MAX_NODES = 100_000
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

#: So many characters PyYAML's own parser reads at once; it is slow, and says best what is wrong.
_SMALL = 2**16
_TOO_DEEP = f"{{name}}: is nested too deeply (more than {_MAX_DEPTH} levels)"


def _never(_path: KeyPath) -> bool:
    return False


def read_yaml(
    raw: bytes,
    name: str,
    substitute: Callable[[str], str] = str,
    stays_text: Callable[[KeyPath], bool] = _never,
    stays_written: Callable[[KeyPath], bool] = _never,
    unread: Callable[[KeyPath], bool] = _never,
) -> YamlSource:
    """Parse one YAML document whose top level is a mapping.

    `substitute` replaces variables in the text of a scalar; where that changes an unquoted scalar it is typed anew,
    unless `stays_text` says that the key holds text, or `stays_written` that its variables are replaced later.
    What nobody reads (`unread`) stays as it is written, and its variables need not be set.
    Raises ConfigError, one line for each fault found.
    """
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"{name}: larger than {MAX_BYTES // 2**20} MiB; is this the configuration file?")
    node, loader = _compose(_decode(raw, name), name)
    if node is None:
        raise ConfigError(f"{name}: is empty; it needs at least 'type:' and 'model_params:'")
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{name}:{_line(node)}: the top level must be a mapping of keys, as in 'type: offline'")
    walk = _Walk(name, loader, substitute, stays_text, stays_written, unread)
    try:
        data = walk.mapping(node, ())
    except RecursionError:
        raise ConfigError(f"{name}: '<<' merges a mapping into itself") from None
    if walk.problems:
        raise ConfigError(fault_list(walk.problems, len(walk.problems), name))
    return YamlSource(name=name, data=data, lines=walk.lines, from_env=walk.from_env)


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


def _decode(raw: bytes, name: str) -> str:
    """Return a file's text, less the mark that it is UTF-8. Raises ConfigError."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{name}:{line}: is not UTF-8 text; save the file as UTF-8") from None


def _compose(text: str, name: str) -> tuple[yaml.Node | None, yaml.SafeLoader]:
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
        unread: Callable[[KeyPath], bool],
    ) -> None:
        self.name = name
        self.loader = loader
        self.substitute = substitute
        self.stays_text = stays_text
        self.stays_written = stays_written
        self.unread = unread
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
        if len(path) > _MAX_DEPTH:
            raise ConfigError(f"{self.name}:{_line(node)}: is nested too deeply (more than {_MAX_DEPTH} levels)")
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
        if self._nodes > _MAX_NODES or len(path) > _MAX_DEPTH:
            raise ConfigError(f"{self.name}:{_line(node)}: too many merged mappings ('<<')")
        for source in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            if isinstance(source, yaml.MappingNode):
                yield source
            else:
                self._problem(node, path, "'<<' takes a mapping or a list of mappings")

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        if "$" in node.value and self.unread(path):
            return node.value
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
