"""pydantic's ValidationError to the text a user reads: file, line, key path, what was wrong, what is allowed.

No value of a credential, nor one that came from the environment, is ever shown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from typing import Any, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from ..text import nearest
from .block import REJECTED
from .redact import PROXY, is_secret_name
from .yaml_source import MAX_FAULTS, KeyPath, YamlSource, fault_list

_MAX_SHOWN = 60
#: Makes the text of a fault.
_Text = Callable[[], str]
#: Keys of endpoint_config that cannot hold a credential.
_PLAIN_ENDPOINT_KEYS = {"api_type", "simulated"}

#: What a value must be, by pydantic's error type; the keys are prefixes.
_EXPECTED = {
    "int_": "a whole number",
    "float_": "a number",
    "finite_number": "a finite number",
    "bool_": "true or false",
    "string_type": "text",
    "string_too_short": "text that is not empty",
    "path_": "a file path",
    "model_": "a mapping of keys",
    "dict_": "a mapping of keys",
    "tuple_type": "a list",
    "list_type": "a list",
}
_BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "greater than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}


def explain(error: ValidationError, source: YamlSource, model: type[BaseModel]) -> str:
    """Return one line for each of the first faults, in the order of the file, and how many more there are."""
    faults: dict[KeyPath, list[_Text]] = {}
    found = error.errors(include_url=False)
    misspelt = _misspelt(found)
    for details in found:
        if details["type"] == "missing" and details["loc"] in misspelt:
            continue
        for path, text in _faults(details, source, model):
            faults.setdefault(path, []).append(text)
    # Where a value may be one of several kinds, pydantic reports each: the deepest says most.
    deeper = _deeper(faults)
    kept = [path for path, texts in faults.items() if not (path in deeper and _says_less(texts, deeper[path]))]
    kept.sort(key=source.line)
    lines = [f"{source.where(*path)}: {_joined(faults[path])}" for path in kept[:MAX_FAULTS]]
    return fault_list(lines, len(kept), source.name)


def _misspelt(found: Iterable[ErrorDetails]) -> set[KeyPath]:
    """Return the keys that are missing, and that an unknown one beside them is meant to be: told once, as unknown."""
    missing: dict[KeyPath, list[str]] = {}
    for details in found:
        if details["type"] == "missing":
            missing.setdefault(details["loc"][:-1], []).append(str(details["loc"][-1]))
    unknown = (details["loc"] for details in found if details["type"] == "extra_forbidden")
    meant = ((loc[:-1], nearest(str(loc[-1]), missing.get(loc[:-1], ()))) for loc in unknown)
    return {(*block, name) for block, name in meant if name}


def _closest(name: str, names: Iterable[str]) -> str:
    """Return "; did you mean 'x'?" for the nearest of `names`, or nothing."""
    near = nearest(name, names)
    return f"; did you mean {near!r}?" if near else ""


def _deeper(paths: Collection[KeyPath]) -> dict[KeyPath, bool]:
    """Return those of `paths` below which others lie, and whether some do so in a list."""
    found: dict[KeyPath, bool] = {}
    for path in paths:
        for depth in range(len(path)):
            above = path[:depth]
            if above in paths:
                found[above] = found.get(above, False) or isinstance(path[depth], int)
    return found


def _says_less(texts: list[_Text], is_list: bool) -> bool:
    """Whether these only name the other kinds that a value might be of, below which faults lie."""
    return is_list or all(text().startswith("expected ") for text in texts)


def _joined(texts: list[_Text]) -> str:
    first, *others = dict.fromkeys(text() for text in texts)
    wanted = [other.removeprefix("expected ").partition(",")[0] for other in others if other.startswith("expected ")]
    if not wanted or not first.startswith("expected "):
        return first
    expected, comma, got = first.partition(",")
    return " or ".join([expected, *wanted]) + comma + got


def _faults(details: ErrorDetails, source: YamlSource, model: type[BaseModel]) -> Iterator[tuple[KeyPath, _Text]]:
    """Yield where each fault is, and what makes its text: few are told, and to find the nearest key takes its time."""
    loc, kind = details["loc"], details["type"]
    path = _in_file(loc, source)
    if kind == REJECTED:
        for at, message in details["ctx"]["problems"]:
            yield (*path, *at), partial(_rejected_text, details, path, source, model, message, shows=not at)
    elif kind == "missing":
        yield (*path, loc[-1]), lambda: "is required; add it"
    elif kind == "extra_forbidden":
        yield path, lambda: f"unknown key{_known_keys(str(loc[-1]), model, loc[:-1])}"
    elif kind in {"union_tag_invalid", "union_tag_not_found"}:
        key = str(details["ctx"]["discriminator"]).strip("'")
        given = details["input"] if kind == "union_tag_not_found" else ()
        if isinstance(given, dict) and (typed := nearest(key, map(str, given))):
            yield (*path, typed), lambda: f"unknown key; did you mean {key!r}?"
        else:
            yield (*path, key), partial(_tag_text, details)
    else:
        yield path, lambda: _value_text(details, "" if _hidden(path, loc, source, model) else _shown(details["input"]))


def _hidden(path: KeyPath, loc: KeyPath, source: YamlSource, model: type[BaseModel]) -> bool:
    return path in source.from_env or _is_secret(path) or _holds_secret(model, loc)


def _rejected_text(
    details: ErrorDetails, path: KeyPath, source: YamlSource, model: type[BaseModel], message: str, *, shows: bool
) -> str:
    value = details["input"]
    if not shows or isinstance(value, dict) or _hidden(path, details["loc"], source, model):
        return message
    return f"{message}, got {_shown(value)}"


def _in_file(loc: KeyPath, source: YamlSource) -> KeyPath:
    """Return pydantic's location as a key path of the file, less the names it gives to the kinds of a union."""
    path: KeyPath = ()
    for part in loc:
        if (*path, part) in source.lines:
            path = (*path, part)
    return path


