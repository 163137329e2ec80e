"""TEST06 on altered logs: the right verdict each, and upstream's word as its real script gives it."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_mlperf_audit.audits.published.case import CaseOutcome, outcome
from pytest_mlperf_audit.audits.test06 import published as test06
from tests.support.accuracy_logs import audit_directory, log_bytes, sample, tokens, truncated, upstream_test06

Samples = list[dict[str, Any]]
Alter = Callable[[Samples], bytes]
LOG = "accuracy/mlperf_log_accuracy.json"


def honest() -> Samples:
    return [sample(index, [100 + index, *range(3, 3 + index % 7), 2]) for index in range(110)]


def judged(tree: Path, log: bytes, *, benchmark: str = "llama2-70b-99.9", scenario: str = "Server") -> CaseOutcome:
    found = audit_directory(tree, "TEST06", {LOG: log}, benchmark=benchmark, scenario=scenario)
    return outcome(found, test06.verify(found))


def _ending(*ids: int) -> Alter:
    return lambda samples: log_bytes([*samples, sample(500, [7, *ids])])


def _with(**changes: Any) -> Alter:
    return lambda samples: log_bytes([*samples, {**sample(500, [7, 8]), **changes}])


def _without(key: str) -> Alter:
    def alter(samples: Samples) -> bytes:
        return log_bytes([*samples, {name: value for name, value in sample(500, [7, 8]).items() if name != key}])

    return alter


def _as_int64(samples: Samples) -> bytes:
    for entry in samples:
        for key in ("data", "token_data"):
            ids = struct.unpack(f"<{len(entry[key]) // 8}i", bytes.fromhex(entry[key]))
            entry[key] = tokens(*ids, width=8)
    return log_bytes(samples)


def _counted_twice(samples: Samples) -> bytes:
    return log_bytes([{**entry, "token_count": 2 * entry["token_count"]} for entry in json.loads(_as_int64(samples))])


#: name: (what becomes of the log, our verdict, upstream's, the defect that explains a difference)
MUTATIONS: dict[str, tuple[Alter, str, str, str]] = {
    "none": (log_bytes, "PASS", "PASS", ""),
    "CRLF": (lambda samples: log_bytes(samples).replace(b"\n", b"\r\n"), "PASS", "PASS", ""),
    "bare CR": (lambda samples: log_bytes(samples).replace(b"\n", b"\r"), "PASS", "PASS", ""),
    "lower-case hex": (lambda samples: log_bytes(samples).lower(), "PASS", "PASS", ""),
    "one line": (lambda samples: json.dumps(samples).encode(), "PASS", "PASS", ""),
    "pretty": (lambda samples: json.dumps(samples, indent=2).encode(), "PASS", "PASS", ""),
    "doubled sample": (lambda samples: log_bytes([*samples, samples[0]]), "PASS", "PASS", ""),
    "int64": (_as_int64, "PASS", "FAIL", "int32_assumed"),
    "int64, counted twice": (_counted_twice, "FAIL", "PASS", "int32_assumed"),
    "JSON lines": (
        lambda samples: b"\n".join(json.dumps(each).encode() for each in samples),
        "PASS",
        "CRASH",
        "only_arrays",
    ),
    "two EOS": (_ending(2, 2), "FAIL", "FAIL", ""),
    "nothing but two EOS": (_with(data=tokens(2, 2), token_data=tokens(2)), "FAIL", "PASS", "index_0_not_tested"),
    "wrong token count": (_with(token_count=3), "FAIL", "FAIL", ""),
    "wrong first token": (_with(token_data=tokens(9)), "FAIL", "FAIL", ""),
    "empty first token": (_with(token_data=""), "NO_VERDICT", "PASS", "empty_first_token_passes"),
    "no first token": (_without("token_data"), "NO_VERDICT", "FAIL", "missing_first_token_fails"),
    "no token count": (_without("token_count"), "NO_VERDICT", "CRASH", ""),
    "no output": (_without("data"), "NO_VERDICT", "CRASH", ""),
    "token count in quotes": (_with(token_count="2"), "NO_VERDICT", "PASS", "form_not_checked"),
    "half a token": (_with(data=tokens(7, 8) + "00"), "FAIL", "CRASH", "length_check_crashes"),
    "no hexadecimal": (_with(data="0G"), "NO_VERDICT", "CRASH", ""),
    "emptied array": (lambda _: b"[\n]\n", "FAIL", "PASS", "empty_log_passes"),
    "emptied file": (lambda _: b"", "NO_VERDICT", "CRASH", ""),
    "empty object": (lambda _: b"{}", "NO_VERDICT", "PASS", "empty_log_passes"),
    "cut for publication": (lambda samples: truncated(log_bytes(samples)), "NO_VERDICT", "CRASH", ""),
    "no UTF-8": (lambda samples: log_bytes(samples).replace(b"seq_id", b"seq\xff_id", 1), "NO_VERDICT", "CRASH", ""),
    "NUL": (lambda samples: log_bytes(samples) + b"\0", "NO_VERDICT", "CRASH", ""),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_the_verdict_is_right_and_a_difference_is_explained(tmp_path: Path, name: str) -> None:
    alter, ours, upstreams, defect = MUTATIONS[name]
    came = judged(tmp_path, alter(honest()))
    assert came.status == ours, came.reason
    assert [said.verdict for said in came.upstream] == [upstreams]
    assert [difference.defect for difference in came.differences] == ([defect] if defect else [])
    assert came.reason


@pytest.mark.parametrize("name", MUTATIONS)
def test_upstreams_script_says_what_we_say_it_says(tmp_path: Path, upstream: Path, name: str) -> None:
    alter, _, upstreams, _ = MUTATIONS[name]
    came = judged(tmp_path, alter(honest()))
    log = tmp_path / came.directory / LOG
    assert upstream_test06(upstream, log, tmp_path / "work", "Server") == upstreams


@pytest.mark.parametrize("scenario", ["Offline", "offline"])
def test_offline_needs_no_first_token(tmp_path: Path, upstream: Path, scenario: str) -> None:
    log = log_bytes([sample(index, [5, 6], first=False) for index in range(100)])
    came = judged(tmp_path, log, scenario=scenario)
    assert (came.status, came.differences) == ("PASS", ())
    assert upstream_test06(upstream, tmp_path / came.directory / LOG, tmp_path / "work", "Offline") == "PASS"


def test_the_reference_logs_scenario_counts_for_more_than_the_directorys_name(tmp_path: Path) -> None:
    summary = b"SUT name : s\nScenario : Offline\nMode     : PerformanceOnly\n"
    files = {LOG: log_bytes([sample(1, [5], first=False)]), "results/performance/run_1/mlperf_log_summary.txt": summary}
    found = audit_directory(tmp_path, "TEST06", files, scenario="Server")
    came = outcome(found, test06.verify(found))
    assert (came.status, came.log_scenario) == ("PASS", "Offline")


@pytest.mark.parametrize("scenario", ["Interactive", "SingleStream", "MultiStream", "MultiStreeam", "elsewhere"])
def test_any_other_scenario_needs_the_first_token(tmp_path: Path, scenario: str) -> None:
    came = judged(tmp_path, log_bytes([sample(1, [5], first=False)]), scenario=scenario)
    assert came.status == "NO_VERDICT"


def test_two_eos_tokens_of_llama3_fail_though_upstream_looks_for_token_2(tmp_path: Path, upstream: Path) -> None:
    log = log_bytes([sample(1, [5, 6, 128009, 128009])])
    came = judged(tmp_path, log, benchmark="llama3_1-8b")
    assert (came.status, [each.defect for each in came.differences]) == ("FAIL", ["one_eos_token_for_all_models"])
    assert upstream_test06(upstream, tmp_path / came.directory / LOG, tmp_path / "work", "Server") == "PASS"
    came = judged(tmp_path, log_bytes([sample(1, [5, 2, 2])]), benchmark="llama3.1-405b")
    assert (came.status, [each.defect for each in came.differences]) == ("PASS", ["one_eos_token_for_all_models"])


def test_a_model_whose_eos_is_not_known(tmp_path: Path) -> None:
    came = judged(tmp_path, log_bytes(honest()), benchmark="novel-7b")
    assert came.status == "PASS"
    assert "which token ends a sequence of novel-7b is not known here" in came.notes
    came = judged(tmp_path, log_bytes([*honest(), sample(500, [7, 9, 9])]), benchmark="novel-7b")
    assert came.status == "PASS"  # of 111 outputs two end in 9: it is some word
    assert "an ordinary one (9)" in came.reason
    doubled = [sample(500 + n, [7, 9, 9]) for n in range(3)]
    came = judged(tmp_path, log_bytes([*honest(), *doubled]), benchmark="novel-7b")
    assert (came.status, [each.defect for each in came.differences]) == ("NO_VERDICT", ["one_eos_token_for_all_models"])


def test_no_log_is_no_verdict(tmp_path: Path) -> None:
    found = audit_directory(tmp_path, "TEST06", {"verify_accuracy.txt": b"First token check pass: True\n"})
    came = outcome(found, test06.verify(found))
    assert (came.status, came.upstream) == ("NO_VERDICT", ())
    assert "mlperf_log_accuracy.json" in came.reason


def test_few_samples_are_noted(tmp_path: Path) -> None:
    assert "87 samples are logged, 100" in judged(tmp_path, log_bytes(honest()[:87])).notes[0]
    assert judged(tmp_path, log_bytes(honest()[:100])).notes == ()


def test_the_first_offender_is_named(tmp_path: Path) -> None:
    came = judged(tmp_path, _ending(2, 2)(honest()))
    assert "1 of 111 samples end in more than one EOS token (2); sample 500" in came.reason


@pytest.mark.parametrize("at", range(100, 12_000, 100))
def test_a_log_cut_anywhere_never_passes(tmp_path: Path, at: int) -> None:
    whole = log_bytes(honest())
    assert len(whole) > 12_000
    assert judged(tmp_path, whole[:at]).status == "NO_VERDICT"


_VALUES = st.one_of(
    st.none(),
    st.integers(-1, 4),
    st.sampled_from(["", "02000000", "0200000002000000", "0G", "020000", "0200000000000000", "5", "05000000"]),
)
_ENTRY: st.SearchStrategy[Any] = st.one_of(
    st.fixed_dictionaries(
        {}, optional={"qsl_idx": _VALUES, "data": _VALUES, "token_data": _VALUES, "token_count": _VALUES}
    ),
    st.sampled_from([1, "x", [], None, {}]),
)


@given(entries=st.lists(_ENTRY, max_size=4), scenario=st.sampled_from(["Server", "Offline"]))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_upstreams_script_on_any_entries(tmp_path: Path, upstream: Path, entries: list[Any], scenario: str) -> None:
    came = judged(tmp_path, json.dumps(entries).encode(), scenario=scenario)
    log = tmp_path / came.directory / LOG
    assert upstream_test06(upstream, log, tmp_path / "work", scenario) == came.upstream[0].verdict
    assert all(difference.defect for difference in came.differences), came
