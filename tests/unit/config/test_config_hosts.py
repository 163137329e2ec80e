"""settings.client.num_workers and hosts: where queries are sent from."""

from __future__ import annotations

import os

import pytest

from pytest_mlperf_audit.config import hosts
from pytest_mlperf_audit.config.hosts import each_process, processes


def _client(minimal: str, client: str) -> str:
    return f"{minimal}settings: {{client: {{{client}}}}}\n"


@pytest.mark.parametrize(
    "spec",
    [
        "popen",
        "4*popen",
        "popen//python=python3.12",
        "ssh=user@host//python=/opt/py/bin/python",
        "3*ssh=host -p 2222//ssh_config=/etc/cfg//nice=5//chdir=/tmp//env:A=b",
    ],
)
def test_specifications_of_xdist_are_taken(load, minimal: str, spec: str):
    assert load(_client(minimal, f"hosts: ['{spec}']")).benchmark.settings.client.hosts == (spec,)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("shh=host", "is not a place to start a process at; write popen, 4*popen or ssh=user@host"),
        ("ssh", "is not a place"),
        ("ssh=", "is not a place"),
        ("popen=1", "is not a place"),
        ("socket=host:8888", "is not a place"),
        ("0*popen", "asks for 0 processes"),
        ("9999*popen", "asks for 9999 processes; give a number from 1 to 1024"),
        ("ssh=-oProxyCommand=x", "begins with options of ssh's"),
        ("popen//pyton=x", "has an unknown key 'pyton'"),
        ("popen//execmodel=thread", "has an unknown key 'execmodel'"),
        ("popen//python", "has no value, or two, for python"),
        ("popen//python=a//python=b", "has no value, or two, for python"),
        ("popen//nice=-5", "nice that is no whole number"),
        ("popen//ssh_config=f", "has an ssh_config and no ssh"),
    ],
)
def test_what_is_no_specification_is_one_message(fault, minimal: str, spec: str, words: str):
    message = fault(_client(minimal, f"hosts: ['{spec}']"))
    assert message.startswith("wan22.yaml:6: settings.client.hosts[0]: ")
    assert words in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("client", "words"),
    [
        ("num_workers: 0", "settings.client.num_workers: no query can be sent by 0 processes"),
        ("num_workers: -2", "settings.client.num_workers"),
        ("num_workers: 1025", "settings.client.num_workers: must be at most 1024"),
        ("num_workers: 2, hosts: [popen]", "settings.client.num_workers: has no effect beside hosts"),
    ],
)
def test_numbers_that_mean_nothing_are_refused(fault, minimal: str, client: str, words: str):
    assert words in fault(_client(minimal, client))


def test_a_specification_stands_for_as_many_processes():
    assert each_process(("2*popen", "ssh=a", "2*ssh=b//python=p")) == (
        *("popen", "popen"),
        "ssh=a",
        *("ssh=b//python=p", "ssh=b//python=p"),
    )


@pytest.mark.parametrize(
    ("num_workers", "simulated", "most", "expected"),
    [
        (1, False, 64, 0),
        (3, False, 64, 3),
        (-1, False, 64, 8),
        (-1, True, 64, 7),
        (-1, False, 4, 4),
        (-1, False, 1, 0),
    ],
)
def test_as_many_processes_as_help(
    monkeypatch: pytest.MonkeyPatch, num_workers: int, simulated: bool, most: int, expected: int
):
    monkeypatch.setattr(hosts, "usable_cores", lambda: 8)
    assert processes(num_workers, (), simulated=simulated, most=most) == ("popen",) * expected


def test_of_one_core_one_process_is_left(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hosts, "usable_cores", lambda: 1)
    assert processes(-1, (), simulated=True, most=64) == ()


def test_cores_are_those_that_the_control_group_gives(monkeypatch: pytest.MonkeyPatch, tmp_path):
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    monkeypatch.setattr(hosts, "Path", lambda _: tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(16), raising=False)
    assert hosts.usable_cores() == 1
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert hosts.usable_cores() == 16
