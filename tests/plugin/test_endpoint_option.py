"""Which endpoint is audited: the option's, the ini file's, the YAML's with its variables, or the simulated one."""

from __future__ import annotations


def test_the_option_goes_before_the_ini_file_and_the_yaml(audit, start_sut):
    yaml, ini, option = start_sut(), start_sut(), start_sut()
    audit.config(yaml)
    audit.run("-k", "ratio", "-o", f"mlperf_endpoint={ini.url}").assert_outcomes(passed=1, deselected=4)
    audit.run("-k", "ratio", "-o", f"mlperf_endpoint={ini.url}", f"--mlperf-endpoint={option.url}")
    assert [sut.received for sut in (yaml, ini, option)] == [0, 16, 16]
    assert audit.verdict()["endpoint"] == option.url


def test_the_option_replaces_the_simulated_endpoint(audit, sut):
    audit.config(None, endpoint_config={"simulated": {"service_time_ms": 1}})
    audit.run(f"--mlperf-endpoint={sut.url}", "-n", "2").assert_outcomes(passed=5)
    assert sut.received == 16
    assert audit.verdict()["simulated"] is False


def test_variables(audit, sut, monkeypatch):
    monkeypatch.setenv("SUT_URL", sut.url)
    audit.config("${SUT_URL}", audit={"samples": "${SUT_SAMPLES:-8}"})
    audit.run().assert_outcomes(passed=5)
    assert sut.received == 16


def test_an_unset_variable_is_named(audit):
    audit.config("${SUT_URL_THAT_NOBODY_SETS}")
    result = audit.run()
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: wan22.yaml:*SUT_URL_THAT_NOBODY_SETS*"])


def test_simulated(audit, lone_or_spread):
    audit.config(None, endpoint_config={"simulated": {"service_time_ms": 20, "lanes": 1}})
    result = audit.run(*lone_or_spread)
    result.assert_outcomes(passed=5)
    result.stdout.fnmatch_lines(["SIMULATED: *", "PASS (SIMULATED) test04: *"])
    assert audit.verdict()["simulated"] is True
    assert not list(audit.report().rglob("audit_*.json")), "a simulated run leaves no submission file"


def test_simulated_with_a_cache_fails(audit):
    audit.config(
        None,
        type="online",
        audit={"samples": 16, "threshold": 0.1},
        settings={"load_pattern": {"type": "concurrency", "target_concurrency": 2}},
        endpoint_config={"simulated": {"service_time_ms": 20, "lanes": 2, "cache": "exact"}},
    )
    result = audit.run()
    assert result.ret == 1
    result.assert_outcomes(passed=4, failed=1)
    result.stdout.fnmatch_lines(["FAIL (SIMULATED) test04: *"])
