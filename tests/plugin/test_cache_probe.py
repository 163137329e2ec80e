"""cache_probe as an audit of its own, on a chat endpoint: which TEST04 exempts."""

from __future__ import annotations

import base64
import json
import os
import signal

import pytest

#: With one query in flight there is nothing to coalesce.
KINDS = ("response", "near_duplicate", "prefix", "semantic", "url_keyed", "reuse")
CHECKS = [f"no_cache[{kind}]" for kind in KINDS]
#: One query at a time: 2 to warm up, then groups of 18, six of them until the first look; then 48 late repeats and
#: twins, and 17 for the URL, 16 more where they leave it open.
GROUP, FIRST_LOOK, URLS = 18, 110, 16
LEAST = FIRST_LOOK + 48 + 1 + URLS
HONEST = {"service_ms": 10, "repeat_ms": 20}


@pytest.fixture
def chat(audit):
    """Write a YAML for cache_probe alone on a chat endpoint, one query at a time."""

    def config(sut, probe=None, **blocks):
        given = {
            "type": "online",
            "audit": [{"test": "cache_probe", "only": True, **(probe or {})}],
            "settings": {"load_pattern": {"type": "concurrency", "target_concurrency": 1}},
            "endpoint_config": {"api_type": "openai"},
        }
        return audit.config(sut, **{**given, **blocks})

    return config


def checks(audit):
    return {check["name"]: check for check in audit.verdict()["audits"][-1]["checks"]}


def prompts(sut):
    return [json.loads(body)["messages"][-1]["content"] for body in sut.bodies()]


@pytest.mark.parametrize("args", [(), ("-n", "2"), ("-m", "cache_probe"), ("-k", "cache_probe", "-n", "2")])
def test_an_honest_server_passes(audit, chat, start_sut, args):
    sut = start_sut(**HONEST)
    chat(sut)
    result = audit.run(*args)
    assert result.ret == 0, str(result.stdout)
    result.assert_outcomes(passed=len(KINDS))
    verdict = audit.verdict()
    assert verdict["status"] == "PASS"
    assert list(checks(audit)) == CHECKS
    n_sent = audit.phase("cache_probe")["figures"]["n_issued"]
    assert sut.received == n_sent, "sent once, however many processes asked for it"
    more = (n_sent - LEAST) % (6 * GROUP)
    assert n_sent < LEAST + 12 * GROUP, "sixteen rows are enough for two looks"
    assert more in {0, 36, URLS, 36 + URLS}
    assert verdict["audits"][-1]["figures"]["probe"] == "CLEAN"
    assert not list(audit.report().rglob("audit_*.json")), "MLPerf has no such file"


