"""The configuration as it was understood, for <report_dir>/config.yaml: the endpoints tool's shape, no secret in it.

MLPerf's submission checker reads type, version, model_params.streaming, settings.runtime and settings.load_pattern from
it (mlcommons/inference, tools/submission/submission_checker/constants.py, ENDPOINTS_YAML_FIELD_MAP).
"""

from __future__ import annotations

from typing import Any

import yaml

from .benchmark import Benchmark
from .block import Block
from .explain import is_secret_name

REDACTED = "**********"


def resolved_yaml(benchmark: Benchmark) -> str:
    """Return the configuration with every default filled in and every secret replaced; it loads again."""
    data = benchmark.model_dump(mode="json", exclude_none=True)
    data["model_params"]["streaming"] = "on" if benchmark.streaming else "off"
    data["datasets"] = [
        _dataset(config, dump) for config, dump in zip(benchmark.datasets, data["datasets"], strict=True)
    ]
    _endpoint(benchmark, data["endpoint_config"])
    # The union's members are dumped by their own fields, not by those of the base class that types the field.
    blocks = [_audit_block(block) for block in benchmark.audit]
    data["audit"] = blocks[0] if len(blocks) == 1 else blocks or None
    text: str = yaml.safe_dump(_safe(data), sort_keys=False, allow_unicode=True, width=120)
    return text


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


def _safe(value: Any, name: str = "") -> Any:
    if name and is_secret_name(name) and value is not None and not isinstance(value, dict):
        return REDACTED
    if isinstance(value, dict):
        return {key: _safe(inner, str(key)) for key, inner in value.items()}
    if isinstance(value, list):
        return [_safe(inner) for inner in value]
    # Read again, a dollar sign must not become a variable.
    return value.replace("$", "$$") if isinstance(value, str) else value
