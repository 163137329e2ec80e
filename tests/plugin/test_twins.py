"""TEST04 of a language model: repeats against fresh twins; and a duration floor longer than the rows last."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support.lane_process import LaneProcesses

RATIO, CHAT = "throughput_ratio", {"api_type": "openai"}
#: Words of each row, which no two have alike; 3 is by far the cheapest.
LENGTHS = [140, 144, 148, 16, 142, 146, 138, 136]


@pytest.fixture(scope="module")
def lanes() -> Iterator[LaneProcesses]:
    with LaneProcesses() as processes:
        yield processes


@pytest.fixture
def chat(audit):
    """Write a YAML for a chat endpoint whose rows differ in length."""
    lines = (json.dumps({"prompt": " ".join(f"w{row}.{at}" for at in range(n))}) for row, n in enumerate(LENGTHS))
    (audit.path / "prompts.jsonl").write_text("\n".join(lines))

    def config(sut, **blocks):
        load = {"load_pattern": {"type": "concurrency", "target_concurrency": 2}}
        changes = {"type": "online", "model_params": {"name": "llama3.1-8b"}, "settings": load, **blocks}
        return audit.config(sut.url, endpoint_config={**CHAT, "endpoints": [sut.url]}, **changes)

    return config


def check(audit, name=RATIO):
    return next(check for check in audit.verdict()["audits"][-1]["checks"] if check["name"] == name)


def prompts(sut):
    return [json.loads(body)["messages"][-1]["content"] for body in sut.bodies()]


def test_a_cheap_row_is_no_cache(audit, chat, lanes):
    sut = lanes.start(kind="prefill_dominated", lanes=2, service_ms=40, cv=0.01)
    chat(sut, audit={"reference": "rows"})
    assert audit.run().ret == 0
    of_rows = audit.verdict()["audits"][-1]["figures"]["ratio_first_pair"]
    assert check(audit)["observed"] < of_rows / 2, "blocks compare with twins, whatever the phases did"
    chat(sut)
    assert audit.run().ret == 0
    assert check(audit)["observed"] < of_rows / 2
    sut.stop()


def test_what_is_sent(audit, chat, start_sut, lone_or_spread):
    sut = start_sut(lanes=2, service_ms=5, repeat_ms=20)
    chat(sut)
    result = audit.run("--mlperf-layout=both", *lone_or_spread)
    assert result.ret == 0, str(result.stdout)
    row = json.loads((audit.path / "prompts.jsonl").read_text().splitlines()[3])["prompt"]
    sent = prompts(sut)
    twins, repeats = sent[:8], sent[8:16]
    assert set(repeats) == {row}
    assert len({*twins, row}) == 9
    assert all(len(twin.split()) == 16 and twin.split()[8:] == row.split()[8:] for twin in twins)
    assert check(audit, "requests_distinct[reference]")["observed"] == 8
    phase = audit.phase("reference")
    assert phase["spec"]["order"] == {"kind": "in_turn", "rows": [3]}
    assert phase["spec"]["nonce"] == "twin"
    assert phase["spec"]["nonce_seed"]
    result.stdout.fnmatch_lines(
        [
            "  MLPerf compares with other rows, whose cost may differ, and exempts llama3.1-8b from TEST04",
        ]
    )
    written = (audit.report() / "TEST04" / "verify_performance.txt").read_text()
    assert "reference of fresh twins of the repeated row: MLPerf compares with other rows" in written
    verdict = audit.verdict()["audits"][-1]
    assert [ratio["over"] for ratio in verdict["ratios"]] == ["twins"]
    assert verdict["ratios"][0]["mlperf"].endswith("exempts llama3.1-8b from TEST04")


def test_several_processes_send_the_same_twins_to_nobody(audit, chat, start_sut):
    sut = start_sut(lanes=2, service_ms=5, repeat_ms=20)
    load = {"type": "concurrency", "target_concurrency": 2}
    chat(sut, settings={"load_pattern": load, "client": {"num_workers": 2}})
    assert audit.run().ret == 0
    assert len(audit.phase("reference")["workers"]) == 2
    assert len(set(prompts(sut)[:8])) == 8


def test_a_run_against_twins_is_confirmed_and_a_forged_one_is_not(audit, chat, start_sut):
    chat(start_sut(lanes=2, service_ms=5, repeat_ms=20))
    audit.run()
    again = audit.run(f"--mlperf-recheck={audit.report()}", config=None)
    assert again.ret == 0, str(again.stdout)
    log = audit.report() / "audit" / "reference" / "queries.jsonl"
    log.write_text(log.read_text().replace('"sample":3', '"sample":4', 1))
    forged = audit.run(f"--mlperf-recheck={audit.report()}", config=None)
    assert forged.ret == 1, str(forged.stdout)


def test_twins_are_new_to_a_cache_that_knows_all_rows(audit, chat, start_sut):
    sut = start_sut(lanes=2, service_ms=5, repeat_ms=20)
    chat(sut)
    audit.run()
    known = prompts(sut)
    audit.run()
    twins, repeat = prompts(sut)[len(known) :][:8], prompts(sut)[len(known) + 8]
    assert repeat in known
    assert not set(twins) & set(known)


def test_several_rows_of_different_cost(audit, chat, lanes):
    sut = lanes.start(kind="prefill_dominated", lanes=2, service_ms=20, cv=0.01)
    chat(sut, audit={"sample_index": [3, 2], "samples": 16})
    result = audit.run()
    assert result.ret != 1, str(result.stdout)
    assert [ratio["row"] for ratio in audit.verdict()["audits"][-1]["ratios"]] == [3, 2, None]
    assert [ratio["n_distinct"] for ratio in audit.verdict()["audits"][-1]["ratios"]] == [8, 8, 16]
    sut.stop()


def test_a_reply_that_is_short_by_itself_is_no_cache(audit, chat, lanes):
    row = " ".join(["briefly", *(f"a{at}" for at in range(23))])
    (audit.path / "prompts.jsonl").write_text(json.dumps({"prompt": row}))
    sut = lanes.start(kind="variable_length", lanes=2, service_ms=60, cv=0.01)
    chat(sut, audit={"sample_index": 0, "threshold": 0.1})
    result = audit.run()
    assert result.ret != 1, str(result.stdout)
    assert audit.verdict()["audits"][-1]["figures"]["ratio_first_pair"] > check(audit)["observed"]
    sut.stop()


def test_a_floor_longer_than_the_rows_last(audit, start_sut):
    sut = start_sut(lanes=1, service_ms=5, repeat_ms=0)
    audit.config(sut, settings={"runtime": {"min_duration_ms": 600}}, audit={"probe": False})
    result = audit.run()
    assert result.ret != 1, str(result.stdout)
    assert check(audit, "duration[reference]")["passed"] is True
    distinct = check(audit, "requests_distinct[reference]")
    assert (distinct["passed"], distinct["observed"]) == (True, 16)
    assert audit.phase("reference")["figures"]["n_issued"] > 16
    assert "a cache may have served all passes but the first" in check(audit)["reason"]
    assert audit.phase("confirmation")["status"] == "complete"
    result.stdout.fnmatch_lines(["*warning: test04: phase reference: from 26.7 queries a second on, its 16 rows are*"])
    assert any(
        "16 rows of the reference phase were gone through" in note for note in audit.verdict()["audits"][-1]["notes"]
    )


def test_with_the_probe_a_floor_is_within_reach(audit, start_sut):
    sut = start_sut(lanes=1, service_ms=5, repeat_ms=10)
    audit.config(sut, settings={"runtime": {"min_duration_ms": 600}}, audit={"probe": True})
    result = audit.run()
    assert result.ret == 0, str(result.stdout)
    assert audit.verdict()["audits"][-1]["figures"]["probe"] == "CLEAN"
