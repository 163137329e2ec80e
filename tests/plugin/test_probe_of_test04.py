"""The cache probe as a check of test04: what it sends, what it finds where the ratio finds nothing, how it fails."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter

import pytest

#: Queries: the trial, 8 + 8, and the single design without its warm-up: five primes and two strata.
TRIAL, PHASES, PROBE = 1, 16, 5 + 2 * 10
#: On a busy machine the probe goes on to a later look.
LATER = {TRIAL + PHASES + 5 + 10 * strata for strata in (2, 4, 6)}
ALL = TRIAL + PHASES + PROBE
#: An honest server whose repeats take longer, so that no noise makes them look fast.
HONEST = {"service_ms": 15, "repeat_ms": 20}


def check(audit, name="cache_probe"):
    [found] = [check for check in audit.verdict()["audits"][-1]["checks"] if check["name"] == name]
    return found


def rows_sent(sut) -> list[str]:
    return [json.loads(body)["prompt"] for body in sut.bodies()]


def queries(audit, label):
    lines = (audit.report() / "audit" / label / "queries.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def assert_no_traceback(result):
    for text in ("*Traceback*", "*INTERNALERROR*", "*site-packages*"):
        result.stdout.no_fnmatch_line(text)


def test_an_honest_server_passes(audit, start_sut, spread):
    sut = start_sut(**HONEST)
    audit.config(sut, audit={"probe": True})
    result = audit.run(*spread)
    assert result.ret == 0, str(result.stdout)
    result.assert_outcomes(passed=6)
    assert sut.received in LATER
    verdict = audit.verdict()["audits"][-1]
    assert (audit.verdict()["status"], verdict["checks"][-1]["name"]) == ("PASS", "cache_probe")
    assert verdict["figures"]["probe"] == "CLEAN"
    assert [phase["label"] for phase in verdict["phases"]] == [
        "cache_probe_trial",
        "reference",
        "output_caching",
        "cache_probe",
    ]
    prompts = rows_sent(sut)
    own = {f"scene {row}" for row in range(16)}
    assert prompts[0] not in own, "the trial comes first, with a prompt that no cache can know"
    assert set(prompts[1:9]) <= own
    assert set(prompts[9:17]) == {"scene 3"}
    assert set(prompts[17:22]) <= own
    assert len(set(prompts[17:22])) == 5
    assert Counter(prompts[17:]) == Counter({**dict.fromkeys(prompts[17:22], 2)}) + Counter(
        prompt for prompt in prompts[17:] if prompt not in own
    )
    assert len(set(prompts[17:]) - own) == 10
    assert len({prompt.count(" ") for prompt in prompts[17:] if prompt not in own}) == 1


def test_a_warm_cache_passes_the_ratio_and_fails_the_probe(audit, start_sut):
    sut = start_sut(service_ms=200, repeat_ms=0, lanes=8, cache="exact", hit_ms=40)
    audit.config(sut, audit={"probe": True})
    cold = audit.run()
    assert cold.ret == 1
    assert check(audit, "throughput_ratio")["passed"] is False
    assert check(audit)["passed"] is False
    warm = audit.run()
    assert warm.ret == 1
    warm.assert_outcomes(passed=5, failed=1)
    warm.stdout.fnmatch_lines(["CACHE: response: response cache on *", "FAIL test04: *"])
    assert check(audit, "throughput_ratio")["passed"] is True, "the whole reference came from the cache as well"
    assert check(audit)["passed"] is False
    assert check(audit)["observed"] == "CACHE: response"
    submitted = json.loads((audit.report() / "audit" / "audit_output_caching_test.json").read_text())
    assert submitted["passed"] is False
    assert (audit.report() / "audit" / "verify_OUTPUT_CACHING_TEST.txt").read_text().endswith("pass: False\n")
    assert_no_traceback(warm)


def test_the_submission_file_of_an_honest_server(audit, start_sut):
    audit.config(start_sut(**HONEST), audit={"probe": True})
    audit.run()
    submitted = json.loads((audit.report() / "audit" / "audit_output_caching_test.json").read_text())
    assert submitted["passed"] is True
    assert submitted["probe"] == "CLEAN"


@pytest.mark.parametrize("probe", [False, None], ids=["false", "left_out"])
def test_the_probe_is_on_unless_it_is_taken_out(audit, start_sut, probe):
    sut = start_sut(**HONEST)
    audit.config(sut, audit={"probe": probe})
    result = audit.run()
    result.assert_outcomes(passed=6 if probe is None else 5)
    assert sut.received in (LATER if probe is None else {PHASES})
    assert (audit.report() / "audit" / "cache_probe").exists() is (probe is None)


def test_no_seed_is_used_twice(audit, start_sut):
    sut = start_sut(**HONEST)
    audit.config(sut, audit={"probe": True})
    seeds, sent = [], []
    for _ in range(2):
        audit.run()
        seeds += [audit.phase(label)["spec"]["nonce_seed"] for label in ("cache_probe_trial", "cache_probe")]
        sent.append({query["request"] for query in queries(audit, "cache_probe") if query["tag"].endswith("/P")})
    assert len(set(seeds)) == 4
    assert all(len(one) in (10, 20, 30) for one in sent), "five fresh twins a stratum, as many strata as it takes"
    assert not sent[0] & sent[1]
    assert audit.phase("reference")["spec"].get("nonce_seed") is None


def test_an_endpoint_that_takes_known_prompts_alone(audit, start_sut, lone_or_spread):
    sut = start_sut(**HONEST, refuse_unknown=r"scene \d+")
    audit.config(sut, audit={"probe": True})
    result = audit.run(*lone_or_spread)
    assert result.ret == 4, str(result.stdout)
    assert sut.received == 0, "no row of the data set, and no other prompt after the first"
    result.stderr.fnmatch_lines(
        ["ERROR: endpoint * answers 400 to the first query (not with us); *data set's own rows*"]
    )
    assert_no_traceback(result)


def test_made_up_prompts_that_are_refused_name_the_design_that_makes_none_up(audit, start_sut):
    sut = start_sut(**HONEST, refuse_unknown=r"(\S+ )*(scene )?\d+")
    audit.config(sut, audit={"probe": {"groups": 6}})
    assert audit.run().ret == 6
    assert "design: single" in audit.verdict()["audits"][-1]["reason"]
    assert sut.received == 1
    audit.config(sut, audit={"probe": {"design": "single"}})
    assert audit.run().ret == 0


def test_a_probe_that_fails_half_the_time_is_no_verdict(audit, start_sut, lone_or_spread):
    sut = start_sut(**HONEST, fault="500", fault_after=TRIAL + PHASES, fault_every=2)
    audit.config(sut, audit={"probe": True})
    result = audit.run(*lone_or_spread)
    assert result.ret == 6, str(result.stdout)
    result.assert_outcomes(passed=5, errors=1)
    assert audit.verdict()["status"] == "NO_VERDICT"
    assert check(audit)["passed"] is None
    assert "7 of 15 probe queries failed: " in check(audit)["reason"]
    result.stdout.fnmatch_lines(["*test04: no verdict: error: 7 of 15 probe queries failed*", "NO VERDICT test04*"])
    assert not list(audit.report().rglob("audit_*.json")), "no file for a submission without a verdict"
    assert sut.received < ALL, "it does not go on for long"
    assert_no_traceback(result)


def test_a_server_that_breaks_behind_the_phases_leaves_their_ratio_unconfirmed(audit, start_sut):
    """Every repeat is quick here, and the probe and the blocks get errors: one pair of phases fails nobody."""
    sut = start_sut(
        service_ms=200, repeat_ms=0, lanes=1, cache="exact", hit_ms=1, fault="500", fault_after=TRIAL + PHASES
    )
    audit.config(sut, audit={"probe": True})
    result = audit.run()
    assert result.ret == 6
    result.assert_outcomes(passed=4, errors=2)
    assert audit.verdict()["status"] == "NO_VERDICT"
    assert audit.phase("confirmation")["figures"]["n_issued"] == 8, "no more blocks where nothing is answered"


def test_a_server_that_dies_in_the_probe(audit, start_sut):
    sut = start_sut(**HONEST, fault="die", fault_after=TRIAL + PHASES + 3)
    audit.config(sut, audit={"probe": True})
    result = audit.run()
    assert result.ret == 6
    assert audit.phase("cache_probe")["status"] == "endpoint_lost"
    assert audit.phase("output_caching")["status"] == "complete"
    assert "the endpoint was lost" in audit.verdict()["audits"][-1]["reason"]


@pytest.mark.parametrize("args", [(), ("-n", "2")], ids=["plain", "n2"])
def test_ctrl_c_in_mid_probe(audit, start_sut, args):
    sut = start_sut(service_ms=150, repeat_ms=0)
    audit.config(sut, audit={"probe": True})
    session = audit.start(*args)
    sut.wait_for(TRIAL + PHASES + 3)
    os.killpg(session.pid, signal.SIGINT)
    output, _ = session.communicate()
    assert session.returncode == 2, output
    assert "INTERNALERROR" not in output
    assert not audit.leftovers()
    assert audit.phase("reference")["status"] == audit.phase("output_caching")["status"] == "complete"
    assert audit.phase("cache_probe")["status"] == "interrupted"
    records = queries(audit, "cache_probe")
    assert 3 <= len(records) == audit.phase("cache_probe")["figures"]["n_issued"] <= PROBE
    assert all(record["tag"] for record in records)
    verdict = audit.verdict()
    assert verdict["status"] == "NO_VERDICT"
    assert not any(check["passed"] for check in verdict["audits"][-1]["checks"])
    assert not list(audit.report().rglob("audit_*.json"))


def test_the_plan_names_what_the_probe_costs(audit, sut):
    audit.config(
        sut,
        audit={"probe": True},
        type="online",
        settings={"load_pattern": {"type": "concurrency", "target_concurrency": 2}},
    )
    result = audit.run("--mlperf-plan")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "  test04: *",
            "    cache_probe_trial: 1 query*",
            "    reference: 8 queries, *",
            "    output_caching: 8 queries, *",
            "    cache_probe: 15 to 162 queries, one after another*about 15 s at 1 s a query*",
            "    checks: *, cache_probe",
            f"  in all {TRIAL + PHASES + 15} to {TRIAL + PHASES + 162} queries, up to 559 if a check stays open",
        ]
    )
    assert sut.received == 0


def test_the_plan_of_groups_is_a_range(audit, sut):
    audit.config(sut, audit={"probe": {"groups": 12, "bursts": False}})
    result = audit.run("--mlperf-plan")
    result.stdout.fnmatch_lines(
        ["    cache_probe: 175 to * queries, one after another, and in bursts of up to 8; stops when the answer is*"]
    )
    assert sut.received == 0


def test_an_edited_probe_is_no_pass(audit, start_sut):
    sut = start_sut(service_ms=100, repeat_ms=0, cache="exact", hit_ms=1)
    audit.config(sut, audit={"probe": True})
    (audit.path / "test_forge.py").write_text(FORGE)
    result = audit.run("wan22.yaml", "test_forge.py", config="wan22.yaml")
    assert result.ret != 0
    assert audit.verdict()["status"] != "PASS"


FORGE = """
from pathlib import Path

def test_forge(mlperf_phases):
    mlperf_phases["test04"]
    log = next(Path("mlperf-reports").rglob("cache_probe/queries.jsonl"))
    log.write_text(log.read_text().replace("/R", "/P"))
"""


def test_a_cache_that_is_keyed_on_the_url_alone_does_not_pass(audit):
    """Hits of a millisecond are as fast as the client is free, so the ratio is kept out of it."""
    simulated = {"cache": "url", "hit_time_ms": 1, "service_time_ms": 20}
    audit.config(None, audit={"probe": True, "threshold": 0.99}, endpoint_config={"simulated": simulated})
    result = audit.run()
    assert result.ret == 6, str(result.stdout)
    found = check(audit)
    assert (found["passed"], found["observed"]) == (None, "INCONCLUSIVE")
    assert "keeps replies by something else than the request, such as its URL" in found["reason"]
    audit.config(None, audit={"probe": {"design": "groups"}, "samples": 16}, endpoint_config={"simulated": simulated})
    assert audit.run("--mlperf-report-dir=again").ret == 1
