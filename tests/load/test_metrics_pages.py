"""Servers' metrics pages beside a run: what is asked when, with which headers, and what a bad page costs."""

from __future__ import annotations

import msgspec
import pytest

from pytest_mlperf_audit.errors import EndpointError
from pytest_mlperf_audit.load import metrics
from pytest_mlperf_audit.load.metrics import check_metrics
from pytest_mlperf_audit.load.target import Target
from pytest_mlperf_audit.records.store import read_phase
from pytest_mlperf_audit.runs.order import single
from pytest_mlperf_audit.runs.phase import ServerCounters

HITS, QUERIES = "sut:cache_hits_total", "sut:cache_queries_total"


def target(sut, page="/metrics", **options):
    return Target(urls=(sut.url,), metrics=(sut.url + page,), **options)


@pytest.fixture
def two(engine):
    """Drive a phase of distinct rows and one that repeats a row, 16 queries each."""
    specs = [engine.spec("reference"), engine.spec("repeats", order=single(0))]
    return lambda target: [ended.record for ended in engine.drive_all(target, specs)]


def test_what_each_phase_added(two, start_sut, engine):
    sut = start_sut(cache="exact")
    records = two(target(sut))
    reference, repeats = (record.counters for record in records)
    hits = 32 - sut.counts()["computed"]
    assert hits >= 12  # all but those that were in flight before the first reply
    assert reference == ServerCounters(added={HITS: 0, QUERIES: 16})
    assert repeats == ServerCounters(added={HITS: hits, QUERIES: 16})
    assert read_phase(engine.directory / "run-1" / "repeats") == records[1]


def test_pages_are_read_outside_of_phases_and_once_between_two(two, start_sut, connections):
    sut = start_sut()
    two(target(sut))
    moments = [at for at, _ in connections(sut)["scrapes"]]
    times = sorted(sut.times())
    spans = [(times[0][0], times[15][1]), (times[16][0], times[31][1])]
    assert len(moments) == 3
    assert moments[0] < spans[0][0] < spans[0][1] < moments[1] < spans[1][0] < spans[1][1] < moments[2]


def test_without_pages_nothing_is_asked_and_nothing_recorded(two, start_sut, connections):
    sut = start_sut()
    assert [record.counters for record in two(Target(urls=(sut.url,)))] == [None, None]
    assert connections(sut)["scrapes"] == []


def test_pages_of_several_servers_are_added_up(two, start_sut):
    suts = [start_sut(cache="exact", service_ms=1) for _ in range(2)]
    both = Target(urls=tuple(sut.url for sut in suts), metrics=tuple(f"{sut.url}/metrics" for sut in suts))
    assert [record.counters.added[QUERIES] for record in two(both)] == [16, 16]


BAD = {
    "404": "answers 404",
    "redirect": "answers 302",
    "huge": "exceeds 4194304 bytes",
    "garbage": "is not a page in Prometheus's text format",
}


@pytest.mark.parametrize("kind", BAD)
def test_a_page_that_goes_bad_costs_its_figures_alone(two, start_sut, kind):
    sut = start_sut(metrics=kind, metrics_after=2)
    reference, repeats = two(target(sut))
    assert [reference.status, repeats.status] == ["complete", "complete"]
    assert reference.counters == ServerCounters(added={HITS: 0, QUERIES: 16})
    assert repeats.counters == ServerCounters(problems=(f"{sut.url}/metrics {BAD[kind]}",))


def test_a_page_that_hangs_is_waited_for_once(two, start_sut, connections, monkeypatch):
    monkeypatch.setattr(metrics, "_PATIENCE_S", 0.2)
    sut = start_sut(metrics="hang")
    problems = [record.counters.problems for record in two(target(sut))]
    assert problems == [(f"{sut.url}/metrics was not read within 0.2 s, and not asked again",)] * 2
    assert len(connections(sut)["scrapes"]) == 1


def test_a_page_that_is_gone(two, start_sut):
    sut, gone = start_sut(), start_sut()
    gone.kill()
    records = two(Target(urls=(sut.url,), metrics=(f"{sut.url}/metrics", f"{gone.url}/metrics?key=abcd1234")))
    for record in records:
        [problem] = record.counters.problems
        assert problem.startswith(f"{gone.url}/metrics cannot be read (")
        assert record.counters.added[QUERIES] == 16


