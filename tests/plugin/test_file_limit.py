"""A limit on open files that is too low: raised where allowed, and else known before the first query."""

from __future__ import annotations

import resource

import pytest

ROWS = 300


@pytest.fixture
def limited(audit):
    """Run a session whose processes may open so many files: the soft limit, and the hard one."""
    audit.rows(ROWS)

    def run(soft, hard, *args):
        process = audit.start(
            *args, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard)), encoding="utf-8"
        )
        out, _ = process.communicate()
        return process.returncode, out

    return run


def concurrency(target, **client):
    return {
        "type": "online",
        "audit": {"samples": ROWS},
        "settings": {
            "load_pattern": {"type": "concurrency", "target_concurrency": target},
            "client": {"connect_timeout_s": 5, **client},
        },
    }


def test_a_hard_limit_that_is_too_low_is_said_before_anything_is_sent(audit, limited, sut, lone_or_spread):
    audit.config(sut, **concurrency(ROWS))
    status, out = limited(256, 256, *lone_or_spread)
    assert status == 4
    [line] = [line for line in out.splitlines() if line.startswith("ERROR: ")]
    assert line.startswith("ERROR: phase reference needs ")
    for word in (
        f"({ROWS} connections, ",
        "this process may open 256; ",
        "`ulimit -n ",
        "LimitNOFILE=",
        "`--ulimit nofile=",
    ):
        assert word in line
    assert sut.received == 0
    assert not audit.report().exists()
    lower = int(line.rpartition("settings.load_pattern.target_concurrency to ")[2])
    audit.config(sut, **concurrency(lower))
    status, out = limited(256, 256, "-k", "completion and reference", *lone_or_spread)
    assert status == 0, out


def test_a_soft_limit_is_raised_and_given_back(audit, limited, start_sut, lone_or_spread):
    (audit.path / "test_own.py").write_text(
        "import resource\n"
        "def test_own(mlperf_phases):\n"
        "    assert mlperf_phases['test04']['reference']\n"
        "    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (256, 4096)\n"
    )
    audit.config(start_sut(service_ms=1, lanes=ROWS), **concurrency(ROWS))
    status, out = limited(256, 4096, "wan22.yaml::test04::completion[reference]", "test_own.py", *lone_or_spread)
    assert status == 0, out
    assert audit.phase("reference")["figures"]["n_completed"] == ROWS


def test_what_sends_all_at_once_takes_turns_and_says_so(audit, limited, sut):
    audit.config(sut, audit={"samples": ROWS})
    status, out = limited(256, 256, "-k", "completion")
    assert status == 0, out
    assert "mlperf-audit: warning: only " in out
    [warning] = [warning for warning in audit.verdict()["warnings"] if "at once" in warning]
    assert f"of {ROWS} queries will be in flight at once, as this process may open 256 files" in warning


def test_arrivals_that_run_into_the_limit_say_nothing_of_the_endpoint(audit, limited, start_sut):
    pattern = {"type": "poisson", "target_qps": 3000}
    sut = start_sut(service_ms=2000, lanes=ROWS)
    audit.config(sut, type="online", audit=None, settings={"load_pattern": pattern})
    status, out = limited(128, 128)
    assert status == 6, out
    assert "this process may open no more files than the 128 it has" in out
    assert "free some space" not in out
    assert audit.verdict()["status"] == "NO_VERDICT"
