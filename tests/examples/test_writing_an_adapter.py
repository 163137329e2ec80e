"""The page on adapters, done as a reader would: its blocks in an empty folder, a service of JSON, both commands."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pytest_mlperf_audit import Edit
from pytest_mlperf_audit.config.model_params import ModelParams
from pytest_mlperf_audit.endpoints.http_json import HttpJsonAdapter
from tests.support.scripted_server import Server

PAGE = (Path(__file__).parents[2] / "docs" / "writing-an-adapter.md").read_text()
[YAML] = re.findall(r"```yaml\n# greet\.yaml\n(.*?)```", PAGE, re.DOTALL)
[CODE] = re.findall(r"```python\n# conftest\.py\n(.*?)```", PAGE, re.DOTALL)


class Service:
    """Greets by name, and keeps its greetings."""

    def __init__(self) -> None:
        self.server = Server()
        self.server.post = self._greet
        self._greetings: dict[str, object] = {}

    def _greet(self, _path, body):
        if (key := json.dumps(body)) not in self._greetings:
            time.sleep(0.01)
            self._greetings[key] = {"id": f"g-{len(self._greetings)}", "greeting": {"text": f"Hello, {body['name']}!"}}
        return 200, self._greetings[key]


@pytest.fixture
def service():
    """A service in this process."""
    service = Service()
    yield service.server
    service.server.close()


def run(folder, service, *, python):
    yaml = YAML.replace("http://127.0.0.1:8000", service.url)
    if python:
        yaml = re.sub(r"  http:\n(?:    .*\n)+", "", yaml).replace("http_json", "greeter")
        (folder / "conftest.py").write_text(CODE)
    (folder / "greet.yaml").write_text(yaml)
    names = ("Ada Grace Alan Edsger Barbara Donald Tony Leslie" * 2).split()
    rows = [f"{first} {last} of the old town by the sea" for first in names[:8] for last in names[8:16]]
    (folder / "names.csv").write_text("\n".join(["name", *rows]) + "\n")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--mlperf-config=greet.yaml",
        "-p",
        "no:randomly",
        "-p",
        "no:cacheprovider",
    ]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize("python", [False, True], ids=["yaml", "python"])
def test_a_reader_gets_a_verdict(tmp_path, service, python):
    result = run(tmp_path, service, python=python)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "response cache" in result.stdout
    verdict = json.loads(next(tmp_path.glob("mlperf-reports/*/verdict.json")).read_text())
    assert verdict["status"] == "FAIL"
    kinds = {kind["kind"]: kind["state"] for audit in verdict["audits"] for kind in audit["kinds"]}
    assert kinds["response"] == "found"
    assert {tuple(body) for _, body in service.posts} == {("name", "language")}


def test_both_send_the_same_requests():
    space: dict[str, Any] = {}
    exec(CODE, space)
    http = {"path": "/greet", "body": {"name": "{name}", "language": "en"}, "twin": "name", "output": "greeting.text"}
    one, other = HttpJsonAdapter(ModelParams(name="m", http=http)), space["Greeter"](ModelParams(name="m"))
    row = {"name": "Ada of the old town by the sea"}
    for edit in (Edit(lead="ocean lamp", in_place=True), Edit(text="river", tail="iron")):
        assert json.loads(one.encode(row, edit)) == json.loads(other.encode(row, edit))
    assert one.encode(row) == b'{"name":"Ada of the old town by the sea","language":"en"}'
