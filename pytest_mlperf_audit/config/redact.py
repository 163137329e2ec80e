"""Which keys of the YAML hold a credential, and the configuration without any, for <report_dir>/config.yaml.

That file has the endpoints tool's shape. MLPerf's submission checker reads type, version, model_params.streaming,
settings.runtime and settings.load_pattern from it (mlcommons/inference,
tools/submission/submission_checker/constants.py, ENDPOINTS_YAML_FIELD_MAP).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import yaml
from pydantic import BaseModel

from ..text import REDACTED
from .benchmark import Benchmark
from .block import Block
from .yaml_source import KeyPath, has_default

_SECRET_NAME = re.compile(
    r"(^|_)(api_?key|secret|password|authorization|auth|credentials?)(_|$)|_(key|token)$", re.IGNORECASE
)
#: In a map whose keys we do not know, more names are taken for a credential's: token, myKey, db-passwd, Cookie.
_LOOKS_SECRET = re.compile(
    r"key$|token$|secret|passw|passphrase|pwd|credential|authorization|^auth$|bearer|cookie|signature|^sig$",
    re.IGNORECASE,
)

#: A shorter value is too likely to be a part of another.
_LEAST_SECRET = 8

PROXY = ("settings", "client", "proxy")
#: The path of a file, whose name alone sounds like a credential's.
_KEY_FILE = ("settings", "client", "client_key")

#: What names a thing in every report, or is one of a few words, is written as it was understood, as are numbers: a
#: variable that is not set where the file is read again must not change what was run. Of a URL, no query is written.
_RESOLVED = frozenset(
    {
        *((key,) for key in ("name", "type", "version", "benchmark_mode", "audit_order")),
        ("model_params", "name"),
        ("model_params", "streaming"),
        ("model_params", "length_field"),
        ("model_params", "image", "names"),
        ("endpoint_config", "api_type"),
        ("endpoint_config", "path"),
        PROXY,
        *(
            ("endpoint_config", "simulated", key)
            for key in ("cache", "cache_lookup", "dishonest", "distribution", "video_reply")
        ),
    }
)
_RESOLVED_BELOW = frozenset({"submission_ref", "endpoints", "metrics", "runtime", "load_pattern"})
_RESOLVED_NAMES = frozenset({"name", "type", "format", "dataset", "test", "eval_method", "extractor"})


def resolved_yaml(
    benchmark: Benchmark, written: Mapping[KeyPath, str] | None = None, secrets: Sequence[str] = ()
) -> str:
    """Return the configuration with every default filled in and every secret replaced; it loads again.

    `written` has what the file says where it names a variable: that is written again, and not the variable's value.
    `secrets` are written nowhere, nor are the values of api_key and headers.
    """
    data = benchmark.model_dump(mode="json", exclude_none=True)
    _keep_nulls(benchmark, data)
    data["model_params"]["streaming"] = "on" if benchmark.streaming else "off"
    data["datasets"] = [
        _dataset(config, dump) for config, dump in zip(benchmark.datasets, data["datasets"], strict=True)
    ]
    _endpoint(benchmark, data["endpoint_config"])
    if proxy := benchmark.settings.client.shown_proxy:
        data["settings"]["client"]["proxy"] = proxy
    # The union's members are dumped by their own fields, not by those of the base class that types the field.
    blocks = [_audit_block(block) for block in benchmark.audit]
    data["audit"] = blocks[0] if len(blocks) == 1 else blocks or None
    text: str = yaml.safe_dump(
        _Safe(written or {}, [*secrets, *_credentials(benchmark)]).value(data, ()),
        sort_keys=False,
        allow_unicode=True,
        width=120,
    )
    return text


def _keep_nulls(block: BaseModel, dump: dict[str, Any]) -> None:
    """Write down each null of the file that stands in the place of another default, below `audit` aside."""
    for name, field in type(block).model_fields.items():
        value = getattr(block, name)
        if (
            value is None
            and name in block.model_fields_set
            and field.get_default(call_default_factory=False) is not None
        ):
            dump[name] = None
        inner, dumped = (value, dump.get(name)) if isinstance(value, tuple) else ((value,), [dump.get(name)])
        for one, its_dump in zip(inner, dumped or [], strict=False):
            if isinstance(one, BaseModel) and isinstance(its_dump, dict) and name != "audit":
                _keep_nulls(one, its_dump)


def _dataset(config: Any, dump: dict[str, Any]) -> dict[str, Any]:
    override = config.generation_config_override
    if override is not None:
        # What the file does not name follows model_params, so a default must not be written down as an override.
        dump["generation_config_override"] = override.model_dump(mode="json", exclude_unset=True)
    return dump


def _audit_block(block: Block) -> dict[str, Any]:
    """Return an audit's keys, those left out whose presence would say what the file did not."""
    dump: dict[str, Any] = block.model_dump(mode="json")
    for name in type(block).model_fields:
        value = getattr(block, name)
        if isinstance(value, Block):
            dump[name] = _audit_block(value)
        elif name in block.says_by_presence - block.model_fields_set or (value is None and _none_anyway(block, name)):
            del dump[name]
    return dump


