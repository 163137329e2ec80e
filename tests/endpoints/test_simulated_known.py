"""Caches that know prompts in advance: a precomputed table and an allow-list, and the file they are read from."""

from __future__ import annotations

import csv
import json
import os
import re
from pathlib import Path

import pytest

from pytest_mlperf_audit.config.endpoint import EndpointConfig, SimulatedConfig
from pytest_mlperf_audit.endpoints.simulated import process
from pytest_mlperf_audit.endpoints.simulated.model import load_known, with_known_prompts
from pytest_mlperf_audit.errors import DatasetError, EndpointError

CHAT = "/v1/chat/completions"
KNOWN = ["a red kite", "a blue boat, at sea", "grün"]
LOOKUPS = ("arrival", "served")


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows))
    elif path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(rows), path)
    return path


@pytest.fixture
def table(tmp_path):
    return write(tmp_path / "known.jsonl", [{"prompt": prompt} for prompt in KNOWN])


@pytest.mark.parametrize("lookup", LOOKUPS)
def test_a_precomputed_table_hits_from_the_first_time_on(simulated, table, lookup):
    client = simulated(cache="precomputed", known_prompts=table, cache_lookup=lookup)
    cold = [client.chat(prompt) for prompt in KNOWN]
    assert client.counts() == (3, 0, 3, 0)
    warm = [client.chat(prompt) for prompt in KNOWN]
    assert client.counts() == (6, 0, 6, 0)
    assert len({reply.json()["id"] for reply in cold + warm}) == 6, "a table of answers, and not of replies"
    honest = simulated()
    for before, after, prompt in zip(cold, warm, KNOWN, strict=True):
        assert before.json()["choices"] == after.json()["choices"] == honest.chat(prompt).json()["choices"]
    client.send("POST", "/simulated/reset")
    client.video(KNOWN[1])
    assert client.counts() == (1, 0, 1, 0), "a reset does not take the table away"


def test_a_precomputed_table_computes_every_other_prompt_and_stores_nothing(simulated, table):
    client = simulated(cache="precomputed", known_prompts=table)
    others = ["a red kite 5eed", "5eed a red kite", "a red  kite", "A red kite", "a red kite ", "a red"]
    for _ in range(2):
        client.at_once(others)
    assert client.counts() == (12, 12, 0, 0)


@pytest.mark.parametrize("lookup", LOOKUPS)
def test_an_allow_list_stores_known_prompts_alone(simulated, table, lookup):
    client = simulated(cache="allow_list", known_prompts=table, cache_lookup=lookup)
    cold = [client.video(prompt) for prompt in KNOWN]
    assert client.counts() == (3, 3, 0, 0)
    assert [client.video(prompt).body for prompt in KNOWN] == [reply.body for reply in cold]
    assert client.counts() == (6, 3, 3, 0)
    unknown = [client.video("a red kite 5eed").body for _ in range(3)]
    assert len(set(unknown)) == 3
    assert client.counts() == (9, 6, 3, 0)
    client.video(KNOWN[0], seed=7)
    assert client.counts() == (10, 7, 3, 0), "known or not, the bytes must be the same"
    client.send("POST", "/simulated/reset")
    assert client.video(KNOWN[0]).body != cold[0].body
    assert client.counts() == (1, 1, 0, 0)


def test_an_allow_list_admits_on_the_second_use(simulated, table):
    client = simulated(cache="allow_list", known_prompts=table, admit_after=2)
    replies = [client.video(KNOWN[0]).body for _ in range(4)]
    assert len(set(replies)) == 2
    assert client.counts() == (4, 2, 2, 0)


def test_replicas_share_the_table_and_not_the_allow_list(simulated, table):
    counts = []
    for cache in ("precomputed", "allow_list"):
        client = simulated(cache=cache, known_prompts=table, replicas=3)
        for _ in range(30):
            client.video(KNOWN[0])
        counts.append(client.counts())
    assert counts == [(30, 0, 30, 0), (30, 3, 27, 0)]


@pytest.mark.parametrize(
    ("messages", "hit"),
    [
        ([{"role": "system", "content": "be terse"}, {"role": "user", "content": KNOWN[0]}], True),
        ([{"role": "user", "content": [{"type": "text", "text": KNOWN[0]}]}], True),
        (
            [
                {"role": "user", "content": "hello"},
                {"role": "assistant", "content": "hi"},
                {"role": "user", "content": KNOWN[0]},
            ],
            True,
        ),
        ([{"role": "user", "content": KNOWN[0]}, {"role": "user", "content": "hello"}], False),
        ([{"role": "system", "content": KNOWN[0]}], False),
        ([{"role": "user", "content": f"be terse {KNOWN[0]}"}], False),
    ],
)
def test_what_the_user_says_last_is_what_is_known(simulated, table, messages, hit):
    client = simulated(cache="precomputed", known_prompts=table)
    answered = client.send("POST", CHAT, json.dumps({"messages": messages}).encode())
    assert answered.status == 200
    assert client.counts() == (1, int(not hit), int(hit), 0)