def test_a_server_that_began_again(two, start_sut):
    sut = start_sut(metrics="reset", metrics_after=2)
    assert two(target(sut))[1].counters == ServerCounters(
        added={HITS: 0, QUERIES: 3},
        problems=(f"{QUERIES} at {sut.url}/metrics went back; its server was started again",),
    )


def test_values_that_json_does_not_have(two, start_sut):
    records = two(target(start_sut(metrics="odd")))
    assert [record.counters for record in records] == [ServerCounters()] * 2
    assert msgspec.json.decode(msgspec.json.encode(records[0]), type=type(records[0])) == records[0]


def test_headers_go_to_the_endpoint_s_host_and_no_other(two, start_sut, connections):
    sut, elsewhere = start_sut(), start_sut()
    pages = (f"{sut.url}/metrics?key=abcd1234", f"{elsewhere.url.replace('127.0.0.1', 'localhost')}/metrics")
    two(Target(urls=(sut.url,), headers={"Authorization": "Bearer SECRETKEY"}, secrets=("SECRETKEY",), metrics=pages))
    for server, told in ((sut, True), (elsewhere, False)):
        heads = [head for _, head in connections(server)["scrapes"]]
        assert len(heads) == 3
        assert all(("SECRETKEY" in head) == told for head in heads)
    assert all("GET /metrics?key=abcd1234 HTTP" in head for _, head in connections(sut)["scrapes"])


def test_headers_do_not_go_in_the_clear_where_queries_go_over_tls(two, start_sut, connections, certificate):
    sut, plain = start_sut(tls=certificate), start_sut()
    pages = (f"{sut.url}/metrics", f"{plain.url}/metrics")
    headers = {"Authorization": "Bearer SECRETKEY"}
    records = two(Target(urls=(sut.url,), metrics=pages, headers=headers, secrets=("SECRETKEY",), insecure=True))
    assert records[0].counters.problems == ()
    assert ["SECRETKEY" in connections(server)["scrapes"][0][1] for server in (sut, plain)] == [True, False]


def test_a_secret_in_a_counter_s_name_is_not_kept(two, start_sut):
    records = two(target(start_sut(metrics="echo"), headers={"X-Key": "SECRETKEY1"}, secrets=("SECRETKEY1",)))
    assert records[0].counters == ServerCounters(added={"sut_cache_hits_**********": 0})


PREFLIGHT = {
    "404": "answers 404; correct the URL, or drop it",
    "401": "answers 401; credentials go to the hosts of endpoint_config.endpoints alone; name the page there",
    "huge": "exceeds 4194304 bytes; correct the URL, or drop it",
    "html": "is not a page in Prometheus's text format; correct the URL (vLLM",
    "garbage": "is not a page in Prometheus's text format; correct the URL (vLLM",
    "hang": "was not read within 0.2 s",
}


@pytest.mark.parametrize("kind", PREFLIGHT)
def test_before_the_run_a_bad_page_is_an_error(start_sut, monkeypatch, kind):
    monkeypatch.setattr(metrics, "_PATIENCE_S", 0.2 if kind == "hang" else 30.0)
    sut = start_sut(metrics=kind)
    with pytest.raises(EndpointError) as caught:
        check_metrics(target(sut, "/metrics?key=abcd1234"))
    assert str(caught.value).startswith(f"endpoint_config.metrics: {sut.url}/metrics: {PREFLIGHT[kind]}")
    assert "abcd1234" not in str(caught.value)


def test_before_the_run_a_missing_server_is_an_error(start_sut):
    sut = start_sut()
    sut.kill()
    with pytest.raises(EndpointError, match=r"cannot be read \(.*\); correct the URL, or drop it"):
        check_metrics(target(sut))


def test_before_the_run_a_good_page_is_fine(start_sut, connections):
    sut = start_sut()
    check_metrics(target(sut))
    assert (sut.received, len(connections(sut)["scrapes"])) == (0, 1)