def _none_anyway(block: Block, name: str) -> bool:
    return type(block).model_fields[name].default is None


def _endpoint(benchmark: Benchmark, dump: dict[str, Any]) -> None:
    if benchmark.endpoint_config.path:
        dump["path"] = benchmark.endpoint_config.shown_path
    dump["metrics"] = list(benchmark.endpoint_config.shown_metrics)
    if benchmark.endpoint_config.endpoints:
        dump["endpoints"] = list(benchmark.endpoint_config.shown)
        del dump["simulated"]


def _credentials(benchmark: Benchmark) -> Iterator[str]:
    endpoint = benchmark.endpoint_config
    for secret in (endpoint.api_key, *endpoint.headers.values()):
        yield from secret.get_secret_value().split() if secret else ()


class _Safe:
    """The dump of a configuration without secrets, with variables as they were `written`."""

    def __init__(self, written: Mapping[KeyPath, str], secrets: Iterable[str]) -> None:
        self._written = written
        self._secrets = sorted((secret for secret in secrets if len(secret) >= _LEAST_SECRET), key=len, reverse=True)

    def value(self, value: Any, path: KeyPath, *, hidden: bool = False) -> Any:
        """Return what may be written of the value at `path`; one that is `hidden` stands below a telling key."""
        if isinstance(value, dict):
            return {key: self._named(inner, (*path, key), hidden=hidden) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.value(inner, (*path, at), hidden=hidden) for at, inner in enumerate(value)]
        if hidden and value is not None and not isinstance(value, bool):
            return self._as_written(path, default_shown=False) or REDACTED
        if not isinstance(value, str):
            return value
        if is_command(path):
            return self._without_secrets(value)  # its variables are replaced when it is run
        resolved = _is_resolved(path)
        if text := None if resolved else self._as_written(path):
            return text
        shown = value if resolved and not _is_url(path) else self._without_secrets(value)
        return shown.replace("$", "$$")  # read again, a dollar sign must not become a variable

    def _without_secrets(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, REDACTED)
        return text

    def _named(self, value: Any, path: KeyPath, *, hidden: bool) -> Any:
        telling = is_telling(path) or value == REDACTED
        if telling and not isinstance(value, (dict, str)) and value is not None:
            return REDACTED  # a list, whose length tells something, too
        loose = _is_free_map(path[:-1]) and looks_secret(str(path[-1])) and not isinstance(value, (int, float))
        return self.value(value, path, hidden=hidden or telling or loose)

    def _as_written(self, path: KeyPath, *, default_shown: bool = True) -> str | None:
        # One block of a list of one, or one that stands alone: the two are the same.
        alone = (path[0], 0, *path[1:]) if path[:1] == ("audit",) else path
        text = self._written.get(path) or self._written.get(alone)
        return text if text and (default_shown or not has_default(text)) else None


def _is_url(path: KeyPath) -> bool:
    return path[:1] == ("endpoint_config",) and path[1] in {"endpoints", "metrics", "path"}


def _is_resolved(path: KeyPath) -> bool:
    in_free_map = _is_free_map(path[:-1])
    return not in_free_map and (
        path in _RESOLVED or path[-1] in _RESOLVED_NAMES or any(part in _RESOLVED_BELOW for part in path)
    )


def is_telling(path: KeyPath) -> bool:
    """Whether the last key of a path says that its value is a credential."""
    return path != _KEY_FILE and is_secret_name(str(path[-1]))


def is_secret_name(name: str) -> bool:
    """Whether a key of this name holds a credential: api_key, hf_token, password."""
    return _SECRET_NAME.search(name) is not None


def looks_secret(name: str) -> bool:
    """Whether a key of this name, in a map of the user's own keys, may hold a credential."""
    return is_secret_name(name) or _LOOKS_SECRET.search(name) is not None


def _is_free_map(path: KeyPath) -> bool:
    """Whether a key path leads into a map whose keys are the user's own."""
    return (
        "chat_template_kwargs" in path
        or ("accuracy_config" in path and "extras" in path)
        or path[:3] == ("model_params", "image", "extra")
    )


def is_command(path: KeyPath) -> bool:
    """Whether a key path is an argument of one of the two programs that the YAML may name."""
    return path[-2:-1] == ("command",) and path[-3:-2] in {("between_phases",), ("accuracy_config",)}


def is_public(path: KeyPath) -> bool:
    """Whether a key's value names a thing or a file, and so stands in messages and reports."""
    last = path[-1]
    return (
        path[0] in {"name", "version", "report_dir", "submission_ref"}
        or path == ("model_params", "name")
        or (path[0] == "datasets" and len(path) == 3 and last in {"name", "path"})
    )


def secrets_below(value: Any, *, hidden: bool = False) -> Iterator[str]:
    """Yield the texts of a map of the user's own keys that stand under a key which looks like a credential's."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from secrets_below(inner, hidden=hidden or looks_secret(str(key)))
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from secrets_below(inner, hidden=hidden)
    elif hidden and isinstance(value, str):
        yield value