def test_a_streamed_answer_from_the_table_comes_whole(simulated, table):
    client = simulated(cache="precomputed", known_prompts=table)
    answered = client.chat(KNOWN[0], stream=True)
    assert answered.media_type == "text/event-stream"
    assert answered.body.count(b"data: ") == 1 + 16 + 1 + 1
    assert client.counts() == (1, 0, 1, 0)


@pytest.mark.parametrize("name", ["known.jsonl", "known.json", "known.csv", "known.parquet"])
def test_formats(tmp_path, name):
    path = write(tmp_path / name, [{"id": at, "prompt": prompt} for at, prompt in enumerate(KNOWN)])
    assert load_known(Path(name), [tmp_path / "elsewhere", tmp_path]) == (path.resolve(), frozenset(KNOWN), {})


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("known.jsonl", None, "'known_prompts': no such file; looked for .*known.jsonl; correct path"),
        ("known.jsonl", "", "holds no rows"),
        ("known.jsonl", '{"prompt": "p"}\nnonsense\n', "line 2: is not valid JSON"),
        ("known.jsonl", '{"prompt": "p"}\n{"text": "p"}\n', "known.jsonl line 2: has no text 'prompt'.*give it one"),
        ("known.jsonl", '{"prompt": ["p"]}\n', "known.jsonl line 1: has no text 'prompt'"),
        ("known.yaml", "prompt: p", "its suffix names no known format"),
        ("known.parquet", "prompt", "is not a readable Parquet file"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path, name, text, message):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(DatasetError, match=message):
        load_known(Path(name), [tmp_path])
    config = SimulatedConfig(cache="precomputed", known_prompts=tmp_path / name)
    with pytest.raises(EndpointError, match=f"exit status 2; its stderr says: simulated endpoint: .*{message}"):
        process.start(config, watch_pid=os.getpid())


def test_an_endpoint_without_known_prompts_is_left_alone(tmp_path, table):
    honest = EndpointConfig()
    assert with_known_prompts(honest, [tmp_path]) is honest
    relative = EndpointConfig(simulated=SimulatedConfig(cache="allow_list", known_prompts=Path("known.jsonl"), lanes=3))
    found = with_known_prompts(relative, [tmp_path])
    assert found.simulated == SimulatedConfig(cache="allow_list", known_prompts=table.resolve(), lanes=3)


PRINT_STATS = """
import json, urllib.request

def test_stats(mlperf_phases, mlperf_endpoint):
    assert mlperf_phases["test04"]["output_caching"].complete
    with urllib.request.urlopen(mlperf_endpoint.urls[0] + "/simulated/stats") as reply:
        stats = json.load(reply)
    assert stats["cache_hits"] >= 16, "all of the two phases, which blocks of twins may follow"
    assert stats["computed"] == stats["received"] - stats["cache_hits"]
"""


def test_in_a_yaml_the_path_is_relative_to_its_directory(audit):
    simulated = {"cache": "precomputed", "known_prompts": "prompts.jsonl"}
    audit.config(name="configs/wan22.yaml", audit={"probe": False}, endpoint_config={"simulated": simulated})
    (audit.path / "prompts.jsonl").rename(audit.path / "configs" / "prompts.jsonl")
    (audit.path / "test_stats.py").write_text(PRINT_STATS)
    result = audit.run("-k", "test_stats or completion", config="configs/wan22.yaml")
    result.assert_outcomes(passed=3)


@pytest.mark.parametrize(
    ("simulated", "message"),
    [
        (
            {"cache": "precomputed", "known_prompts": "gone.jsonl"},
            "wan22.yaml:[0-9]+: endpoint_config.simulated.known_prompts: .*no such file; looked for .*gone.jsonl",
        ),
        (
            {"cache": "allow_list", "known_prompts": "wan22.yaml"},
            "wan22.yaml:[0-9]+: endpoint_config.simulated.known_prompts: .*suffix names no known format",
        ),
        ({"cache": "precomputed"}, "wan22.yaml:[0-9]+: .*known_prompts: is required by cache 'precomputed'; name"),
        ({"cache": "exact", "known_prompts": "prompts.jsonl"}, "known_prompts: has no effect on cache 'exact'; set"),
        ({"cache": "semantic", "admit_after": 2}, "admit_after: has no effect on cache 'semantic', .*; set cache to"),
        ({"cache": "near_duplicates"}, "is not one of .*; did you mean 'near_duplicate'"),
    ],
)
def test_a_mistake_is_told_before_anything_is_sent(audit, simulated, message):
    audit.config(endpoint_config={"simulated": simulated})
    result = audit.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert re.search(f"ERROR: .*{message}", str(result.stderr))
    assert "Traceback" not in str(result.stderr)
    assert not (audit.path / "mlperf-reports").exists()
