"""What the docs show of YAML and columns is what is read: whole blocks, every column, every simulated cache."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import msgspec
import yaml

from pytest_mlperf_audit.config.endpoint import SimulatedConfig
from pytest_mlperf_audit.config.rolling import RollingSubmission
from pytest_mlperf_audit.endpoints.media.videogen import VideoGenAdapter

DOCS = Path(__file__).parents[3] / "docs"


def test_the_block_of_a_rolling_submission_is_whole():
    blocks = re.findall(r"```yaml\n(.*?)```", (DOCS / "verdict-format.md").read_text(), re.DOTALL)
    (block,) = [text for text in blocks if "rolling_submission:" in text]
    assert RollingSubmission.model_validate(yaml.safe_load(block)["rolling_submission"])


def test_every_column_of_a_video_row_has_its_value():
    lines = [line for line in (DOCS / "quickstart.md").read_text().splitlines() if line.startswith("| `")]
    cells = [cell.strip() for line in lines if line.count("|") == 5 for cell in line.strip("|").split("|")]
    pairs = dict(zip(cells[::2], cells[1::2], strict=True))
    told = {name: value.partition(" (")[0] for names, value in pairs.items() for name in re.findall(r"`(\w+)`", names)}
    sent = msgspec.json.decode(VideoGenAdapter.encode(VideoGenAdapter.__new__(VideoGenAdapter), {"prompt": "p"}))
    assert set(told) >= set(sent)
    assert set(told) - set(sent) == {name for name, value in told.items() if value == "nothing"}
    guidance = ("guidance_scale", "guidance_scale_2")
    for name in set(sent) - {"prompt", *guidance}:
        assert told[name].strip("`") == str(sent[name]), name
    assert told[guidance[0]] == ", ".join(str(sent[name]) for name in guidance)


def test_the_quickstart_has_every_simulated_cache():
    text = (DOCS / "quickstart.md").read_text()
    caches = get_args(SimulatedConfig.model_fields["cache"].annotation)
    assert "coalesce" in caches
    assert [cache for cache in caches if f"`{cache}`" not in text] == []
