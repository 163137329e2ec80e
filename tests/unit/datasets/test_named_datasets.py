"""Where a data set lies that is known by name alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_mlperf_audit.datasets import find_named
from pytest_mlperf_audit.errors import DatasetError


@pytest.mark.parametrize(
    ("name", "file", "columns"),
    [
        ("cnn_dailymail::llama3_8b", "cnn_eval.json", {"highlights": "output"}),
        ("cnn_dailymail::llama3_8b", "cnn_dailymail/cnn_dailymail.parquet", {}),
        ("cnn_dailymail::llama3_8b", "cnn_dailymail-llama3_8b.jsonl", {}),
        ("aime25::gptoss", "aime25/aime25.parquet", {}),
        ("gpqa::gptoss", "gpqa/diamond/gpqa_diamond.parquet", {}),
        ("livecodebench::gptoss", "livecodebench/release_v6/livecodebench_release_v6.parquet", {}),
        ("open_orca::llama2_70b", "open_orca_gpt4_tokenized_llama.sampled_24576.jsonl", {}),
        (
            "shopify_product_catalogue::q3vl",
            "shopify_product_catalogue/train+test/shopify_product_catalogue_train+test.parquet",
            {},
        ),
        ("my-own", "my-own.csv", {}),
    ],
)
def test_a_file_of_mlperf_or_of_the_endpoints_tool(tmp_path: Path, name: str, file: str, columns: dict[str, str]):
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    assert find_named(name, tmp_path) == (path.resolve(), columns)


def test_of_several_none_is_chosen(tmp_path: Path):
    for release in ("v5", "v6"):
        path = tmp_path / f"livecodebench/{release}/livecodebench_{release}.parquet"
        path.parent.mkdir(parents=True)
        path.touch()
    with pytest.raises(DatasetError, match=r"several files may be it: .*v5.*v6.*; give one as its path"):
        find_named("livecodebench::gptoss", tmp_path)


@pytest.mark.parametrize("name", ["../secrets", "/etc/passwd", "*", "a/b", "::", ""])
def test_no_name_leads_out_of_the_directory(tmp_path: Path, name: str):
    (tmp_path.parent / "secrets.json").touch()
    with pytest.raises(DatasetError, match="no file of it"):
        find_named(name, tmp_path)