def _tag_text(details: ErrorDetails) -> str:
    if details["type"] == "union_tag_not_found":
        return "is required; it names the audit"
    context = details["ctx"]
    return _not_one_of(str(context["tag"]), _quoted(str(context["expected_tags"])))


def _value_text(details: ErrorDetails, shown: str) -> str:
    kind, context = details["type"], details.get("ctx", {})
    got = f", got {shown}" if shown else ""
    if kind == "literal_error":
        expected = str(context["expected"])
        allowed, value = _quoted(expected), details["input"]
        if not allowed:
            return f"expected {expected.lower()}{got}"
        return _not_one_of(value, allowed) if shown and isinstance(value, str) else _one_of(allowed) + got
    if kind in _BOUNDS:
        bound, words = _BOUNDS[kind]
        return f"must be {words} {context[bound]}{got}"
    for prefix, expected in _EXPECTED.items():
        if kind.startswith(prefix):
            return f"expected {expected}{got}{_cure(kind, details['input'])}"
    if kind in {"value_error", "assertion_error"}:
        return str(context.get("error") or "is not allowed")
    return f"{details['msg'].replace('Input should', 'must', 1)}{got}"


def _cure(kind: str, value: Any) -> str:
    if value is None:
        return "; give it a value, or take the key out"
    return "; put it in quotes" if kind == "string_type" and not isinstance(value, (dict, list)) else ""


def _quoted(text: str) -> list[str]:
    """Return what stands in quotes in pydantic's list of allowed values."""
    return re.findall(r"'([^']*)'", text)


def _one_of(allowed: list[str]) -> str:
    return f"expected one of {', '.join(allowed)}"


def _not_one_of(value: str, allowed: list[str]) -> str:
    return f"{_shown(value)} is not one of {', '.join(allowed)}{_closest(value, allowed)}"


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, (dict, list, tuple)):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 3]}..."


def _known_keys(key: str, model: type[BaseModel], loc: KeyPath) -> str:
    names = [name for block in _blocks_at(model, loc) for name in block.model_fields]
    return _closest(key, names) or (f"; known here: {', '.join(dict.fromkeys(names))}" if names else "; take it out")


def _is_secret(path: KeyPath) -> bool:
    if path == PROXY:  # there may be a password in it
        return True
    if path[:1] == ("endpoint_config",) and (len(path) < 2 or path[1] not in _PLAIN_ENDPOINT_KEYS):
        return True
    return any(isinstance(part, str) and is_secret_name(part) for part in path)


def _holds_secret(model: type[BaseModel], loc: KeyPath) -> bool:
    fields = (block.model_fields.get(str(part)) for at, part in enumerate(loc) for block in _blocks_at(model, loc[:at]))
    return any(field is not None and _mentions(field.annotation, SecretStr) for field in fields)


def _mentions(annotation: Any, wanted: type) -> bool:
    return annotation is wanted or any(_mentions(inner, wanted) for inner in get_args(annotation))


def _blocks_at(model: type[BaseModel], loc: KeyPath) -> list[type[BaseModel]]:
    """Return the models that may stand at `loc`; of a union, the one whose tag is in `loc`."""
    blocks = [model]
    for part in loc:
        fields = [block.model_fields[str(part)] for block in blocks if str(part) in block.model_fields]
        tagged = [block for block in blocks if part in _tags(block.model_fields.get("test"))]
        if fields:
            blocks = [block for field in fields for block in _models_in(field.annotation)]
        elif tagged:
            blocks = tagged
    return blocks


def _tags(field: FieldInfo | None) -> tuple[Any, ...]:
    return get_args(field.annotation) if field is not None else ()


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and get_origin(annotation) is None:
        if issubclass(annotation, BaseModel):
            yield annotation
        return
    for inner in get_args(annotation):
        yield from _models_in(inner)
