"""JSONL, JSON, CSV and Parquet: what is read, and what is refused with file and line."""

from __future__ import annotations

import csv
import datetime
import sys
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlperf_audit.config.dataset import DatasetConfig
from pytest_mlperf_audit.datasets import load_dataset

BOM = b"\xef\xbb\xbf"
TWO = [{"prompt": "a b", "n": 1}, {"prompt": "ä", "n": None}]


def all_of(dataset) -> list[dict[str, object]]:
    return [dict(dataset[index]) for index in range(len(dataset))]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.jsonl", '{"prompt": "a b", "n": 1}\n{"prompt": "ä", "n": null}\n'),
        ("x.jsonl", '\n  {"prompt": "a b", "n": 1}  \r\n\r\n{"prompt": "\\u00e4", "n": null}'),
        ("x.jsonl", BOM + '{"prompt": "a b", "n": 1}\n{"prompt": "ä", "n": null}\n'.encode()),
        ("x.json", '[{"prompt": "a b", "n": 1},\n {"prompt": "ä", "n": null}]'),
        ("x.json", BOM + '\n[{"prompt": "a b", "n": 1}, {"prompt": "ä", "n": null}]\n'.encode()),
        ("x.json", '{"data": [{"prompt": "a b", "n": 1}, {"prompt": "ä", "n": null}]}'),
        ("x.JSONL", '{"prompt": "a b", "n": 1}\n{"prompt": "ä", "n": null}\n'),
    ],
)
def test_json_rows(rows, name: str, content: str | bytes):
    dataset = rows(name, content)
    assert all_of(dataset) == TWO
    assert dataset.name == "x"
    assert dataset.path.name == name


def test_format_wins_over_suffix(rows):
    assert len(rows("rows.txt", '{"prompt": "a"}\n', format="jsonl")) == 1
    assert len(rows("rows.json", '{"prompt": "a"}\n{"prompt": "b"}', format="jsonl")) == 2


def test_csv_rows(rows):
    dataset = rows("x.csv", BOM + b'prompt,n\r\na b,1\r\n\r\n"two\r\nlines, ""quoted""",\r\n')
    assert all_of(dataset) == [{"prompt": "a b", "n": "1"}, {"prompt": 'two\r\nlines, "quoted"', "n": None}]
    assert dataset.where(0) == "x.csv line 2"
    assert dataset.where(1) == "x.csv line 4"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.tsv", "prompt\tn\na, b\t1\nc\t\n"),
        ("x.csv", 'prompt\tn\n"a, b"\t1\nc\t\n'),
        ("x.csv", "prompt;n\na, b;1\nc;\n"),
        ("x.csv", ',prompt,n\n0,"a, b",1\n1,c,\n'),
        ("x.csv", "prompt;n\na, b;1\nc;\n".encode("utf-16")),
    ],
    ids=["tsv", "tabs", "semicolons", "pandas index", "utf-16"],
)
def test_tables_as_spreadsheets_and_pandas_write_them(rows, name: str, content: str | bytes):
    assert all_of(rows(name, content)) == [{"prompt": "a, b", "n": "1"}, {"prompt": "c", "n": None}]


def test_captions_as_mlperf_has_them_for_stable_diffusion_xl(rows):
    """text_to_image/coco2014/captions: tabs, and quotes only where a caption has some itself."""
    content = 'id\timage_id\tcaption\theight\n70\t227\tA kite, red.\t640\n71\t228\t"A sign that reads ""stop""."\t480\n'
    dataset = rows("captions.tsv", content, parser={"prompt": "caption"})
    assert all_of(dataset) == [
        {"id": "70", "image_id": "227", "height": "640", "prompt": "A kite, red."},
        {"id": "71", "image_id": "228", "height": "480", "prompt": 'A sign that reads "stop".'},
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.jsonl", '{"prompt": "a", "n": NaN}\n{"prompt": "b", "n": -Infinity}\n'),
        ("x.json", '[{"prompt": "a", "n": NaN}, {"prompt": "b", "n": Infinity}]'),
        ("x.json", '{"version": 2, "rows": [{"prompt": "a", "n": null}, {"prompt": "b"}]}'),
        ("x.jsonl", '{"prompt": "a"}\n{"prompt": "b"}\n'.encode("utf-16")),
        ("x.json", '[{"prompt": "a"}, {"prompt": "b"}]'.encode("utf-16")),
    ],
    ids=["NaN in lines", "NaN in a list", "wrapped", "utf-16 lines", "utf-16 list"],
)
def test_json_as_other_tools_write_it(rows, name: str, content: str | bytes):
    read = [{key: value for key, value in row.items() if value is not None} for row in all_of(rows(name, content))]
    assert read == [{"prompt": "a"}, {"prompt": "b"}]


