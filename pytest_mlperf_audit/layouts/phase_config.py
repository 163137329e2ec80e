"""config.yaml of one audit phase, as MLPerf's endpoints tool leaves it: with the keys that it knows, and no others.

Source: mlcommons/endpoints `config/schema.py`, whose reader refuses any other key. An audit's phase there has the
performance data set alone, no audit, and the number of its own samples. Times to wait for are left to its defaults,
since their keys changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import yaml

_MODEL: Final = (
    "name temperature seed top_k top_p repetition_penalty presence_penalty frequency_penalty chat_template_kwargs "
    "max_new_tokens min_new_tokens skip_special_tokens streaming"
)
_DATASET: Final = "name type path format samples parser"
_SETTINGS: Final[Mapping[str, str]] = {
    "runtime": "min_duration_ms max_duration_ms n_samples_to_issue scheduler_random_seed dataloader_random_seed",
    "load_pattern": "type target_qps target_concurrency",
    "client": "max_connections",
    "warmup": "enabled n_requests salt drain warmup_random_seed",
}


def phase_config(resolved: str, n_samples: int) -> str:
    """Return the configuration of a phase of `n_samples` queries, from the run's own, resolved and without secrets."""
    whole: dict[str, Any] = yaml.safe_load(resolved)
    settings = whole.get("settings") or {}
    kept = {key: _only(settings.get(key), names) for key, names in _SETTINGS.items()}
    kept["runtime"] |= {"n_samples_to_issue": n_samples}
    datasets = [_only(dataset, _DATASET) for dataset in whole.get("datasets") or []]
    found = {
        **_only(whole, "name version type benchmark_mode"),
        "submission_ref": _only(whole.get("submission_ref"), "model ruleset"),
        "model_params": _only(whole.get("model_params"), _MODEL),
        "datasets": [dataset for dataset in datasets if dataset.get("type", "performance") == "performance"],
        "settings": {key: values for key, values in kept.items() if values},
        "endpoint_config": _only(whole.get("endpoint_config"), "endpoints api_type"),
    }
    text: str = yaml.safe_dump(
        {key: value for key, value in found.items() if value}, sort_keys=False, allow_unicode=True, width=120
    )
    return text


def _only(block: Mapping[str, Any] | None, names: str) -> dict[str, Any]:
    """Return these keys of a block, without those that are null."""
    given = block or {}
    return {name: given[name] for name in names.split() if given.get(name) is not None}
