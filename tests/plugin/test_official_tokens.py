"""Output tokens counted by the model's own tokenizer and chat template: the main run's figures and MLPerf's file."""

from __future__ import annotations

import json

import pytest

from tests.support.reference import REASONS, write_reference

pytest.importorskip("tokenizers")

#: The reply of the tests' server, "answer 0123456789ab", is of so many bytes; it reports 4 tokens.
N_BYTES = 19
N = 6


def main_run(audit, sut=None, tokenizer="model", simulated=None, n_processes=1, **params):
    audit.rows(N)
    audit.config(
        sut,
        type="online",
        model_params={"name": "m", "streaming": "off", **({"tokenizer": tokenizer} if tokenizer else {}), **params},
        audit=None,
        settings={
            "load_pattern": {"type": "concurrency", "target_concurrency": 2},
            **({"client": {"num_workers": n_processes}} if n_processes > 1 else {}),
        },
        endpoint_config={"api_type": "openai", **({"simulated": simulated} if simulated else {})},
    )


def entry(audit):
    [found] = audit.verdict()["audits"]
    return found


@pytest.fixture
def model(audit):
    """A directory beside the YAML."""
    return write_reference(audit.path / "model")


@pytest.mark.usefixtures("model")
def test_a_usage_that_lies_is_named_and_does_not_count(audit, start_sut):
    main_run(audit, start_sut(service_ms=1))
    assert audit.run().ret == 0
    found = entry(audit)
    assert found["figures"]["output_tokens"] == N * N_BYTES
    assert found["figures"]["reported_output_tokens"] == N * 4
    lie = "report 24 output tokens in their usage, and have 114 by the official count (-78.9%)"
    assert any(lie in note for note in found["notes"])
    assert any("counted by tokenizer.json sha256:" in note for note in found["notes"])
    summary = json.loads((audit.report() / "performance" / "result_summary.json").read_text())
    assert summary["output_sequence_lengths"]["total"] == N * N_BYTES
    assert summary["tps"] == pytest.approx(N * N_BYTES / (summary["duration_ns"] / 1e9))
    assert summary["tpot"] == {}, "only streams have a time per token"


def test_without_a_tokenizer_all_is_as_the_server_says(audit, start_sut):
    main_run(audit, start_sut(service_ms=1), tokenizer=None)
    assert audit.run().ret == 0
    assert "output_tokens" not in entry(audit)["figures"]
    summary = json.loads((audit.report() / "performance" / "result_summary.json").read_text())
    assert summary["output_sequence_lengths"]["total"] == N * 4
    assert '"message"' not in (audit.report() / "performance" / "queries.jsonl").read_text()


@pytest.mark.usefixtures("model")
def test_a_stream_is_timed_by_what_follows_its_first_piece(audit):
    main_run(audit, streaming="on", simulated={"service_time_ms": 4.0, "output_tokens": 3})
    assert audit.run().ret == 0
    figures = entry(audit)["figures"]
    queries = [json.loads(line) for line in (audit.report() / "performance" / "queries.jsonl").read_text().splitlines()]
    texts = [query["message"]["content"] for query in queries]
    assert figures["output_tokens"] == sum(map(len, texts)) > figures["reported_output_tokens"] == 3 * N
    took = [
        (query["completed_ns"] - query["first_token_ns"]) / (len(text) - query["message"]["n_first"]) / 1e6
        for query, text in zip(queries, texts, strict=True)
    ]
    assert min(took) <= figures["tpot_ms"] <= max(took)


@pytest.mark.parametrize("absolute", [True, False])
def test_a_recheck_counts_again(audit, start_sut, model, absolute):
    main_run(audit, start_sut(service_ms=1), tokenizer=str(model) if absolute else model.name)
    assert audit.run().ret == 0
    run = audit.report()
    assert audit.run(f"--mlperf-recheck={run}", config=None).ret == 0
    path = run / "performance" / "tokens.json"
    path.write_text(path.read_text().replace('"counts": "EwAA', '"counts": "FwAA'))
    result = audit.run(f"--mlperf-recheck={run}", config=None)
    assert result.ret != 0
    result.stdout.fnmatch_lines(["*performance/tokens.json: its counts are not those that tokenizer.json*"])


def test_a_recheck_renders_nothing_that_came_with_the_run(audit, start_sut):
    (audit.path / "mlperf-reports").mkdir()
    write_reference(audit.path / "mlperf-reports" / "model")
    main_run(audit, start_sut(service_ms=1), tokenizer="mlperf-reports/model")
    assert audit.run().ret == 0
    run = audit.report()
    (audit.path / "mlperf-reports" / "model" / "chat_template.jinja").write_text("{{ raise_exception('rendered') }}")
    result = audit.run(f"--mlperf-recheck={run}", config=None)
    assert result.ret == 0
    path = run / "performance" / "tokens.json"
    path.write_text(path.read_text().replace('"counts": "EwAA', '"counts": "FwAA'))
    result = audit.run(f"--mlperf-recheck={run}", config=None)
    assert result.ret != 0, "its digest tells"
    result.stdout.no_fnmatch_line("*its counts are not those*")


@pytest.mark.usefixtures("model")
def test_what_several_processes_sent_is_counted_as_one(audit, start_sut):
    main_run(audit, start_sut(service_ms=1), n_processes=2)
    assert audit.run().ret == 0
    assert entry(audit)["figures"]["output_tokens"] == N * N_BYTES


def test_replies_that_the_template_refuses_leave_the_servers_count(audit, start_sut):
    never = "{% if 'answer' in messages[-1].content %}{{ raise_exception('not this') }}{% endif %}"
    write_reference(audit.path / "model", REASONS + never)
    main_run(audit, start_sut(service_ms=1))
    assert audit.run().ret == 0
    found = entry(audit)
    assert "output_tokens" not in found["figures"]
    assert any(f"the chat template refuses {N} of {N} replies (not this)" in note for note in found["notes"])
    summary = json.loads((audit.report() / "performance" / "result_summary.json").read_text())
    assert summary["output_sequence_lengths"]["total"] == N * 4


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "xdist"])
def test_a_directory_that_cannot_be_used_sends_nothing(audit, start_sut, workers):
    sut = start_sut()
    main_run(audit, sut, tokenizer="org/model")
    result = audit.run(*workers)
    assert (result.ret, sut.received) == (4, 0)
    result.stderr.fnmatch_lines(["*model_params.tokenizer: org/model is no directory; name the local one*"])


def test_videos_have_no_tokens(audit, sut):
    write_reference(audit.path / "model")
    audit.config(sut, model_params={"tokenizer": "model"}, audit={"only": False})
    assert (audit.run().ret, sut.received) == (4, 0)