def test_a_csv_value_longer_than_the_csv_modules_limit(rows):
    limit = csv.field_size_limit()
    assert len(rows("x.csv", "prompt\n" + "y" * 200_000 + "\n")[0]["prompt"]) == 200_000
    assert csv.field_size_limit() == limit


def test_parquet_rows(tmp_path: Path):
    path = tmp_path / "x.parquet"
    day = datetime.date(2024, 1, 2)
    pq.write_table(
        pa.table({"prompt": ["a", "b"], "tokens": [[1, 2], None], "raw": [b"\x00", b""], "day": [day, None]}), path
    )
    dataset = load_dataset(DatasetConfig(path=path), [])
    assert all_of(dataset) == [
        {"prompt": "a", "tokens": [1, 2], "raw": "AA==", "day": "2024-01-02"},
        {"prompt": "b", "tokens": None, "raw": "", "day": None},
    ]
    assert dataset.where(1) == "x.parquet row 2"


def test_a_parquet_file_longer_than_a_batch(tmp_path: Path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"prompt": [str(at) for at in range(3000)]}), path)
    dataset = load_dataset(DatasetConfig(path=path, samples=2500), [])
    assert len(dataset) == 2500
    assert dataset[2499] == {"prompt": "2499"}


def test_parquet_without_pyarrow(fault, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    message = "x.parquet: reading Parquet needs pyarrow; pip install 'pytest-mlperf-audit[parquet]'"
    assert fault("x.parquet", b"PAR1") == message


def test_pyarrow_is_not_loaded_for_other_formats(tmp_path: Path):
    import subprocess

    (tmp_path / "x.jsonl").write_text('{"prompt": "a"}\n')
    code = (
        "import sys; from pathlib import Path; from pytest_mlperf_audit.config.dataset import DatasetConfig;"
        "from pytest_mlperf_audit.datasets import load_dataset;"
        "load_dataset(DatasetConfig(path=Path('x.jsonl')), [Path.cwd()]); assert 'pyarrow' not in sys.modules"
    )
    environment = {"PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True, timeout=60)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "x.jsonl: holds no rows; check that this is the right file"),
        ("\n \n\n", "x.jsonl: holds no rows; check that this is the right file"),
        (
            '{"a": 1}\n\n{"a": }\n',
            "x.jsonl line 3: is not valid JSON (invalid character (byte 6)); correct or remove it",
        ),
        ('{"a": 1}\n{"a": 1', "x.jsonl line 2: is not valid JSON (Input data was truncated); correct or remove it"),
        ('{"a": 1}\n[1]\n', 'x.jsonl line 2: is not a JSON object; write each row as {"prompt": "..."}'),
        ('"text"\n', "x.jsonl line 1: is not a JSON object"),
        ('{"a": 1} {"a": 2}\n', "x.jsonl line 1: is not valid JSON (trailing characters"),
        (b'{"a": 1}\n{"a": "\xff"}\n', "x.jsonl line 2: is not UTF-8; save the file as UTF-8"),
        ('{"a": NaN, "b": }\n', "x.jsonl line 1: is not valid JSON"),
        ("prompt,n\na,1\n", "x.jsonl line 1: is not valid JSON"),
        ('{"a": ' + "[" * 100_000, "x.jsonl line 1: is not valid JSON"),
        (b"\x89PNG\r\n\x1a\n\x00", "x.jsonl line 1: is not"),
    ],
)
def test_broken_jsonl(fault, content: str | bytes, message: str):
    assert fault("x.jsonl", content).startswith(message)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "x.json: holds no rows; check that this is the right file"),
        (
            '{"a": 1}',
            "x.json: is not a JSON array of rows; give a list of objects, or one object a line in a .jsonl file",
        ),
        ('{"data": {"a": 1}}', "x.json: is not a JSON array of rows"),
        ('{"data": [], "more": 1}', "x.json: is not a JSON array of rows"),
        ('[{"a": 1},\n {"a": 2},\n 3]', 'x.json row 3: is not a JSON object; write each row as {"prompt": "..."}'),
        (
            '[{"a": 1},\n {"a": 2},\n {"a": }]',
            "x.json line 3: is not valid JSON (invalid character (byte 29)); correct it",
        ),
        ('[{"a": 1},\n', "x.json line 1: is not valid JSON (Input data was truncated); correct it"),
        (b'[{"a": 1},\n {"a": "\xff"}]', "x.json line 2: is not UTF-8; save the file as UTF-8"),
        ("", "x.json line 1: is not valid JSON"),
        ('{"a": 1}\n{"a": 2}\n', "x.json line 2: is not valid JSON"),
    ],
)
def test_broken_json(fault, content: str | bytes, message: str):
    assert fault("x.json", content).startswith(message)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "x.csv: holds no rows; check that this is the right file"),
        ("prompt,n\n", "x.csv: holds no rows; check that this is the right file"),
        ("prompt,n\na,1\n\nb\n", "x.csv line 4: has 1 values for 2 columns; quote values that hold commas"),
        ("prompt,n\na,1,2\n", "x.csv line 2: has 3 values for 2 columns; quote values that hold commas"),
        ('prompt,n\n"a\nb",1\nc\n', "x.csv line 4: has 1 values for 2 columns"),
        ('prompt,n\na,1\n"b" x,2\n', "x.csv line 3: is not valid CSV"),
        ('prompt,n\na,1\n"b,2\n', "x.csv line 3: is not valid CSV (unexpected end of data); correct its quotes"),
        ("prompt,prompt\na,b\n", "x.csv line 1: column names must be present and distinct; correct the first line"),
        ("prompt,,\na,b,c\n", "x.csv line 1: column names must be present and distinct; correct the first line"),
        ("prompt\tn\na\n", "x.csv line 2: has 1 values for 2 columns; quote values that hold tabs"),
        (b"prompt\na\n\xff\n", "x.csv line 3: is not UTF-8; save the file as UTF-8"),
    ],
)
def test_broken_csv(fault, content: str | bytes, message: str):
    assert fault("x.csv", content).startswith(message)


