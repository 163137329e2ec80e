"""`endpoint_config.metrics`: the servers' own counters beside the verdict, and in no case instead of it."""

from __future__ import annotations

import pytest


def notes(audit, audit_id="test04"):
    [entry] = [entry for entry in audit.verdict()["audits"] if entry["id"] == audit_id]
    return [note.removeprefix("server counters: ") for note in entry["notes"] if note.startswith("server counters: ")]


def config(audit, sut, *pages, **test04):
    audit.config(
        sut,
        type="online",
        settings={"load_pattern": {"type": "concurrency", "target_concurrency": 1}},
        audit={"probe": False, **test04},
        endpoint_config={"metrics": list(pages or [f"{sut.url}/metrics"])},
    )


def test_a_cache_shows_in_its_own_counters(audit, start_sut, lone_or_spread):
    sut = start_sut(cache="exact", hit_ms=30)  # as slow as a miss, so that no blocks follow
    config(audit, sut)
    audit.run(*lone_or_spread)
    hits = 16 - sut.counts()["computed"]
    assert hits > 0
    assert notes(audit) == [
        f"sut:cache_hits_total rose by 0 in reference, by {hits} in output_caching",
        "sut:cache_queries_total rose by 8 in reference, by 8 in output_caching",
    ]
    assert audit.phase("output_caching")["counters"]["added"] == {
        "sut:cache_hits_total": hits,
        "sut:cache_queries_total": 8,
    }
    assert sut.received == 16


def test_no_hits(audit, sut):
    config(audit, sut)
    audit.run().assert_outcomes(passed=5)
    assert "sut:cache_hits_total did not rise" in notes(audit)


def test_the_main_run_has_them_too(audit, sut):
    config(audit, sut, only=False)
    audit.run()
    assert "sut:cache_queries_total rose by 16 in performance" in notes(audit, "performance")


def test_without_pages_there_is_no_note(audit, sut):
    audit.config(sut, audit={"probe": False})
    audit.run()
    assert notes(audit) == []
    assert audit.phase("reference")["counters"] is None


def test_a_page_that_fails_costs_a_note(audit, start_sut):
    sut = start_sut(metrics="404", metrics_after=2)
    config(audit, sut)
    audit.run().assert_outcomes(passed=5)
    assert notes(audit) == [f"{sut.url}/metrics answers 404 (figures incomplete for reference, output_caching)"]


def test_a_page_that_cannot_be_read_at_first_is_an_error(audit, start_sut):
    sut = start_sut(metrics="404")
    config(audit, sut, f"{sut.url}/metrics?key=SECRETKEY1")
    result = audit.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: endpoint_config.metrics: {sut.url}/metrics: answers 404; correct *"])
    assert "SECRETKEY1" not in f"{result.stdout}{result.stderr}"
    assert sut.received == 0


def test_the_query_string_of_a_page_is_nowhere(audit, sut):
    config(audit, sut, f"{sut.url}/metrics?key=SECRETKEY1")
    result = audit.run("--showlocals", "-vv")
    assert notes(audit)
    texts = [path.read_text(errors="replace") for path in audit.report().rglob("*") if path.is_file()]
    assert not [text for text in [*texts, f"{result.stdout}{result.stderr}"] if "SECRETKEY1" in text]


@pytest.mark.parametrize("page", ["127.0.0.1:9/metrics", "http://user:SECRETKEY1@h/metrics", "ftp://h/metrics"])
def test_what_is_no_url(audit, sut, page):
    config(audit, sut, page)
    result = audit.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: wan22.yaml:*: endpoint_config.metrics*"])
    assert "SECRETKEY1" not in f"{result.stdout}{result.stderr}"


def test_the_simulated_endpoint_has_no_page(audit, sut):
    config(audit, None, f"{sut.url}/metrics")
    result = audit.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: wan22.yaml:*: endpoint_config.metrics: the embedded simulated endpoint has *"])


def test_another_endpoint_s_pages_are_not_read(audit, sut, start_sut, connections_of):
    other = start_sut()
    config(audit, sut, f"{sut.url}/metrics".replace("127.0.0.1", "localhost"), f"{other.url}/metrics")
    audit.run(f"--mlperf-endpoint={other.url}").assert_outcomes(passed=5)
    [warning] = audit.verdict()["warnings"]
    assert warning.startswith("endpoint_config.metrics: http://localhost:")
    assert connections_of(sut)["scrapes"] == []
    assert len(connections_of(other)["scrapes"]) == 4


@pytest.fixture
def connections_of():
    return lambda sut: sut._get("connections")


@pytest.mark.own_process
def test_the_parser_is_loaded_only_where_pages_are_read(audit, sut):
    (audit.path / "conftest.py").write_text(
        "import sys\n"
        "def pytest_sessionfinish():\n"
        "    print('LOADED', *sorted({'prometheus_client', 'aiohttp'} & set(sys.modules)))\n"
    )
    audit.config(sut, audit={"probe": False})
    audit.run("-s").stdout.fnmatch_lines(["*LOADED"])
    config(audit, sut)
    audit.run("-s").stdout.fnmatch_lines(["*LOADED prometheus_client"])