@pytest.mark.parametrize("args", [(), ("-n", "2"), ("-m", "cache_probe")])
def test_a_cache_fails(audit, chat, start_sut, args):
    sut = start_sut(service_ms=20, repeat_ms=0, cache="exact")
    chat(sut)
    result = audit.run(*args)
    assert result.ret == 1, str(result.stdout)
    result.assert_outcomes(passed=len(KINDS) - 2, failed=1, skipped=1)
    found = checks(audit)
    assert [name for name, check in found.items() if check["passed"] is False] == ["no_cache[response]"]
    assert found["no_cache[url_keyed]"]["tested"] is False, "it ended before the URL was changed"
    assert found["no_cache[response]"]["observed"] == "found"
    assert sut.received == FIRST_LOOK
    result.stdout.fnmatch_lines(["response cache on made-up prompts: an exact*"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_warm_cache_fails_just_as_well(audit, chat, start_sut):
    sut = start_sut(service_ms=20, repeat_ms=0, cache="exact")
    chat(sut)
    assert [audit.run().ret for _ in range(2)] == [1, 1]


def test_one_check_alone_leaves_the_verdict_incomplete(audit, chat, start_sut):
    sut = start_sut(**HONEST)
    path = chat(sut)
    audit.run(f"{path.name}::cache_probe::no_cache[prefix]", config="wan22.yaml").assert_outcomes(passed=1)
    assert audit.verdict()["status"] == "INCOMPLETE"


def test_what_is_asked_for_is_what_is_checked(audit, chat, start_sut):
    sut = start_sut(service_ms=20, repeat_ms=0, cache="exact")
    chat(sut, {"forbid": ["prefix", "semantic"], "samples": "made_up", "max_queries": 150})
    result = audit.run()
    assert list(checks(audit)) == ["no_cache[prefix]", "no_cache[semantic]"]
    assert result.ret in {0, 6}, "a response cache is not forbidden here; whether all else is settled, is open"
    assert audit.verdict()["audits"][-1]["figures"]["probe_kinds"] == "response"
    assert sut.received == 2 + 6 * 13 + 48 + 1 + URLS
    assert not any(prompt.startswith("scene") for prompt in prompts(sut))


def test_a_refused_url_costs_its_arm_and_is_noted(audit, chat, start_sut):
    sut = start_sut(**HONEST, refuse_query=True)
    chat(sut)
    result = audit.run("-rs")
    assert result.ret == 0
    result.assert_outcomes(passed=len(KINDS) - 1, skipped=1)
    result.stdout.fnmatch_lines(
        ["SKIPPED *: URL-keyed cache was not looked for: the endpoint answers http_404 to a changed URL"]
    )
    verdict = audit.verdict()["audits"][-1]
    assert verdict["status"] == "PASS"
    assert {kind["kind"] for kind in verdict["kinds"] if kind["state"] == "not looked for"} == {
        "coalescing",
        "url_keyed",
    }
    assert any("answers http_404 to a changed URL" in note for note in verdict["notes"])
    check = checks(audit)["no_cache[url_keyed]"]
    assert (check["status"], check["passed"], check["undecided"], check["tested"]) == ("not_run", None, False, False)
    assert not any("?n=" in line for line in (audit.report() / "verdict.json").read_text().splitlines())
    assert audit.phase("cache_probe")["figures"]["failures"] == {"http_404": 1}


def test_a_refused_url_leaves_no_verdict_where_its_kind_is_named(audit, chat, start_sut):
    sut = start_sut(**HONEST, refuse_query=True)
    chat(sut, {"forbid": ["response", "url_keyed"]})
    result = audit.run("--junitxml=junit.xml")
    assert result.ret == 6
    result.stdout.fnmatch_lines(["  URL-keyed cache was not looked for: the endpoint answers*", "*undecided no_cache*"])
    junit = (audit.path / "junit.xml").read_text()
    assert '<property name="mlperf_cache_url_keyed" value="not looked for" />' in junit
    assert '<property name="mlperf_cache_response" value="excluded" />' in junit


def test_changed_urls_reach_the_endpoint(audit, chat, start_sut):
    sut = start_sut(**HONEST)
    chat(sut)
    audit.run()
    targets = [base64.b64decode(raw).split(b" ", 2)[1] for raw in sut._get("wire")]
    changed = [target for target in targets if b"?n=" in target]
    assert len(changed) == len(set(changed))
    assert len(changed) in {1 + URLS // 2, 1 + URLS}
    assert all(b"?n=" not in target for target in targets[:FIRST_LOOK])


def test_an_endpoint_that_takes_known_prompts_alone(audit, chat, start_sut):
    sut = start_sut(**HONEST, refuse_unknown=r"scene \d+")
    chat(sut)
    result = audit.run()
    assert result.ret == 4
    assert sut.received == 0
    result.stderr.fnmatch_lines(["ERROR: endpoint * answers 400 to the first query (not with us); *"])


def test_an_endpoint_that_refuses_repeats(audit, chat, start_sut):
    sut = start_sut(**HONEST, refuse_repeats=True)
    chat(sut)
    result = audit.run()
    assert result.ret == 6
    assert audit.verdict()["status"] == "NO_VERDICT"
    for check in checks(audit).values():
        assert check["passed"] is None
        assert "the endpoint refuses a repeated request, so nothing can be concluded from repeats" in check["reason"]
    assert sut.received < LEAST


def test_an_endpoint_that_fails_half_the_time(audit, chat, start_sut, lone_or_spread):
    sut = start_sut(**HONEST, fault="500", fault_after=2, fault_every=2)
    chat(sut)
    result = audit.run(*lone_or_spread)
    assert result.ret == 6
    result.assert_outcomes(errors=len(KINDS))
    assert audit.verdict()["status"] == "NO_VERDICT"
    assert "probe queries failed" in checks(audit)["no_cache[response]"]["reason"]
    assert sut.received < LEAST


def test_a_few_failures_are_made_up_for(audit, chat, start_sut):
    sut = start_sut(**HONEST, fault="500", fault_after=10, fault_every=60)
    chat(sut)
    assert audit.run().ret == 0
    assert sut.received > LEAST
    assert any("queries failed" in note for note in audit.verdict()["audits"][-1]["notes"])


def test_a_budget_that_ends_before_an_answer(audit, chat, start_sut):
    """A fifth faster than a miss, so the first look cannot settle it; and there is no second."""
    sut = start_sut(service_ms=40, repeat_ms=0, cache="exact", hit_ms=30, cv=0.2)
    chat(sut, {"max_duration_ms": 1500})
    result = audit.run()
    assert result.ret == 6
    assert "the budget ended before an answer" in checks(audit)["no_cache[response]"]["reason"]
    assert audit.phase("cache_probe")["status"] == "complete"
    assert sut.received < LEAST


@pytest.mark.parametrize("args", [(), ("-n", "2")], ids=["plain", "n2"])
def test_ctrl_c(audit, chat, start_sut, args):
    sut = start_sut(service_ms=100, repeat_ms=0)
    chat(sut)
    session = audit.start(*args)
    sut.wait_for(6)
    os.killpg(session.pid, signal.SIGINT)
    output, _ = session.communicate()
    assert session.returncode == 2, output
    assert not audit.leftovers()
    assert audit.phase("cache_probe")["status"] == "interrupted"
    log = (audit.report() / "audit" / "cache_probe" / "queries.jsonl").read_text()
    assert len([json.loads(line) for line in log.splitlines()]) == sut.received < LEAST
    assert audit.verdict()["status"] == "NO_VERDICT"


def test_both_audits_in_one_run_keep_their_records_apart(audit, start_sut):
    sut = start_sut(service_ms=10, repeat_ms=20)
    test04 = {"test": "test04", "only": True, "samples": 8, "threshold": 0.9}
    audit.config(sut, audit=[test04, {"test": "cache_probe", "only": True, "design": "single"}])
    audit.run().assert_outcomes(passed=6 + 1)
    assert sut.received == 1 + 16 + 25 + 26
    assert {path.name for path in (audit.report() / "audit").iterdir() if path.is_dir()} == {
        "cache_probe_trial",
        "reference",
        "output_caching",
        "test04.cache_probe",
        "cache_probe.cache_probe",
    }


@pytest.mark.parametrize(
    ("simulated", "kind"),
    [
        ({"cache": "none"}, None),
        ({"cache": "exact"}, "response"),
        ({"cache": "prefix", "prefill_share": 0.8}, "prefix"),
        ({"cache": "url", "hit_time_ms": 1}, "url_keyed"),
    ],
)
def test_against_the_simulated_endpoint(audit, chat, simulated, kind):
    simulated = {"service_time_ms": 25, **simulated}
    chat(
        None,
        endpoint_config={"api_type": "openai", "simulated": simulated},
        model_params={"name": "m", "streaming": "on"},
        submission_ref={"model": "llama", "ruleset": "mlperf-inference-v5.1"},
    )
    result = audit.run()
    assert result.ret == (1 if kind else 0), str(result.stdout)
    failed = [name for name, check in checks(audit).items() if check["passed"] is False]
    assert failed == ([f"no_cache[{kind}]"] if kind else [])


def test_coalescing_under_concurrency(audit, chat):
    """Two identical queries at once take 200 ms, two different ones 400 ms: no noise makes up for that."""
    chat(
        None,
        {"samples": "made_up", "url": False},
        settings={"load_pattern": {"type": "concurrency", "target_concurrency": 8}},
        endpoint_config={
            "api_type": "openai",
            "simulated": {"service_time_ms": 200, "lanes": 1, "cache": "coalesce"},
        },
    )
    assert audit.run().ret == 1
    assert [name for name, check in checks(audit).items() if not check["passed"]] == ["no_cache[coalescing]"]
    assert audit.verdict()["audits"][-1]["figures"]["probe_burst_size"] in {2, 4, 8}


def test_the_endpoints_rules_allow_a_prefix_cache(audit, chat):
    chat(
        None,
        endpoint_config={
            "api_type": "openai",
            "simulated": {"service_time_ms": 25, "cache": "prefix", "prefill_share": 0.8},
        },
        model_params={"name": "m", "streaming": "on"},
        submission_ref={"model": "llama", "ruleset": "mlperf-endpoints-v0.7"},
    )
    result = audit.run()
    assert result.ret == 0, str(result.stdout)
    assert "no_cache[prefix]" not in checks(audit)
    assert audit.verdict()["audits"][-1]["figures"]["probe_kinds"] == "prefix"
