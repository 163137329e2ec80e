"""The endpoints tool's files of vision chat: a data set by name alone, its images in base64, its prompt the user's."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from pytest_mlperf_audit.config.dataset import DatasetConfig
from pytest_mlperf_audit.config.model_params import ModelParams
from pytest_mlperf_audit.datasets import load_dataset
from pytest_mlperf_audit.endpoints.text.openai import OpenAIChatAdapter

NAME = "shopify_product_catalogue"
FILE = f"data/{NAME}/train+test/{NAME}_train+test.parquet"
#: As in the tool's examples, in our words, but for a minute's length and a server of a grid's.
OFFLINE = {
    "name": "offline-vision",
    "version": "1.0",
    "type": "offline",
    "timeout": 14400,
    "model_params": {"name": "Qwen/Qwen3-VL-235B-A22B-Instruct", "max_new_tokens": 150},
    "datasets": [
        {"name": f"{NAME}::q3vl", "type": "performance"},
        {
            "name": f"{NAME}::q3vl",
            "type": "accuracy",
            "accuracy_config": {
                "eval_method": "shopify_category_f1",
                "ground_truth": "ground_truth_category",
                "extractor": "identity_extractor",
                "num_repeats": 1,
            },
        },
    ],
    "settings": {
        "runtime": {"n_samples_to_issue": 3, "scheduler_random_seed": 42, "dataloader_random_seed": 42},
        "load_pattern": {"type": "max_throughput"},
        "client": {
            "transport": {"type": "zmq", "recv_buffer_size": 16777216, "send_buffer_size": 16777216},
            "max_connections": 1000,
            "worker_initialization_timeout": 120,
        },
        "drain": {"warmup_timeout_s": 240.0, "performance_timeout_s": None, "accuracy_timeout_s": None},
        "warmup": {"enabled": True, "n_requests": 2, "salt": False},
    },
    "endpoint_config": {"api_key": None, "simulated": {"service_time_ms": 1}},
}
ONLINE = {
    **OFFLINE,
    "name": "online-vision",
    "type": "online",
    "model_params": {**OFFLINE["model_params"], "streaming": "on"},  # type: ignore[dict-item]
    "settings": {**OFFLINE["settings"], "load_pattern": {"type": "poisson", "target_qps": 100}},  # type: ignore[dict-item]
}
TEMPLATE = {
    "system": 'Answer with JSON: {"category": "..."}',
    "prompt": "Title: {product_title}\nText: {product_description}\nCategories: {potential_product_categories}",
}


def product(at: int) -> dict[str, str | None]:
    made = io.BytesIO()
    Image.new("RGB", (24, 16), (80 * at, 100, 50)).save(made, "JPEG")
    return {
        "product_title": f"Lamp {at}",
        "product_description": None if at == 1 else f"<p>made of {at} parts</p>",
        "product_image_base64": base64.b64encode(made.getvalue()).decode(),
        "product_image_format": "JPEG",
        "potential_product_categories": json.dumps(["Home > Lamps", "Home > Chairs"]),
        "ground_truth_category": "Home > Lamps",
        "ground_truth_brand": "none",
        "ground_truth_is_secondhand": "false",
    }


@pytest.fixture
def catalogue(audit):
    """Write a file of three products as the tool leaves it, and a YAML of its form, with what a block has besides."""
    path = audit.path / FILE
    path.parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist([product(at) for at in range(3)]), path)

    def write(config, **block):
        sets = [{**one, **block} for one in config["datasets"]]
        (audit.path / "q3vl.yaml").write_text(yaml.safe_dump({**config, "datasets": sets}))

    return write


@pytest.mark.parametrize("config", [OFFLINE, ONLINE], ids=["offline", "online"])
def test_it_is_sent_with_a_prompt_of_ones_own(audit, catalogue, config):
    catalogue(config, template=TEMPLATE)
    result = audit.run("--mlperf-data-dir=data", config="q3vl.yaml")
    assert result.ret == 0, str(result.stdout)
    queries = (audit.report("q3vl") / "performance/queries.jsonl").read_text().splitlines()
    assert len({json.loads(line)["request"] for line in queries}) == 3


def test_text_and_image_are_those_of_the_product(audit, catalogue):
    catalogue(OFFLINE)
    dataset = load_dataset(DatasetConfig(path=audit.path / FILE, template=TEMPLATE), [])
    adapter = OpenAIChatAdapter(ModelParams(name="m"))
    assert [adapter.problem(dataset[at]) for at in range(3)] == [None] * 3
    system, user = json.loads(adapter.encode(dataset[1]))["messages"]
    assert system == {"role": "system", "content": TEMPLATE["system"]}
    assert user["content"] == [
        {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{product(1)['product_image_base64']}"}},
        {"type": "text", "text": 'Title: Lamp 1\nText: \nCategories: ["Home > Lamps", "Home > Chairs"]'},
    ]
    assert adapter.has_images(dataset[1])


@pytest.mark.parametrize("block", [{}, {"template": {"system": "Answer with JSON."}}], ids=["nothing", "system alone"])
def test_without_a_prompt_one_is_asked_for_before_anything_is_sent(audit, catalogue, block):
    catalogue(OFFLINE, **block)
    result = audit.run("--mlperf-data-dir=data", config="q3vl.yaml")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in result.errlines if line.strip()]
    assert f"{Path(FILE).name} row 1: has a product and no prompt" in line
    assert "template: {prompt: " in line
