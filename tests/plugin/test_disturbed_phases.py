"""A ratio that the client or a slow part of the reference phase explains accuses nobody; a user reads why."""

from __future__ import annotations

import json
import shutil

from pytest_mlperf_audit.records.artifacts import artifacts
from pytest_mlperf_audit.verdicts.files import NO_ARTIFACTS
from tests.plugin.test_recheck_differences import edit, wrong

LOAD = {"load_pattern": {"type": "concurrency", "target_concurrency": 8}}


def test_a_server_that_was_slow_in_the_reference_phase_is_judged_by_blocks(audit, start_sut):
    audit.rows(32)
    sut = start_sut(service_ms=20, lanes=8, slow=[7, 33, 10.0])
    audit.config(sut, type="online", settings=LOAD, audit={"samples": 32})
    result = audit.run()
    assert result.ret == 0
    text = " ".join(line.strip() for line in result.outlines)
    assert "pairs of blocks, limit 1.90; the first pair did not settle it: " in text
    [entry] = audit.verdict()["audits"]
    [check] = [check for check in entry["checks"] if check["name"] == "throughput_ratio"]
    assert check["passed"] is True
    assert "in the reference phase the queries from number 7 of 32 on took " in check["reason"]
    assert entry["figures"]["ratio_first_pair"] > 1.9
    html = (audit.report() / "report.html").read_text()
    assert "what a cache of replies looks like" not in html
    assert "queries from number 7 of 32 on" in html
    assert "Client&#39;s CPU share" in html
    assert wrong(audit.report()) == {}, "a recheck comes to the same"


def test_a_cache_still_fails_by_the_ratio(audit, start_sut):
    audit.rows(32)
    sut = start_sut(service_ms=20, lanes=8, cache="exact")
    audit.config(sut, type="online", settings=LOAD, audit={"samples": 32, "threshold": 0.1})
    assert audit.run().ret == 1
    [entry] = audit.verdict()["audits"]
    assert [check["name"] for check in entry["checks"] if check["passed"] is not True] == ["throughput_ratio"]


def _as_before(phase):
    phase.pop("client")
    phase["figures"].pop("most_in_flight")
    phase["figures"].pop("qps_by_tenth")


def test_a_run_of_before_the_client_noted_its_state_is_confirmed(finished_run, reseal):
    verdict = finished_run / "verdict.json"
    places = [*finished_run.glob("**/phase.json")]
    assert places
    for place in places:
        edit(place, _as_before)
    found = dict(artifacts(finished_run, NO_ARTIFACTS))

    def as_before(content):
        for entry in content["audits"]:
            for phase in entry["phases"]:
                _as_before(phase)
        for name in content["artifacts"]:
            content["artifacts"][name] = {"sha256": found[name].sha256, "bytes": found[name].bytes}

    edit(verdict, as_before)
    reseal(verdict)
    assert wrong(finished_run) == {}
    assert '"client"' not in json.dumps(json.loads(verdict.read_text())["audits"][0]["phases"])


def test_the_clients_state_of_a_finished_run_cannot_be_edited_unseen(finished_run, tmp_path):
    run = shutil.copytree(finished_run, tmp_path / "edited")
    edit(run / "audit/reference/phase.json", lambda phase: phase["client"].update(cpu_share=0.0))
    found = wrong(run)
    assert "client.cpu_share" in found["records::audit[test04]"]
    assert "records::artifacts" in found
