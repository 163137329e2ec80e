"""Exit status 4: one message that says where, what and the cure; no traceback, and the server has seen no query."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Any

import pytest


def assert_refused(result, *patterns):
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    text = f"{result.stdout}\n{result.stderr}"
    for word in ("Traceback", "INTERNALERROR", "pydantic", "validation error"):
        assert word not in text
    (message,) = [line for line in result.errlines if line.startswith("ERROR:")]
    for pattern in patterns:
        result.stderr.fnmatch_lines([pattern])
    return message


CONFIG: dict[str, tuple[dict[str, Any], str]] = {
    "unknown_key": ({"audit": {"sampels": 3}}, "ERROR: wan22.yaml:*: audit.sampels: *did you mean 'samples'?*"),
    "wrong_type": ({"audit": {"samples": "many"}}, "ERROR: wan22.yaml:*: audit.samples: *"),
    "unknown_audit": ({"audit": {"test": "test99"}}, "ERROR: wan22.yaml:*: audit.test: *test04*"),
    "missing_data_set": (
        {"datasets": [{"path": "gone.jsonl"}]},
        "ERROR: wan22.yaml:*: datasets[[]0].path: *no such file; looked for */gone.jsonl*",
    ),
    "unknown_format": (
        {"datasets": [{"path": "wan22.yaml"}]},
        "ERROR: wan22.yaml:*: datasets[[]0].format: */wan22.yaml: *format*jsonl*",
    ),
    "few_rows": (
        {"datasets": [{"path": "prompts.jsonl", "samples": 400}]},
        "ERROR: wan22.yaml:*: datasets[[]0].samples: */prompts.jsonl: samples asks for 400 rows, but *",
    ),
    "wrong_format": (
        {"datasets": [{"path": "prompts.jsonl", "format": "json"}]},
        "ERROR: */prompts.jsonl*",
    ),
    "more_samples_than_rows": (
        {"audit": {"samples": 17}},
        "ERROR: wan22.yaml:*: audit: samples: 17 distinct rows are asked for, but 16 were loaded; lower *",
    ),
    "more_samples_than_loaded": (
        {"datasets": [{"path": "prompts.jsonl", "samples": 4}]},
        "ERROR: wan22.yaml:*: audit: samples: 8 distinct rows are asked for, but 4 were loaded; *",
    ),
    "more_samples_than_batches": (
        {
            "endpoint_config": {"api_type": "kserve_v2"},
            "model_params": {
                "name": "m",
                "batch_size": 4,
                "tensors": {"inputs": [{"name": "prompt", "datatype": "BYTES", "shape": [1]}]},
            },
        },
        "ERROR: wan22.yaml:*: audit: samples: 8 *, but 4 were loaded; *each is a batch of 4 here*",
    ),
    "http_path_without_a_slash": (
        {"model_params": {"http": {"path": "greet", "body": {"p": "{prompt}"}, "twin": "prompt", "output": "o"}}},
        "ERROR: wan22.yaml:*: model_params.http.path: is no path of a URL; write it with / first*",
    ),
    "no_http": (
        {
            "endpoint_config": {"api_type": "http_json"},
            "datasets": [{"path": "prompts.jsonl", "parser": {"say": "prompt"}}],
        },
        "ERROR: prompts.jsonl line 1: * write its path, body, twin and output",
    ),
    "no_adapter_of_ones_own": (
        {"endpoint_config": {"api_type": "greeter"}},
        "ERROR: wan22.yaml:*: endpoint_config.api_type: no adapter *; known are *; one of your own * conftest.py *",
    ),
    "index_out_of_range": (
        {"audit": {"sample_index": 16}},
        "ERROR: wan22.yaml:*: audit: sample_index: there is no row 16; *give at most 15",
    ),
    "negative_index": ({"audit": {"sample_index": -1}}, "ERROR: wan22.yaml:*: audit.sample_index: *counted from 0*"),
    "poisson": (
        {"type": "online", "settings": {"load_pattern": {"type": "poisson", "target_qps": 5}}},
        "ERROR: wan22.yaml:*: audit: load_pattern poisson *; use max_throughput or concurrency for test04",
    ),
    "unknown_api_type": (
        {"endpoint_config": {"api_type": "videogne"}},
        "ERROR: wan22.yaml:*: endpoint_config.api_type: *did you mean 'videogen'?",
    ),
    "unknown_probe_key": (
        {"audit": {"probe": {"gruops": 12}}},
        "ERROR: wan22.yaml:*: audit.probe.gruops: *did you mean 'groups'?*",
    ),
    "unknown_kind_of_cache": (
        {"audit": {"probe": {"forbid": ["prefx"]}}},
        "ERROR: wan22.yaml:*: audit.probe.forbid*: *'prefix'*",
    ),
    "probe_is_no_block": ({"audit": {"probe": "sometimes"}}, "ERROR: wan22.yaml:*: audit.probe*"),
    "groups_of_one_prompt": (
        {"audit": {"probe": {"design": "single", "groups": 12}}},
        "ERROR: wan22.yaml:*: audit.probe.groups: has no effect with design: single; drop it, or set design: groups",
    ),
    "bursts_of_one_prompt": (
        {"audit": {"probe": {"design": "single", "bursts": True}}},
        "ERROR: wan22.yaml:*: audit.probe.bursts: needs design: groups and made-up prompts (samples: both); *",
    ),
    "nothing_forbidden": (
        {"audit": {"probe": {"forbid": []}}},
        "ERROR: wan22.yaml:*: audit.probe.forbid: names no kind, *name at least one, or set probe: false",
    ),
    "impossible_budget": (
        {"audit": {"probe": {"max_queries": 5}}},
        "ERROR: wan22.yaml:*: audit: probe.max_queries: 5 queries give no answer; * so set max_queries: 11 or more*",
    ),
    "too_few_rows_for_groups": (
        {"audit": {"samples": 5, "probe": {"groups": 6}}, "datasets": [{"path": "prompts.jsonl", "samples": 5}]},
        "ERROR: wan22.yaml:*: audit: probe.samples: 5 rows were loaded, and each of 6 groups *; add rows, *",
    ),
    "unknown_key_of_cache_probe": (
        {"audit": [{"test": "cache_probe", "only": True, "forbidden": ["prefix"]}]},
        "ERROR: wan22.yaml:*: audit*forbidden: *did you mean 'forbid'?*",
    ),
    "impossible_budget_of_cache_probe": (
        {"audit": [{"test": "cache_probe", "only": True, "max_queries": 5}]},
        "ERROR: wan22.yaml:*: audit: max_queries: 5 queries give no answer; * so set max_queries: 12 or more*",
    ),
    "report_dir_is_the_working_directory": (
        {"report_dir": "."},
        "ERROR: report_dir * contains *; choose a directory *",
    ),
    "report_dir_holds_the_working_directory": ({"report_dir": ".."}, "ERROR: report_dir * contains *"),
}


@pytest.mark.parametrize("case", CONFIG)
def test_configuration(audit, sut, case):
    blocks, pattern = CONFIG[case]
    audit.config(sut, **blocks)
    assert_refused(audit.run(), pattern)
    assert sut.received == 0
    assert not audit.report().exists()


ROWS = {
    "not_json": ('{"prompt": "a"}\n{"prompt": \n', "ERROR: */prompts.jsonl line 2: *"),
    "no_prompt": (
        '{"prompt": "a"}\n{"text": 1}\n',
        "ERROR: prompts.jsonl line 2: cannot be sent to api_type videogen: *",
    ),
    "empty": ("", "ERROR: */prompts.jsonl: holds no rows; *"),
    "duplicates": (
        "".join(f'{{"prompt": "scene {row % 15}"}}\n' for row in range(16)),
        "ERROR: wan22.yaml:*: audit: data set: prompts.jsonl line * and prompts.jsonl line * are sent as the same *",
    ),
}


@pytest.mark.parametrize("case", ROWS)
def test_data_set(audit, sut, case):
    content, pattern = ROWS[case]
    (audit.path / "prompts.jsonl").write_text(content)
    audit.config(sut, audit={"samples": 16} if case == "duplicates" else {})
    assert_refused(audit.run(), pattern)
    assert sut.received == 0


def test_no_such_yaml(audit):
    assert_refused(audit.run(), "ERROR: *wan22.yaml: no such file*--mlperf-config*")


def test_broken_yaml(audit):
    (audit.path / "wan22.yaml").write_text("type: offline\naudit: [\n")
    assert_refused(audit.run(), "ERROR: wan22.yaml:*")


def test_unreachable_endpoint(audit, closed_port, lone_or_spread):
    audit.config(f"http://127.0.0.1:{closed_port}")
    pattern = f"ERROR: endpoint http://127.0.0.1:{closed_port}: cannot be reached (*); start it, or correct *"
    assert_refused(audit.run(*lone_or_spread), pattern)
    assert not audit.report().exists()


def test_one_unreachable_endpoint_of_two_yamls_leaves_both_reports_alone(audit, sut, closed_port):
    audit.config(sut, "a.yaml")
    audit.config(f"http://127.0.0.1:{closed_port}", "b.yaml")
    assert_refused(audit.run("--mlperf-config=a.yaml", "--mlperf-config=b.yaml", config=None), "ERROR: endpoint *")
    assert sut.received == 0
    assert not (audit.path / "mlperf-reports").exists()


def test_refused_key(audit, start_sut):
    sut = start_sut(token="right")
    audit.config(sut, endpoint_config={"api_key": "wrong-key-1234"})
    result = audit.run()
    assert_refused(result, f"ERROR: endpoint {sut.url}: answers 401 to our credentials; set endpoint_config.api_key *")
    assert "wrong-key-1234" not in f"{result.stdout}{result.stderr}"
    assert sut.received == 0


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("wrong-key-1234", "answers 401 to our credentials; put a key it accepts into ${VIDEO_KEY}, where *"),
        ("", "answers 401 to a query without a key; put a key it accepts into ${VIDEO_KEY:-} (now empty), where *"),
    ],
)
def test_a_refused_key_names_the_variable_that_it_is_from(audit, start_sut, monkeypatch, value, told):
    sut = start_sut(token="right")
    monkeypatch.setenv("VIDEO_KEY", value)
    audit.config(sut, endpoint_config={"api_key": "${VIDEO_KEY}" if value else "${VIDEO_KEY:-}"})
    result = audit.run()
    assert_refused(result, f"ERROR: endpoint {sut.url}: {told}")
    assert "API_KEY" not in f"{result.stdout}{result.stderr}"


def test_tls(audit, start_sut, certificate):
    sut = start_sut(tls=certificate)
    audit.config(sut)
    assert_refused(
        audit.run(), f"ERROR: endpoint {sut.url}: TLS failed (*); set settings.client.ca_file *insecure: true*"
    )
    assert sut.received == 0
    shutil.copy(certificate[0], audit.path / "ca.pem")
    audit.config(sut, settings={"client": {"ca_file": "ca.pem"}})
    audit.run().assert_outcomes(passed=5)
    audit.config(sut, settings={"client": {"insecure": True}})
    audit.run().assert_outcomes(passed=5)
    assert sut.received == 32


def test_missing_ca_file(audit):
    audit.config("https://127.0.0.1:9", settings={"client": {"ca_file": "gone.pem"}})
    assert_refused(audit.run(), "ERROR: *gone.pem*")


def test_report_dir_is_a_file(audit, sut):
    audit.config(sut)
    (audit.path / "taken").write_text("mine")
    assert_refused(audit.run("--mlperf-report-dir=taken"), "ERROR: report_dir */taken is a file; *")
    assert sut.received == 0
    assert (audit.path / "taken").read_text() == "mine"


def test_report_dir_below_a_file(audit, sut):
    audit.config(sut)
    (audit.path / "taken").write_text("mine")
    assert_refused(audit.run("--mlperf-report-dir=taken/below"), "ERROR: report_dir */taken*")
    assert sut.received == 0


def test_report_dir_that_cannot_be_made(audit, sut):
    audit.config(sut, report_dir="/proc/nowhere/report")
    assert_refused(audit.run("-n", "2"), "ERROR: report_dir /proc/nowhere/report cannot be written (*); set *")
    assert sut.received == 0


def test_report_dir_with_too_long_a_name(audit, sut):
    audit.config(sut, report_dir="x" * 300)
    assert_refused(audit.run(), "ERROR: report_dir */xxx* cannot be written (File name too long); *")


def test_two_yamls_with_one_report_dir(audit, sut):
    for name in ("a.yaml", "b.yaml"):
        audit.config(sut, name, report_dir="shared")
    result = audit.run("--mlperf-config=a.yaml", "--mlperf-config=b.yaml", config=None)
    assert_refused(result, "ERROR: a.yaml and b.yaml both report into */shared; give each its own report_dir")
    assert sut.received == 0


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of 1 MiB."""
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("only root may mount a file system")
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], check=False).returncode:
        pytest.skip("no file system can be mounted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_disk_full(audit, sut, tiny_disk):
    audit.config(sut, report_dir=str(tiny_disk / "report"))
    assert_refused(audit.run(), "ERROR: report_dir * has * MiB free, * MiB are needed for 16 queries; free some *")
    assert sut.received == 0


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://127.0.0.1", "http://"])
def test_endpoint_option(audit, sut, url):
    audit.config(sut)
    result = audit.run(f"--mlperf-endpoint={url}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--mlperf-endpoint*for example http://127.0.0.1:8000*"])
    assert sut.received == 0


def test_endpoint_option_with_a_password(audit, sut):
    audit.config(sut)
    result = audit.run("--mlperf-endpoint=http://me:hunter2@127.0.0.1:1")
    assert_refused(result, "ERROR: --mlperf-endpoint: *")
    assert "hunter2" not in f"{result.stdout}{result.stderr}"


def test_endpoint_in_the_ini_file(audit, sut):
    audit.config(sut)
    assert_refused(audit.run("-o", "mlperf_endpoint=nonsense"), "ERROR: mlperf_endpoint in *for example http://*")


def test_plan_without_a_yaml(audit):
    assert_refused(audit.run("--mlperf-plan", config=None), "ERROR: --mlperf-plan needs --mlperf-config=FILE")