@pytest.mark.parametrize("content", [b"", b"not parquet", b"PAR1" + b"\x00" * 20 + b"PAR1"])
def test_broken_parquet(fault, content: bytes):
    message = fault("x.parquet", content)
    assert message.startswith("x.parquet: is not a readable Parquet file (")
    assert message.endswith("; check path and format")


def test_a_cut_parquet_file(fault, tmp_path: Path):
    whole = tmp_path / "whole.parquet"
    pq.write_table(pa.table({"prompt": ["a"] * 100}), whole)
    assert "is not a readable Parquet file" in fault("x.parquet", whole.read_bytes()[:-50])


values = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)


@given(st.lists(st.dictionaries(st.text(), values, max_size=3), min_size=1, max_size=8))
def test_any_json_rows_come_back(tmp_path_factory, data: list[dict[str, object]]):
    path = tmp_path_factory.mktemp("rows") / "x.jsonl"
    path.write_bytes(b"\n".join(msgspec.json.encode(row) for row in data))
    assert all_of(load_dataset(DatasetConfig(path=path, parser={}), [])) == [_prompted(row) for row in data]
    path.with_suffix(".json").write_bytes(msgspec.json.encode(data))
    assert all_of(load_dataset(DatasetConfig(path=path.with_suffix(".json")), [])) == [_prompted(row) for row in data]


def _prompted(row: dict[str, object]) -> dict[str, object]:
    from pytest_mlperf_audit.datasets.dataset import renamed

    return renamed(row, {}, "")


def test_columns_of_an_api_are_not_taken_for_a_prompt(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"input": ["a"], "question": "q"}\n{"question": "q"}\n{"instruction": "i", "input": "a"}\n')
    rows = [{"input": ["a"], "question": "q"}, {"prompt": "q"}, {"instruction": "i", "input": "a"}]
    assert all_of(load_dataset(DatasetConfig(path=path), [], ["input"])) == rows
    renamed = {"input": "question"}
    rows = [{"input": "q"}, {"input": "q"}]
    path.write_text('{"question": "q"}\n{"question": "q"}\n')
    assert all_of(load_dataset(DatasetConfig(path=path, parser=renamed), [], ["input"])) == rows
